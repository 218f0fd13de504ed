"""Makes a collection hold exactly what a source holds.

    scan → plan (by content) → read → chunk → embed what was never embedded → one ledger transaction a document

Everything is decided by content: equal content is stored once, under all its paths; a file that moved is followed
without being read; a new version is written in the same transaction in which the old one goes. What is gone is
removed last, and not at all when so much vanished that a missing drive is the likelier cause. A sync that is
stopped anywhere is continued by the next: whatever was acknowledged is found unchanged.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from rag.errors import UsageError
from rag.index.chunk import chunk
from rag.index.embedding import vectors_of
from rag.index.rows import FileRow, digest
from rag.index.seams import Holdings
from rag.types import Document, Embedder, Entry, FileReport, Outcome, Passage, Reading, Source, Status, SyncReport

WINDOW = 2048  # passages embedded together: enough to sort by length, few enough to lose when stopped
FIRST_WINDOW = 128
PATIENCE = 5.0  # seconds after which a window is closed, however small it is
CHECKPOINT = 20_000  # new passages, after which a generation is published in between
GONE_SHARE = 0.2  # more than this share of the files gone at once looks like a missing drive
FINAL = {Status.INDEXED, Status.UNSUPPORTED, Status.LIMIT}  # outcomes that another reader would not change


Holding = Callable[[Collection[str]], Set[str]]


class Progress(Protocol):
    """Told how a sync gets on."""

    def plan(self, total: int, files: int) -> None:
        """So many bytes, in so many files, are to be read."""

    def reading(self, name: str) -> None:
        """This document has been read."""

    def documents(self, done: int, total: int, name: str) -> None:
        """So many bytes of so many are in the ledger; `name` was the last document."""


@dataclass(slots=True)
class Plan:
    """What a sync will do, known before anything is read."""

    read: list[Entry] = field(default_factory=list)  # content that the collection does not hold yet
    twins: list[Entry] = field(default_factory=list)  # the same content again: to be linked once it is there
    moves: list[tuple[bytes, Entry]] = field(default_factory=list)
    relabels: list[tuple[bytes, Entry]] = field(default_factory=list)  # unchanged, but under another name
    troubled: list[Entry] = field(default_factory=list)  # held already, and cannot be opened now
    gone: list[FileRow] = field(default_factory=list)
    withheld: list[FileRow] = field(default_factory=list)
    added: int = 0
    changed: int = 0
    unchanged: int = 0

    def actions(self, known: Mapping[bytes, FileRow]) -> list[dict[str, str]]:
        """What will be done to each document, for people to look over."""
        steps = [("change" if e.key in known else "add", e.name) for e in [*self.read, *self.twins]]
        steps += [("rename", f"{known[old].name} → {entry.name}") for old, entry in self.moves]
        steps += [("remove", row.name) for row in self.gone] + [("keep", row.name) for row in self.withheld]
        return [{"action": action, "document": name} for action, name in steps]


def plan(known: Mapping[bytes, FileRow], source: Source, holding: Holding, prune: bool) -> Plan:
    """Compares what the source holds with `known`; `holding` tells which contents are stored already."""
    result = Plan()
    fresh: list[Entry] = []
    seen: set[bytes] = set()
    for entry in source.scan():
        seen.add(entry.key)
        row = known.get(entry.key)
        if row and row.document is not None and entry.problem:
            result.unchanged += 1
            result.troubled.append(entry)
        elif row and row.version == entry.version and not _worth_retrying(row, source.reader):
            result.unchanged += 1
            if (row.name, row.uri) != (entry.name, entry.uri):
                result.relabels.append((row.key, entry))
        else:
            fresh.append(entry)
    covered = [row for key, row in known.items() if source.covers(key)]
    gone = [row for row in covered if row.key not in seen]
    _sort_fresh(result, fresh, known, gone, holding({entry.version for entry in fresh}))
    moved = {old for old, _ in result.moves}
    gone = [row for row in gone if row.key not in moved]
    missing = [row for row in gone if not source.excludes(row.key)]
    if len(missing) > GONE_SHARE * len(covered) and not prune:
        result.withheld = missing
    result.gone = [row for row in gone if row not in result.withheld]
    return result


def _sort_fresh(
    result: Plan,
    fresh: Sequence[Entry],
    known: Mapping[bytes, FileRow],
    gone: Sequence[FileRow],
    stored: Set[str],
) -> None:
    departed = {row.version: row.key for row in reversed(gone) if _holds(row)}
    reading: set[str] = set()
    for entry in fresh:
        row = known.get(entry.key)
        if row is None and entry.version in departed:
            result.moves.append((departed.pop(entry.version), entry))
            continue
        again = row is not None and row.version == entry.version
        result.added += row is None
        result.unchanged += again
        result.changed += row is not None and not again
        if entry.version and (entry.version in reading or (entry.version in stored and not again)):
            result.twins.append(entry)
        else:
            result.read.append(entry)
            reading.add(entry.version)


def _holds(row: FileRow) -> bool:
    """Whether a file's content is in the collection, with an outcome that is true of it."""
    return row.document is not None and row.outcome.status is not Status.UNREADABLE


def _worth_retrying(row: FileRow, reader: str) -> bool:
    if row.outcome.status is Status.UNREADABLE:
        return True
    return row.reader != reader and row.outcome.status not in FINAL


def sync(
    ledger: Holdings,
    source: Source,
    embedder: Embedder,
    *,
    collection: str,
    prune: bool = False,
    progress: Progress | None = None,
    checkpoint: Callable[[], object] | None = None,
) -> SyncReport:
    """Brings `ledger` in step with `source`. Call under the writer's lock; publish a generation afterwards.

    `checkpoint` is called whenever so much is new that readers would be glad of a generation in between.
    """
    began = time.monotonic()
    known = {row.key: row for row in ledger.files()}
    todo = plan(known, source, ledger.holding, prune)
    writer = advance(ledger, source, embedder, todo, known, progress, checkpoint)
    with ledger.transaction():
        for row in todo.gone:
            ledger.drop_file(row.key)
            ledger.forget(row.version, row.document)
        ledger.drop_orphans()
    report = reported(todo, source, collection, ledger)
    return replace(report, embedded=writer.embedded, seconds=time.monotonic() - began)


def advance(
    ledger: Holdings,
    source: Source,
    embedder: Embedder,
    todo: Plan,
    known: Mapping[bytes, FileRow],
    progress: Progress | None = None,
    checkpoint: Callable[[], object] | None = None,
    cut: Callable[[Document], list[Passage]] | None = None,
) -> Writer:
    """All that a plan says, but for what it removes. `cut` makes passages of a document, where that was not done as
    ever."""
    unpublished = 0
    with ledger.together(()):
        for old, entry in todo.moves + todo.relabels:
            _relabel(ledger, entry, known[old])
        for entry in todo.troubled:
            _keep(ledger, entry, known[entry.key])
    writer = Writer(ledger, embedder, source.reader, known, _holders(todo.twins, known), progress, cut)
    for passages in writer.write(source, todo.read):
        unpublished += passages
        if checkpoint and unpublished >= CHECKPOINT:
            checkpoint()
            unpublished = 0
    # Whoever was to hold a twin's content may have failed to: such a twin is read itself.
    with ledger.together([entry.version for entry in todo.twins]):
        left = [entry for entry in todo.twins if not writer.link(entry)]
    for _ in writer.write(source, left):
        pass
    return writer


def require_something(source: Source, root: Path | None, held: Callable[[Source], bool]) -> None:
    """An empty folder is a mistake, unless something of it is `held` from before: then the sync decides."""
    if next(source.scan(), None) is not None or source.unread or held(source):
        return
    if root and not root.exists():
        raise UsageError(f"{root}: no such file or folder. Nothing was changed; check the path.")
    raise UsageError(
        f"{root or 'The source'} holds no documents. Nothing was changed; name a folder that has some, and "
        "look at --include and --exclude if you gave them."
    )


def planned(
    ledger: Holdings | None, source: Source, collection: str, prune: bool
) -> tuple[list[dict[str, str]], SyncReport]:
    """What `sync` would do, to a collection that there is or not; nothing is written."""
    known = {row.key: row for row in ledger.files()} if ledger else {}
    todo = plan(known, source, ledger.holding if ledger else lambda versions: set(), prune)
    return todo.actions(known), reported(todo, source, collection, ledger)


def reported(todo: Plan, source: Source, collection: str, ledger: Holdings | None) -> SyncReport:
    """A plan in figures, with how each file stands in the ledger; what was embedded, and how long it took, is 0."""
    rows = ledger.files() if ledger else ()
    return SyncReport(
        collection=collection,
        added=todo.added,
        changed=todo.changed,
        renamed=len(todo.moves),
        removed=len(todo.gone),
        unchanged=todo.unchanged,
        withheld=len(todo.withheld),
        passages=ledger.counts()["passages"] if ledger else 0,
        embedded=0,
        seconds=0.0,
        files=tuple(FileReport(row.name, row.outcome) for row in rows if source.covers(row.key)),
        notes=(*source.skipped, *_kept_although_missing(todo)),
        unread=tuple(source.unread),
    )


def resumed(report: SyncReport) -> SyncReport:
    """Says what was there already, if there was something to go on with: the last sync did not come to its end."""
    left = report.added + report.changed
    if not (left and report.unchanged):
        return report
    line = f"Resumed: {report.unchanged:,} of {report.unchanged + left:,} files were already done."
    return replace(report, notes=(line, *report.notes))


def _kept_although_missing(todo: Plan) -> list[str]:
    """A line that names what was withheld, the first few of it."""
    names = [row.name for row in todo.withheld]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return [f"Missing, and kept: {', '.join(names[:5])}{more}"] if names else []


def _relabel(ledger: Holdings, entry: Entry, row: FileRow) -> None:
    """The same content under another key or name: nothing is read and nothing embedded."""
    with ledger.transaction():
        ledger.drop_file(row.key)
        ledger.put_file(entry, row.reader, row.outcome, row.document)


def _keep(ledger: Holdings, entry: Entry, row: FileRow) -> None:
    """A file that cannot be opened just now is not gone: the version read before goes on answering, and says so."""
    if entry.problem:
        reason = f"{entry.problem.reason}; the version indexed before still answers"
        with ledger.transaction():
            ledger.put_file(
                replace(entry, version=row.version), row.reader, replace(entry.problem, reason=reason), row.document
            )


Holders = Mapping[str, FileRow | None]


def _holders(twins: Sequence[Entry], known: Mapping[bytes, FileRow]) -> Holders:
    """Content that files wait to be linked to, and who held it before. It must not be forgotten meanwhile, not even
    when no file holds it for a moment: two files may have changed places."""
    before = {row.version: row for row in known.values() if _holds(row)}
    return {entry.version: before.get(entry.version) for entry in twins}


class Writer:
    """Readings into the ledger, a window of passages at a time. `written` counts passages, `embedded` those of them
    that were never embedded before."""

    def __init__(
        self,
        ledger: Holdings,
        embedder: Embedder,
        reader: str,
        known: Mapping[bytes, FileRow],
        awaited: Holders,
        progress: Progress | None,
        cut: Callable[[Document], list[Passage]] | None = None,
    ) -> None:
        self._ledger = ledger
        self._embedder = embedder
        self._reader = reader
        self._known = known
        self._awaited = awaited
        self._progress = progress
        tokens = embedder.fingerprint.max_tokens
        self._cut = cut or (lambda document: chunk(document, embedder, tokens))
        self.embedded = self.written = 0

    def write(self, source: Source, entries: Sequence[Entry]) -> Iterator[int]:
        """Reads entries; yields the number of new passages after each window that is in the ledger."""
        if not entries:
            return
        done, size = 0, sum(entry.size for entry in entries)
        if self._progress:
            self._progress.plan(size, len(entries))
        for window in _windows(self._chunked(reading) for reading in source.read(entries)):
            vectors = self._vectors([passage for _, passages in window for passage in passages])
            with self._ledger.together([reading.entry.version for reading, _ in window]):
                for reading, passages in window:
                    self._record(reading, passages, vectors)
            for reading, _ in window:
                done += reading.entry.size
                if self._progress:
                    self._progress.documents(done, size, reading.entry.name)
            count = sum(len(passages) for _, passages in window)
            self.written += count
            yield count

    def link(self, entry: Entry) -> bool:
        """Another file with content that was just read, or was there before. False when nothing holds it after all."""
        twin = self._ledger.file_with(entry.version, but=entry.key) or self._awaited.get(entry.version)
        if twin:
            with self._ledger.transaction():
                self._put(entry, twin.outcome, twin.document)
        return twin is not None

    def _chunked(self, reading: Reading) -> tuple[Reading, list[Passage]]:
        if self._progress:
            self._progress.reading(reading.entry.name)
        if reading.document is None:
            return reading, []
        return reading, self._cut(reading.document)

    def _vectors(self, passages: Sequence[Passage]) -> Mapping[bytes, bytes]:
        found, computed = vectors_of(passages, self._ledger.embedded, self._embedder)
        self.embedded += computed
        return found

    def _record(self, reading: Reading, passages: Sequence[Passage], vectors: Mapping[bytes, bytes]) -> None:
        """One transaction: the new version stands before the old one goes, and both or neither happen."""
        held = self._known.get(reading.entry.key)
        if held and held.document is not None and reading.outcome.status is Status.UNREADABLE:
            _keep(self._ledger, replace(reading.entry, problem=reading.outcome), held)
            return
        with self._ledger.transaction():
            before = self._ledger.document_of(reading.entry.version)
            document = None
            if reading.document is not None and passages:
                stored = [vectors[digest(passage.headed)] for passage in passages]
                document = self._ledger.add(reading.entry.version, reading.document, passages, stored)
            outcome = _honest(reading.outcome, document)
            self._put(reading.entry, outcome, document)
            if before is not None:  # the same content, read again by a better reader
                self._ledger.supersede(before, document, self._reader, outcome)

    def _put(self, entry: Entry, outcome: Outcome, document: int | None) -> None:
        self._ledger.put_file(entry, self._reader, outcome, document)
        old = self._known.get(entry.key)
        if old and old.document != document:
            if old.version in self._awaited:
                self._ledger.release(old.document)
            else:
                self._ledger.forget(old.version, old.document)


def _honest(outcome: Outcome, document: int | None) -> Outcome:
    """A file whose text came to no passage is not indexed, whatever its reader thought."""
    if document is None and outcome.status in {Status.INDEXED, Status.PARTLY}:
        return replace(
            outcome, status=Status.NO_TEXT, reason="no text in it", remedy="nothing to do if that is expected"
        )
    return outcome


def _windows(items: Iterator[tuple[Reading, list[Passage]]]) -> Iterator[list[tuple[Reading, list[Passage]]]]:
    """Small windows first and when reading is slow, so that work is soon acknowledged; then large ones, which embed
    faster."""
    window: list[tuple[Reading, list[Passage]]] = []
    size, limit, began = 0, FIRST_WINDOW, time.monotonic()
    for item in items:
        window.append(item)
        size += max(1, len(item[1]))
        if size >= limit or time.monotonic() - began > PATIENCE:
            yield window
            window, size, limit, began = [], 0, min(2 * limit, WINDOW), time.monotonic()
    if window:
        yield window
