"""A sync by many machines, as the one that began it sees it.

The machines hand in receipts; what was seen is kept on disk, content that another file holds is linked when all of it
is there, and what is gone is removed last, by one process. Nothing is removed unless there is a receipt for every
parcel, and nothing that this machine still finds where it lay.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from rag.cluster.stages import Job, Receipt
from rag.cluster.tally import Tally
from rag.errors import NetworkError
from rag.index.seams import Holdings
from rag.index.stream import awkward, by_slices, remove_unseen
from rag.index.sync import Progress
from rag.sources.divided import Divided, Share
from rag.types import Embedder, Entry, Reading, SyncReport

PASSES = 3  # over the source, before it is said that something keeps getting lost

Pipeline = Callable[[Job, Sequence[Share]], Iterator[Receipt]]


def sync(
    job: Job,
    ledger: Holdings,
    embedder: Embedder,
    pipeline: Pipeline,
    *,
    shares: int,
    collection: str,
    prune: bool = False,
    progress: Progress | None = None,
    alive: Callable[[], object] = lambda: None,
    settle: Callable[[], object] = lambda: None,
) -> SyncReport:
    """As `rag.index.sync.sync`, whoever does the work. The report lists only files that there is something to say of.
    `alive` is called now and then: the ledger is in use although nothing is written through it; `settle` when all that
    others have written is there, for the ledger to see it."""
    began = time.monotonic()
    source = job.source()
    before = ledger.count_at(source.prefix)
    with closing(_passed(job, source.shares(shares), ledger, pipeline, progress, alive)) as tally:
        settle()
        source.believe(tally.found)
        seen = _Seen(source)
        _join(ledger, tally)
        embedded = tally.embedded
        for _, writer in by_slices(ledger, seen, tally.twins(), embedder, prune, progress):
            embedded += writer.embedded
            alive()
        removed, withheld, renamed = remove_unseen(ledger, seen, before, prune, lambda row: tally.follow(row.version))
        counts = {**tally.counts, "added": tally.counts["added"] - renamed}
    return SyncReport(
        collection=collection,
        **counts,
        renamed=renamed,
        removed=removed,
        withheld=withheld,
        passages=ledger.counts()["passages"],
        embedded=embedded,
        seconds=time.monotonic() - began,
        files=tuple(awkward(ledger, source)),
        notes=(*source.skipped, *seen.notes),
        unread=tuple(source.unread),
    )


def _passed(
    job: Job,
    shares: Sequence[Share],
    ledger: Holdings,
    pipeline: Pipeline,
    progress: Progress | None,
    alive: Callable[[], object],
) -> Tally:
    """A pass over the source of which every parcel has its receipt. A machine that dies may take with it what nobody
    knows of: another pass finds it, and all the rest unchanged."""
    earlier: Tally | None = None
    for _ in range(PASSES):
        tally = Tally()
        ledger.forget_seen()
        for receipt in pipeline(job, shares):
            if tally.take(receipt):
                ledger.see(receipt.keys)
                _show(receipt, progress)
            alive()
        if earlier:
            tally.after(earlier)
            earlier.close()
        if tally.whole(shares):
            return tally
        earlier = tally
    raise NetworkError(
        f"The cluster lost work {PASSES} times in a row. What was acknowledged is safe, and nothing was removed; look "
        "at the cluster's logs (ray logs), then run the same command again: it goes on where it was."
    )


def _join(ledger: Holdings, tally: Tally) -> None:
    """Content that two machines have read at the same time is one document again, that of the first file by its
    path."""
    for keys in tally.doubles():
        rows = [row for row in ledger.files_at(keys).values() if row.document is not None]
        first = min(rows, key=lambda row: row.key, default=None)
        apart = [row for row in rows if first and row.version == first.version and row.document != first.document]
        if first and apart:
            with ledger.transaction():
                for row in apart:
                    entry = Entry(row.key, row.name, row.uri, row.version, row.size)
                    ledger.put_file(entry, row.reader, row.outcome, first.document)
                    ledger.forget(row.version, row.document)


def _show(receipt: Receipt, progress: Progress | None) -> None:
    if progress and receipt.read:
        size = sum(entry.size for entry in receipt.read)
        progress.plan(size, len(receipt.read))
        done = 0
        for entry in receipt.read:
            done += entry.size
            progress.documents(done, size, entry.name)


class _Seen:
    """The source as a whole, when all of it was seen by others."""

    def __init__(self, source: Divided) -> None:
        self._source = source
        self._kept: list[bytes] = []
        self.prefix = source.prefix
        self.reader = source.reader
        self.skipped = source.skipped
        self.unread = source.unread

    def covers(self, key: bytes) -> bool:
        """What is still there, or cannot be looked for, is not gone, whatever the others have seen."""
        if not self._source.covers(key):
            return False
        if self._source.excludes(key) or not _is_file(key):
            return True
        self._kept.append(key)
        return False

    def excludes(self, key: bytes) -> bool:
        return self._source.excludes(key)

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]:
        return self._source.read(entries)

    @property
    def notes(self) -> list[str]:
        count = len(set(self._kept))
        return [f"{count} files that came or went meanwhile are left to the next sync"] if count else []


def _is_file(key: bytes) -> bool:
    """Whether a key is the path of a file that is there; of an archive's articles none is."""
    try:
        return key.startswith(b"/") and stat.S_ISREG(os.lstat(key).st_mode)
    except OSError:
        return False
