"""Runs of evaluations: where they are, and each as it was left."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import RagError
from rag.evaluation.figures import Figure
from rag.evaluation.folder import CONFIG, METRICS, PREDICTIONS, Run, load_run
from rag.evaluation.questions import BadRow

_NAME = re.compile(r"[^\W_][\w .+()-]{0,99}")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a list of runs shows of one. `figures` are empty of one that did not come to its end."""

    folder: Path
    changed: float
    config: Mapping[str, Any]
    figures: Mapping[str, Figure]
    lost_by: Mapping[str, int]
    skipped: tuple[BadRow, ...]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def questions(self) -> int:
        return int(self.config.get("questions", {}).get("count", 0))

    @property
    def collection(self) -> str:
        return str(self.config.get("collection", {}).get("collection", ""))


def folder(indexes: Path) -> Path:
    """Where the runs are of whoever's collections lie there."""
    return indexes.resolve() / ".runs"


def fitting(name: str) -> bool:
    """Whether a run can be called so: names become folders."""
    return bool(_NAME.fullmatch(name)) and not name.endswith((".", " "))


def summaries(indexes: Path) -> list[Summary]:
    """The newest first. What is no run, or a damaged one, is passed over."""
    try:
        entries = [entry for entry in os.scandir(folder(indexes)) if fitting(entry.name)]
    except OSError:
        return []
    found = [summary for entry in entries if (summary := summary_of(Path(entry.path)))]
    return sorted(found, key=lambda summary: summary.changed, reverse=True)


def summary_of(path: Path) -> Summary | None:
    config = _read(path / CONFIG)
    if not isinstance(config, dict):
        return None
    metrics = _read(path / METRICS) or {}
    return Summary(
        path,
        stamp(path)[0],
        config,
        {name: Figure(**figure) for name, figure in metrics.get("figures", {}).items()},
        metrics.get("lost_by", {}),
        tuple(BadRow(**row) for row in metrics.get("skipped", ())),
    )


def stamp(path: Path) -> tuple[float, int]:
    """Another one whenever the run has gone on."""
    for name in (PREDICTIONS, CONFIG):
        try:
            look = os.stat(path / name)
        except OSError:
            continue
        return look.st_mtime, look.st_size
    return 0.0, 0


def load(path: Path) -> Run | None:
    """None of one that has no answers yet. Raises DamagedError."""
    try:
        return load_run(path)
    except RagError:
        if stamp(path)[1] == 0 or not (path / PREDICTIONS).exists():
            return None
        raise


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
