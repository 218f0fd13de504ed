"""The side: a second set of passages and vectors over the same documents, by another embedder.

It is the one that is being made while the other is searched, or the former one, kept so that there is a way back; in
the second case it lacks the documents that came since. What removes a document removes it from the side as well (a
trigger), what adds one need not know of it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rag.index import database
from rag.index.queries import Queries
from rag.index.rows import digest
from rag.types import Fingerprint, Passage

FORMER, UNFINISHED = "former", "unfinished"
_SAMPLE = 1000  # rows that tell how large the others are
_OVERHEAD = 90  # bytes of a row and its places in two indexes


class Side(Queries):
    """Whether there is one is `exists`; without one, nothing else may be asked."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        super().__init__(path, connection, of="side_")

    @property
    def exists(self) -> bool:
        return self._one("SELECT 1 FROM sqlite_master WHERE name = 'side_passages'") is not None

    @property
    def is_former(self) -> bool:
        return self._setting("side_state") == FORMER

    def lacking(self, after: int, limit: int) -> list[tuple[int, int]]:
        """The next documents that files hold and that have no passages here, each with its bytes as it is stored."""
        sql = f"SELECT d.id, length(d.text) FROM documents d WHERE d.id > ? AND {_LACKS} ORDER BY d.id LIMIT ?"
        return list(self._rows(sql, [after, limit]))

    def still_held(self, documents: Sequence[int]) -> set[int]:
        """Those that there are, of some documents."""
        marks = ",".join("?" * len(documents))
        return {row[0] for row in self._rows(f"SELECT id FROM documents WHERE id IN ({marks})", documents)}

    def still_to_do(self) -> tuple[int, int]:
        """How many documents lack passages, and the bytes of their text as it is stored."""
        sql = f"SELECT count(*), coalesce(sum(length(d.text)), 0) FROM documents d WHERE {_LACKS}"
        documents, size = next(self._rows(sql))
        return documents, size

    def size(self) -> int:
        """About how many bytes it takes on disk."""
        mean = f"SELECT avg(length(text) + length(heading) + length(place) + length(vector) + {_OVERHEAD})"
        sample = f"(SELECT * FROM side_passages LIMIT {_SAMPLE})"
        return int(self.counts()["passages"] * (self._one(f"{mean} FROM {sample}") or 0))

    # -------------------------------------------------------------- writing, all of it inside a transaction

    def begin(self, fingerprint: Fingerprint) -> None:
        database.create_side(self._db)
        database.put_setting(self._db, "side_fingerprint", json.dumps(asdict(fingerprint)))
        database.put_setting(self._db, "side_state", UNFINISHED)

    def call(self, called: str) -> None:
        """Remembers how its embedder is asked for; empty: not at all."""
        database.put_setting(self._db, "side_embedder", called or None)

    def put(self, document: int, passages: Sequence[Passage], vectors: Sequence[bytes]) -> None:
        insert(self._db, self._passages, document, passages, vectors)

    def swap(self) -> None:
        """The side is what is searched from now on, and what was searched is the side. Publish a generation of it in
        the same transaction."""
        database.swap_side(self._db)
        for key in ("fingerprint", "embedder"):
            ours, theirs = (database.get_setting(self._db, of + key) for of in ("side_", ""))
            database.put_setting(self._db, key, ours)
            database.put_setting(self._db, f"side_{key}", theirs)
        database.put_setting(self._db, "side_state", FORMER)

    def drop(self) -> None:
        database.drop_side(self._db)
        for key in ("fingerprint", "embedder", "state"):
            database.put_setting(self._db, f"side_{key}", None)


_LACKS = (
    "EXISTS (SELECT 1 FROM files WHERE document = d.id)"
    " AND NOT EXISTS (SELECT 1 FROM side_passages WHERE document = d.id)"
)


def insert(
    db: sqlite3.Connection, table: str, document: int, passages: Sequence[Passage], vectors: Sequence[bytes]
) -> None:
    """A document's passages with their float16 vectors. Call inside a transaction."""
    rows = enumerate(zip(passages, vectors, strict=True), database.newest_ever(db) + 1)
    db.executemany(
        f'INSERT INTO {table}(id, document, start, "end", heading, place, page, text, digest, vector)'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (id_, document, p.start, p.end, p.heading, p.place, p.page, p.text, digest(p.headed), vector)
            for id_, (p, vector) in rows
        ),
    )
