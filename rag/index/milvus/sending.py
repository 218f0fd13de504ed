"""A change on its way to a server.

Milvus knows no transaction over several rows. What is changed is gathered, and sent in an order in which readers see
each document whole or not at all, and after which whoever goes on finds what was left:

    1  the headers of new documents, and of those that may go: not `live`. This is the journal
    2  the new documents' text, and their passages: nobody finds them, as no file holds them
    3  the files: each row is exchanged at once, and with it what is found of that file
    4  the headers of what files hold now: `live`
    5  what no file holds any more goes: passages, text, and at last the header

A writer that is killed anywhere leaves headers that are not live, and `drop_orphans` sets right those alone. All keys
are hashes of what they stand for, so that doing any of it twice changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from rag.index.milvus import rows
from rag.index.milvus.queries import STATE, Queries
from rag.index.milvus.rows import Filed, Header, hashed
from rag.types import Document, Passage

Analyzer = Callable[[str], list[str]]


@dataclass(slots=True)
class Added:
    """A document that is to be stored."""

    header: Header
    document: Document
    passages: Sequence[Passage]
    vectors: Sequence[bytes]


@dataclass(slots=True)
class Change:
    """What is to be sent: documents by id, files by key (None: no more), and documents that may go."""

    added: dict[int, Added] = field(default_factory=dict)
    files: dict[bytes, Filed | None] = field(default_factory=dict)
    doubtful: set[int] = field(default_factory=set)
    released: set[int] = field(default_factory=set)  # may not go yet: a file is to hold them again

    def __bool__(self) -> bool:
        return bool(self.added or self.files or self.doubtful or self.released)

    def touched(self) -> set[int]:
        """All documents that it is about."""
        named = {filed.row.document for filed in self.files.values() if filed}
        return {id_ for id_ in named if id_ is not None} | self.added.keys() | self.doubtful | self.released


class Sender:
    """Sends changes to what is `held`, all of one before the next. `renew` is called with each."""

    def __init__(self, held: Queries, analyze: Analyzer, renew: Callable[[], object]) -> None:
        self._held = held
        self._analyze = analyze
        self._renew = renew

    def send(self, change: Change) -> None:
        if not change:
            return
        self._renew()
        there = self._held.headers_of(sorted(change.touched()))
        uncertain = change.added.keys() | change.doubtful | change.released
        there = {id_: header for id_, header in there.items() if id_ in uncertain or not header.live}
        bodies = {id_: rows.body_of(added.document) for id_, added in change.added.items()}
        fresh = {id_: replace(added.header, parts=len(bodies[id_])) for id_, added in change.added.items()}
        journal = [replace(header, live=False) for header in there.values() if header.live]
        self._upsert_headers([*journal, *(header for id_, header in fresh.items() if id_ not in there)])
        self._send_documents(change, bodies)
        self._send_files(change)
        self.settle({**there, **fresh}, spared=change.released - change.doubtful)

    def _send_documents(self, change: Change, bodies: dict[int, list[str]]) -> None:
        text = (row for id_, parts in bodies.items() for row in rows.parts_as_rows(id_, parts))
        self._held.server.upsert(self._held.documents_, text)
        self._held.server.upsert(self._held.passages_, self._passages(change))

    def _passages(self, change: Change) -> Iterator[rows.Row]:
        for id_, added in change.added.items():
            words = None
            if self._held.layout.words:
                words = {p.headed: rows.clipped(self._analyze(p.headed)) for p in added.passages}
            yield from rows.passages_as_rows(id_, added.passages, added.vectors, self._held.layout.half, words)

    def _send_files(self, change: Change) -> None:
        self._held.server.upsert(
            self._held.files_, (rows.file_as_row(filed) for filed in change.files.values() if filed)
        )
        gone = [hashed(key) for key, filed in change.files.items() if filed is None]
        self._held.server.delete(self._held.files_, gone)
        if change.files:
            self.put_setting(STATE, secrets.token_hex(8))  # others look again as soon as there is something else to see

    def settle(self, headers: Mapping[int, Header], spared: Set[int] = frozenset(), consistency: str = "") -> None:
        """Of documents that are not live, those that a file holds become so, and the others go, but for the spared."""
        if not headers:
            return
        held = self._held.filed_of(list(headers), consistency)
        self._upsert_headers([replace(header, live=True) for id_, header in headers.items() if held.get(id_)])
        gone = [id_ for id_ in headers if not held.get(id_) and id_ not in spared]
        self._delete(gone)

    def _delete(self, gone: Sequence[int]) -> None:
        """The header last: while there is one, whoever goes on knows of the rest."""
        headers = {rows.key_of(id_, 0) for id_ in gone}
        for collection, kept in ((self._held.passages_, set()), (self._held.documents_, headers)):
            found = self._held.server.lookup(collection, "document", gone, ["id"], self._held.consistency)
            self._held.server.delete(collection, [row["id"] for row in found if row["id"] not in kept])
        self._held.server.delete(self._held.documents_, sorted(headers))

    def _upsert_headers(self, headers: Sequence[Header]) -> None:
        self._held.server.upsert(self._held.documents_, map(rows.header_as_row, headers))

    def put_setting(self, key: str, value: str) -> None:
        row = {"id": key, "value": rows.fitted(value), "vector": [0.0, 0.0]}
        self._held.server.upsert(self._held.settings_, [row])
