"""What a ledger can be asked. Changes nothing."""

from __future__ import annotations

import json
import re
import sqlite3
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.index import database
from rag.index.rows import ARTICLE_COLUMNS, FileRow, GenerationRow, article_of, file_row, marks_of
from rag.types import Document, Fingerprint, Held, Mark, Origin, Outcome, Passage, Status

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rag.types import Vectors

    Ids = NDArray[np.int64]

_ARTICLE = ", ".join(f"a.{name}" for name in ARTICLE_COLUMNS)


class Queries:
    """Over an open connection. `of` is "side_" where passages, vectors and their fingerprint are the side's.

    Errors: DamagedError for what makes no sense, StorageError for a failing disk.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, of: str = "") -> None:
        self.path = path
        self._db = connection
        self._of = of
        self._passages = f"{of}passages"

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several reads that see one state."""
        with database.explained(self.path):
            self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK")

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        with database.explained(self.path):
            yield from self._db.execute(sql, values)

    def _one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        return next(iter(self._rows(sql, values)), (None,))[0]

    @property
    def fingerprint(self) -> Fingerprint:
        stored = self._setting(self._of + "fingerprint")
        with database.decoded(self.path):
            return Fingerprint(**json.loads(stored or ""))

    @property
    def called(self) -> str:
        """The name, folder or hub id that the embedder was asked for by, where that is known."""
        return self._setting(self._of + "embedder") or ""

    def _setting(self, key: str) -> str | None:
        with database.explained(self.path):
            return database.get_setting(self._db, key)

    def roots(self) -> list[Path]:
        """The folders that were indexed."""
        stored = self._setting("roots")
        with database.decoded(self.path):
            return [Path(root) for root in json.loads(stored or "[]")]

    @property
    def state(self) -> tuple[int, int]:
        """Changes with what can be found, and not while a side is made or a page is kept that OCR has read."""
        return int(self._setting("changes") or 0), self._one("SELECT max(number) FROM generations") or 0

    def files(self) -> Iterator[FileRow]:
        return map(self._file, self._rows("SELECT * FROM files ORDER BY key"))

    def held(self, part: str, most: int) -> Iterator[Held]:
        """The first files and articles by name, of those that have a text in it: letters of ASCII match in any case."""
        sql = (
            "SELECT f.key, f.name, f.uri, f.size, f.status, f.reason, f.remedy, f.pages, f.pages_without_text,"
            f" a.timestamp FROM files f LEFT JOIN {self._articles} a ON a.document = f.document"
            " WHERE f.name LIKE ? ESCAPE '!' ORDER BY f.name, f.key LIMIT ?"
        )
        like = "%" + re.sub("([!%_])", r"!\1", part) + "%"
        for key, name, uri, size, status, reason, remedy, pages, without, revised in self._rows(sql, [like, most]):
            with database.decoded(self.path):
                outcome = Outcome(Status(status), reason, remedy, pages, tuple(json.loads(without)))
            origin = Origin.PRIVATE if revised is None else Origin.WIKIPEDIA
            yield Held(key, name, uri, size, outcome, origin, revised or "")

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

    def unseen(self, prefix: bytes) -> Iterator[FileRow]:
        """Files whose key begins so and that `Ledger.see` was not told of."""
        sql = "SELECT * FROM files WHERE key >= ? AND key < ? AND key NOT IN (SELECT key FROM seen) ORDER BY key"
        return map(self._file, self._rows(sql, _range(prefix)))

    def count_at(self, prefix: bytes) -> int:
        return int(self._one("SELECT count(*) FROM files WHERE key >= ? AND key < ?", _range(prefix)))

    def titles(self, prefix: bytes) -> Iterator[tuple[bytes, str]]:
        """(key, title) of the files whose key begins so."""
        sql = (
            "SELECT f.key, coalesce(d.title, f.name) FROM files f LEFT JOIN documents d ON d.id = f.document"
            " WHERE f.key >= ? AND f.key < ? ORDER BY f.key"
        )
        yield from self._rows(sql, _range(prefix))

    def named(self, name: str, prefix: bytes) -> list[bytes]:
        """The keys of the files of that name whose key begins so."""
        sql = "SELECT key FROM files WHERE name = ? AND key >= ? AND key < ?"
        return [key for (key,) in self._rows(sql, [name, *_range(prefix)])]

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
        with database.decoded(self.path):
            return file_row(row)

    def holding(self, versions: Collection[str]) -> set[str]:
        """Which of these contents some file holds that could be opened, with a document."""
        found: set[str] = set()
        listed = list(versions)
        for i in range(0, len(listed), 500):
            part = listed[i : i + 500]
            marks = ",".join("?" * len(part))
            sql = (
                "SELECT version FROM files WHERE status != 'unreadable' AND document IS NOT NULL"
                f" AND version IN ({marks})"
            )
            found.update(version for (version,) in self._rows(sql, part))
        return found

    def document_of(self, version: str) -> int | None:
        found: int | None = self._one("SELECT max(id) FROM documents WHERE version = ?", [version])
        return found

    def documents(self, only: int | None = None) -> Iterator[tuple[int, Document]]:
        """Every document, or the one with an id, whole, under the name of the first file that holds it."""
        sql = (
            f"SELECT d.id, f.name, f.uri, d.title, d.text, d.marks, d.headings, {_ARTICLE} FROM documents d"
            " LEFT JOIN files f ON f.key = (SELECT min(key) FROM files WHERE document = d.id)"
            f" LEFT JOIN {self._articles} a ON a.document = d.id"
        )
        sql, values = (f"{sql} ORDER BY d.id", []) if only is None else (f"{sql} WHERE d.id = ?", [only])
        for id_, name, uri, title, text, marks, headings, *article in self._rows(sql, values):
            with database.decoded(self.path):
                whole = zlib.decompress(text).decode()
                parts = (marks_of(marks), marks_of(headings), article_of(article))
                document = Document(name or "", uri or "", title, whole, *parts)
            yield id_, document

    def body(self, document: int) -> tuple[str, tuple[Mark, ...]]:
        """A document's text and its marks; nothing of one that is gone."""
        for text, marks in self._rows("SELECT text, marks FROM documents WHERE id = ?", [document]):
            with database.decoded(self.path):
                return zlib.decompress(text).decode(), marks_of(marks)
        return "", ()

    def opened(self, name: str, uri: str) -> Iterator[tuple[Any, ...]]:
        """(key, name, uri, version, pages, title, text, marks, article) of files at `uri`, or else of this name, with
        or without folders in front."""
        sql = (
            f"SELECT f.key, f.name, f.uri, f.version, f.pages, d.title, d.text, d.marks, {_ARTICLE} FROM files f"
            f" JOIN documents d ON d.id = f.document LEFT JOIN {self._articles} a ON a.document = d.id"
            " WHERE f.uri = ?1 OR (?1 = '' AND substr('/' || ?2, -length(f.name) - 1) = '/' || f.name) ORDER BY f.key"
        )
        for row in self._rows(sql, [uri, name]):
            with database.decoded(self.path):
                yield *row[:6], zlib.decompress(row[6]).decode(), marks_of(row[7]), article_of(row[8:])

    @property
    def _articles(self) -> str:
        """The table of articles; for a reader of an older ledger, which has none, an empty one."""
        if database.schema_of(self._db) >= 2:
            return "articles"
        columns = ", ".join(f"NULL AS {name}" for name in ("document", *ARTICLE_COLUMNS))
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
                found[id_] = Passage(shown, uri, title, heading, place, page, start, end, text, article_of(article))
        return found

    def headed(self, after: int = 0) -> Iterator[tuple[int, int, str]]:
        """(passage id, document, text under its title and heading) of every passage with a higher id."""
        sql = (
            f"SELECT p.id, p.document, d.title, p.heading, p.text FROM {self._passages} p"
            " JOIN documents d ON d.id = p.document WHERE p.id > ? ORDER BY p.id"
        )
        for id_, document, title, heading, text in self._rows(sql, [after]):
            yield id_, document, Passage("", "", title, heading, "", None, 0, 0, text).headed

    def vectors(self, after: int = 0) -> tuple[Ids, Vectors]:
        """Passage ids and their vectors, float32 of shape (n, d), of every passage with a higher id."""
        sql = f"SELECT id, vector FROM {self._passages} WHERE id > ? ORDER BY id"
        return self._unpacked(self._rows(sql, [after]))

    def vector_blocks(self, after: int = 0, every: int = 1, size: int = 16_384) -> Iterator[tuple[Ids, Vectors]]:
        """The same in blocks, so that a million need no memory; of those whose id is a multiple of `every`."""
        sql = f"SELECT id, vector FROM {self._passages} WHERE id > ? AND id % ? = 0 ORDER BY id"
        rows = self._rows(sql, [after, every])
        while block := list(islice(rows, size)):
            yield self._unpacked(block)

    def vectors_of(self, ids: Sequence[int]) -> tuple[Ids, Vectors]:
        """Those of these passages that there are."""
        marks = ",".join("?" * len(ids))
        return self._unpacked(self._rows(f"SELECT id, vector FROM {self._passages} WHERE id IN ({marks})", ids))

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
        return int(self._one(f"SELECT count(*) FROM {self._passages} WHERE id > ?", [passage]))

    def stored(self, id_: int, document: Document) -> Iterator[tuple[int, bytes, Passage]]:
        """(passage id, digest of what was embedded, passage) of a document, as they are stored."""
        columns = 'id, digest, heading, place, page, start, "end", text'
        sql = f"SELECT {columns} FROM {self._passages} WHERE document = ? ORDER BY id"
        for passage_id, digest, *row in self._rows(sql, [id_]):
            yield passage_id, digest, Passage(document.name, document.uri, document.title, *row)

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
            found.update(self._rows(f"SELECT digest, vector FROM {self._passages} WHERE digest IN ({marks})", part))
        return found

    def counts(self) -> dict[str, int]:
        tables = {"files": "files", "documents": "documents", "articles": self._articles, "passages": self._passages}
        return {name: self._one(f"SELECT count(*) FROM {table}") for name, table in tables.items()}

    def statuses(self) -> dict[str, int]:
        """How many files ended so."""
        return dict(self._rows("SELECT status, count(*) FROM files GROUP BY status ORDER BY min(key)"))

    def newest_passage(self) -> int:
        return self._one(f"SELECT max(id) FROM {self._passages}") or 0

    def removed(self, in_words: bool = False) -> list[int]:
        """Passages that the published vectors (or words) may still hold although they are gone."""
        where = " WHERE in_words" if in_words else ""
        return [row[0] for row in self._rows(f"SELECT id FROM removed{where}")]

    def generation(self) -> GenerationRow | None:
        for row in self._rows("SELECT * FROM generations ORDER BY number DESC LIMIT 1"):
            number, through, vectors_through, count, files = row
            listed = {name: (size, sha) for name, (size, sha) in json.loads(files).items()}
            lingering = int(self._setting("lingering") or 0)
            return GenerationRow(number, through, vectors_through, count, listed, lingering)
        return None

    def integrity(self) -> list[str]:
        """Problems that SQLite itself finds; empty when there are none."""
        found = [row[0] for row in self._rows("PRAGMA integrity_check") if row[0] != "ok"]
        orphans = [
            f"{row[0]} row {row[1]} refers to a missing {row[2]}" for row in self._rows("PRAGMA foreign_key_check")
        ]
        return found + orphans

    def get_page(self, version: str, page: int, engine: str) -> str | None:
        found: str | None = self._one(
            "SELECT text FROM page_cache WHERE version = ? AND page = ? AND engine = ?", [version, page, engine]
        )
        return found


def _range(prefix: bytes) -> tuple[bytes, bytes]:
    """All keys that begin so are from the first to before the second."""
    return prefix, prefix[:-1] + bytes([prefix[-1] + 1])
