"""What the sweeps do to a collection, in a process that may be killed, and what has to hold afterwards."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from conftest import DIMENSION, Shelf, WordEmbedder, document
from writer import ACKNOWLEDGED, ENDED

from rag.index.chunk import chunk
from rag.index.collection import Collection

Files = dict[str, str]  # name → text, pages parted by form feeds
Held = Mapping[str, frozenset[str]]  # name → the texts of its passages

ROOT = Path(__file__).resolve().parents[2]


# ------------------------------------------------------------------------------------------ what is indexed


def written(rng: random.Random) -> str:
    """One to four pages; every page says "page" and is a passage of its own."""
    pages = range(1, rng.randint(1, 4) + 1)
    return "\f".join(f"page {n} " + " ".join(f"w{rng.randrange(10_000)}" for _ in range(12)) for n in pages)


def library(rng: random.Random, size: int) -> Files:
    return {f"{n}.txt": written(rng) for n in range(size)}


def edited(files: Files, rng: random.Random, changes: int) -> Files:
    """Some files written, moved, copied, swapped and deleted."""
    files = dict(files)
    for _ in range(changes):
        one, other = rng.choice(sorted(files)), rng.choice(sorted(files))
        free = f"{rng.randrange(10 * len(files))}.txt"
        match rng.choice(["write", "write", "add", "add", "move", "copy", "swap", "delete"]):
            case "write":
                files[one] = written(rng)
            case "add":
                files[free] = written(rng)
            case "move":
                files[free] = files.pop(one)
            case "copy":
                files[free] = files[one]
            case "swap":
                files[one], files[other] = files[other], files[one]
            case "delete" if len(files) > 3:
                del files[one]
    return files


def passages(files: Files) -> Held:
    """What a collection of these files holds when it is whole."""
    by = WordEmbedder()
    return {
        name: frozenset(passage.text for passage in chunk(document(name, text), by, by.fingerprint.max_tokens))
        for name, text in files.items()
    }


def held(collection: Collection) -> Held:
    """What is found, by the seam that people search through: by meaning and by word, a document at a time."""
    everywhere = np.ones(DIMENSION, dtype=np.float32)
    found = {}
    for card in collection.index().cards():
        view = collection.index(card.name)
        by_meaning, by_word = view.dense(everywhere, 10_000), view.keyword("page", 10_000)
        found[card.name] = frozenset(hit.passage.text for hit in by_meaning)
        assert {hit.passage.text for hit in by_word} == found[card.name]
        assert {hit.passage.document for hit in [*by_meaning, *by_word]} == {card.name}
        assert len(by_meaning) == len(by_word) == len(found[card.name])
    return found


# -------------------------------------------------------------------------------------------- who indexes it


class Writer:
    """A process that syncs `files` into the collection under `indexes` when it is let go. `within` is a command that
    runs it, such as strace."""

    def __init__(self, indexes: Path, files: Files, within: Sequence[str] = (), prefix: str = "shelf/") -> None:
        self._told = indexes.with_name(f"told-{random.getrandbits(64):x}")
        with self._told.open("wb") as file:
            file.truncate(1 << 16)
        self._job = {"indexes": str(indexes), "files": files, "told": str(self._told), "prefix": prefix}
        command = [*within, sys.executable, "-B", str(Path(__file__).with_name("writer.py"))]
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        path = {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests")))}
        environment = {**os.environ, **one_thread, **path}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)

    def ready(self) -> int:
        """Waits until it could begin, and gives its process id."""
        assert self._process.stdout is not None
        self._process.stdout.read()
        return self._process.pid

    def go(self) -> None:
        self.ready()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(self._job).encode() + b"\n")
            self._process.stdin.close()

    def killed_after(self, seconds: float) -> bool:
        """Lets it go, and kills it. False if it was faster."""
        self.go()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self._process.kill()
        return self.ended() != 0

    def running(self) -> bool:
        return self._process.poll() is None

    def ended(self) -> int:
        """Waits for its end, and gives its exit code: negative for the signal that killed it."""
        return self._process.wait()

    def acknowledged(self) -> set[str]:
        return {line.removeprefix(ACKNOWLEDGED) for line in self._lines() if line.startswith(ACKNOWLEDGED)}

    def said(self) -> str:
        """ "0", or an exit code and its message; empty for a process that did not come to its end."""
        lines = self._lines()
        at = next((n for n, line in enumerate(lines) if line.startswith(ENDED)), len(lines))
        return "\n".join(lines[at:]).removeprefix(ENDED)

    def forget(self) -> None:
        self._told.unlink()

    def _lines(self) -> list[str]:
        return self._told.read_bytes().rstrip(b"\0").decode().splitlines()


# -------------------------------------------------------------------------------------------- what must hold


def check(collection: Collection, before: Held, files: Files, acknowledged: set[str]) -> Held:
    """A collection that was to be brought from `before` to `files`, and may have been stopped on the way: it is whole,
    what was acknowledged is found, what was not touched is found, and nothing is found by half. Returns what it holds.
    Each search is of one moment and these are many: what a writer did between two of them is looked at again.
    """
    while True:
        state = collection.state
        try:
            return _checked(collection, before, files, acknowledged)
        except AssertionError:
            if collection.state == state:
                raise


def _checked(collection: Collection, before: Held, files: Files, acknowledged: set[str]) -> Held:
    assert collection.verify() == []
    now, after = held(collection), passages(files)
    assert not collection.notes
    for name in acknowledged:
        assert now[name] == after[name], f"{name} was acknowledged"
    for name in before.keys() | after.keys() | now.keys():
        either = [before.get(name), after.get(name)]
        assert now.get(name) in either, f"{name} is neither its old version nor its new one"
    moved = {before[name] for name in before.keys() - after.keys()} & {after[n] for n in after.keys() - before.keys()}
    assert moved <= set(now.values()), "what moved is found all the while, under one name or the other"
    return now


def rubbish(home: Path, published: int) -> Sequence[str]:
    """What lies in a collection's folder and does not belong there."""
    belongs = {"ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "writer.lock", f"generation-{published}"}
    return sorted(set(os.listdir(home)) - belongs)


def finish(indexes: Path, files: Files, acknowledged: set[str] = frozenset()) -> Held:
    """The next sync ends what another one began: nothing is done twice, nothing is left over."""
    collection, by = Collection(indexes, "default"), WordEmbedder()
    collection.sync(Shelf(dict(files)), by, prune=True)
    done = {text for name in acknowledged for text in passages({name: files[name]})[name]}
    assert not {text.partition("\n")[2] for text in by.texts} & done, "what was acknowledged is not embedded again"
    now = held(collection)
    assert now == passages(files)
    assert collection.verify() == []
    assert rubbish(collection.home, collection.info()["generation"]) == []
    collection.close()
    return now
