"""A bundle → a collection, without embedding anything: all that is in it is checked before anything of it can be seen.

draft: rows → ledger → audit → generation        then one rename, or one transaction in place of another collection
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from rag.errors import DamagedError, LockedError, StorageError, UsageError
from rag.index import audit, database, publishing
from rag.index.collection import LEDGER, LOCK, SIDE_LOCK, Collection
from rag.index.ledger import Ledger
from rag.index.lock import writing
from rag.index.portable import bundle
from rag.index.portable.arrivals import Arrived, arrived, file, page_read
from rag.index.portable.places import Places
from rag.index.portable.unpacking import Bundle, opened
from rag.index.sync import Progress
from rag.types import Fingerprint

DRAFTS = ".importing"  # beside the collections, of which none's name begins with a dot
WINDOW = 2048  # passages in a transaction
Wait = Callable[[str], None]  # told of the process that is waited for


@dataclass(frozen=True, slots=True)
class Import:
    """What has come. `missing_roots` are folders that were indexed elsewhere and are not there under their paths."""

    collection: str
    documents: int
    passages: int
    fingerprint: Fingerprint
    roots: tuple[str, ...]
    missing_roots: tuple[str, ...]
    replaced: bool


def import_(
    indexes: Path,
    path: Path,
    *,
    name: str = "",
    roots: Sequence[str] = (),
    replacing: bool = False,
    dry: bool = False,
    progress: Progress | None = None,
    wait: Wait = lambda holder: None,
) -> Import:
    """Makes a collection of a bundle, under its own name or another one; `replacing` lets it take the place of one that
    is there. `roots` say where its folders are here: "OLD=NEW". `dry` only checks all of it.

    Raises DamagedError for a file in which anything is not as it was exported, UsageError for a name that is taken,
    StorageError when there is no room. Nothing has changed then.
    """
    with opened(path) as source:
        places = Places(roots, source.manifest.roots)
        into = Collection(indexes, name or source.manifest.collection)
        if into.exists() and not (replacing or dry):
            raise UsageError(
                f"There is a collection {into.name!r} in {indexes} already. Nothing was changed; choose another name "
                "with --collection, or --replace it."
            )
        _require_room(indexes, source)
        with _draft(indexes, into.name) as home:
            if dry:
                return _made(source, home, places, progress, into.name)
            if into.exists():
                return _put_in_place(source, home, places, progress, into, wait)
            done = _made(source, home, places, progress, into.name)
            _give_name(home, into.home)
            return done


def _made(
    source: Bundle, home: Path, places: Places, progress: Progress | None, name: str, after: Ledger | None = None
) -> Import:
    """A whole collection in a folder that nobody looks into."""
    with closing(Ledger.create(home / LEDGER, source.manifest.fingerprint)) as ledger:
        if after:
            ledger.begin_after(after)
        try:
            _fill(ledger, source, places, progress)
        except sqlite3.IntegrityError as error:
            raise DamagedError(source.damage(error)) from error
        if problems := _problems(ledger, source):
            if ledger.counts()["files"] < source.manifest.members[bundle.FILES].rows and places.moves:
                raise UsageError("--root brings two files to one place. Nothing was changed; give each folder its own.")
            raise DamagedError(source.damage(problems[0]))
        publishing.publish(ledger, home)
        counts, found = ledger.counts(), [str(root) for root in ledger.roots()]
    missing = tuple(root for root in found if not os.path.exists(root))
    made_by = source.manifest.fingerprint
    return Import(name, counts["documents"], counts["passages"], made_by, tuple(found), missing, after is not None)


def _problems(ledger: Ledger, source: Bundle) -> list[str]:
    """What its rows do not tell one by one."""
    counts, members = ledger.counts(), source.manifest.members
    told = {"files": bundle.FILES, "documents": bundle.DOCUMENTS, "passages": bundle.VECTORS}
    short = [
        f"{counts[kind]} {kind} of {members[name].rows}"
        for kind, name in told.items()
        if counts[kind] != members[name].rows
    ]
    return short or audit.damages(ledger)


def _give_name(home: Path, name: Path) -> None:
    try:
        database.sync_folder(home)
        home.rename(name)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
            raise UsageError(f"{name} is there already. Nothing was changed; choose another --collection.") from error
        raise StorageError(f"Cannot write {name}: {error.strerror}. Nothing was changed.") from error
    try:
        database.sync_folder(name.parent)
    except OSError as error:
        why = f"{name} is there, and whole, but the disk does not promise to keep it ({error.strerror})."
        raise StorageError(f"{why} Look after the disk, and keep the export; it is safe.") from error


def _put_in_place(
    source: Bundle, home: Path, places: Places, progress: Progress | None, into: Collection, wait: Wait
) -> Import:
    """In one transaction of the ledger that is there, so that whoever searches it finds the old or the new."""
    with writing(into.home / SIDE_LOCK, wait), closing(Ledger.open(into.home / LEDGER)) as there:
        done = _made(source, home, places, progress, into.name, after=there)
        with writing(into.home / LOCK, wait), closing(Ledger.open(home / LEDGER)) as ledger:
            row = ledger.generation()
            if row is None:
                raise DamagedError(source.damage("it has no index"))
            number = publishing.next_number(there, into.home)
            publishing.move(home, row.number, into.home, number)
            with ledger.transaction():
                ledger.publish(replace(row, number=number), vectors_rebuilt=True)
            there.become(ledger)
            publishing.sweep(into.home, keep=number)
    return done


# ---------------------------------------------------------------------------------------------- the draft


@contextmanager
def _draft(indexes: Path, name: str) -> Iterator[Path]:
    """An empty folder of our own, which is gone afterwards; and with it all that imports left that were killed."""
    drafts = indexes / DRAFTS
    home = drafts / name
    try:
        drafts.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StorageError(f"Cannot write {home}: {error.strerror}. Nothing was changed.") from error
    with writing(home / LOCK):
        ours = home.stat().st_ino
        try:
            _clear(home)
            for other in drafts.iterdir():
                _sweep(other)
            yield home
        except OSError as error:
            if error.errno not in database.UNWRITABLE:
                raise
            raise StorageError(f"Cannot write {home}: {error.strerror}. Nothing was changed.") from error
        finally:
            with suppress(OSError):
                if home.stat().st_ino == ours:  # or it has got its name, and the next import one of this name
                    shutil.rmtree(home, ignore_errors=True)
            with suppress(OSError):
                drafts.rmdir()


def _clear(home: Path) -> None:
    for path in home.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def _sweep(draft: Path) -> None:
    """Removes a draft that nobody works at."""
    with suppress(LockedError, StorageError), writing(draft / LOCK):
        shutil.rmtree(draft, ignore_errors=True)


def _require_room(indexes: Path, source: Bundle) -> None:
    vectors = source.manifest.members[bundle.VECTORS].bytes
    needed = 2 * (source.size - vectors) + 3 * vectors  # text twice and words, vectors in the ledger and in FAISS
    there = next(folder for folder in (indexes, *indexes.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise StorageError(
            f"{source.path} needs about {needed / 1e6:,.0f} MB in {indexes}, where {free / 1e6:,.0f} MB are free. "
            "Nothing was changed; make room, or choose another place with --indexes."
        )


def _fill(ledger: Ledger, source: Bundle, places: Places, progress: Progress | None) -> None:
    """Raises DamagedError for what makes no sense, sqlite3.IntegrityError for what does not fit together."""
    members = source.manifest.members
    total, each_takes, done = members[bundle.VECTORS].bytes, 2 * source.manifest.fingerprint.dimension, 0
    if progress:
        progress.plan(total, members[bundle.DOCUMENTS].rows)
    with source.vectors() as take:
        for window in _windows(source.rows(bundle.DOCUMENTS, arrived)):
            with ledger.transaction():
                for each in window:
                    ledger.add(each.version, each.document, each.passages, take(len(each.passages)), under=each.id)
            for each in window:
                done += each_takes * len(each.passages)
                if progress:
                    progress.documents(done, total, each.document.title)
    with ledger.transaction():
        ledger.set_roots(places.roots)
        for entry, reader, outcome, document in source.rows(bundle.FILES, file):
            ledger.put_file(places.moved(entry), reader, outcome, document)
        for page in source.rows(bundle.PAGES, page_read):
            ledger.put_page(*page)


def _windows(arrivals: Iterator[Arrived]) -> Iterator[list[Arrived]]:
    window: list[Arrived] = []
    size = 0
    for each in arrivals:
        window.append(each)
        size += 1 + len(each.passages)
        if size >= WINDOW:
            yield window
            window, size = [], 0
    if window:
        yield window
