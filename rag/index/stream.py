"""A sync of a source too large to be listed at once: planned, read and acknowledged slice by slice.

Each slice is a sync of its own, that finds nothing gone. What was seen is kept in the database, on disk, and what was
not is removed at the end, under the same caution as ever. Memory depends on the slice, not on the source.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rag.errors import RagError
from rag.index.seams import Holdings
from rag.index.sync import CHECKPOINT, GONE_SHARE, Progress, advance, plan, sync
from rag.types import Archive, Embedder, Entry, FileReport, Reading, Source, Status, SyncReport

if TYPE_CHECKING:
    from rag.index.rows import FileRow
    from rag.index.sync import Plan, Writer

SLICE = 512  # entries: enough to keep all cores reading


class Readable(Protocol):
    """As much of a source as reading takes."""

    @property
    def reader(self) -> str: ...

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]: ...


class Bounded(Protocol):
    """As much of a source as it takes to know what is gone."""

    @property
    def prefix(self) -> bytes: ...

    def covers(self, key: bytes) -> bool: ...

    def excludes(self, key: bytes) -> bool: ...


class Slice:
    """Some entries of a source, as a source that knows of no others."""

    skipped: Sequence[str] = ()
    unread: Sequence[str] = ()

    def __init__(self, source: Readable, entries: Sequence[Entry]) -> None:
        self._source = source
        self._entries = entries
        self.reader = source.reader

    def scan(self) -> Iterator[Entry]:
        return iter(self._entries)

    def covers(self, key: bytes) -> bool:
        return False

    def excludes(self, key: bytes) -> bool:
        return False

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]:
        return self._source.read(entries)


def in_step(
    ledger: Holdings,
    source: Source,
    embedder: Embedder,
    *,
    collection: str,
    prune: bool = False,
    progress: Progress | None = None,
    checkpoint: Callable[[], object] | None = None,
) -> SyncReport:
    """A sync, by slices where the source is an archive."""
    how: dict[str, Any] = {"collection": collection, "prune": prune, "progress": progress, "checkpoint": checkpoint}
    if isinstance(source, Archive):
        return stream(ledger, source, embedder, **how)
    return sync(ledger, source, embedder, **how)


def stream(
    ledger: Holdings,
    source: Archive,
    embedder: Embedder,
    *,
    collection: str,
    prune: bool = False,
    progress: Progress | None = None,
    checkpoint: Callable[[], object] | None = None,
) -> SyncReport:
    """As `rag.index.sync.sync`. The report lists only files that there is something to say of."""
    began = time.monotonic()
    unpublished = embedded = 0
    counts = {"added": 0, "changed": 0, "renamed": 0, "unchanged": 0}
    before = ledger.count_at(source.prefix)
    ledger.forget_seen()
    try:
        for todo, writer in by_slices(ledger, source, source.scan(), embedder, prune, progress):
            _count(counts, todo)
            embedded += writer.embedded
            unpublished += writer.written
            if checkpoint and unpublished >= CHECKPOINT:
                checkpoint()
                unpublished = 0
    finally:
        source.close()
    removed, withheld, _ = remove_unseen(ledger, source, before, prune)
    return SyncReport(
        collection=collection,
        **counts,
        removed=removed,
        withheld=withheld,
        passages=ledger.counts()["passages"],
        embedded=embedded,
        seconds=time.monotonic() - began,
        files=tuple(awkward(ledger, source)),
        notes=tuple(source.skipped),
        unread=tuple(source.unread),
    )


def by_slices(
    ledger: Holdings,
    source: Readable,
    entries: Iterator[Entry],
    embedder: Embedder,
    prune: bool,
    progress: Progress | None,
) -> Iterator[tuple[Plan, Writer]]:
    """What was planned and done of each slice, after it was."""
    for some in _slices(entries):
        keys = [entry.key for entry in some]
        known = ledger.files_at(keys)
        part = Slice(source, some)
        todo = plan(known, part, ledger.holding, prune)
        writer = advance(ledger, part, embedder, todo, known, progress)
        ledger.see(keys)
        yield todo, writer


def _slices(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    """What a damaged archive listed before its damage is a slice as well."""
    held: list[Entry] = []
    try:
        for entry in entries:
            held.append(entry)
            if len(held) == SLICE:
                yield held
                held = []
    except RagError:
        if held:
            yield held
        raise
    if held:
        yield held


def _count(counts: dict[str, int], todo: Plan) -> None:
    counts["added"] += todo.added
    counts["changed"] += todo.changed
    counts["renamed"] += len(todo.moves)
    counts["unchanged"] += todo.unchanged


def remove_unseen(
    ledger: Holdings, source: Bounded, of: int, prune: bool, follow: Callable[[FileRow], bool] = lambda row: False
) -> tuple[int, int, int]:
    """(removed, withheld, followed): what a source that was listed to its end does not hold any more, `of` so many
    files that were there before. What `follow` says has only moved goes without being missed."""
    going: list[FileRow] = []
    missing: list[FileRow] = []
    followed = 0
    for row in ledger.unseen(source.prefix):
        if not source.covers(row.key):
            continue
        moved = follow(row)
        followed += moved
        (going if moved or source.excludes(row.key) else missing).append(row)
    withheld = len(missing) > GONE_SHARE * of and not prune
    going += [] if withheld else missing
    with ledger.transaction():
        for row in going:
            ledger.drop_file(row.key)
            ledger.forget(row.version, row.document)
        ledger.drop_orphans()
    return len(going) - followed, len(missing) if withheld else 0, followed


def awkward(ledger: Holdings, source: Bounded) -> Iterator[FileReport]:
    """Files that there is something to say of: of an archive not the pages without words, which are many in any
    Wikipedia."""
    whole = isinstance(source, Archive)
    fine = {Status.INDEXED, Status.NO_TEXT} if whole else {Status.INDEXED}
    for row in ledger.files_under(source.prefix, [status for status in Status if status not in fine]):
        if whole or source.covers(row.key):
            yield FileReport(row.name, row.outcome)
