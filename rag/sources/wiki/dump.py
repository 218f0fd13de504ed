"""MediaWiki's XML dumps (https://meta.wikimedia.org/wiki/Data_dumps), cut into blocks of whole pages.

A multistream dump is many small bz2 streams of a hundred pages each, written one after the other: where they begin is
seen without unpacking them, so that children unpack them in parallel. A dump that is a single stream, or is not
compressed, is read from its beginning, and its blocks wait in a temporary file.
"""

from __future__ import annotations

import bz2
import mmap
import re
from collections.abc import Iterator
from io import BufferedIOBase
from itertools import pairwise
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

    def blocks(self) -> Iterator[dict[str, Any]]:
        """Where pages lie, for a child to look: which stretch of which file, and whether it is packed."""
        if self._packed and (starts := _streams(self.path)):
            for start, end in pairwise(starts):
                yield {"file": str(self.path), "packed": True, "offset": start, "length": end - start}
            return
        position = 0
        for pages in self._cut():
            position = 0 if position + len(pages) > SPOOL else position
            self._spool.seek(position)
            self._spool.write(pages)
            self._spool.flush()
            yield {"file": self._spool.name, "packed": False, "offset": position, "length": len(pages)}
            position += len(pages)

    def _cut(self) -> Iterator[bytes]:
        """Whole pages, some `BLOCK` bytes at a time."""
        held = b""
        with self._opened() as file:
            while True:
                try:
                    piece = file.read(BLOCK)
                except (OSError, EOFError) as error:
                    raise NoDumpError(f"it is damaged or cut off: {error}") from error
                if not piece:
                    return
                held += piece
                end = held.rfind(_PAGE_END)
                if end >= 0:
                    yield held[: end + len(_PAGE_END)]
                    held = held[end + len(_PAGE_END) :]
                elif len(held) > LONGEST_PAGE:
                    raise NoDumpError("a page in it has no end")


def _streams(path: Path) -> list[int]:
    """Where its bz2 streams begin, and its end; empty for a file that is a single one, or empty."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        starts = []
        at = data.find(_STREAM)
        while at >= 0:
            starts.append(at)
            at = data.find(_STREAM, at + 1)
        return [*starts, len(data)] if len(starts) > 1 else []


def _about(head: str) -> About:
    def named(tag: str) -> str:
        found = re.search(rf"<{tag}>([^<]*)</{tag}>", head)
        return found[1].strip() if found else ""

    language = re.search(r'<mediawiki[^>]*xml:lang="([\w-]+)"', head)
    base = named("base")
    parts = urlsplit(base)
    site = f"{parts.scheme}://{parts.netloc}" if parts.scheme in {"http", "https"} else ""
    return About(named("dbname") or parts.netloc or "dump", language[1] if language else "en", site)
