"""A collection: one folder under indexes/, made of a ledger, its published generation and a writer's lock."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import DamagedError, FingerprintError, StorageError, UsageError
from rag.index import generation
from rag.index.ledger import Ledger, damaged_ledger
from rag.index.lock import writing
from rag.index.sync import Progress, plan, sync
from rag.types import Card, Embedder, FileReport, Fingerprint, Hit, Source, SyncReport

if TYPE_CHECKING:
    from rag.types import Vectors

LEDGER = "ledger.sqlite"
LOCK = "writer.lock"
_NAME = re.compile(r"[^\W_][\w.-]{0,63}")


class Collection:
    """Sync, search, verify, repair. Cheap to make; files are opened when needed.

    Errors: UsageError for a bad or unknown name, FingerprintError for another embedder, LockedError while another
    process writes, DamagedError and StorageError as they say.
    """

    def __init__(self, indexes: Path, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name for a collection: use up to 64 letters, digits, dots, dashes and underscores, "
                "beginning with a letter or digit."
            )
        self.name = name
        self.home = indexes / name
        self._ledger: Ledger | None = None
        self._snapshot: generation.Snapshot | None = None
        self._state: tuple[int, int] | None = None
        self._cards: list[Card] = []

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
        self._require_something(source, root)
        self._make_home()
        with writing(self.home / LOCK), closing(self._writable(embedder.fingerprint)) as ledger:
            if root is not None:
                ledger.add_root(root)
            report = sync(ledger, source, embedder, collection=self.name, prune=prune, progress=progress)
            generation.publish(ledger, self.home)
        return report

    def plan(
        self, source: Source, *, root: Path | None = None, prune: bool = False
    ) -> tuple[list[dict[str, str]], SyncReport]:
        """What `sync` would do; nothing is read but hashes, and nothing is written."""
        self._require_something(source, root)
        ledger = self._reading() if self.exists() else None
        known = {row.key: row for row in ledger.files()} if ledger else {}
        todo = plan(known, source, lambda version: bool(ledger and ledger.document_of(version)), prune)
        report = SyncReport(
            collection=self.name,
            added=todo.added,
            changed=todo.changed,
            renamed=len(todo.moves),
            removed=len(todo.gone),
            unchanged=todo.unchanged,
            withheld=len(todo.withheld),
            passages=ledger.counts()["passages"] if ledger else 0,
            embedded=0,
            seconds=0.0,
            files=tuple(FileReport(row.name, row.outcome) for row in known.values() if source.covers(row.key)),
            notes=tuple(source.skipped),
        )
        return todo.actions(known), report

    def repair(self) -> list[str]:
        """Rebuilds what can be rebuilt from the ledger, and says what was done. Needs no model and no source file."""
        self._require()
        with writing(self.home / LOCK), closing(Ledger.open(self.home / LEDGER)) as ledger:
            problems = ledger.integrity()
            if problems:
                raise DamagedError(damaged_ledger(ledger.path, problems[0]))
            row = ledger.generation()
            damaged = generation.damages(self.home, row) if row else ["no index was published"]
            if not generation.publish(ledger, self.home, rebuild=bool(damaged)):
                return []
            return [*damaged, f"index rebuilt from the ledger: {ledger.counts()['passages']} passages"]

    def remove(self) -> None:
        """Deletes the collection, all at once as far as readers see."""
        self._require()
        self.close()
        with writing(self.home / LOCK):
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
        return (self.home / LEDGER).exists()

    def index(self, pattern: str | None = None) -> View:
        """The collection as something to search; with a glob, only documents whose name it matches."""
        self._refresh()
        return View(self, pattern)

    def check_fingerprint(self, made_by: Fingerprint) -> None:
        """Raises FingerprintError unless the vectors were made by the same model in the same way."""
        _compare(self._reading().fingerprint, made_by, self.name)

    @property
    def fingerprint(self) -> Fingerprint:
        return self._reading().fingerprint

    @property
    def notes(self) -> tuple[str, ...]:
        """Anything unusual about the index, fit to be shown."""
        return self._snapshot.notes if self._snapshot else ()

    def roots(self) -> list[Path]:
        """The folders that were indexed."""
        return self._reading().roots()

    def info(self) -> dict[str, Any]:
        ledger = self._reading()
        statuses: dict[str, int] = {}
        for row in ledger.files():
            statuses[row.outcome.status] = statuses.get(row.outcome.status, 0) + 1
        published = ledger.generation()
        size = sum(path.stat().st_size for path in self.home.rglob("*") if path.is_file())
        return {
            "collection": self.name,
            "folder": str(self.home),
            **ledger.counts(),
            "statuses": statuses,
            "model": ledger.fingerprint.model,
            "revision": ledger.fingerprint.revision,
            "dimension": ledger.fingerprint.dimension,
            "generation": published.number if published else 0,
            "bytes": size,
        }

    def files(self) -> list[FileReport]:
        return [FileReport(row.name, row.outcome) for row in self._reading().files()]

    def verify(self) -> list[str]:
        """Everything that is not as it should be; empty for a collection that is whole."""
        ledger = self._reading()
        problems = ledger.integrity()
        if problems:
            return problems
        problems = [*_unfaithful(ledger), *_unsearchable(ledger)]
        row = ledger.generation()
        if row:
            problems += generation.damages(self.home, row)
        return problems

    def close(self) -> None:
        if self._ledger:
            self._ledger.close()
        self._ledger = self._snapshot = self._state = None

    # ------------------------------------------------------------------------------------------ internals

    def _require(self) -> None:
        if not self.exists():
            known = sorted(path.parent.name for path in self.home.parent.glob(f"*/{LEDGER}"))
            there = f"There are: {', '.join(known)}." if known else "There are none yet; `rag index FOLDER` makes one."
            raise UsageError(f"No collection {self.name!r} in {self.home.parent}. {there}")

    def _require_something(self, source: Source, root: Path | None) -> None:
        """An empty folder is a mistake, unless it held something before: then the sync decides."""
        if next(source.scan(), None) is not None:
            return
        if not (self.exists() and any(source.covers(row.key) for row in self._reading().files())):
            raise UsageError(
                f"{root or 'The source'} holds no documents. Nothing was changed; name a folder that has some, and "
                "look at --include and --exclude if you gave them."
            )

    def _make_home(self) -> None:
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"Cannot write {self.home}: {error.strerror}. Nothing was changed.") from error

    def _writable(self, fingerprint: Fingerprint) -> Ledger:
        path = self.home / LEDGER
        if not path.exists():
            return Ledger.create(path, fingerprint)
        ledger = Ledger.open(path)
        _compare(ledger.fingerprint, fingerprint, self.name)
        return ledger

    def _reading(self) -> Ledger:
        if self._ledger is None:
            self._require()
            self._ledger = Ledger.read(self.home / LEDGER)
        return self._ledger

    def _refresh(self) -> None:
        """Picks up what other processes have committed since."""
        ledger = self._reading()
        state = ledger.state
        if self._snapshot is None or state != self._state:
            self._snapshot = generation.load(ledger, self.home)
            self._cards = [Card(*row) for row in ledger.openings()]
            self._state = state


class View:
    """A rag.types.Index over a collection, or over the documents that a glob leaves of it."""

    def __init__(self, collection: Collection, pattern: str | None) -> None:
        self._collection = collection
        self._cards = [card for card in collection._cards if pattern is None or _matches(card.name, pattern)]
        self._names: dict[int, str] = {}
        for card in self._cards:
            self._names.setdefault(card.id, card.name)
        self._among = None if pattern is None else frozenset(self._names)

    def cards(self) -> Sequence[Card]:
        return self._cards

    def dense(self, vector: Vectors, k: int, among: Sequence[int] | None = None) -> list[Hit]:
        allowed = self._allowed(among)
        ledger, snapshot = self._collection._reading(), self._collection._snapshot
        if snapshot is None or allowed == []:
            return []
        only = None if allowed is None else ledger.passage_ids_of(allowed)
        return self._found(lambda n: snapshot.dense(vector, n, only), k, len(snapshot))

    def keyword(self, question: str, k: int, among: Sequence[int] | None = None) -> list[Hit]:
        allowed = self._allowed(among)
        snapshot = self._collection._snapshot
        if snapshot is None or allowed == []:
            return []
        return self._found(lambda n: snapshot.keyword(question, n, allowed), k, len(snapshot))

    def _allowed(self, among: Sequence[int] | None) -> list[int] | None:
        if among is None:
            return None if self._among is None else sorted(self._among)
        return [id_ for id_ in among if self._among is None or id_ in self._among]

    def _found(self, search: Any, k: int, most: int) -> list[Hit]:
        """The k best that the ledger still holds: an index may lag behind what was removed, so ask for more until
        there are enough."""
        wanted = min(k, most)
        while True:
            found = search(wanted)
            passages = self._collection._reading().passages([id_ for id_, _ in found], self._names)
            hits = [Hit(passages[id_], score) for id_, score in found if id_ in passages]
            if len(hits) >= k or len(found) < wanted or wanted >= most:
                return hits[:k]
            wanted = min(2 * wanted, most)


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
            with closing(Ledger.open(self._path)) as ledger:
                ledger.put_page(version, page, engine, text)


def _matches(name: str, pattern: str) -> bool:
    """A glob over the name, over one of its folders, or over its last part."""
    pattern = pattern.rstrip("/")
    parts = name.split("/")
    folders = ("/".join(parts[:i]) for i in range(1, len(parts) + 1))
    return any(fnmatchcase(folder, pattern) for folder in folders) or fnmatchcase(parts[-1], pattern)


def _compare(stored: Fingerprint, given: Fingerprint, name: str) -> None:
    if stored == given:
        return
    if replace(stored, chunker=given.chunker) == given:
        raise FingerprintError(
            f"Collection {name!r} was cut into passages by another version of this program ({stored.chunker}, now "
            f"{given.chunker}). Nothing was changed; index into a new --collection, or remove this one and index again."
        )
    raise FingerprintError(
        f"Collection {name!r} was embedded by {stored.model}@{stored.revision} ({stored.dimension} dimensions); "
        f"{given.model}@{given.revision} ({given.dimension}) cannot search it. Nothing was changed; choose that model, "
        "or index into a new --collection."
    )


def _unfaithful(ledger: Ledger) -> list[str]:
    """Passages that are not the text of their document at their offsets."""
    problems = []
    for id_, document in ledger.documents():
        if not document.name:
            problems.append(f"document {id_} belongs to no file")
        for passage_id, start, end, text in ledger.spans(id_):
            if document.text[start:end] != text:
                problems.append(f"passage {passage_id} is not the text of {document.name} at {start}:{end}")
    return problems


def _unsearchable(ledger: Ledger) -> list[str]:
    """Vectors that no search would find, or of the wrong passage."""
    import numpy as np

    ids, vectors = ledger.vectors()
    if not ids:
        return []
    if vectors.shape[1] != ledger.fingerprint.dimension:
        return [f"vectors have {vectors.shape[1]} dimensions instead of {ledger.fingerprint.dimension}"]
    lengths = np.linalg.norm(vectors, axis=1)
    bad = np.flatnonzero(~np.isfinite(lengths) | (np.abs(lengths - 1) > 0.01))
    return [f"the vector of passage {ids[i]} is not of unit length" for i in bad.tolist()]
