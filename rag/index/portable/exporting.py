"""A collection → a bundle: of one moment, while a writer goes on, and never by half under its name."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote_from_bytes

from rag import __version__
from rag.errors import DamagedError, LockedError, StorageError, UsageError
from rag.index import audit, database, publishing
from rag.index.collection import LEDGER, Collection
from rag.index.contents import Contents
from rag.index.ledger import Ledger
from rag.index.portable import bundle
from rag.index.portable.packing import Packing, packing
from rag.index.rows import FileRow, float16
from rag.index.sync import Progress
from rag.types import Mark


@dataclass(frozen=True, slots=True)
class Export:
    """Where it is not `exact`, BM25 still counts passages that are gone, as that of a copy will not."""

    collection: str
    file: str
    bytes: int
    documents: int
    passages: int
    exact: bool


def export(collection: Collection, to: Path, *, force: bool = False, progress: Progress | None = None) -> Export:
    """Writes the collection to a file that only its owner can read. Nothing of the collection is changed.

    Raises UsageError where there is a file already, unless `force` is given, StorageError when the disk is full.
    """
    collection.require()
    _require_free(to, force)
    with _appearing(to) as file, closing(Ledger.read(collection.home / LEDGER)) as ledger, ledger.snapshot():
        with packing(file) as packed:
            held = _pack(ledger.contents, packed, progress)
            manifest = bundle.Manifest(
                collection=collection.name,
                program=f"beluga-rag {__version__}",
                exported=datetime.now(UTC).isoformat(timespec="seconds"),
                fingerprint=ledger.fingerprint,
                counts=held,
                roots=tuple(map(str, ledger.roots())),
                members=packed.members,
            )
            packed.finish(manifest)
        _require_free(to, force)
        exact = publishing.as_new(ledger)
    return Export(collection.name, str(to), to.stat().st_size, held["documents"], held["passages"], exact)


def _require_free(to: Path, force: bool) -> None:
    if to.is_dir() or (to.exists() and not force):
        kind = "is a folder: name a file in it" if to.is_dir() else "exists already: --force replaces it"
        raise UsageError(f"{to} {kind}. Nothing was written.")


def _pack(contents: Contents, into: Packing, progress: Progress | None) -> dict[str, int]:
    """What was packed, by kind."""
    held, dimension = contents.count(), contents.fingerprint.dimension
    done, size = 0, contents.size()  # vectors are soon written
    if progress:
        progress.plan(size, held["documents"])
    with into.member(bundle.DOCUMENTS) as stream:
        for line, stored in _documents(contents):
            stream.line(line)
            done += stored
            if progress:
                progress.documents(done, size, line["title"])
    with into.member(bundle.VECTORS) as stream:
        stream.write(bundle.vectors_head(held["passages"], dimension))
        for vector in _searchable(contents, dimension):
            stream.row(vector)
    with into.member(bundle.FILES) as stream:
        for row in contents.files():
            stream.line(_file(row))
    with into.member(bundle.PAGES) as stream:
        for page in contents.pages():
            stream.line(page)
    return held


def _documents(contents: Contents) -> Iterator[tuple[dict[str, Any], int]]:
    """A line for each document, and its bytes as it is stored. A passage has no text of its own: it is checked to be
    that of its document."""
    for id_, version, size, document in contents.whole():
        passages = []
        for start, end, heading, place, page, text in contents.cut(id_):
            if document.text[start:end] != text:
                raise DamagedError(
                    database.damaged_ledger(contents.path, f"a passage is not the text of {document.name}")
                )
            passages.append((start, end, heading, place, page))
        line = {
            "id": id_,
            "version": version,
            "title": document.title,
            "text": document.text,
            "marks": _marks(document.marks),
            "headings": _marks(document.headings),
            "article": asdict(document.article) if document.article else None,
            "passages": passages,
        }
        yield line, size


def _searchable(contents: Contents, dimension: int) -> Iterator[bytes]:
    """All vectors, each of unit length: others could be exported and not imported."""
    vectors = contents.vectors_in_order()
    while some := list(islice(vectors, 4096)):
        if {len(vector) for vector in some} != {2 * dimension} or audit.lengths_off(float16(some)):
            raise DamagedError(database.damaged_ledger(contents.path, "a vector is not of unit length"))
        yield from some


def _marks(marks: tuple[Mark, ...]) -> list[tuple[int, str, int | None]]:
    return [(mark.offset, mark.label, mark.page) for mark in marks]


def _file(row: FileRow) -> dict[str, Any]:
    """Keys need not be UTF-8: they are quoted as in addresses."""
    outcome = asdict(row.outcome)
    known = {name: getattr(row, name) for name in ("name", "uri", "version", "size", "reader", "document")}
    return {"key": quote_from_bytes(row.key, safe="/: "), **known, **outcome}


@contextmanager
def _appearing(path: Path) -> Iterator[BinaryIO]:
    """A file that gets its name when it is whole and on disk for good; before, it lies beside, under another one."""
    draft = path.with_name(f".{path.name[:200]}.part")
    try:
        file = os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b")
    except OSError as error:
        raise StorageError(f"Cannot write {draft}: {error.strerror}. Nothing was changed; check the path.") from error
    with file:
        _claim(file, draft)
        try:
            file.truncate(0)
            os.fchmod(file.fileno(), 0o600)
            yield file
            file.flush()
            os.fsync(file.fileno())
            draft.replace(path)
        except BaseException as error:
            with suppress(OSError):
                file.close()  # what is in its buffer may not be writable
            with suppress(OSError):
                draft.unlink()
            if isinstance(error, OSError):
                why = f"Cannot write {path}: {error.strerror or error}."
                raise StorageError(f"{why} What was written was removed; the collection is untouched.") from error
            raise
    try:
        database.sync_folder(path.parent)
    except OSError as error:
        why = f"{path} is written, but the disk does not promise to keep it ({error.strerror})."
        raise StorageError(f"{why} The collection is untouched; look after the disk, and export again.") from error


def _claim(file: BinaryIO, draft: Path) -> None:
    """Raises LockedError when another process writes this file, or has just made it what it was to become."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file.fileno()), os.stat(draft)):
            return
    except (BlockingIOError, FileNotFoundError):
        pass
    raise LockedError(f"Another process is exporting to the same file ({draft}). Nothing was changed.")
