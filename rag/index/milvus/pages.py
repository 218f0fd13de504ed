"""Pages that OCR has read, kept on the machine that read them: a server has no use for them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rag.index.database import explained

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS pages (version TEXT, page INTEGER, engine TEXT, text TEXT NOT NULL,"
    " PRIMARY KEY (version, page, engine)) WITHOUT ROWID"
)


class PageFile:
    """By content, page number and engine. What is lost with the file is read again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, version: str, page: int, engine: str) -> str | None:
        if not self._path.exists():
            return None
        with self._opened() as db:
            sql = "SELECT text FROM pages WHERE version = ? AND page = ? AND engine = ?"
            found = db.execute(sql, [version, page, engine]).fetchone()
        return None if found is None else str(found[0])

    def put(self, version: str, page: int, engine: str, text: str) -> None:
        if self._path.parent.is_dir():  # is made with the collection
            with self._opened() as db:
                db.execute("INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?)", [version, page, engine, text])

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with explained(self._path), closing(sqlite3.connect(self._path, isolation_level=None)) as db:
            self._path.chmod(0o600)
            db.execute(_SCHEMA)
            yield db
