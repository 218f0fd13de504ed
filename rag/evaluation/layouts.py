"""How other people's question sets are laid out, made into rows like our own. Nothing is checked here but the layout.

SQuAD: https://rajpurkar.github.io/SQuAD-explorer (arXiv 1606.05250, 1806.03822). BEIR: arXiv 2104.08663.
FinanceBench: arXiv 2311.11944.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rag.errors import UsageError

Report = Callable[[str, str], None]  # where a bad row stands, and what is wrong with it

QUERIES = "queries.jsonl"


def json_lines(path: Path, report: Report) -> Iterator[tuple[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                yield f"line {number}", json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
                report(f"line {number}", f"not JSON: {error}")


def load_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}. Nothing was changed.") from error


def squad(whole: Any, path: Path, report: Report) -> Iterator[tuple[str, Any]]:
    """One row a question; the evidence is its paragraph, in the document of the article's title."""
    if not isinstance(whole, dict) or not isinstance(whole.get("data"), list):
        raise UsageError(f"{path}: neither a list of questions nor SQuAD, which has its articles under `data`.")
    for i, article in enumerate(whole["data"]):
        for j, paragraph in enumerate(_list(article, "paragraphs")):
            place = f"data[{i}].paragraphs[{j}]"
            questions = _list(paragraph, "qas")
            if not isinstance(article.get("title"), str) or not isinstance(paragraph.get("context"), str):
                report(place, f"no title or no context, {len(questions)} questions lost")
                continue
            evidence = [{"document": article["title"], "text": paragraph["context"]}]
            for k, asked in enumerate(questions):
                yield f"{place}.qas[{k}]", _squad_row(asked, evidence)


def _squad_row(asked: Any, evidence: list[dict[str, str]]) -> Any:
    if not isinstance(asked, dict):
        return asked
    answerable = not asked.get("is_impossible", False)
    return {
        "id": asked.get("id"),
        "question": asked.get("question"),
        "answers": [answer.get("text") for answer in _list(asked, "answers") if isinstance(answer, dict)],
        "answerable": answerable,
        "evidence": evidence if answerable else [],
    }


def _list(holder: Any, name: str) -> list[Any]:
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, list) else []


def from_financebench(row: Any) -> Any:
    """A line of financebench_open_source.jsonl as a row of ours: its pages are counted from 0. Others as they are."""
    if not isinstance(row, dict) or "financebench_id" not in row:
        return row
    evidence = [
        {
            "document": item.get("doc_name") or item.get("evidence_doc_name") or row.get("doc_name"),
            "page": item["evidence_page_num"] + 1 if isinstance(item.get("evidence_page_num"), int) else None,
            "text": item.get("evidence_text"),
        }
        for item in _list(row, "evidence")
        if isinstance(item, dict)
    ]
    answer = row.get("answer")
    return {"id": row["financebench_id"], "question": row.get("question"), "answers": answer, "evidence": evidence}


def is_qrels(path: Path) -> bool:
    """Whether a file is one split of a BEIR folder: FOLDER/qrels/dev.tsv."""
    return path.suffix == ".tsv" and (path.parent.parent / QUERIES).is_file()


def beir(path: Path, report: Report) -> Iterator[tuple[str, Any]]:
    """One row a query that has a relevant document: relevance is of documents as a whole, and graded."""
    qrels = path if path.is_file() else _split(path)
    relevant: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with qrels.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            cells = line.rstrip("\r\n").split("\t")
            if number == 1 or not line.strip():  # the first line names the columns
                continue
            if len(cells) != 3 or not cells[2].strip().removeprefix("-").isdigit():
                report(f"{qrels.name}, line {number}", "not a query, a document and a whole number, parted by tabs")
            elif (grade := int(cells[2])) > 0:
                relevant[cells[0]].append({"document": cells[1], "grade": grade})
    for where, query in json_lines(qrels.parent.parent / QUERIES, report):
        if not isinstance(query, dict):
            report(f"{QUERIES}, {where}", "not an object")
        elif evidence := relevant.get(str(query.get("_id"))):
            row = {"id": query["_id"], "question": query.get("text"), "evidence": evidence}
            yield f"{QUERIES}, {where}", row


def _split(folder: Path) -> Path:
    splits = sorted((folder / "qrels").glob("*.tsv"))
    if not splits or not (folder / QUERIES).is_file():
        raise UsageError(f"{folder} holds no question set: BEIR has {QUERIES} and qrels/*.tsv there.")
    named = [split for split in splits if split.stem == "test"] or splits
    if len(named) > 1:
        raise UsageError(f"{folder} has several splits ({', '.join(s.name for s in splits)}): name one of the files.")
    return named[0]
