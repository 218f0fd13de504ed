"""A collection: one folder under indexes/, made of a ledger, its published generation and a writer's lock."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from rag.errors import DamagedError, StorageError, UsageError
from rag.index import audit, database, generation, publishing
from rag.index.cited import cited
from rag.index.fingerprints import require_same
from rag.index.inventory import inventory
from rag.index.ledger import Ledger
from rag.index.lock import make_home, writing
from rag.index.names import is_collection, require_collection
from rag.index.opened import Opened, opened
from rag.index.stream import in_step
from rag.index.sync import Progress, planned, require_something, resumed
from rag.index.view import View
from rag.types import (
    Card,
    Cited,
    Embedder,
    FileReport,
    Fingerprint,
    Held,
    Origin,
    Passage,
    Source,
    SyncReport,
)

LEDGER = "ledger.sqlite"
LOCK = "writer.lock"
SIDE_LOCK = "reembed.lock"


class Collection:
    """Sync, search, verify, repair. Cheap to make; files are opened when needed.

    Errors: UsageError for a bad or unknown name, FingerprintError for another embedder, LockedError while another
    process writes, DamagedError and StorageError as they say. `waiting` is told whom a writer waits for; without it, a
    writer does not wait. Threads that share one for searching take `turns`.
    """

    def __init__(self, indexes: Path, name: str, waiting: Callable[[str], None] | None = None) -> None:
        require_collection(name)
        self.name = name
        self.home = indexes / name
        self._waiting = waiting
        self.turns = threading.RLock()
        self._ledger: Ledger | None = None
        self._opened: int | None = None  # the ledger's inode
        self._snapshot: generation.Snapshot | None = None
        self._state: tuple[int, int] | None = None

    # ------------------------------------------------------------------------------------------- writing

    def sync(
        self,
        source: Source,
        embedder: Embedder,
        *,
        root: Path | None = None,
        prune: bool = False,
        progress: Progress | None = None,
    ) -> SyncReport:
        """Makes the collection hold what the source holds, and publishes it. `root` is remembered as a folder that
        the collection holds."""
        require_something(source, root, self._covered)
        make_home(self.home)
        with (
            writing(self.home / LOCK, self._waiting) as finished,
            closing(self._writable(embedder.fingerprint)) as ledger,
        ):
            if root is not None:
                ledger.add_root(root)
            before = generation.kind(ledger)

            def publish() -> bool:
                return publishing.publish(ledger, self.home)

            how: dict[str, Any] = {"prune": prune, "progress": progress, "checkpoint": publish}
            report = in_step(ledger, source, embedder, collection=self.name, **how)
            publish()
            now = generation.kind(ledger)
        if now != before:
            report = replace(report, notes=(*report.notes, f"Vectors are indexed as {now} now."))
        return report if finished else resumed(report)

    def plan(
        self, source: Source, *, root: Path | None = None, prune: bool = False
    ) -> tuple[list[dict[str, str]], SyncReport]:
        """What `sync` would do; nothing is read but hashes, and nothing is written."""
        require_something(source, root, self._covered)
        ledger = self._reading() if self.exists() else None
        return planned(ledger, source, self.name, prune)

    def repair(self) -> list[str]:
        """Rebuilds what can be rebuilt from the ledger, and says what was done. Needs no model and no source file."""
        self.require()
        with writing(self.home / LOCK, self._waiting), closing(Ledger.open(self.home / LEDGER)) as ledger:
            if problems := audit.damages(ledger):
                raise DamagedError(database.damaged_ledger(ledger.path, problems[0]))
            row = ledger.generation()
            damaged = generation.damages(self.home, row) if row else ["no index was published"]
            if row and row.lingering:
                damaged.append(f"BM25 still counted {row.lingering} passages that are gone")
            done = _without_a_damaged_side(ledger)
            if not publishing.publish(ledger, self.home, rebuild=bool(damaged)):
                return done
            return [*done, *damaged, f"index rebuilt from the ledger: {ledger.counts()['passages']} passages"]

    def remove(self) -> None:
        """Deletes the collection, all at once as far as readers see."""
        self.require()
        self.close()
        with writing(self.home / SIDE_LOCK, self._waiting), writing(self.home / LOCK, self._waiting):
            away = self.home.with_name(f".removed-{self.name}-{os.getpid()}")
            try:
                self.home.rename(away)
            except OSError as error:
                raise StorageError(f"Cannot remove {self.home}: {error.strerror}. Nothing was changed.") from error
        shutil.rmtree(away, ignore_errors=True)

    def cache(self) -> PageCache:
        """Where the text of pages that OCR has read is kept, so that it is never done twice."""
        return PageCache(self)

    # ------------------------------------------------------------------------------------------- reading

    def exists(self) -> bool:
        try:
            return (self.home / LEDGER).exists()
        except OSError as error:
            raise StorageError(f"{self.home} cannot be opened: {error.strerror}. Nothing was changed.") from error

    def index(self, pattern: str | None = None, only: Origin | None = None) -> View:
        """The collection as something to search; with a glob, only documents whose name it matches; with an origin,
        only those of that kind."""
        return View(self.name, self._reading(), self._current, pattern, only)

    def check_fingerprint(self, made_by: Fingerprint) -> None:
        """Raises FingerprintError unless the vectors were made by the same model in the same way."""
        require_same(self._reading().fingerprint, made_by, self.name)

    @property
    def fingerprint(self) -> Fingerprint:
        return self._reading().fingerprint

    @property
    def called(self) -> str:
        """The name, folder or hub id by which its embedder was asked for, where that is known."""
        return self._reading().called

    @property
    def notes(self) -> tuple[str, ...]:
        """Anything unusual about the index, fit to be shown."""
        return self._snapshot.notes if self._snapshot else ()

    @property
    def state(self) -> object:
        """Is another one whenever a writer has committed since, or another collection has taken this one's place."""
        if self._ledger and self._opened != self._inode():
            self.close()
        return self._reading().state, self._opened

    def roots(self) -> list[Path]:
        """The folders that were indexed."""
        return self._reading().roots()

    def info(self) -> dict[str, Any]:
        return inventory(self.name, self.home, self._reading(), self.home / LOCK, self.home / SIDE_LOCK)

    def titles(self, prefix: bytes) -> dict[bytes, str]:
        """The titles of what is held under keys that begin so."""
        return dict(self._reading().titles(prefix)) if self.exists() else {}

    def named(self, name: str, prefix: bytes) -> list[bytes]:
        """The keys that begin so of what is called so."""
        return self._reading().named(name, prefix) if self.exists() else []

    def cited(self, passage: Passage, span: tuple[int, int] | None = None) -> list[Cited]:
        """Where to look for a passage of this collection, page by page; empty where it has no pages, or has changed."""
        return cited(self._reading(), passage, span)

    def opened(self, name: str, uri: str = "") -> Opened | None:
        """A document to be read, by what `Passage` calls it, or by its name alone."""
        return opened(self._reading(), name, uri)

    def files(self) -> list[FileReport]:
        return [FileReport(row.name, row.outcome) for row in self._reading().files()]

    def held(self, part: str = "", most: int = 10_000) -> list[Held]:
        """Files and articles by name, with all that people may want to know of them: the first ones of those that have
        a text in their name."""
        return list(self._reading().held(part, most))

    def verify(self) -> list[str]:
        """Everything that is not as it should be; empty for a collection that is whole."""
        ledger = self._reading()
        while True:
            with ledger.snapshot():
                row = ledger.generation()
                problems = audit.damages(ledger) + audit.side_damages(ledger)
            stale = generation.damages(self.home, row) if row else []
            if not stale or ledger.generation() == row:  # else a writer has replaced it meanwhile
                return problems + stale

    def close(self) -> None:
        if self._ledger:
            self._ledger.close()
        self._ledger = self._snapshot = self._state = None

    # ------------------------------------------------------------------------------------------ internals

    def _current(self) -> tuple[generation.Snapshot, list[Card]]:
        """What is searched, brought up to date when another process has committed since."""
        ledger = self._reading()
        state = ledger.state
        if self._snapshot is None or state != self._state:
            self._snapshot = generation.load(ledger, self.home)
            self._state = state
        return self._snapshot, self._snapshot.cards

    def require(self) -> None:
        """Raises UsageError unless there is such a collection."""
        if not self.exists():
            known = sorted(
                path.parent.name for path in self.home.parent.glob(f"*/{LEDGER}") if is_collection(path.parent.name)
            )
            there = f"There are: {', '.join(known)}." if known else "There are none yet; `rag index FOLDER` makes one."
            raise UsageError(f"No collection {self.name!r} in {self.home.parent}. {there}")

    def _covered(self, source: Source) -> bool:
        return self.exists() and any(source.covers(row.key) for row in self._reading().files())

    def _writable(self, fingerprint: Fingerprint) -> Ledger:
        path = self.home / LEDGER
        if not path.exists():
            return Ledger.create(path, fingerprint)
        ledger = Ledger.open(path)
        require_same(ledger.fingerprint, fingerprint, self.name)
        return ledger

    def _reading(self) -> Ledger:
        if self._ledger is None:
            self.require()
            self._opened = self._inode()
            self._ledger = Ledger.read(self.home / LEDGER)
        return self._ledger

    def _inode(self) -> int | None:
        try:
            return os.stat(self.home / LEDGER).st_ino
        except OSError:
            return None


def _without_a_damaged_side(ledger: Ledger) -> list[str]:
    """Nothing is lost with the side: it is made of the documents."""
    if not (problems := audit.side_damages(ledger)):
        return []
    with ledger.transaction():
        ledger.side.drop()
    return [*problems, "the side was dropped; `rag reembed` makes it anew"]


class PageCache:
    """Pages read by OCR, by content, page number and engine; kept in the ledger."""

    def __init__(self, collection: Collection) -> None:
        self._path = collection.home / LEDGER

    def get(self, version: str, page: int, engine: str) -> str | None:
        if not self._path.exists():
            return None
        with closing(Ledger.open(self._path)) as ledger:
            return ledger.get_page(version, page, engine)

    def put(self, version: str, page: int, engine: str, text: str) -> None:
        if self._path.exists():
            with closing(Ledger.open(self._path)) as ledger, ledger.transaction():
                ledger.put_page(version, page, engine, text)
