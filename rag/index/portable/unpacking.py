"""A bundle, read: nothing of it is believed before it is checked."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from rag.errors import DamagedError, UsageError
from rag.index.portable.bundle import (
    FORMAT,
    LONGEST_LINE,
    LONGEST_MANIFEST,
    MANIFEST,
    MEMBERS,
    VECTORS,
    VERSION,
    Manifest,
    Member,
    manifest_of,
    vectors_head,
)

Row = TypeVar("Row")


class Bundle:
    """An open bundle whose manifest makes sense. Every error in it is a DamagedError, which names the file."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        self.manifest = self._manifest()
        for name in MEMBERS:
            self._check(name, self.manifest.members[name])

    @property
    def size(self) -> int:
        """Bytes of all members."""
        return sum(member.bytes for member in self.manifest.members.values())

    @contextmanager
    def member(self, name: str) -> Iterator[io.BufferedReader]:
        """Its bytes; that they are all there, and the right ones, is only known at the end."""
        with self.explained():
            file = self._archive.open(name)
        with file:
            checked = _Checked(file, self)
            yield io.BufferedReader(checked, 1 << 20)
            checked.finish(name)

    def rows(self, name: str, parse: Callable[[Any], Row]) -> Iterator[Row]:
        """What a member's lines stand for. `parse` raises ValueError, TypeError or KeyError for one without sense."""
        with self.member(name) as file:
            for _ in range(self.manifest.members[name].rows):
                line = file.readline(LONGEST_LINE)
                with self.explained():
                    if not line.endswith(b"\n"):
                        raise ValueError(f"{name} ends too soon, or has a line that is too long")
                    row = parse(json.loads(line))
                yield row

    @contextmanager
    def vectors(self) -> Iterator[Callable[[int], list[bytes]]]:
        """What gives the next so many vectors."""
        size = 2 * self.manifest.fingerprint.dimension
        head = vectors_head(self.manifest.members[VECTORS].rows, self.manifest.fingerprint.dimension)

        def take(count: int) -> list[bytes]:
            taken = file.read(count * size)
            if len(taken) != count * size:
                raise DamagedError(self.damage("it has fewer vectors than passages"))
            return [taken[i : i + size] for i in range(0, len(taken), size)]

        with self.member(VECTORS) as file:
            if file.read(len(head)) != head:
                raise DamagedError(self.damage(f"{VECTORS} is not what the manifest says"))
            yield take

    @contextmanager
    def explained(self) -> Iterator[None]:
        """What reading can lead into, in the words of this project."""
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise DamagedError(self.damage(error)) from error

    def damage(self, why: object) -> str:
        return f"{self.path} is damaged, or is no export of a collection ({why}). Nothing was changed; export it again."

    def _manifest(self) -> Manifest:
        names = sorted(info.filename for info in self._archive.infolist())
        if names != sorted((*MEMBERS, MANIFEST)):
            raise DamagedError(self.damage("it does not hold what an export holds"))
        with self.explained(), self._archive.open(MANIFEST) as file:
            stored = json.loads(file.read(LONGEST_MANIFEST))
            if stored["format"] != FORMAT or type(stored["version"]) is not int or stored["version"] < 1:
                raise ValueError("another format")
            if stored["version"] > VERSION:
                raise UsageError(
                    f"{self.path} was exported by a newer version of this program ({stored['program']!s:.60}). Nothing "
                    "was changed; import it with that version."
                )
            return manifest_of(stored)

    def _check(self, name: str, declared: Member) -> None:
        info = self._archive.getinfo(name)
        plain = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) and not info.flag_bits & 1
        if not plain or info.file_size != declared.bytes:
            raise DamagedError(self.damage(f"{name} is not what the manifest says"))


@contextmanager
def opened(path: Path) -> Iterator[Bundle]:
    """Raises UsageError for a file that cannot be opened or is too new, DamagedError for what is no bundle."""
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}. Nothing was changed; check the path.") from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        why = f"{path} is damaged, or is no export of a collection ({error})."
        raise DamagedError(f"{why} Nothing was changed; export it again.") from error
    with archive:
        yield Bundle(path, archive)


class _Checked(io.RawIOBase):
    """A member's bytes, counted and hashed as they are read."""

    def __init__(self, file: IO[bytes], of: Bundle) -> None:
        self._file = file
        self._of = of
        self._sha256 = hashlib.sha256()
        self._bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._of.explained():
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._sha256.update(data)
        self._bytes += len(data)
        return len(data)

    def finish(self, name: str) -> None:
        """Raises DamagedError unless all was read, and was what was declared."""
        declared = self._of.manifest.members[name]
        with self._of.explained():
            left = self._file.read(1)
        if left or (self._bytes, self._sha256.hexdigest()) != (declared.bytes, declared.sha256):
            raise DamagedError(self._of.damage(f"{name} fails its checksum"))
