"""Questions to learn from: JSON Lines in SQuAD's terms, or the rows that `rag eval` reads.

{"question", "context", "title", "answers": [{"text", "start"}]}                    SQuAD and SQuADShifts, flattened
{"question", "context", "title", "answers": {"text": [], "answer_start": []}}        the same as tables of the hub
{"question", "answers": ["..."], "answerable": true, "evidence": [{"text": "..."}]}  question sets and kept feedback
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import UsageError


@dataclass(frozen=True, slots=True)
class Lesson:
    """A question and a passage, `context`. `spans` are the places of the answers in it (first and last + 1 character),
    one per annotator; none means that the passage does not answer the question. `group` is where it came from:
    negatives are looked for among the passages of the same group."""

    question: str
    context: str
    title: str
    spans: tuple[tuple[int, int], ...]
    group: str


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a set of files holds, in their order, and what in them could not be used: "file:line: why"."""

    lessons: tuple[Lesson, ...]
    problems: tuple[str, ...]


def load(files: Sequence[Path]) -> Lessons:
    """Raises UsageError for a file that cannot be read, or when no row of any can be used. A row that cannot is told
    and skipped."""
    lessons: list[Lesson] = []
    problems: list[str] = []
    for number, path in enumerate(files):
        for line, row in _rows(path):
            try:
                found = list(_lessons(json.loads(row), group=f"{number}:{path.stem}"))
                if not found:
                    raise ValueError("no evidence with a text in which an answer stands")
                lessons.extend(found)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                problems.append(f"{path}:{line}: {_told(error)}")
    if not lessons:
        told = f" First problem: {problems[0]}." if problems else ""
        raise UsageError(f"No question to learn from in {', '.join(map(str, files))}.{told}")
    return Lessons(tuple(lessons), tuple(problems))


def _rows(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as file:
            for line, row in enumerate(file, start=1):
                if row.strip():
                    yield line, row
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}. Nothing was trained or written.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8. Nothing was trained or written.") from error


def _lessons(row: dict[str, Any], group: str) -> Iterator[Lesson]:
    question = " ".join(str(row["question"]).split())
    if not question:
        raise ValueError("the question is empty")
    if "context" in row:
        said = list(_answers(row["answers"]))
        spans = tuple(span for text, start in said if (span := _placed(row["context"], text, start)))
        if said and not spans:
            raise ValueError("no answer stands in the context where it is said to")
        yield Lesson(question, row["context"], _title(row), spans, group)
        return
    for evidence in row.get("evidence", ()):
        text = str(evidence.get("text", ""))
        answers = row.get("answers", ()) if row.get("answerable", True) else ()
        found = tuple(span for answer in answers if (span := _found(text, str(answer))))
        if text and (found or not answers):
            yield Lesson(question, text, "", found, group)


def _answers(given: Any) -> Iterator[tuple[str, int]]:
    """(text, where it begins), from a list of answers or a table of them."""
    if isinstance(given, dict):
        yield from zip(given["text"], given["answer_start"], strict=True)
    else:
        for answer in given:
            yield answer["text"], answer["start"] if "start" in answer else answer["answer_start"]


def _placed(context: str, answer: str, start: int) -> tuple[int, int] | None:
    """The answer's place without the blanks around it; None where it does not stand there."""
    bare = answer.strip()
    start += len(answer) - len(answer.lstrip())
    return (start, start + len(bare)) if bare and context[start : start + len(bare)] == bare else None


def _found(text: str, answer: str) -> tuple[int, int] | None:
    start = text.casefold().find(answer.strip().casefold()) if answer.strip() else -1
    return (start, start + len(answer.strip())) if start >= 0 else None


def _title(row: dict[str, Any]) -> str:
    """An article's title, where the passage is about it. Names of whole sites and shelves are no titles."""
    title = str(row.get("title") or "").replace("_", " ").strip()
    return title if title and title.split()[0].casefold() in row["context"].casefold() else ""


def _told(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return str(error) or type(error).__name__
