"""What is not there: a folder whose drive is not mounted, perhaps; or what somebody wants to be rid of."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rag.types import Entry, Reading


class Missing:
    """A Source that finds nothing where something was, and leaves it to the sync whether to believe that."""

    reader = "nothing"
    skipped: Sequence[str] = ()
    unread: Sequence[str] = ()

    def __init__(self, path: Path) -> None:
        self.root = path
        self._key = os.fsencode(path)

    def scan(self) -> Iterator[Entry]:
        return iter(())

    def covers(self, key: bytes) -> bool:
        return key == self._key or key.startswith(self._key.rstrip(b"/") + b"/")

    def excludes(self, key: bytes) -> bool:
        return False

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]:
        return iter(())


class Dropped:
    """A Source that holds nothing under the keys that somebody wants to be rid of: that they are gone is meant."""

    reader = "nothing"
    skipped: Sequence[str] = ()
    unread: Sequence[str] = ()

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = frozenset(keys)

    def scan(self) -> Iterator[Entry]:
        return iter(())

    def covers(self, key: bytes) -> bool:
        return key in self._keys

    def excludes(self, key: bytes) -> bool:
        return key in self._keys

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]:
        return iter(())
