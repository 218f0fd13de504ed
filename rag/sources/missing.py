"""A folder that was indexed and is not there: a drive that is not mounted, perhaps."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
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
