"""The ledger: one SQLite file that holds everything that was ever acknowledged. FAISS and tantivy are rebuilt from it.

A document, its passages and their vectors arrive in one transaction, together with the file that they came from, so a
reader sees a document whole or not at all, and a killed process loses at most what it had not acknowledged.
`synchronous=FULL` makes an acknowledgement outlive the power. Vectors are unit length and stored as float16 (half the
disk; cosine changes in the fourth decimal), and every index works on the stored values, so that a vector is
the same whether it was embedded a moment ago or read back.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, fields
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.index import database
from rag.types import Article, Document, Entry, Fingerprint, Mark, Origin, Outcome, Passage, Status

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rag.types import Vectors

    Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FileRow:
    """What the ledger knows of one file."""

    key: bytes
    name: str
    uri: str
    version: str
    size: int
    reader: str
    outcome: Outcome
    document: int | None


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """A published pair of indexes: words cover passages up to `through`, vectors up to `vectors_through`."""

    number: int
    through: int
    vectors_through: int
    vectors_count: int
    files: dict[str, tuple[int, str]]


def digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


class Ledger:
    """An open ledger. `Ledger.create` makes one, `Ledger.open` opens it to write, `Ledger.read` to read only.

    Errors: DamagedError for a file that is no ledger or a broken one, StorageError for a full or read-only disk.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection

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

    def close(self) -> None:
        self._db.close()

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

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several reads that see one state."""
        with database.explained(self.path):
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("ROLLBACK")

    # ------------------------------------------------------------------------------------------- reading

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        with database.explained(self.path):
            yield from self._db.execute(sql, values)

    def _one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        return next(iter(self._rows(sql, values)), (None,))[0]

    @property
    def fingerprint(self) -> Fingerprint:
        stored = self._one("SELECT value FROM settings WHERE key = 'fingerprint'")
        with database.decoded(self.path):
            return Fingerprint(**json.loads(stored))

    def roots(self) -> list[Path]:
        """The folders that were indexed."""
        stored = self._one("SELECT value FROM settings WHERE key = 'roots'")
        with database.decoded(self.path):
            return [Path(root) for root in json.loads(stored or "[]")]

    @property
    def state(self) -> tuple[int, int]:
        """Changes whenever another connection, or this one, has committed."""
        return int(self._one("PRAGMA data_version")), self._db.total_changes

    def files(self) -> Iterator[FileRow]:
        return map(self._file, self._rows("SELECT * FROM files ORDER BY key"))

    def files_at(self, keys: Sequence[bytes]) -> dict[bytes, FileRow]:
        """The files with these keys that there are."""
        marks = ",".join("?" * len(keys))
        rows = map(self._file, self._rows(f"SELECT * FROM files WHERE key IN ({marks})", keys))
        return {row.key: row for row in rows}

    def files_under(self, prefix: bytes, statuses: Sequence[Status]) -> Iterator[FileRow]:
        """Files whose key begins so, and that ended so."""
        marks = ",".join("?" * len(statuses))
        sql = f"SELECT * FROM files WHERE key >= ? AND key < ? AND status IN ({marks}) ORDER BY key"
        return map(self._file, self._rows(sql, [*_range(prefix), *statuses]))

    def count_at(self, prefix: bytes) -> int:
        return int(self._one("SELECT count(*) FROM files WHERE key >= ? AND key < ?", _range(prefix)))

    def titles(self, prefix: bytes) -> Iterator[tuple[bytes, str]]:
        """(key, title) of the files whose key begins so."""
        sql = (
            "SELECT f.key, coalesce(d.title, f.name) FROM files f LEFT JOIN documents d ON d.id = f.document"
            " WHERE f.key >= ? AND f.key < ? ORDER BY f.key"
        )
        yield from self._rows(sql, _range(prefix))

    def files_of(self, document: int) -> list[FileRow]:
        return list(map(self._file, self._rows("SELECT * FROM files WHERE document = ? ORDER BY key", [document])))

    def file_with(self, version: str, but: bytes = b"") -> FileRow | None:
        """Some file with this content, other than `but`, that could be opened."""
        return next(
            map(
                self._file,
                self._rows(
                    "SELECT * FROM files WHERE version = ? AND key != ? AND status != 'unreadable' LIMIT 1",
                    [version, but],
                ),
            ),
            None,
        )

    def _file(self, row: Sequence[Any]) -> FileRow:
        (key, name, uri, version, size, reader, status, reason, remedy, pages, without, document) = row
        with database.decoded(self.path):
            outcome = Outcome(Status(status), reason, remedy, pages, tuple(json.loads(without)))
        return FileRow(key, name, uri, version, size, reader, outcome, document)

    def holds(self, version: str) -> bool:
        """Whether a file with this content has a document."""
        row = self.file_with(version)
        return row is not None and row.document is not None

    def document_of(self, version: str) -> int | None:
        found: int | None = self._one("SELECT max(id) FROM documents WHERE version = ?", [version])
        return found

    def documents(self) -> Iterator[tuple[int, Document]]:
        """Every document, whole, under the name of the first file that holds it."""
        sql = (
            f"SELECT d.id, f.name, f.uri, d.title, d.text, d.marks, d.headings, {_ARTICLE} FROM documents d"
            " LEFT JOIN files f ON f.key = (SELECT min(key) FROM files WHERE document = d.id)"
            f" LEFT JOIN {self._articles} a ON a.document = d.id ORDER BY d.id"
        )
        for id_, name, uri, title, text, marks, headings, *article in self._rows(sql):
            with database.decoded(self.path):
                whole = zlib.decompress(text).decode()
                parts = (_marks(marks), _marks(headings), _article(article))
                document = Document(name or "", uri or "", title, whole, *parts)
            yield id_, document

    @property
    def _articles(self) -> str:
        """The table of articles; for a reader of an older ledger, which has none, an empty one."""
        if database.schema_of(self._db) >= 2:
            return "articles"
        columns = ", ".join(f"NULL AS {name}" for name in ("document", *_ARTICLE_COLUMNS))
        return f"(SELECT {columns} WHERE 0)"

    def cards(self) -> Iterator[tuple[int, str, str, Origin]]:
        """(document, file name, title, origin), one row for each file that has a document."""
        sql = (
            "SELECT f.document, f.name, d.title, a.document FROM files f JOIN documents d ON d.id = f.document"
            f" LEFT JOIN {self._articles} a ON a.document = d.id ORDER BY f.key"
        )
        for *card, article in self._rows(sql):
            yield *card, Origin.PRIVATE if article is None else Origin.WIKIPEDIA

    def openings(self, documents: Sequence[int]) -> dict[int, str]:
        """The text of the first passage of each of these documents."""
        marks = ",".join("?" * len(documents))
        first = f"SELECT min(id) FROM passages WHERE document IN ({marks}) GROUP BY document"
        return dict(self._rows(f"SELECT document, text FROM passages WHERE id IN ({first})", documents))

    def passages(self, ids: Sequence[int], names: dict[int, str] | None = None) -> dict[int, Passage]:
        """Passages by id; ids that are gone are left out. `names` prefers a file name for a document, where several
        files hold it; with folders in front it is the name to be shown."""
        marks = ",".join("?" * len(ids))
        sql = (
            'SELECT p.id, p.document, f.name, f.uri, d.title, p.heading, p.place, p.page, p.start, p."end", p.text,'
            f" {_ARTICLE} FROM passages p JOIN documents d ON d.id = p.document JOIN files f ON f.document = d.id"
            f" LEFT JOIN {self._articles} a ON a.document = d.id"
            f" WHERE p.id IN ({marks}) ORDER BY p.id, f.key DESC"
        )
        found: dict[int, Passage] = {}
        for id_, document, name, *row in self._rows(sql, list(ids)):
            shown = (names or {}).get(document, name)
            if shown == name or (shown.endswith(f"/{name}") and id_ not in found):
                uri, title, heading, place, page, start, end, text, *article = row
                found[id_] = Passage(shown, uri, title, heading, place, page, start, end, text, _article(article))
        return found

    def headed(self, after: int = 0) -> Iterator[tuple[int, int, str]]:
        """(passage id, document, text under its title and heading) of every passage with a higher id."""
        sql = (
            "SELECT p.id, p.document, d.title, p.heading, p.text FROM passages p JOIN documents d ON d.id = p.document"
            " WHERE p.id > ? ORDER BY p.id"
        )
        for id_, document, title, heading, text in self._rows(sql, [after]):
            yield id_, document, Passage("", "", title, heading, "", None, 0, 0, text).headed

    def vectors(self, after: int = 0) -> tuple[Ids, Vectors]:
        """Passage ids and their vectors, float32 of shape (n, d), of every passage with a higher id."""
        return self._unpacked(self._rows("SELECT id, vector FROM passages WHERE id > ? ORDER BY id", [after]))

    def vector_blocks(self, after: int = 0, every: int = 1, size: int = 16_384) -> Iterator[tuple[Ids, Vectors]]:
        """The same in blocks, so that a million need no memory; of those whose id is a multiple of `every`."""
        rows = self._rows("SELECT id, vector FROM passages WHERE id > ? AND id % ? = 0 ORDER BY id", [after, every])
        while block := list(islice(rows, size)):
            yield self._unpacked(block)

    def vectors_of(self, ids: Sequence[int]) -> tuple[Ids, Vectors]:
        """Those of these passages that there are."""
        marks = ",".join("?" * len(ids))
        return self._unpacked(self._rows(f"SELECT id, vector FROM passages WHERE id IN ({marks})", ids))

    def _unpacked(self, rows: Iterable[tuple[int, bytes]]) -> tuple[Ids, Vectors]:
        import numpy as np

        ids, blobs = [], bytearray()
        for id_, blob in rows:
            ids.append(id_)
            blobs += blob
        with database.decoded(self.path):
            shape = (len(ids), self.fingerprint.dimension)
            vectors = np.frombuffer(blobs, dtype=np.float16).astype(np.float32).reshape(shape)
        return np.asarray(ids, dtype=np.int64), vectors

    def count_after(self, passage: int) -> int:
        return int(self._one("SELECT count(*) FROM passages WHERE id > ?", [passage]))

    def spans(self, document: int) -> Iterator[tuple[int, int, int, str]]:
        """(passage id, start, end, text) of a document's passages."""
        yield from self._rows('SELECT id, start, "end", text FROM passages WHERE document = ? ORDER BY id', [document])

    def passage_ids_of(self, documents: Iterable[int]) -> list[int]:
        self._require_int(documents := list(documents))
        inside = ",".join(map(str, documents))
        return [row[0] for row in self._rows(f"SELECT id FROM passages WHERE document IN ({inside})")]

    @staticmethod
    def _require_int(values: Iterable[object]) -> None:
        if not all(isinstance(value, int) for value in values):
            raise TypeError("ids are integers")

    def embedded(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """The stored vectors of texts that were embedded before, by their digest."""
        found: dict[bytes, bytes] = {}
        for i in range(0, len(digests), 500):
            part = digests[i : i + 500]
            marks = ",".join("?" * len(part))
            found.update(self._rows(f"SELECT digest, vector FROM passages WHERE digest IN ({marks})", part))
        return found

    def counts(self) -> dict[str, int]:
        tables = {"files": "files", "documents": "documents", "articles": self._articles, "passages": "passages"}
        return {name: self._one(f"SELECT count(*) FROM {table}") for name, table in tables.items()}

    def newest_passage(self) -> int:
        return self._one("SELECT max(id) FROM passages") or 0

    def removed(self, in_words: bool = False) -> list[int]:
        """Passages that the published vectors (or words) may still hold although they are gone."""
        where = " WHERE in_words" if in_words else ""
        return [row[0] for row in self._rows(f"SELECT id FROM removed{where}")]

    def generation(self) -> GenerationRow | None:
        for row in self._rows("SELECT * FROM generations ORDER BY number DESC LIMIT 1"):
            number, through, vectors_through, count, files = row
            listed = {name: (size, sha) for name, (size, sha) in json.loads(files).items()}
            return GenerationRow(number, through, vectors_through, count, listed)
        return None

    def integrity(self) -> list[str]:
        """Problems that SQLite itself finds; empty when there are none."""
        found = [row[0] for row in self._rows("PRAGMA integrity_check") if row[0] != "ok"]
        orphans = [
            f"{row[0]} row {row[1]} refers to a missing {row[2]}" for row in self._rows("PRAGMA foreign_key_check")
        ]
        return found + orphans

    # ------------------------------------------------------------------------------------------- writing

    def add_root(self, root: Path) -> None:
        """Remembers an indexed folder. One that lies in another is a part of it and is not remembered by itself."""
        roots = self.roots()
        if any(root.is_relative_to(other) for other in roots):
            return
        kept = [str(other) for other in roots if not other.is_relative_to(root)]
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO settings VALUES ('roots', ?)", [json.dumps([*kept, str(root)])])

    def add(self, version: str, document: Document, passages: Sequence[Passage], vectors: Sequence[bytes]) -> int:
        """Stores a document with its passages and their float16 vectors. Call inside a transaction."""
        values = [version, document.title, zlib.compress(document.text.encode(), 1)]
        values += [_packed(document.marks), _packed(document.headings)]
        sql = "INSERT INTO documents(version, title, text, marks, headings) VALUES (?, ?, ?, ?, ?) RETURNING id"
        id_: int = self._one(sql, values)
        if document.article:
            self._db.execute("INSERT INTO articles VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (id_, *astuple(document.article)))
        self._db.executemany(
            'INSERT INTO passages(document, start, "end", heading, place, page, text, digest, vector)'
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (id_, p.start, p.end, p.heading, p.place, p.page, p.text, digest(p.headed), vector)
                for p, vector in zip(passages, vectors, strict=True)
            ),
        )
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

    def forget_seen(self) -> None:
        """Begins a list of keys that were seen, in a temporary table of this connection, which is a file."""
        self._db.execute("PRAGMA temp_store=FILE")
        self._db.execute("CREATE TEMP TABLE IF NOT EXISTS seen (key BLOB PRIMARY KEY) WITHOUT ROWID")
        self._db.execute("DELETE FROM seen")

    def see(self, keys: Sequence[bytes]) -> None:
        self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?)", ([key] for key in keys))

    def unseen(self, prefix: bytes) -> Iterator[FileRow]:
        """Files whose key begins so and was not seen."""
        sql = "SELECT * FROM files WHERE key >= ? AND key < ? AND key NOT IN (SELECT key FROM seen) ORDER BY key"
        return map(self._file, self._rows(sql, _range(prefix)))

    def drop_file(self, key: bytes) -> None:
        self._db.execute("DELETE FROM files WHERE key = ?", [key])

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
        self._db.execute("DELETE FROM removed" if vectors_rebuilt else "UPDATE removed SET in_words = 0")

    # ---------------------------------------------------------------------------------- pages read by OCR

    def get_page(self, version: str, page: int, engine: str) -> str | None:
        found: str | None = self._one(
            "SELECT text FROM page_cache WHERE version = ? AND page = ? AND engine = ?", [version, page, engine]
        )
        return found

    def put_page(self, version: str, page: int, engine: str, text: str) -> None:
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO page_cache VALUES (?, ?, ?, ?)", (version, page, engine, text))


def _range(prefix: bytes) -> tuple[bytes, bytes]:
    """All keys that begin so are from the first to before the second."""
    return prefix, prefix[:-1] + bytes([prefix[-1] + 1])


_ARTICLE_COLUMNS = tuple(field.name for field in fields(Article))
_ARTICLE = ", ".join(f"a.{name}" for name in _ARTICLE_COLUMNS)


def _article(row: Sequence[Any]) -> Article | None:
    return None if row[0] is None else Article(*row)


def _packed(marks: tuple[Mark, ...]) -> str:
    return json.dumps([[mark.offset, mark.label, mark.page] for mark in marks])


def _marks(packed: str) -> tuple[Mark, ...]:
    return tuple(Mark(*mark) for mark in json.loads(packed))
