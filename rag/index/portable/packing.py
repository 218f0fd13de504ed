"""A bundle, written."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO

from rag.index.portable.bundle import MANIFEST, VECTORS, Manifest, Member


class Packing:
    """A bundle that is being written to an open file."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.members: dict[str, Member] = {}

    @contextmanager
    def member(self, name: str) -> Iterator[Stream]:
        """Takes its bytes. Vectors are noise to a compressor."""
        info = zipfile.ZipInfo(name)  # of 1980: equal collections make equal files, but for the manifest's date
        info.compress_type = zipfile.ZIP_STORED if name == VECTORS else zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        with self._archive.open(info, "w", force_zip64=True) as file:
            stream = Stream(file)
            yield stream
        self.members[name] = stream.member()

    def finish(self, manifest: Manifest) -> None:
        with self.member(MANIFEST) as stream:
            stream.write(manifest.packed())


class Stream:
    """Bytes that are counted and hashed on their way."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self._bytes = self._rows = 0

    def write(self, data: bytes) -> int:
        self._sha256.update(data)
        self._bytes += len(data)
        return self._file.write(data)

    def row(self, data: bytes) -> None:
        self._rows += 1
        self.write(data)

    def line(self, value: object) -> None:
        self.row(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")

    def member(self) -> Member:
        return Member(self._bytes, self._rows, self._sha256.hexdigest())


@contextmanager
def packing(file: BinaryIO) -> Iterator[Packing]:
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        yield Packing(archive)
