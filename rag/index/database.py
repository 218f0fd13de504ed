"""The ledger's SQLite file: its schema, how it is opened, and its errors in the words of this project."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from rag.errors import DamagedError, LockedError, StorageError

SCHEMA_VERSION = 2
UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.EFBIG}
CACHE = 65_536  # KiB at most, so that a tree of a million passages is not read from its root each time
PATIENCE = 60.0  # seconds that one writer waits for the other's transaction: a sync and a reembedding may run together
_ARTICLES = """
CREATE TABLE articles (                 -- what the document of an article is cited by
    document INTEGER PRIMARY KEY REFERENCES documents(id) ON DELETE CASCADE,
    language TEXT NOT NULL, page INTEGER NOT NULL, revision INTEGER NOT NULL, timestamp TEXT NOT NULL,
    link TEXT NOT NULL, licence TEXT NOT NULL, redirect TEXT NOT NULL
);
"""
_PASSAGES = """
CREATE TABLE {of}passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused: "id > n" is what came after n
    document INTEGER NOT NULL REFERENCES documents(id),
    start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    heading TEXT NOT NULL, place TEXT NOT NULL, page INTEGER, text TEXT NOT NULL,
    digest BLOB NOT NULL,               -- of what was embedded: equal digests share one embedding
    vector BLOB NOT NULL                -- float16
);
CREATE INDEX passages_document{nth} ON {of}passages(document);
CREATE INDEX passages_digest{nth} ON {of}passages(digest);
"""
_REMOVED = "CREATE TRIGGER passage_removed AFTER DELETE ON passages BEGIN INSERT INTO removed(id) VALUES (OLD.id); END;"
_FORGOTTEN = (  # whoever removes a document need not know of the side
    "CREATE TRIGGER side_forgotten BEFORE DELETE ON documents BEGIN"
    " DELETE FROM side_passages WHERE document = OLD.id; END;"
)
SCHEMA = (
    """
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    version TEXT NOT NULL,              -- of the content: equal versions are stored once
    title TEXT NOT NULL,
    text BLOB NOT NULL,                 -- zlib
    marks TEXT NOT NULL, headings TEXT NOT NULL
);
CREATE INDEX documents_version ON documents(version);
CREATE TABLE files (
    key BLOB PRIMARY KEY,               -- the path, as bytes: names need not be UTF-8
    name TEXT NOT NULL, uri TEXT NOT NULL, version TEXT NOT NULL, size INTEGER NOT NULL,
    reader TEXT NOT NULL,               -- what read it: another reader may succeed where this one failed
    status TEXT NOT NULL, reason TEXT NOT NULL, remedy TEXT NOT NULL,
    pages INTEGER, pages_without_text TEXT NOT NULL,
    document INTEGER REFERENCES documents(id)
) WITHOUT ROWID;
CREATE INDEX files_document ON files(document);
CREATE INDEX files_version ON files(version);
"""
    + _PASSAGES.format(of="", nth="")
    + """
CREATE TABLE removed (id INTEGER PRIMARY KEY, in_words INTEGER NOT NULL DEFAULT 1);  -- a generation may still hold them
CREATE TABLE generations (
    number INTEGER PRIMARY KEY, through INTEGER NOT NULL,
    vectors_through INTEGER NOT NULL, vectors_count INTEGER NOT NULL,
    files TEXT NOT NULL                 -- JSON: {path: [size, sha256]}
);
CREATE TABLE page_cache (
    version TEXT, page INTEGER, engine TEXT, text TEXT NOT NULL, PRIMARY KEY (version, page, engine)
);
"""
    + _REMOVED
    + _ARTICLES
)
UPGRADES = {1: _ARTICLES}  # a schema → what makes the next one of it; a writer does that, readers read both


def create(path: Path, settings: dict[str, str]) -> None:
    """Makes an empty ledger with some settings; it appears under its name only when it is whole."""
    draft = path.with_suffix(".new")
    with explained(path):
        try:
            _discard(draft)
            draft.touch(mode=0o600)  # SQLite gives its other files the same permissions
            with closing(sqlite3.connect(draft, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous=FULL")
                db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION};")
                db.executemany("INSERT INTO settings VALUES (?, ?)", settings.items())
                db.execute("COMMIT")
                db.execute("PRAGMA journal_mode=WAL")  # last: a write-ahead log would not move with its database
            draft.rename(path)
            for folder in (path.parent, path.parent.parent):  # the collection's own name is new, too
                sync_folder(folder)
        except BaseException:
            with suppress(OSError):
                _discard(draft)
            raise


def sync_folder(folder: Path) -> None:
    """Puts the names in a folder on disk for good."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _discard(draft: Path) -> None:
    """A draft, and what SQLite puts beside it."""
    for ending in ("", "-journal", "-wal", "-shm"):
        draft.with_name(draft.name + ending).unlink(missing_ok=True)


def connect(path: Path, mode: str) -> sqlite3.Connection:
    if not path.exists():
        raise DamagedError(f"{path} is missing. The source files are untouched; index them again.")
    quoted = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    db = sqlite3.connect(
        f"file:{quoted}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=PATIENCE
    )
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA foreign_keys=ON")
    db.execute("PRAGMA mmap_size=268435456")
    db.execute(f"PRAGMA cache_size=-{CACHE}")
    version = schema_of(db)
    db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version == 0:
        raise DamagedError(damaged_ledger(path, "it holds no ledger"))
    if version not in {*UPGRADES, SCHEMA_VERSION}:
        raise DamagedError(
            f"{path} has schema {version}, this program reads {SCHEMA_VERSION}. Nothing was changed; "
            "use the version of beluga-rag that made it, or index again under another --collection."
        )
    if mode == "rw":
        _upgrade(db)
    return db


def newest_ever(db: sqlite3.Connection) -> int:
    """The highest id that a passage was ever given, in either table: none is given twice. So no search that began
    before a change takes one passage for another, and a side's came after all that were there when it was begun."""
    sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name IN ('passages', 'side_passages')"
    return int(db.execute(sql).fetchone()[0])


def begin_after(db: sqlite3.Connection, passage: int) -> None:
    """No passage gets this id any more, nor one below it. Call inside a transaction."""
    db.execute("DELETE FROM sqlite_sequence WHERE name = 'passages'")
    db.execute("INSERT INTO sqlite_sequence VALUES ('passages', ?)", [passage])


def create_side(db: sqlite3.Connection) -> None:
    """A second table of passages, empty. Call inside a transaction."""
    nth = int(get_setting(db, "sides") or 0) + 1  # an index keeps its name when its table gets another one
    put_setting(db, "sides", str(nth))
    _run(db, _PASSAGES.format(of="side_", nth=f"_{nth}"))
    db.execute(_FORGOTTEN)


def swap_side(db: sqlite3.Connection) -> None:
    """The passages and the side's change places. Call inside a transaction."""
    db.execute("DROP TRIGGER passage_removed")
    db.execute("DROP TRIGGER side_forgotten")  # renaming would rewrite them
    for old, new in (("passages", "swapped"), ("side_passages", "passages"), ("swapped", "side_passages")):
        db.execute(f"ALTER TABLE {old} RENAME TO {new}")
    db.execute(_REMOVED)
    db.execute(_FORGOTTEN)


def drop_side(db: sqlite3.Connection) -> None:
    """Call inside a transaction."""
    begin_after(db, newest_ever(db))
    db.execute("DROP TRIGGER side_forgotten")
    db.execute("DROP TABLE side_passages")


def get_setting(db: sqlite3.Connection, key: str) -> str | None:
    found = db.execute("SELECT value FROM settings WHERE key = ?", [key]).fetchone()
    return None if found is None else str(found[0])


def put_setting(db: sqlite3.Connection, key: str, value: str | None) -> None:
    """None removes it."""
    if value is None:
        db.execute("DELETE FROM settings WHERE key = ?", [key])
    else:
        db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", [key, value])


def _run(db: sqlite3.Connection, script: str) -> None:
    """Statement by statement: `executescript` would end the transaction."""
    for statement in script.split(";"):
        db.execute(statement)


def _upgrade(db: sqlite3.Connection) -> None:
    """Brings an older ledger to the schema of today: all steps or none, and by one process."""
    if schema_of(db) == SCHEMA_VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    for version in range(schema_of(db), SCHEMA_VERSION):  # 0 steps when another process was faster
        _run(db, UPGRADES[version])
    db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    db.execute("COMMIT")


def schema_of(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing. A WAL database on a read-only disk opens only when SQLite is promised that
    nobody writes, and then without what the WAL holds: so that is read from a copy."""
    try:
        return connect(path, "ro")
    except sqlite3.OperationalError as error:
        if _kind(error) not in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}:
            raise
    log = path.with_name(path.name + "-wal")
    if not (log.exists() and log.stat().st_size):
        return connect(path, "ro&immutable=1")
    with TemporaryDirectory(prefix="beluga-rag-", ignore_cleanup_errors=True) as copies:
        for file in (path, log):
            shutil.copyfile(file, Path(copies, file.name))
        return connect(Path(copies, path.name), "rw")  # an open file outlives its name


def _kind(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


@contextmanager
def decoded(path: Path) -> Iterator[None]:
    """What was stored could be read, and makes no sense."""
    try:
        yield
    except (ValueError, TypeError, KeyError, zlib.error) as error:
        raise DamagedError(damaged_ledger(path, error)) from error


def room(path: Path) -> str:
    """How much of the disk is free."""
    try:
        return f"{shutil.disk_usage(path.parent).free / 1e6:,.1f} MB are free there"
    except OSError:
        return "nobody knows how much is free there"


def damaged_ledger(path: Path, why: object) -> str:
    return (
        f"The ledger {path} is damaged ({why}). Your documents are untouched. Restore the file from a backup, "
        "or remove the collection (rag remove) and index again."
    )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """SQLite's errors in the words of this project."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if _kind(error) in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
            raise StorageError(
                f"Disk full or failing while writing {path} ({error}; {room(path)}). What was indexed before is "
                "safe. Free space and run the same command again; it goes on where it stopped."
            ) from error
        if _kind(error) in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN}:
            raise StorageError(
                f"{path} cannot be opened ({error}). Nothing was changed; check its permissions."
            ) from error
        if _kind(error) == sqlite3.SQLITE_BUSY:
            raise LockedError(
                f"Another process has been writing to {path} for {PATIENCE:.0f} s without a break. What was done "
                "before is safe; run the same command again."
            ) from error
        raise
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
            raise
        raise DamagedError(damaged_ledger(path, error)) from error
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise StorageError(
                f"Cannot write {path}: {error.strerror} ({room(path)}). What was indexed before is safe. Free space, "
                "or look at the disk, and run the same command again."
            ) from error
        raise
