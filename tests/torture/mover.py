"""An export, an import or a reembedding in a process of its own, as `writer.py` is for a sync."""

from __future__ import annotations

import ctypes
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import faiss  # noqa: F401 - loaded before anything begins, as calls are counted
import tantivy  # noqa: F401
from conftest import WordEmbedder
from halves import Halves
from writer import ENDED, Told, small_windows

from rag.errors import RagError
from rag.index import fill
from rag.index.collection import Collection
from rag.index.portable import importing
from rag.index.portable.exporting import export
from rag.index.portable.importing import import_
from rag.index.reembed import drop_side, reembed, roll_back


def doing(indexes: Path, bundle: Path, tell: Told) -> dict[str, Callable[[], object]]:
    """What can be done to the collection under `indexes`, or with it, by name."""
    collection = Collection(indexes, "default")
    return {
        "export": lambda: export(collection, bundle, force=True, progress=tell),
        "import": lambda: import_(indexes, bundle, name="copy", progress=tell),
        "replace": lambda: import_(indexes, bundle, replacing=True, progress=tell),
        "reembed": lambda: reembed(collection, Halves(), progress=tell),
        "roll back": lambda: roll_back(collection, lambda made_by, called: WordEmbedder(), progress=tell),
        "drop": lambda: drop_side(collection),
    }


def work(job: dict[str, str]) -> None:
    tell = Told(Path(job["told"]))
    try:
        doing(Path(job["indexes"]), Path(job["bundle"]), tell)[job["do"]]()
        tell.say(f"{ENDED}0")
    except RagError as error:
        tell.say(f"{ENDED}{error.exit_code} {' '.join(str(error).split())}")
    except Exception:
        tell.say(f"{ENDED}-1 {traceback.format_exc()}")


if __name__ == "__main__":
    small_windows()
    fill.FIRST_WINDOW = fill.WINDOW = importing.WINDOW = 1
    ctypes.CDLL(None).prctl(0x59616D61, -1)  # PR_SET_PTRACER, anyone: strace may attach, though it is no ancestor
    os.close(1)
    work(json.loads(sys.stdin.readline()))
