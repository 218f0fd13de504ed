"""A ZIM archive's directory (https://wiki.openzim.org/wiki/ZIM_file_format), read a little at a time.

libzim gives contents, in the child processes; in which order is decided here. Articles are compressed together in
clusters, so they are listed by cluster: then each is unpacked once. Only the order is held, 8 bytes an entry.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rag.sources.wiki.pages import Listed

MAGIC = 72173914
BLOCK = 64  # articles read by a child at a time
LONGEST_DIRENT = 4096  # bytes
_HEADER = struct.Struct("<IHH16sIIQQQQ")
_REDIRECT, _LARGEST_TYPE = 0xFFFF, 0xFFF0


class NoZimError(ValueError):
    """The file is no ZIM archive, or a damaged one."""


@dataclass(frozen=True, slots=True)
class _Entry:
    type: int
    namespace: str
    cluster: int
    path: str
    title: str


class Directory:
    """Raises NoZimError and OSError, when it is made and when it is listed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            magic, _, minor, uuid, self._count, _, self._pointers, _, _, types = _HEADER.unpack(_exactly(file, 0, 64))
            if magic != MAGIC:
                raise NoZimError("it does not begin like a ZIM archive")
            self.uuid = uuid.hex()
            self._article = "C" if minor >= 1 else "A"  # the namespace of articles
            self._pages = _numbers_of_html(file, types)

    def listed(self) -> Iterator[list[Listed]]:
        """Blocks of articles in the order of their clusters; a redirect is a block of its own."""
        with self._path.open("rb") as file:
            order = array("Q")
            for number in range(self._count):
                entry = self._entry(file, number)
                if entry.namespace == self._article and entry.type == _REDIRECT:
                    yield [Listed(entry.path, entry.title, redirect=True)]
                elif entry.namespace == self._article and entry.type in self._pages:
                    order.append(entry.cluster << 32 | number)
            ordered = array("Q", sorted(order)) if len(order) < 1 << 16 else _sorted(order)
            for start in range(0, len(ordered), BLOCK):
                found = [self._entry(file, packed & 0xFFFFFFFF) for packed in ordered[start : start + BLOCK]]
                yield [Listed(self._in_libzim(entry), entry.title or entry.path) for entry in found]

    def _in_libzim(self, entry: _Entry) -> str:
        return entry.path if self._article == "C" else f"{entry.namespace}/{entry.path}"

    def _entry(self, file: BinaryIO, number: int) -> _Entry:
        (offset,) = struct.unpack("<Q", _exactly(file, self._pointers + 8 * number, 8))
        file.seek(offset)
        raw = file.read(LONGEST_DIRENT)
        if len(raw) < 16:
            raise NoZimError("its directory is cut off")
        type_, _, namespace, _, cluster = struct.unpack_from("<HBcII", raw)
        names = raw[12 if type_ > _LARGEST_TYPE else 16 :].split(b"\0", 2)
        if len(names) < 3:
            raise NoZimError("its directory makes no sense")
        path, title = (name.decode("utf-8", "replace") for name in names[:2])
        return _Entry(type_, namespace.decode("latin-1"), cluster, path, title)


def _sorted(order: array[int]) -> array[int]:
    """In place, by numpy: a list of Python's integers would take ten times the memory."""
    import numpy as np

    np.frombuffer(order, dtype=np.uint64).sort()
    return order


def _numbers_of_html(file: BinaryIO, offset: int) -> frozenset[int]:
    file.seek(offset)
    types = file.read(LONGEST_DIRENT).split(b"\0\0")[0].split(b"\0")
    return frozenset(number for number, type_ in enumerate(types) if type_.startswith(b"text/html"))


def _exactly(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) < size:
        raise NoZimError("it is cut off")
    return data
