"""What a run keeps of each question, one JSON line each: predictions.jsonl, the truth that all figures come from.

A line is appended and synced before the next question is asked. A line that a kill cut short is cut away when the
run goes on; of two lines for one question the later counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rag.errors import DamagedError, StorageError
from rag.types import Evidence, Example


@dataclass(frozen=True, slots=True)
class Found:
    """A hit: `text` is the beginning of its passage, `right` whether it matches an evidence."""

    document: str
    place: str
    page: int | None
    start: int
    end: int
    score: float
    text: str
    right: bool


@dataclass(frozen=True, slots=True)
class Cited:
    """A citation; `holds` are the evidences (by number, from 0, as `matching.targets` has them) in its passage."""

    number: int
    document: str
    place: str
    supported: bool
    holds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Prediction:
    """`answer` is None where nothing was to be written, and empty where the question was refused or failed, for
    which `error` then gives the reason. `ranks` are by level, as `matching.ranks` has them, `grades` likewise. `spans`
    are the stretches that the writer pointed at, as text. `verdict` is the judge's, None when it failed or was not
    asked (`judged`). Times are in seconds."""

    example: Example
    answer: str | None = None
    abstained: bool = False
    error: str = ""
    hits: tuple[Found, ...] = ()
    cited: tuple[Cited, ...] = ()
    ranks: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)
    grades: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    lost_by: str = ""
    judged: bool = False
    verdict: bool | None = None
    confidence: float | None = None
    spans: tuple[str, ...] = ()
    tokens: int | None = None
    seconds: float = 0.0
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.example.id

    @property
    def answered(self) -> bool:
        return bool(self.answer) and not self.abstained

    def as_line(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False).encode() + b"\n"

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Prediction:
        """Raises KeyError or TypeError for what was not written by `as_line`."""
        example = dict(row["example"])
        example["answers"] = tuple(example["answers"])
        example["evidence"] = tuple(Evidence(**item) for item in example["evidence"])
        values = dict(row)
        values["example"] = Example(**example)
        values["hits"] = tuple(Found(**hit) for hit in row["hits"])
        values["cited"] = tuple(Cited(**{**item, "holds": tuple(item["holds"])}) for item in row["cited"])
        values["spans"] = tuple(row.get("spans", ()))
        for name in ("ranks", "grades"):
            values[name] = {level: tuple(numbers) for level, numbers in row[name].items()}
        return cls(**values)


def read_predictions(path: Path) -> dict[str, Prediction]:
    """Id → prediction. A last line that was never finished is left out; raises DamagedError for any other."""
    found: dict[str, Prediction] = {}
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return found
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), 1):
        try:
            prediction = Prediction.from_json(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedError(
                f"{path}, line {number} is not what a run writes ({error.__class__.__name__}). Nothing was changed; "
                "remove the line to have its question asked again, or choose another folder."
            ) from error
        found[prediction.id] = prediction
    return found


class Log:
    """predictions.jsonl, open for appending, after any unfinished last line was cut away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("ab+", buffering=0)
            self._file.seek(0)
            content = self._file.read()
            self._file.truncate(content.rfind(b"\n") + 1)
        except OSError as error:
            raise _unwritable(path, error) from error

    def append(self, prediction: Prediction) -> None:
        """On return the line is on the disk. Raises StorageError when it cannot be put there."""
        rest = memoryview(prediction.as_line())
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritable(self._path, error) from error

    def close(self) -> None:
        self._file.close()


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"Cannot write {path}: {error.strerror}. The questions asked so far are safe there; make room or check the "
        "permissions, and run the same command again to go on."
    )
