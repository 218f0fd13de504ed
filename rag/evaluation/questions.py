"""A file or folder of questions → Examples. A bad row is reported with its line and skipped; it never ends a run.

    .jsonl    {"id", "question", "answers": [...], "answerable": true, "evidence": [{"document", "page", "text"}]},
              or FinanceBench's own lines
    .csv      the same columns: lists as JSON, a single answer as it is, a single evidence also as the columns
              document, page and text
    .json     SQuAD 1.1 or 2.0, or a list of objects like the lines above
    a folder  BEIR: queries.jsonl and qrels/*.tsv (test.tsv if it is there; or name the .tsv file itself)

Only `question` is required. A row without an id gets one that is made from its question.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.answer import clean_question
from rag.errors import UsageError
from rag.evaluation import layouts
from rag.types import Evidence, Example

YES, NO = {"true", "yes", "1"}, {"false", "no", "0"}


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was skipped: `where` it stands ("line 57") and the reason."""

    where: str
    reason: str


Bad = Callable[[BadRow], None]
Row = tuple[str, Any]  # where it stands, and the object found there


def read_questions(path: Path, bad: Bad) -> Iterator[Example]:
    """The examples of a question set, in order, with distinct ids. `bad` hears of every row that is skipped.

    Raises UsageError for a path that holds no question set.
    """
    seen: dict[str, str] = {}
    for where, row in _rows(path, bad):
        try:
            example = _example(row)
        except (ValueError, UsageError) as error:
            bad(BadRow(where, str(error)))
            continue
        if example.id in seen:
            bad(BadRow(where, f"the id {example.id!r} was used before ({seen[example.id]})"))
            continue
        seen[example.id] = where
        yield example


def _rows(path: Path, bad: Bad) -> Iterator[Row]:
    def report(where: str, reason: str) -> None:
        bad(BadRow(where, reason))

    if not path.exists():
        raise UsageError(f"{path}: no such file or folder. Nothing was changed; check the path.")
    if path.is_dir() or layouts.is_qrels(path):
        return layouts.beir(path, report)
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            return ((where, layouts.from_financebench(row)) for where, row in layouts.json_lines(path, report))
        case ".csv" | ".tsv":
            return _csv(path, report)
        case ".json":
            return _json(path, report)
    raise UsageError(f"{path}: a question set is a .jsonl, .csv or .json file, or a folder as BEIR has it.")


def _json(path: Path, report: layouts.Report) -> Iterator[Row]:
    whole = layouts.load_json(path)
    if isinstance(whole, list):
        return ((f"item {n}", layouts.from_financebench(row)) for n, row in enumerate(whole, 1))
    return layouts.squad(whole, path, report)


# ---------------------------------------------------------------------------------------------------- CSV


def _csv(path: Path, report: layouts.Report) -> Iterator[Row]:
    """Rows under a head, parted by commas, semicolons or tabs, whichever the head has most of."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        head = file.readline()
        file.seek(0)
        reader = csv.reader(file, delimiter=max(",;\t", key=head.count))
        columns: list[str] = []
        while True:
            where = f"line {reader.line_num + 1}"
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                report(where, f"not CSV: {error}")
                continue
            if not columns:
                columns = [cell.strip().lower() for cell in cells]
                if "question" not in columns:
                    raise UsageError(f"{path}: the first line must name the columns, one of them `question`.")
            elif any(cell.strip() for cell in cells):
                yield where, _from_cells(dict(zip(columns, cells, strict=False)))


def _from_cells(cells: Mapping[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {name: cell for name, cell in cells.items() if cell.strip()}
    for name in ("answers", "evidence"):
        if row.get(name, "").lstrip().startswith("["):
            row[name] = _list(row[name])
    if "evidence" not in row and "document" in row:
        row["evidence"] = [{name: row.get(name) for name in ("document", "page", "text")}]
    return row


def _list(cell: str) -> Any:
    """A list written as JSON; anything else that begins with a bracket is text, and is judged as such."""
    try:
        return json.loads(cell)
    except ValueError:
        return cell


# ----------------------------------------------------------------------------------------- row → Example


def _example(row: Any) -> Example:
    """Raises ValueError, or UsageError from the question's own check, with what is wrong."""
    if not isinstance(row, Mapping):
        raise ValueError("not an object with a question")
    if not isinstance(row.get("question"), str) or not row["question"].strip():
        raise ValueError("no question")
    question = clean_question(row["question"])
    evidence = row.get("evidence") or []
    if not isinstance(evidence, list):
        raise ValueError("`evidence` is not a list")
    return Example(
        id=_id(row.get("id"), question),
        question=question,
        answers=_answers(row.get("answers")),
        answerable=_truth(row.get("answerable")),
        evidence=tuple(_evidence(item) for item in evidence),
    )


def _id(value: Any, question: str) -> str:
    if value is None or value == "":
        return hashlib.sha256(question.encode()).hexdigest()[:16]
    if isinstance(value, str | int) and not isinstance(value, bool):
        return _text(str(value))
    raise ValueError("`id` is neither text nor a number")


def _answers(value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(answer, str | int | float) and not isinstance(answer, bool) for answer in given):
        raise ValueError("`answers` is not a list of texts")
    return tuple(dict.fromkeys(answer for value in given if (answer := _text(str(value)).strip())))


def _truth(value: Any) -> bool:
    word = str(True if value is None else value).strip().lower()
    if word not in YES | NO:
        raise ValueError(f"`answerable` is {value!r}, neither true nor false")
    return word in YES


def _evidence(item: Any) -> Evidence:
    if not isinstance(item, Mapping) or not isinstance(item.get("document"), str) or not item["document"].strip():
        raise ValueError("an evidence without a document")
    text = item.get("text") or ""
    if not isinstance(text, str):
        raise ValueError("an evidence whose text is not a text")
    page, grade = _number("page", item.get("page")), _number("grade", item.get("grade"))
    return Evidence(_text(item["document"].strip()), page, _text(text), grade or 1)


def _number(name: str, value: Any) -> int | None:
    if value is None or value == "":
        return None
    written = str(value).strip().removesuffix(".0")  # spreadsheets make 3.0 of 3
    if not written.isdecimal() or int(written) < 1:
        raise ValueError(f"{name} {value!r} is not a number from 1")
    return int(written)


def _text(text: str) -> str:
    """Without lone surrogates, which JSON can write and no UTF-8 file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
