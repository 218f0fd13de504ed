"""Where a collection's folders are on this machine, when it comes from another one. Pure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote_from_bytes

from rag.errors import UsageError
from rag.types import Entry

_SCHEMES = (b"", b"corpus:")  # what may stand before a path in a key


class Places:
    """`given` are "OLD=NEW", or NEW alone where there is one folder: OLD is a folder that was indexed, or one above.
    Raises UsageError for a folder that is not among `roots`."""

    def __init__(self, given: Sequence[str], roots: Sequence[str]) -> None:
        pairs = [_pair(text, roots) for text in given]
        # The longest first: a folder within another may be somewhere else.
        self.moves = sorted(((os.fsencode(old), os.fsencode(new)) for old, new in pairs), key=lambda it: -len(it[0]))
        self.roots = [os.fsdecode(self._path(os.fsencode(root))) for root in roots]

    def moved(self, entry: Entry) -> Entry:
        """The entry as it would be found here."""
        for scheme in _SCHEMES:
            path = entry.key.removeprefix(scheme)
            if not entry.key.startswith(scheme + b"/") or (new := self._path(path)) == path:
                continue
            for old, to in self.moves:
                before = "file://" + quote_from_bytes(old)
                if _under(path, old) and entry.uri.startswith(before):
                    uri = "file://" + quote_from_bytes(to) + entry.uri.removeprefix(before)
                    return replace(entry, key=scheme + new, uri=uri)
            return replace(entry, key=scheme + new)
        return entry

    def _path(self, path: bytes) -> bytes:
        for old, new in self.moves:
            if _under(path, old):
                return new + path[len(old) :]
        return path


def _under(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith((folder + b"/", folder + b"#"))


def _pair(text: str, roots: Sequence[str]) -> tuple[str, str]:
    """A path may hold "=" itself: the first that parts a known folder from another one is meant."""
    if not text.count("=") and len(roots) == 1 and text:
        return roots[0], _real(text)
    for at, char in enumerate(text):
        old, new = text[:at].rstrip("/"), text[at + 1 :]
        if char == "=" and old and new and any(root == old or root.startswith(f"{old}/") for root in roots):
            return old, _real(new)
    listed = ", ".join(roots) or "none"
    raise UsageError(f"--root {text}: it takes OLD=NEW, with a folder of the export as OLD. Its folders are: {listed}.")


def _real(path: str) -> str:
    return os.path.realpath(os.path.expanduser(path))
