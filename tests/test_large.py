"""Much of everything: files, words, words without a space. Cost grows with the size, and no faster."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from conftest import Shelf, WordEmbedder
from test_cli import PROBE

from rag.index.chunk import chunk
from rag.index.collection import Collection
from rag.sources.assemble import Gathered, assemble
from rag.sources.parts import Bookmark, Facts, Part
from rag.types import Document


@pytest.mark.fault(12)
@pytest.mark.rounds(600, 10_000)
def test_many_tiny_files(rounds: int, tmp_path: Path, figure: Callable[[str], None]) -> None:
    """By the command line, in a process that may open no more than 64 files at a time, and have 2 GiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    for n in range(rounds):
        (folder / f"{n}.txt").write_text(f"This is file {n}. " + "It says little. " * 10)
    indexes = tmp_path / "indexes"
    limited = ["sh", "-c", 'ulimit -n 64; ulimit -d 2097152; exec "$@"', "sh", *PROBE]
    command = [*limited, "index", str(folder), "--indexes", str(indexes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{rounds:,} files: {rounds:,} indexed." in done.stdout
    collection = Collection(indexes, "default")
    assert (collection.info()["documents"], collection.info()["generation"]) == (rounds, 1), "one index for all"
    figure(f"{rounds} tiny files within 2 GiB: {done.stdout.splitlines()[-1]}")


@pytest.mark.fault(12)
def test_what_is_embedded_and_published_grows_with_the_files_and_no_faster(memory: Path) -> None:
    calls: list[int] = []

    class Counting(WordEmbedder):
        def embed_passages(self, texts: Sequence[str]) -> object:
            calls.append(len(texts))
            return super().embed_passages(texts)

    collection = Collection(memory, "default")
    collection.sync(Shelf({f"{n}.txt": f"file {n}" for n in range(3000)}), Counting())
    assert sum(calls) == 3000
    assert len(calls) < 10
    assert collection.info()["generation"] == 1
    assert collection.verify() == []


class Characters:
    """Counts four characters as a token, and what it was given."""

    def __init__(self) -> None:
        self.given = 0

    def count(self, texts: Sequence[str]) -> list[int]:
        self.given += sum(map(len, texts))
        return [-(-len(text) // 4) for text in texts]


@pytest.mark.fault(13)
@pytest.mark.parametrize(
    "piece",
    ["x", "word ", "A sentence of six short words. ", "a | b | 12\n", "one\n\n", "é", "字", "x.", "\t", "- "],
)
def test_the_work_of_cutting_grows_with_the_text_and_no_faster(piece: str) -> None:
    def work(size: int) -> int:
        tokens, text = Characters(), (piece * size)[:size]
        passages = chunk(Document("a.txt", "file:///a", "A", text), tokens, 250)
        assert "".join("".join(p.text.split()) for p in passages) == "".join(text.split()), "nothing is lost"
        assert sum(len(p.text) for p in passages) <= 1.2 * size
        assert all(len(p.text) <= 8 * 250 for p in passages)
        return tokens.given

    small, large = work(50_000), work(400_000)
    assert large <= 9 * max(small, 50_000)


MARKS = "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~—…。\u00a0\u2028"
PIECES = [*MARKS, "x", "1", "1,", "((1", "$ ", "- ", " | ", "x-\n", "i\n", "1 \n", " \n", "FY 2020\n", "Dr. ", "e.g. "]


@pytest.mark.fault(13, 15)
@pytest.mark.parametrize("piece", PIECES)
def test_no_text_holds_the_program_up(piece: str) -> None:
    """What a child process has read is joined and cut by us, without a limit: in seconds of the processor's time, so
    that a busy machine fails nothing. (A pattern that goes back and forth took minutes for a line of dashes.)"""
    text = (piece * 60_000)[:60_000]
    for printed in (True, False):
        gathered = Gathered()
        gathered.add(Facts("Title", 1, (Bookmark("A heading", "A heading", 1),), printed=printed))
        gathered.add(Part(text, "p. 1", 1))
        with processor_seconds(3):
            body = assemble(gathered)
        with processor_seconds(3):
            chunk(Document("a.txt", "file:///a", "A", body.text, body.marks, body.headings), Characters(), 250)


@contextmanager
def processor_seconds(most: float) -> Iterator[None]:
    def too_long(*_: object) -> NoReturn:
        raise TimeoutError(f"more than {most} s")

    before = signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, most)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
