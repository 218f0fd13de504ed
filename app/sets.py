"""Which question sets there are: the sample's, those that were handed over, and any below configured folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app import uploads
from rag.evaluation.questions import BadRow, read_questions
from rag.types import Example

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "questions.jsonl"
FORMATS = ("jsonl", "ndjson", "csv", "tsv", "json")


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """`bad` are rows that cannot be asked."""

    path: Path
    examples: tuple[Example, ...]
    bad: tuple[BadRow, ...]


def folder(indexes: Path) -> Path:
    """Where sets are kept that were handed over."""
    return indexes.resolve() / ".questions" / "kept"


def known(indexes: Path) -> dict[str, Path]:
    """The sets that can be chosen, by name."""
    sample = {"The sample's questions": SAMPLE} if SAMPLE.is_file() else {}
    return sample | {name: folder(indexes) / name for name in uploads.names(folder(indexes))}


def read(path: Path) -> QuestionSet:
    """Raises UsageError for what is no question set."""
    bad: list[BadRow] = []
    return QuestionSet(path, tuple(read_questions(path, bad.append)), tuple(bad))
