"""MediaWiki's XML dumps (https://meta.wikimedia.org/wiki/Data_dumps), cut into blocks of whole pages.

A multistream dump is many small bz2 streams of a hundred pages each, written one after the other: where they begin is
seen without unpacking them, so that children unpack them in parallel. One that is not compressed is cut between pages.
Both can be cut from anywhere, a stretch of bytes at a time. A dump that is a single stream is unpacked from its
beginning, and its blocks wait in a temporary file.
"""

from __future__ import annotations

import bz2
import mmap
import re
from collections.abc import Iterator
from io import BufferedIOBase
from itertools import chain, islice, pairwise
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import urlsplit

from rag.sources.wiki.pages import About

BLOCK = 1 << 20  # bytes of XML that a child reads at a time, where we cut
HEAD = 1 << 16  # bytes in which a dump says what it is of
LONGEST_PAGE = 64 << 20
SPOOL = 256 << 20  # bytes of blocks that wait at most: older ones are overwritten
_STREAM = b"BZh91AY&SY"  # what each bz2 stream begins with, at a whole byte
_PAGE_END = b"</page>"


class NoDumpError(ValueError):
    """The file is no XML dump of a wiki, or a damaged one."""


class Dump:
    """Raises NoDumpError and OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._packed = path.suffix == ".bz2"
        self._spool = NamedTemporaryFile(prefix="beluga-rag-")  # noqa: SIM115 - lives as long as we do
        try:
            with self._opened() as file:
                head = file.read1(HEAD)  # what comes first: the file may be cut off later
        except (OSError, EOFError) as error:
            raise NoDumpError(str(error)) from error
        if b"<mediawiki" not in head:
            raise NoDumpError("it does not begin like a MediaWiki dump")
        self.about = _about(head.decode("utf-8", "replace"))

    def _opened(self) -> BufferedIOBase:
        return bz2.open(self.path, "rb") if self._packed else self.path.open("rb")

    @property
    def divisible(self) -> bool:
        """Whether its blocks can be found without unpacking what comes before them."""
        return not self._packed or _is_multistream(self.path)

    def blocks(self, start: int = 0, end: int | None = None) -> Iterator[dict[str, Any]]:
        """Where pages lie, for a child to look: which stretch of which file, and whether it is packed. Only those that
        begin from `start` to before `end`, both in bytes of the file, of a dump that can be divided."""
        end = self.path.stat().st_size if end is None else end
        if not self.divisible:
            yield from self._spooled()
        elif self._packed:
            for at, to in _streams(self.path, start, end):
                yield {"file": str(self.path), "packed": True, "offset": at, "length": to - at}
        else:
            with self._opened() as file:
                file.seek(start)
                skipped = 0 if start == 0 else _past_page(file)
                for at, pages in _cut(file, start + skipped, end):
                    yield {"file": str(self.path), "packed": False, "offset": at, "length": len(pages)}

    def _spooled(self) -> Iterator[dict[str, Any]]:
        position = 0
        with self._opened() as file:
            for _, pages in _cut(file, 0, None):
                position = 0 if position + len(pages) > SPOOL else position
                self._spool.seek(position)
                self._spool.write(pages)
                self._spool.flush()
                yield {"file": self._spool.name, "packed": False, "offset": position, "length": len(pages)}
                position += len(pages)


def _cut(file: BufferedIOBase, at: int, end: int | None) -> Iterator[tuple[int, bytes]]:
    """Whole pages, some `BLOCK` bytes at a time, and where they lie: from `at`, where the file stands, to the end of
    the page that byte `end` lies in."""
    held = b""
    if end is not None and at - len(_PAGE_END) >= end:
        return  # one page spans all of the stretch, and is of the one before
    while True:
        try:
            piece = file.read(BLOCK)
        except (OSError, EOFError) as error:
            raise NoDumpError(f"it is damaged or cut off: {error}") from error
        if not piece:
            if (found := held.rfind(_PAGE_END)) >= 0:
                yield at, held[: found + len(_PAGE_END)]
            return
        held += piece
        last = end is not None and at + len(held) >= end
        found = held.find(_PAGE_END, max(0, end - at)) if end is not None and last else held.rfind(_PAGE_END)
        if found >= 0:
            size = found + len(_PAGE_END)
            yield at, held[:size]
            if last:
                return
            at, held = at + size, held[size:]
        elif len(held) > LONGEST_PAGE:
            raise NoDumpError("a page in it has no end")


def _past_page(file: BufferedIOBase) -> int:
    """Bytes from where the file stands to the end of the page there, before which it then stands."""
    start, held = file.tell(), b""
    while (found := held.find(_PAGE_END)) < 0:
        piece = file.read(BLOCK)
        if not piece or len(held) > LONGEST_PAGE:
            found = len(held)  # no page ends here any more
            break
        held += piece
    passed = min(len(held), found + len(_PAGE_END))
    file.seek(start + passed)
    return passed


def _is_multistream(path: Path) -> bool:
    return len(list(islice(_starts(path, 0), 2))) > 1


def _streams(path: Path, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Where bz2 streams lie that begin from `start` to before `end`."""
    for at, to in pairwise(chain(_starts(path, start), [path.stat().st_size])):
        if at >= end:
            return
        yield at, to


def _starts(path: Path, start: int) -> Iterator[int]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = data.find(_STREAM, start)
        while at >= 0:
            yield at
            at = data.find(_STREAM, at + 1)


def _about(head: str) -> About:
    def named(tag: str) -> str:
        found = re.search(rf"<{tag}>([^<]*)</{tag}>", head)
        return found[1].strip() if found else ""

    language = re.search(r'<mediawiki[^>]*xml:lang="([\w-]+)"', head)
    base = named("base")
    parts = urlsplit(base)
    site = f"{parts.scheme}://{parts.netloc}" if parts.scheme in {"http", "https"} else ""
    return About(named("dbname") or parts.netloc or "dump", language[1] if language else "en", site)
