"""Files that people hand over: looked at before they are kept, and kept under names that are made here.

A name from a browser is never a path: a new one is made of its letters, and the file is opened relative to the folder,
without following links.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rag.errors import StorageError
from rag.jobs.job import make_private
from rag.sources import formats
from rag.types import Outcome

MOST_FILES = 500  # handed over at once
LONGEST = 160  # bytes of a name, without its ending: file systems take 255 in all
TRIES = 1000  # "report (2).pdf", "report (3).pdf" …

_WAITING = ".waiting"
_KEPT = set(" .,;()[]{}&+'=-_")  # beside letters, marks and digits
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.I)  # where the folder is copied to Windows one day
_ZIPPED, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_MARKED = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")  # what begins so is text in a wider alphabet


class Kept(StrEnum):
    """What became of a file."""

    NEW = "new"
    SAME = "same"  # it was there already
    BESIDE = "beside"  # another one of that name was there, and stays
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Stored:
    name: str
    kept: Kept


def folder(indexes: Path, collection: str) -> Path:
    """Where a collection's uploads are: beside the collections, so that removing one deletes no document."""
    return indexes.resolve() / ".uploads" / collection


def safe_name(given: str) -> str:
    """A name for a file, made of what a foreign one says: one part of a path, that hides nothing and means nothing."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", given))[-1]
    letters = (c if c in _KEPT or unicodedata.category(c)[0] in "LMN" else "_" for c in last)
    name = " ".join("".join(letters).split()).strip(". ")
    ending = formats.extension(name)[:10]
    stem = name[: -len(ending) - 1] if ending and name.lower().endswith(f".{ending}") else name
    stem = stem.encode()[:LONGEST].decode(errors="ignore").strip(". ") or "document"
    if _RESERVED.fullmatch(stem.partition(".")[0]):
        stem = f"_{stem}"
    return f"{stem}.{ending}" if ending else stem


def refusal(name: str, data: bytes, most: int) -> str:
    """Why a file is not taken, of which `most` bytes would be; empty for one that is. Pure."""
    if not data:
        return "It is empty."
    if len(data) > most:
        return f"It has {len(data) >> 20:,} MB, and {most >> 20:,} are taken here: index it from a folder instead."
    head = data[: formats.HEAD]
    found = formats.recognise(name, head)
    if isinstance(found, Outcome):
        return f"{found.reason}. {found.remedy}"
    return "" if _fits(found, head) else f"It is not {_CALLED[found]}: it begins with '{_opening(head)}'."


def store(into: Path, name: str, data: bytes, replace: bool = False) -> Stored:
    """Keeps a file in `into`, under a name made of `name`. What is there already is kept once; another file of that
    name stays beside it unless it is to be replaced. Raises StorageError; then nothing was changed."""
    name = safe_name(name)
    with _opened(into) as place, _explained(into, name):
        for number in range(1, TRIES):
            tried = _numbered(name, number)
            if _holds(place, tried, data):
                return Stored(tried, Kept.SAME)
            if replace or _claimed(place, tried):
                was = replace and _exists(place, tried)
                _write(place, tried, data)
                return Stored(tried, Kept.REPLACED if was else Kept.NEW if number == 1 else Kept.BESIDE)
    raise StorageError(f"There are {TRIES} files called {name} already. Nothing was changed.")


def remove(into: Path, name: str) -> None:
    """Deletes a file that was kept. Raises StorageError."""
    with _opened(into) as place, _explained(into, name), suppress(FileNotFoundError):
        os.unlink(os.path.basename(name), dir_fd=place)


def wait(into: Path) -> None:
    """Remembers that something is kept there which is not indexed yet: whoever comes next can see to it."""
    with _opened(into) as place, _explained(into):
        os.close(os.open(_WAITING, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=place))


def waits(into: Path) -> bool:
    return (into / _WAITING).exists()


def settle(into: Path) -> None:
    """What is kept there is being indexed."""
    with suppress(OSError):
        (into / _WAITING).unlink()


def names(into: Path) -> list[str]:
    """What is kept there; drafts that a kill left behind are hidden."""
    try:
        return sorted(entry.name for entry in os.scandir(into) if not entry.name.startswith("."))
    except OSError:
        return []


# ---------------------------------------------------------------------------------------------- internals


_CALLED = {
    formats.PDF: "a PDF",
    formats.DOCX: "a DOCX",
    formats.PPTX: "a PPTX",
    formats.XLSX: "an XLSX",
    **dict.fromkeys((formats.HTML, formats.MARKDOWN, formats.PLAIN, formats.CSV, formats.EMAIL), "text"),
}


def _fits(format_: str, head: bytes) -> bool:
    """Whether a file begins as its name promises."""
    if format_ == formats.PDF:
        return b"%PDF-" in head
    if format_ in (formats.DOCX, formats.PPTX, formats.XLSX):
        return head.startswith((_ZIPPED, _OLE))
    if head.startswith(_MARKED) or b"\0" not in head:
        return not head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", _ZIPPED, b"\x7fELF"))
    shares = [part.count(0) / max(1, len(part)) for part in (head[::2], head[1::2])]
    return max(shares) > 0.4 and min(shares) < 0.05  # every other byte: UTF-16 without a mark


def _opening(head: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in head.lstrip()[:12])


def _numbered(name: str, number: int) -> str:
    stem, dot, ending = name.rpartition(".")
    return name if number == 1 else f"{stem} ({number}).{ending}" if dot else f"{name} ({number})"


@contextmanager
def _opened(into: Path) -> Iterator[int]:
    """The folder itself: whatever its path leads to a moment later, files go in here."""
    with _explained(into):
        make_private(into)
        place = os.open(into, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield place
    finally:
        os.close(place)


def _holds(place: int, name: str, data: bytes) -> bool:
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=place)
    except OSError:
        return False
    with os.fdopen(handle, "rb") as file:
        same_size = os.fstat(file.fileno()).st_size == len(data)
        return same_size and hashlib.file_digest(file, "sha256").digest() == hashlib.sha256(data).digest()


def _exists(place: int, name: str) -> bool:
    return name in os.listdir(place)


def _claimed(place: int, name: str) -> bool:
    """Whether the name was free, and is ours now: of two tabs that want it one gets it."""
    try:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=place))
    except FileExistsError:
        return False
    return True


def _write(place: int, name: str, data: bytes) -> None:
    """The file is there whole or not at all. A claimed name that cannot be written is given back."""
    draft = f".{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=place), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, name, src_dir_fd=place, dst_dir_fd=place)
    except OSError:
        with suppress(OSError):
            os.unlink(draft, dir_fd=place)
        with suppress(OSError):
            if os.stat(name, dir_fd=place, follow_symlinks=False).st_size == 0:
                os.unlink(name, dir_fd=place)
        raise


@contextmanager
def _explained(path: Path, name: str = "") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        free = " Free space and try again." if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise StorageError(f"Cannot write {path / name}: {error.strerror}. Nothing was changed.{free}") from error
