"""The ledger: one SQLite file that holds everything that was ever acknowledged. FAISS and tantivy are rebuilt from it.

A document, its passages and their vectors arrive in one transaction, together with the file that they came from, so a
reader sees a document whole or not at all, and a killed process loses at most what it had not acknowledged.
`synchronous=FULL` makes an acknowledgement outlive the power. Vectors are unit length and stored as float16 (half the
disk; cosine changes in the fourth decimal), and every index works on the stored values, so that a vector is
the same whether it was embedded a moment ago or read back.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, astuple
from pathlib import Path

from rag.index import database
from rag.index.contents import Contents
from rag.index.queries import Queries
from rag.index.rows import GenerationRow, packed_marks
from rag.index.side import Side, insert
from rag.types import Document, Entry, Fingerprint, Outcome, Passage, Status


class Ledger(Queries):
    """An open ledger. `Ledger.create` makes one, `Ledger.open` opens it to write, `Ledger.read` to read only.

    Errors: DamagedError for a file that is no ledger or a broken one, StorageError for a full or read-only disk.
    """

    @classmethod
    def create(cls, path: Path, fingerprint: Fingerprint) -> Ledger:
        database.create(path, {"fingerprint": json.dumps(asdict(fingerprint))})
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Ledger:
        with database.explained(path):
            return cls(path, database.connect(path, "rw"))

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """For readers, who are never blocked and change nothing, even where the disk is read-only."""
        with database.explained(path):
            return cls(path, database.connect_to_read(path))

    @property
    def side(self) -> Side:
        return Side(self.path, self._db)

    @property
    def contents(self) -> Contents:
        return Contents(self.path, self._db)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with database.explained(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def together(self, versions: Iterable[str]) -> AbstractContextManager[None]:
        """Nothing is won by waiting: each transaction is acknowledged by itself."""
        return nullcontext()

    def compact(self) -> None:
        """Gives the disk back what removed rows have left. Takes as much room again while it runs."""
        with database.explained(self.path):
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def add_root(self, root: Path) -> None:
        """Remembers an indexed folder. One that lies in another is a part of it and is not remembered by itself."""
        roots = self.roots()
        if any(root.is_relative_to(other) for other in roots):
            return
        kept = [str(other) for other in roots if not other.is_relative_to(root)]
        with self.transaction():
            database.put_setting(self._db, "roots", json.dumps([*kept, str(root)]))

    def set_roots(self, roots: Sequence[str]) -> None:
        """Call inside a transaction."""
        database.put_setting(self._db, "roots", json.dumps(list(roots)))

    def add(
        self,
        version: str,
        document: Document,
        passages: Sequence[Passage],
        vectors: Sequence[bytes],
        under: int | None = None,
    ) -> int:
        """Stores a document with its passages and their float16 vectors, `under` an id of its own or another one. Call
        inside a transaction."""
        values = [under, version, document.title, zlib.compress(document.text.encode(), 1)]
        values += [packed_marks(document.marks), packed_marks(document.headings)]
        sql = "INSERT INTO documents(id, version, title, text, marks, headings) VALUES (?, ?, ?, ?, ?, ?) RETURNING id"
        id_: int = self._one(sql, values)
        if document.article:
            self._db.execute("INSERT INTO articles VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (id_, *astuple(document.article)))
        insert(self._db, self._passages, id_, passages, vectors)
        return id_

    def put_file(self, entry: Entry, reader: str, outcome: Outcome, document: int | None) -> None:
        """Records how reading a file ended, and which document it holds. Call inside a transaction."""
        values = (entry.key, entry.name, entry.uri, entry.version, entry.size, reader)
        result = (
            outcome.status,
            outcome.reason,
            outcome.remedy,
            outcome.pages,
            json.dumps(outcome.pages_without_text),
        )
        self._db.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*values, *result, document)
        )
        self._changed()

    def forget_seen(self) -> None:
        """Begins a list of keys that were seen, in a temporary table of this connection, which is a file."""
        self._db.execute("PRAGMA temp_store=FILE")
        self._db.execute("CREATE TEMP TABLE IF NOT EXISTS seen (key BLOB PRIMARY KEY) WITHOUT ROWID")
        self._db.execute("DELETE FROM seen")

    def see(self, keys: Sequence[bytes]) -> None:
        self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?)", ([key] for key in keys))

    def drop_file(self, key: bytes) -> None:
        self._db.execute("DELETE FROM files WHERE key = ?", [key])
        self._changed()

    def _changed(self) -> None:
        """Tells readers that something else can be found now."""
        database.put_setting(self._db, "changes", str(int(self._setting("changes") or 0) + 1))

    def supersede(self, old: int, new: int | None, reader: str, outcome: Outcome) -> None:
        """Every file that held document `old` holds `new`, the same content read better. Call inside a transaction."""
        for row in self.files_of(old):
            entry = Entry(row.key, row.name, row.uri, row.version, row.size)
            kept = row.outcome.status is Status.UNREADABLE
            self.put_file(entry, reader, row.outcome if kept else outcome, new)
        self.forget(None, old)

    def forget(self, version: str | None, document: int | None) -> None:
        """Removes a document, and the pages read by OCR for a version, that no file holds any more. Call inside a
        transaction."""
        if document is not None and self._one("SELECT 1 FROM files WHERE document = ?", [document]) is None:
            self._db.execute("DELETE FROM passages WHERE document = ?", [document])
            self._db.execute("DELETE FROM documents WHERE id = ?", [document])
        if version is not None and self.file_with(version) is None:
            self._db.execute("DELETE FROM page_cache WHERE version = ?", [version])

    def release(self, document: int | None) -> None:
        """`drop_orphans` finds what has no file, told or not."""

    def drop_orphans(self) -> None:
        """Forgets every document that no file holds. Call inside a transaction."""
        sql = (
            "SELECT id, version FROM documents WHERE id NOT IN (SELECT document FROM files WHERE document IS NOT NULL)"
        )
        for document, version in list(self._rows(sql)):
            self.forget(version, document)

    def publish(self, row: GenerationRow, vectors_rebuilt: bool) -> None:
        """Makes a generation the one that readers open. Call inside a transaction."""
        files = json.dumps(row.files)
        self._db.execute("DELETE FROM generations")
        self._db.execute(
            "INSERT INTO generations VALUES (?, ?, ?, ?, ?)",
            (row.number, row.through, row.vectors_through, row.vectors_count, files),
        )
        database.put_setting(self._db, "lingering", str(row.lingering))
        self._db.execute("DELETE FROM removed" if vectors_rebuilt else "UPDATE removed SET in_words = 0")

    def put_page(self, version: str, page: int, engine: str, text: str) -> None:
        """Call inside a transaction."""
        self._db.execute("INSERT OR REPLACE INTO page_cache VALUES (?, ?, ?, ?)", (version, page, engine, text))

    # ------------------------------------------------------------------------------- one ledger for another

    def begin_after(self, other: Ledger) -> None:
        """Makes this ledger, which is empty, one of whose passages none has an id that the other ever gave."""
        with self.transaction():
            database.begin_after(self._db, database.newest_ever(other._db))

    def become(self, other: Ledger) -> None:
        """Holds what the other one holds, and nothing else: in one transaction, as readers see it."""
        with database.explained(self.path):
            other._db.backup(self._db)
