"""The SQLite file of all conversations: its schema, how it is opened, and its errors in the words of this project."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rag.errors import DamagedError, LockedError, StorageError

SCHEMA_VERSION = 1
PATIENCE = 10  # seconds that one who writes waits for another: each writes for milliseconds
SCHEMA = """
CREATE TABLE conversations (
    id TEXT PRIMARY KEY,                -- cannot be guessed, and yet is never enough: the owner is asked for, too
    owner TEXT NOT NULL,
    collection TEXT NOT NULL,
    title TEXT NOT NULL,
    folded TEXT NOT NULL,               -- of the title: what a search compares
    began TEXT NOT NULL, updated TEXT NOT NULL,
    position INTEGER NOT NULL UNIQUE    -- higher is newer, whatever the clock says
) WITHOUT ROWID;
CREATE INDEX conversations_owner ON conversations(owner, position);
CREATE TABLE turns (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    asked TEXT NOT NULL,
    folded TEXT NOT NULL,               -- question and answer
    thumb TEXT NOT NULL DEFAULT '', note TEXT NOT NULL DEFAULT '', expected TEXT NOT NULL DEFAULT '',
    UNIQUE (conversation, number)
);
CREATE TABLE answers (                  -- beside the turns, so that a search reads only what it compares
    turn INTEGER PRIMARY KEY REFERENCES turns(id) ON DELETE CASCADE,
    answer BLOB NOT NULL                -- `stored`
);
"""


def connect_to_read(path: Path) -> sqlite3.Connection:
    """The same; where there is no file, one that is empty and nowhere."""
    if path.exists():
        return connect(path)
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(SCHEMA)
    return db


def connect(path: Path) -> sqlite3.Connection:
    """An open file, made where there is none. Raises DamagedError for what is no history, or a newer program's."""
    if not path.exists():
        _create(path)
    db = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    try:
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA foreign_keys=ON")
        db.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version == SCHEMA_VERSION:
            return db
        if version == 0:
            raise DamagedError(_damaged(path, "it holds no conversations"))
        raise DamagedError(
            f"{path} has schema {version}, this program reads {SCHEMA_VERSION}. Nothing was changed; use the version "
            "of beluga-rag that made it, or move the file away to begin a new history."
        )
    except BaseException:
        db.close()
        raise


def _create(path: Path) -> None:
    """It appears under its name only when it is whole, and is made by one process."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if path.exists():
            return
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)  # SQLite gives its -wal and -shm files the same permissions
        with closing(sqlite3.connect(draft, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        draft.rename(path)
    finally:
        os.close(folder)


def _damaged(path: Path, why: object) -> str:
    return (
        f"The history {path} is damaged ({why}). Your documents, and all that was indexed, are untouched. Restore the "
        "file from a backup, or move it away to begin a new history."
    )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """SQLite's errors, and those of the disk, in the words of this project."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _said(path, error) from error
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise
    except sqlite3.DatabaseError as error:
        raise DamagedError(_damaged(path, error)) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.ENOTDIR}:
            raise StorageError(f"Cannot write {path}: {error.strerror}. What was kept before is safe.") from error
        raise


@contextmanager
def decoded(path: Path) -> Iterator[None]:
    """What was stored could be read, and makes no sense."""
    try:
        yield
    except (ValueError, TypeError, KeyError, zlib.error) as error:
        raise DamagedError(_damaged(path, error)) from error


def _said(path: Path, error: sqlite3.OperationalError) -> Exception:
    kind = int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
    if kind in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return LockedError(
            f"Another process has been writing to {path} for {PATIENCE} s. Nothing was changed; try again."
        )
    if kind in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
        return StorageError(
            f"Disk full or failing while writing {path} ({error}). What was kept before is safe; free space "
            "and try again."
        )
    if kind in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN}:
        return StorageError(f"{path} cannot be opened ({error}). Nothing was changed; check its permissions.")
    return DamagedError(_damaged(path, error))  # tables that are not those of its schema
