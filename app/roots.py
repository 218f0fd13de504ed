"""Which folders of this machine may be named from the page: those below RAG_ROOTS, and no others.

Whoever can open the page could otherwise read every file that its process can.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rag.errors import UsageError


def configured() -> list[Path]:
    """RAG_ROOTS, folders parted by colons, as they really are: without links. Those that are not there are left out."""
    given = os.environ.get("RAG_ROOTS", "").split(os.pathsep)
    return [real for path in given if path.strip() and (real := _real(path.strip())).is_dir()]


def allowed(path: str, below: Sequence[Path]) -> Path:
    """What a path leads to, where that lies below one of the folders. Raises UsageError, which does not tell whether
    anything else is there."""
    real = _real(path)
    if not any(real.is_relative_to(root) for root in below):
        raise UsageError(f"{path} does not lie in a folder that may be named here. Nothing was changed.")
    if not real.exists():
        raise UsageError(f"{path}: no such file or folder. Nothing was changed; check the path.")
    return real


def _real(path: str) -> Path:
    if "\0" in path:
        raise UsageError("A path has no such characters. Nothing was changed.")
    return Path(os.path.realpath(os.path.expanduser(path)))
