"""What the machines of a cluster do to a source, a parcel at a time; how they are told to, they need not know.

    parcels   list a share of the source
    prepare   look up what the store knows of a parcel, read what is new, and cut it into passages
    record    embed that, and write it to the store

Each takes one thing and gives one thing, and may be done twice: a machine that dies is replaced by another one that
does the same again, and what is written twice is there once. Plan, passages, vectors and records are made by what makes
them on one machine (`rag.index.sync`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from rag.index.chunk import chunk
from rag.index.seams import Holdings
from rag.index.stream import Slice
from rag.index.sync import Plan, advance, plan
from rag.sources.divided import Divided, Found, Lead, Share
from rag.types import Document, Embedder, Entry, Passage, Reading

COUNT, SIZE = 64, 32 << 20  # files and bytes of a parcel: what is read together is in memory together


class Job(Protocol):
    """All that a machine has to know to take part in a sync: it crosses to every one of them. Equal jobs are one."""

    def __hash__(self) -> int: ...

    def source(self) -> Divided:
        """Raises UsageError on a machine that would read otherwise than the one that began."""
        ...

    def holdings(self) -> Holdings: ...

    def embedder(self, device: str, threads: int = 0) -> Embedder:
        """Raises RagError on a machine that would embed otherwise."""
        ...

    def look(self) -> None:
        """Raises UsageError on a machine that does not see the same files."""
        ...


@dataclass(frozen=True, slots=True)
class Parcel:
    """Some of a share, by its number in it. The `last` one says what else listing it has found."""

    share: Share
    number: int
    leads: tuple[Lead, ...]
    last: bool = False
    found: Found = field(default_factory=Found)


Cut = tuple[str, str, int | None, int, int]  # a passage without what its document knows


@dataclass(frozen=True, slots=True)
class Prepared:
    """A parcel of which all that there is to do is known, and what was read of it. A document's text is in it once."""

    parcel: Parcel
    reader: str
    keys: tuple[bytes, ...]
    new: frozenset[bytes]  # of those that the store did not know
    todo: Plan
    readings: tuple[Reading, ...]
    cuts: tuple[tuple[Cut, ...], ...]
    passed: Found


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was done of a parcel, and is in the store. `twins` have content that another file holds or was to bring:
    they are linked to it when all of that is there. `read` is what was read."""

    share: Share
    number: int
    last: bool
    found: tuple[Found, ...]
    keys: tuple[bytes, ...]
    added: int
    changed: int
    unchanged: int
    embedded: int
    twins: tuple[tuple[Entry, bool], ...]  # and whether it is new
    read: tuple[Entry, ...]


def parcels(job: Job, source: Divided, share: Share) -> Iterator[Parcel]:
    job.look()
    source.found()  # whatever was listed before
    held: list[Lead] = []
    number = count = size = 0
    for lead in source.leads(share):
        held.append(lead)
        count, size = count + lead.count, size + lead.size
        if count >= COUNT or size >= SIZE:
            yield Parcel(share, number, tuple(held))
            held, count, size = [], 0, 0
            number += 1
    job.look()  # a mount that was lost meanwhile has listed as empty
    yield Parcel(share, number, tuple(held), True, source.found())


def prepare(job: Job, source: Divided, store: Holdings, embedder: Embedder, parcel: Parcel) -> Prepared:
    job.look()
    entries = list(source.entries(parcel.leads))
    keys = tuple(entry.key for entry in entries)
    known = store.files_at(keys)
    todo = plan(known, Slice(source, entries), store.holding, prune=False)
    readings, cuts = [], []
    tokens = embedder.fingerprint.max_tokens
    for reading in source.read(todo.read):
        passages = chunk(reading.document, embedder, tokens) if reading.document else []
        cuts.append(tuple((p.heading, p.place, p.page, p.start, p.end) for p in passages))
        readings.append(reading)
    if len(entries) < len(parcel.leads) or len(readings) < len(todo.read) or any(r.document is None for r in readings):
        job.look()  # what cannot be read may have gone with its mount
    new = frozenset(keys) - known.keys()
    passed = replace(source.found(), whole=True)  # whether all was listed is for the last parcel to say
    return Prepared(parcel, source.reader, keys, new, todo, tuple(readings), tuple(cuts), passed)


def record(store: Holdings, embedder: Embedder, prepared: Prepared) -> Receipt:
    todo, parcel = prepared.todo, prepared.parcel
    known = store.files_at(prepared.keys)
    ready = _Ready(prepared)
    alone = replace(todo, twins=[])
    writer = advance(store, ready, embedder, alone, known, cut=ready.cut)
    return Receipt(
        share=parcel.share,
        number=parcel.number,
        last=parcel.last,
        found=(parcel.found, prepared.passed) if parcel.last else (prepared.passed,),
        keys=prepared.keys,
        added=todo.added,
        changed=todo.changed,
        unchanged=todo.unchanged,
        embedded=writer.embedded,
        twins=tuple((entry, entry.key in prepared.new) for entry in todo.twins),
        read=tuple(reading.entry for reading in prepared.readings),
    )


class _Ready:
    """A source of what was read, and cut, by somebody else."""

    skipped: Sequence[str] = ()
    unread: Sequence[str] = ()

    def __init__(self, prepared: Prepared) -> None:
        self.reader = prepared.reader
        self._readings = prepared.readings
        self._cuts = {id(r.document): cuts for r, cuts in zip(prepared.readings, prepared.cuts, strict=True)}

    def scan(self) -> Iterator[Entry]:
        return (reading.entry for reading in self._readings)

    def covers(self, key: bytes) -> bool:
        return False

    def excludes(self, key: bytes) -> bool:
        return False

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]:
        return iter(self._readings)

    def cut(self, document: Document) -> list[Passage]:
        d = document
        return [
            Passage(d.name, d.uri, d.title, heading, place, page, start, end, d.text[start:end], d.article)
            for heading, place, page, start, end in self._cuts[id(document)]
        ]
