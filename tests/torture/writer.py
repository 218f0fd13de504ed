"""A sync in a process of its own, to be killed or to have its calls fail. The job comes on standard input.

What it acknowledges goes into shared memory, which outlives a kill and is no call that could be made to fail. It closes
its standard output when it is ready to begin.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import sys
import traceback
from pathlib import Path

import faiss  # noqa: F401 - loaded before the sync begins, as its calls are counted and its time is measured
import tantivy  # noqa: F401
from conftest import Shelf, WordEmbedder

from rag.errors import RagError
from rag.index import publishing, sync
from rag.index.collection import Collection

ACKNOWLEDGED, ENDED = "done ", "ended "
SHOWN = "/acknowledged/"


class Told:
    """Lines in shared memory. Satisfies `rag.index.sync.Progress`: a document is told when its sync says it is done."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self._end = 0

    def say(self, line: str) -> None:
        data = line.encode() + b"\n"
        self._memory[self._end : self._end + len(data)] = data
        self._end += len(data)

    def plan(self, total: int, files: int) -> None: ...

    def reading(self, name: str) -> None: ...

    def documents(self, done: int, total: int, name: str) -> None:
        self.say(ACKNOWLEDGED + name)
        os.access(f"{SHOWN}{name}", os.F_OK)  # a call that asks for nothing, for whoever traces them


def small_windows() -> None:
    """Every document is acknowledged by itself, generations are published in between, and vectors are taken over from
    one to the next: what otherwise takes a hundred thousand passages."""
    sync.FIRST_WINDOW = sync.WINDOW = 1
    sync.CHECKPOINT = 16
    publishing.SMALL = publishing.FEW_WORDS = 16


def work(job: dict[str, str]) -> None:
    tell = Told(Path(job["told"]))
    source = Shelf(dict(job["files"]), prefix=job["prefix"].encode())
    try:
        Collection(Path(job["indexes"]), "default").sync(source, WordEmbedder(), prune=True, progress=tell)
        tell.say(f"{ENDED}0")
    except RagError as error:
        tell.say(f"{ENDED}{error.exit_code} {' '.join(str(error).split())}")
    except Exception:
        tell.say(f"{ENDED}-1 {traceback.format_exc()}")


if __name__ == "__main__":
    small_windows()
    ctypes.CDLL(None).prctl(0x59616D61, -1)  # PR_SET_PTRACER, anyone: strace may attach, though it is no ancestor
    os.close(1)
    work(json.loads(sys.stdin.readline()))
