"""A real Milvus server (2.3.5, of PyPI): written to, searched, killed with its data in its hands, and started again.

It needs an environment of its own (`milvus==2.3.5`, `setuptools<80`), which `make torture` sets up; MILVUS_SERVER names
its program where it is somewhere else. Without it these tests are skipped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import DIMENSION, Shelf, WordEmbedder, contents
from milvus_server import MISSING, free_port

from rag.errors import NetworkError, RagError
from rag.index.milvus import server
from rag.index.milvus.address import Address, address
from rag.index.milvus.collection import MilvusCollection
from rag.index.milvus.server import STRONG, Server

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("MILVUS_SERVER", ROOT / ".venv-milvus/bin/milvus-server"))
UP = 120.0  # seconds that a server has to come up

pytestmark = [
    pytest.mark.torture,
    pytest.mark.skipif(MISSING or not PROGRAM.is_file(), reason=f"no Milvus server at {PROGRAM} (see MILVUS_SERVER)"),
]


class Milvus:
    """A server of this machine, in a process group of its own: its program starts another one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def at(self, name: str) -> Address:
        return address(f"milvus://127.0.0.1:{self.port}/{name}", "", {})

    def start(self) -> None:
        command = [str(PROGRAM), "--data", str(self._folder), "--proxy-port", str(self.port)]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)
        until = time.monotonic() + UP
        while True:  # it gives no other sign
            try:
                return self._asked()
            except RagError:
                assert time.monotonic() < until
                time.sleep(0.5)

    def _asked(self) -> None:
        asked = Server(self.at("any"))
        try:
            asked.call("list_collections", timeout=5)
        finally:
            asked.close()

    def kill(self) -> None:
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None


@pytest.fixture(scope="module")
def milvus_235(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Milvus]:
    made = Milvus(tmp_path_factory.mktemp("milvus 2.3.5".replace(" ", "-")))
    made.start()
    yield made
    made.kill()


FILES: dict[str, str | None] = {f"{i:02}.txt": f"file number {i}\fits second page {i}" for i in range(24)}


def expected(files: dict[str, str | None]) -> set[tuple[str, str]]:
    return {(name, page) for name, text in files.items() for page in (text or "").split("\f")}


def test_written_searched_changed_and_removed(milvus_235: Milvus, tmp_path: Path) -> None:
    collection, embedder = MilvusCollection(milvus_235.at("whole"), tmp_path), WordEmbedder()
    assert collection.sync(Shelf(dict(FILES)), embedder).passages == 48
    hits = collection.index().dense(embedder.embed_questions(["file number 7"])[0], 3)
    assert hits[0].passage.text == "file number 7"
    assert collection.index().keyword("number", 3) == []
    assert "no full-text search" in collection.notes[0]
    assert collection.sync(Shelf(dict(FILES)), embedder).unchanged == 24
    changed = {**FILES, "07.txt": "another text", "moved.txt": FILES["03.txt"]}
    del changed["03.txt"], changed["05.txt"]
    report = collection.sync(Shelf(changed), embedder)
    assert (report.changed, report.renamed, report.removed, report.embedded) == (1, 1, 1, 1)
    strong = MilvusCollection(milvus_235.at("whole"), tmp_path, consistency=STRONG)
    assert contents(strong) == expected(changed)
    assert strong.info()["passages"] == len(expected(changed))
    assert strong.verify() == []
    strong.remove()
    assert not collection.exists()
    collection.close()


@pytest.mark.fault(1)
@pytest.mark.parametrize("after", [0, 5, 13])
def test_a_server_killed_in_the_middle_has_all_that_it_acknowledged(
    milvus_235: Milvus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr("rag.index.sync.FIRST_WINDOW", 2)
    monkeypatch.setattr("rag.index.sync.WINDOW", 2)  # a document or so is acknowledged at a time
    monkeypatch.setattr(server, "LIMIT", 5.0)
    monkeypatch.setattr(server, "LONG", 60.0)
    told: list[str] = []

    class Kills:
        def plan(self, total: int, files: int) -> None: ...

        def reading(self, name: str) -> None: ...

        def documents(self, done: int, total: int, name: str) -> None:
            told.append(name)
            if len(told) == after + 1:
                milvus_235.kill()

    where = milvus_235.at(f"killed{after}")
    with pytest.raises(NetworkError, match="is safe"):
        MilvusCollection(where, tmp_path).sync(Shelf(dict(FILES)), WordEmbedder(), progress=Kills())
    milvus_235.start()
    strong = MilvusCollection(where, tmp_path, consistency=STRONG)
    held = contents(strong)
    assert {page for page in expected(FILES) if page[0] in told} <= held <= expected(FILES)
    embedder = WordEmbedder()
    report = strong.sync(Shelf(dict(FILES)), embedder)
    assert report.unchanged >= len(told)
    assert contents(strong) == expected(FILES)
    assert report.passages == len(strong.index().dense(np.ones(DIMENSION, np.float32), 1000)) == 48
    assert strong.verify() == []
    strong.close()
