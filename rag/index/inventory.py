"""What a collection holds, in figures."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from rag.index import generation
from rag.index.ledger import Ledger
from rag.index.lock import writer
from rag.index.side import FORMER, UNFINISHED


def inventory(name: str, home: Path, ledger: Ledger, lock: Path, side_lock: Path) -> dict[str, Any]:
    """JSON values by name, as `rag info` shows them."""
    published = ledger.generation()
    return {
        "collection": name,
        "folder": str(home),
        **ledger.counts(),
        "statuses": ledger.statuses(),
        "model": ledger.fingerprint.model,
        "revision": ledger.fingerprint.revision,
        "dimension": ledger.fingerprint.dimension,
        "generation": published.number if published else 0,
        "vectors": str(generation.kind(ledger)),
        "bytes": _size(home),
        "roots": [str(root) for root in ledger.roots()],
        "missing_roots": missing(ledger.roots()),
        "writer": writer(lock),
        "side": _side(ledger, side_lock),
    }


def missing(roots: Iterable[Path]) -> list[str]:
    """Folders that are not there now."""
    return [str(root) for root in roots if not root.exists()]


def _side(ledger: Ledger, lock: Path) -> dict[str, Any]:
    """What else the ledger holds: the former vectors, or those that are being made."""
    side = ledger.side
    if not side.exists:
        return {}
    lacking, _ = side.still_to_do()
    return {
        "state": FORMER if side.is_former else UNFINISHED,
        "model": side.fingerprint.model,
        "revision": side.fingerprint.revision,
        "passages": side.counts()["passages"],
        "documents_lacking": lacking,
        "bytes": side.size(),
        "writer": writer(lock),
    }


def _size(home: Path) -> int:
    """Bytes on disk; a writer may take files away meanwhile."""
    total = 0
    for folder, _, names in os.walk(home):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.stat(os.path.join(folder, name)).st_size
    return total
