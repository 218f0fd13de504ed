"""A run on disk: one folder that says what was measured, on what, and how it went.

config.json         what makes the run what it is; a run goes on only where this is equal
predictions.jsonl   one line a question (`predictions`)
metrics.json        all figures, made anew from the predictions whenever a run ends
report.html         the same for people
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import StorageError, UsageError
from rag.evaluation.predictions import Prediction, read_predictions

CONFIG = "config.json"
PREDICTIONS = "predictions.jsonl"
METRICS = "metrics.json"
REPORT = "report.html"
LOCK = ".lock"
_WRITING = ".writing-"


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it was left: `predictions` by question id, in the order in which they were first asked."""

    folder: Path
    config: Mapping[str, Any]
    predictions: Mapping[str, Prediction]

    @property
    def name(self) -> str:
        return self.folder.resolve().name


def load_run(folder: Path) -> Run:
    """Raises UsageError where there is no run, DamagedError where it is not what was written."""
    config = _read_config(folder)
    predictions = read_predictions(folder / PREDICTIONS)
    if config is None or not predictions:
        raise UsageError(f"{folder} holds no run: `rag eval QUESTIONS --out {folder}` makes one.")
    return Run(folder, config, predictions)


def make_folder(folder: Path) -> None:
    """Raises UsageError for a folder with files that are no run's."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise StorageError(f"Cannot write {folder}: {error.strerror}. Nothing was changed.") from error
    others = [name for name in names if not name.startswith((_WRITING, LOCK))]
    if others and CONFIG not in others:
        raise UsageError(f"{folder} is not empty and holds no run ({others[0]}). Choose another --out.")


def claim(folder: Path, config: Mapping[str, Any]) -> None:
    """Makes the folder that of a run with this config, or sees that it already is.

    Raises UsageError for a folder that holds another run.
    """
    before = _read_config(folder)
    if before is None:
        write_whole(folder / CONFIG, _as_json(config))
    elif before != json.loads(_as_json(config)):
        raise UsageError(
            f"{folder} holds a run of something else ({_difference(before, json.loads(_as_json(config)))}). Nothing "
            "was changed; choose another --out, or remove that folder to begin again."
        )


def write_whole(path: Path, content: str) -> None:
    """The file appears whole or not at all. Raises StorageError."""
    beside = path.with_name(f"{_WRITING}{path.name}")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise StorageError(
            f"Cannot write {path}: {error.strerror}. The predictions are safe in {path.parent}; run the same command "
            "again to go on."
        ) from error


def _read_config(folder: Path) -> Any:
    path = folder / CONFIG
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as a run's config: {error}. Nothing was changed.") from error


def _as_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _difference(before: Any, now: Mapping[str, Any]) -> str:
    if not isinstance(before, dict):
        return f"its {CONFIG} is not a run's"
    names = [name for name in sorted(before.keys() | now.keys()) if before.get(name) != now.get(name)]
    return "other " + ", ".join(names)
