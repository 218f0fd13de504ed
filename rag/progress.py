"""How far a command is, as a small JSON file that other programs can look at whenever they like."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from rag.errors import StorageError

if TYPE_CHECKING:
    from rag.terminal import SyncProgress

PAUSE = 0.2  # seconds between two writings: nobody looks more often


@dataclass(frozen=True, slots=True)
class Far:
    """So much is `done` of `total`, in `unit` ("bytes", "questions"); of a sync, in so many documents as well. `name`
    is what was last at hand, `page` of `pages` what OCR has read of it. `began` is when there was a plan (seconds since
    the epoch), None before."""

    done: int = 0
    total: int = 0
    unit: str = ""
    documents_done: int = 0
    documents: int = 0
    name: str = ""
    page: int = 0
    pages: int = 0
    began: float | None = None


class ProgressFile:
    """Told how a sync, or an evaluation, gets on, like the bars of a terminal. The file is always whole. Several syncs
    in a row are one: each plan adds to what there is to do."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._far = Far()
        self._before = 0  # bytes planned before the sync that runs now
        self._written = 0.0

    def __enter__(self) -> ProgressFile:
        self._write()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(StorageError):  # the command's own end is what matters
            self._write()

    def plan(self, total: int, files: int) -> None:
        far = self._far
        self._before = far.total
        self._tell(unit="bytes", done=far.total, total=far.total + total, documents=far.documents + files)

    def reading(self, name: str) -> None:
        self._tell(name=name, page=0, pages=0)

    def documents(self, done: int, total: int, name: str) -> None:
        self._tell(done=self._before + done, documents_done=self._far.documents_done + 1, name=name, page=0, pages=0)

    def pages(self, name: str, done: int, of: int) -> None:
        self._tell(name=name, page=done, pages=of)

    def questions(self, done: int, total: int) -> None:
        self._tell(unit="questions", done=done, total=total)

    def stopped(self) -> str:
        """As a terminal's bar says it."""
        from rag.terminal import stopped

        return stopped(self._far.documents_done, self._far.documents)

    def _tell(self, **changes: Any) -> None:
        now = self._clock()
        self._far = replace(self._far, began=self._far.began or (now if "total" in changes else None), **changes)
        if not 0 <= now - self._written < PAUSE:
            self._write()

    def _write(self) -> None:
        self._written = self._clock()
        draft = self._path.with_name(f".{self._path.name}.new")
        try:
            draft.write_text(json.dumps(asdict(self._far)), encoding="utf-8")
            draft.replace(self._path)
        except OSError as error:
            raise StorageError(f"Cannot write {self._path}: {error.strerror}. What is indexed is safe.") from error


def read_progress(path: Path) -> Far | None:
    """None where nothing was told yet."""
    try:
        return Far(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


@contextmanager
def sync_progress(path: Path | None, stream: TextIO) -> Iterator[ProgressFile | SyncProgress]:
    """What is told of a sync: a file, or else a terminal. Whoever stops it is told how far it got."""
    from rag import terminal

    bar = ProgressFile(path) if path else terminal.SyncProgress(stream)
    try:
        with bar:
            yield bar
    except KeyboardInterrupt:
        raise KeyboardInterrupt(bar.stopped()) from None
    except SystemExit as end:  # by SIGTERM
        if said := bar.stopped():
            end.add_note(said)
        raise


def question_progress(path: Path | None) -> AbstractContextManager[Callable[[int, int], None]]:
    from rag.evaluation import show

    return _questions(path) if path else show.progress("questions")


@contextmanager
def _questions(path: Path) -> Iterator[Callable[[int, int], None]]:
    with ProgressFile(path) as told:
        yield told.questions
