"""A sync of a source too large to be listed at once: planned, read and acknowledged slice by slice.

Each slice is a sync of its own, that finds nothing gone. What was seen is kept in the database, on disk, and what was
not is removed at the end, under the same caution as ever. Memory depends on the slice, not on the source.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rag.errors import RagError
from rag.index.seams import Holdings
from rag.index.sync import CHECKPOINT, GONE_SHARE, Progress, advance, plan
from rag.types import Archive, Embedder, Entry, FileReport, Reading, Status, SyncReport

if TYPE_CHECKING:
    from rag.index.sync import Plan

SLICE = 512  # entries: enough to keep all cores reading


class _Slice:
    """Some entries of a source, as a source that knows of no others."""

    skipped: Sequence[str] = ()
    unread: Sequence[str] = ()

    def __init__(self, source: Archive, entries: Sequence[Entry]) -> None:
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
    ledger.forget_seen()
    try:
        for entries in _slices(source.scan()):
            known = ledger.files_at([entry.key for entry in entries])
            todo = plan(known, _Slice(source, entries), ledger.holding, prune)
            writer = advance(ledger, _Slice(source, entries), embedder, todo, known, progress)
            ledger.see([entry.key for entry in entries])
            _count(counts, todo)
            embedded += writer.embedded
            unpublished += writer.written
            if checkpoint and unpublished >= CHECKPOINT:
                checkpoint()
                unpublished = 0
    finally:
        source.close()
    removed, withheld = _remove_unseen(ledger, source, prune)
    return SyncReport(
        collection=collection,
        **counts,
        removed=removed,
        withheld=withheld,
        passages=ledger.counts()["passages"],
        embedded=embedded,
        seconds=time.monotonic() - began,
        files=tuple(_awkward(ledger, source)),
        notes=tuple(source.skipped),
        unread=tuple(source.unread),
    )


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


def _remove_unseen(ledger: Holdings, source: Archive, prune: bool) -> tuple[int, int]:
    """(removed, withheld): what an archive that was read to its end does not hold any more."""
    unseen = [row for row in ledger.unseen(source.prefix) if source.covers(row.key)]
    if not unseen:
        return 0, 0
    if len(unseen) > GONE_SHARE * ledger.count_at(source.prefix) and not prune:
        return 0, len(unseen)
    with ledger.transaction():
        for row in unseen:
            ledger.drop_file(row.key)
            ledger.forget(row.version, row.document)
        ledger.drop_orphans()
    return len(unseen), 0


def _awkward(ledger: Holdings, source: Archive) -> Iterator[FileReport]:
    fine = {Status.INDEXED, Status.NO_TEXT}  # pages without words are many in any Wikipedia
    for row in ledger.files_under(source.prefix, [status for status in Status if status not in fine]):
        yield FileReport(row.name, row.outcome)
