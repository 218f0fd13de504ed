"""Another embedder for a collection, from the text that it holds: no source file is read.

    side → chunk and embed every document → the writer's lock → what came meanwhile → a generation → one transaction

While the side is made, the collection is searched and synced as ever: a sync's documents are found lacking and
embedded, the last of them while no sync can run. The switch is one transaction, that of the ledger. What is killed
before goes on where it stopped, after whole documents. The former vectors become the side: there is a way back as long
as they are not dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rag.errors import StorageError, UsageError
from rag.index import publishing
from rag.index.collection import LEDGER, LOCK, SIDE_LOCK, Collection
from rag.index.fill import Filler
from rag.index.fingerprints import require_same
from rag.index.ledger import Ledger
from rag.index.lock import writing
from rag.index.side import Side
from rag.index.sync import Progress
from rag.types import Embedder, Fingerprint

Wait = Callable[[str], None]  # told of the process that is waited for
FEW = 256  # documents that may be left for the time in which no sync can run
ATTEMPTS = 4  # at leaving so few


@dataclass(frozen=True, slots=True)
class Reembedding:
    """What came of it: the collection is searched by `model` now, was by `former`, whose vectors take about
    `former_bytes` as long as they are kept. `switched` is False where that was so already."""

    collection: str
    switched: bool
    model: str
    former: str
    former_bytes: int
    documents: int
    passages: int
    embedded: int
    seconds: float


def reembed(
    collection: Collection,
    embedder: Embedder,
    called: str = "",
    *,
    drop: bool = False,
    progress: Progress | None = None,
    wait: Wait = lambda holder: None,
) -> Reembedding:
    """Brings a collection over to an embedder; `called` is how it is asked for, and remembered. A side of another
    embedder is in the way, and goes where `drop` says so. `wait` is told of a sync that has to end first.

    Raises UsageError for a side that is in the way, LockedError while another process does the same.
    """
    with _reembedding(collection) as ledger:
        if ledger.fingerprint == embedder.fingerprint:
            return _reported(collection, ledger, None, 0.0)
        side = _prepared(ledger, embedder.fingerprint, called, drop)
        return _brought_over(collection, ledger, Filler(ledger, side, lambda: embedder, progress), wait)


def roll_back(
    collection: Collection,
    embedder: Callable[[Fingerprint, str], Embedder],
    *,
    progress: Progress | None = None,
    wait: Wait = lambda holder: None,
) -> Reembedding:
    """Goes back to the former vectors. Documents that came since are embedded as the others were: `embedder` gives what
    does that, by its fingerprint and how it was called, and is asked only where there are any."""
    with _reembedding(collection) as ledger:
        side = ledger.side
        if not side.exists or not side.is_former:
            raise UsageError(
                f"Collection {collection.name!r} has no former vectors to go back to. Nothing was changed."
            )

        def found() -> Embedder:
            made = embedder(side.fingerprint, side.called)
            require_same(side.fingerprint, made.fingerprint, collection.name)
            return made

        return _brought_over(collection, ledger, Filler(ledger, side, found, progress), wait)


def drop_side(collection: Collection) -> int:
    """Removes the former or unfinished vectors; the bytes that the disk has got back. Raises UsageError when there are
    none."""
    with _reembedding(collection) as ledger, writing(collection.home / LOCK):
        if not ledger.side.exists:
            raise UsageError(f"Collection {collection.name!r} keeps no other vectors. Nothing was changed.")
        before = _size(ledger.path)
        with ledger.transaction():
            ledger.side.drop()
        with suppress(StorageError):  # it takes room to make room; without it, what is indexed next takes the old
            ledger.compact()
        return max(0, before - _size(ledger.path))


@contextmanager
def _reembedding(collection: Collection) -> Iterator[Ledger]:
    collection.require()
    with writing(collection.home / SIDE_LOCK), closing(Ledger.open(collection.home / LEDGER)) as ledger:
        yield ledger


def _prepared(ledger: Ledger, fingerprint: Fingerprint, called: str, drop: bool) -> Side:
    """The side of an embedder, as far as it is made."""
    side = ledger.side
    with ledger.transaction():
        if side.exists and side.fingerprint != fingerprint:
            if not drop:
                raise UsageError(_in_the_way(side))
            side.drop()
        if not side.exists:
            side.begin(fingerprint)
        side.call(called)
    return side


def _in_the_way(side: Side) -> str:
    model, megabytes = side.fingerprint.model, side.size() / 1e6
    held = f"The former vectors, by {model}, are still kept (about {megabytes:.1f} MB), for `rag reembed --rollback`."
    if not side.is_former:
        held = (
            f"Vectors by {model} are half made (about {megabytes:.1f} MB); `rag reembed --model …` goes on with them."
        )
    return f"{held} There is room for one beside those that are searched. Nothing was changed; --drop gives them up."


def _brought_over(collection: Collection, ledger: Ledger, filler: Filler, wait: Wait) -> Reembedding:
    began = time.monotonic()
    for attempt in range(ATTEMPTS):
        filler.catch_up()
        with writing(collection.home / LOCK, wait):
            if attempt + 1 < ATTEMPTS and ledger.side.still_to_do()[0] > FEW:
                continue  # a sync was waited for that brought much: it is embedded while the next may run
            filler.catch_up()
            _switch(ledger, collection.home)
            break
    return _reported(collection, ledger, filler, time.monotonic() - began)


def _switch(ledger: Ledger, home: Path) -> None:
    """To the side, in one transaction; what an interrupted one has left is swept by the next, or by a sync."""
    published = ledger.generation()
    publishing.sweep(home, keep=published.number if published else None)
    row, _ = publishing.build(ledger.side, home, publishing.next_number(ledger, home))
    with ledger.transaction():
        ledger.side.swap()
        ledger.publish(row, vectors_rebuilt=True)
    publishing.sweep(home, keep=row.number)


def _reported(collection: Collection, ledger: Ledger, filler: Filler | None, seconds: float) -> Reembedding:
    side, counts = ledger.side, ledger.counts()
    return Reembedding(
        collection=collection.name,
        switched=filler is not None,
        model=ledger.fingerprint.model,
        former=side.fingerprint.model if side.exists else "",
        former_bytes=side.size() if side.exists else 0,
        documents=counts["documents"],
        passages=counts["passages"],
        embedded=filler.embedded if filler else 0,
        seconds=seconds,
    )


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, path.with_name(path.name + "-wal")) if file.exists())
