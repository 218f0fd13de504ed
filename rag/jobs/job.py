"""A job: one folder that says what is done, how far it is, and how it ended. Whoever can read the folder knows it all.

job.json        what is to be done, for whom to see
lock            held by the job's process as long as it lives, with its process id in it: no job is ever stale
progress.json   how far it is (`rag.progress`)
cancelled       somebody wants it to stop
result.json     what the command printed; log: what it said beside
end.json        its exit code, and when that was
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from rag.progress import Far, read_progress

SPEC, LOCK, PROGRESS, CANCELLED = "job.json", "lock", "progress.json", "cancelled"
RESULT, LOG, END = "result.json", "log", "end.json"
SHOWN = 20_000  # characters of a log, from its end
INTERRUPTED = 130


class State(StrEnum):
    RUNNING = "running"
    DONE = "done"  # whatever its exit code
    STOPPED = "stopped"  # as it was told to
    DIED = "died"  # killed, or the machine went down


@dataclass(frozen=True, slots=True)
class Work:
    """What a job is to do: a command line of `rag` under settings (variables), about a collection. Only one job of a
    `lane` runs at a time. `tells` is whether the command takes --progress; `about` is for people to know it by."""

    kind: str
    collection: str
    lane: str
    arguments: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    tells: bool = False
    about: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """`started` and `ended` are in seconds since the epoch."""

    folder: Path
    work: Work
    started: float

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def state(self) -> State:
        code = self.exit_code
        if code is None and is_held(self.folder / LOCK):
            return State.RUNNING
        code = self.exit_code if code is None else code  # it may have ended between the two looks
        if code is None:
            return State.STOPPED if self.cancelled else State.DIED
        return State.STOPPED if code == INTERRUPTED else State.DONE

    @property
    def exit_code(self) -> int | None:
        return _number(_read(self.folder / END), "code")

    @property
    def ended(self) -> float | None:
        end = _read(self.folder / END)
        return float(end["ended"]) if end else None

    @property
    def seconds(self) -> float:
        """How long it has run, or ran; to the last sign of life for one that died."""
        if (ended := self.ended) is None:
            ended = time.time() if self.state is State.RUNNING else _last_change(self.folder)
        return max(0.0, ended - self.started)

    @property
    def cancelled(self) -> float | None:
        """When somebody told it to stop, if anybody did. It may run on for a moment."""
        try:
            return (self.folder / CANCELLED).stat().st_mtime
        except OSError:
            return None

    def progress(self) -> Far | None:
        return read_progress(self.folder / PROGRESS)

    def result(self) -> dict[str, Any] | None:
        """What the command printed as JSON; None where it came to none."""
        found = _read(self.folder / RESULT)
        return found if isinstance(found, dict) else None

    def log(self) -> str:
        """What the command said beside its result, the end of it. Foreign text."""
        try:
            return (self.folder / LOG).read_text(encoding="utf-8", errors="replace")[-SHOWN:].strip()
        except OSError:
            return ""

    def cancel(self, at_once: bool = False) -> None:
        """Tells it to stop: what is done stays done, and the next sync goes on from there. `at_once` leaves it no time;
        an index outlives that as well."""
        with contextlib.suppress(OSError):
            (self.folder / CANCELLED).touch(mode=0o600, exist_ok=False)
        if self.state is State.RUNNING and (pid := self._pid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if at_once else signal.SIGINT)

    def _pid(self) -> int | None:
        """None before the process has come so far; then it looks whether it is to stop by itself."""
        try:
            return int((self.folder / LOCK).read_text())
        except (OSError, ValueError):
            return None


def read_job(folder: Path) -> Job | None:
    """None for a folder that is no job, or not yet."""
    spec = _read(folder / SPEC)
    try:
        return Job(folder, Work(**{**spec["work"], "arguments": tuple(spec["work"]["arguments"])}), spec["started"])
    except (TypeError, KeyError):
        return None


def is_held(path: Path) -> bool:
    """Whether a process holds the lock. The look is shared, so that two who look do not see each other."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def make_private(folder: Path) -> None:
    """Makes a folder, and those above it that are missing, for their owner alone."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def write_json(path: Path, value: object) -> None:
    """The file appears whole, for its owner alone."""
    draft = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(value, file)
    draft.replace(path)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _number(value: Any, name: str) -> int | None:
    return int(value[name]) if value else None


def _last_change(folder: Path) -> float:
    return max((path.stat().st_mtime for path in folder.iterdir()), default=0.0)
