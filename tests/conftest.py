"""Fakes whose answers can be worked out by hand, and the sample data."""

from __future__ import annotations

import faulthandler
import hashlib
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.thread import _threads_queues  # type: ignore[attr-defined]
from pathlib import Path

import milvus_server
import numpy as np
import pytest

from rag.index.collection import Collection
from rag.index.seams import Store
from rag.types import Document, Entry, Fingerprint, Mark, Outcome, Reading, Status

DIMENSION = 64


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--torture", action="store_true", help="as many rounds as `make torture` runs")
    parser.addoption("--fault", type=int, action="append", metavar="ROW", help="only what proves this row of the table")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --fault, only the tests that are marked with one of these rows (tests/faults.py has the table)."""
    if wanted := set(config.getoption("--fault") or ()):
        kept = [item for item in items if wanted & {row for mark in item.iter_markers("fault") for row in mark.args}]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How often a sweep goes round: `@pytest.mark.rounds(few, many)`, of which `make torture` runs the many."""
    few, many = request.node.get_closest_marker("rounds").args
    return int(many if request.config.getoption("--torture") else few)


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is such a place: a thousand rounds of fsync would only measure the disk."""
    place = Path("/dev/shm")
    within = place if os.access(place, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="beluga-rag-tests-", dir=within) as folder:
        yield Path(folder)


FIGURES: list[str] = []


@pytest.fixture
def figure() -> Callable[[str], None]:
    """Takes a line that is shown at the end of the run."""
    return FIGURES.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in FIGURES:
        terminalreporter.write_line(line)


def pytest_unconfigure() -> None:
    """A thread that some test left behind fails the run and shows where it stands. Python would wait for ever."""
    for thread in threading.enumerate():
        if thread is threading.main_thread() or thread.daemon or thread in _threads_queues:  # pools end by themselves
            continue
        thread.join(20)
        if thread.is_alive():
            sys.stdout.flush()
            sys.stderr.write(f"\n{thread} was left behind by a test:\n")
            sys.stderr.flush()
            faulthandler.dump_traceback()
            os._exit(1)


class WordEmbedder:
    """A text's vector has a 1 in the dimension of each of its words (by hash), then unit length. Tokens are words."""

    def __init__(self, model: str = "words", max_tokens: int = 40) -> None:
        self.texts: list[str] = []  # everything that was ever embedded as a passage
        self._fingerprint = Fingerprint(model, "1", DIMENSION, "mean", True, "", "", max_tokens, "test")

    @property
    def fingerprint(self) -> Fingerprint:
        return self._fingerprint

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def embed_passages(self, texts: Sequence[str]) -> np.ndarray:
        self.texts += texts
        return self._embed(texts)

    def embed_questions(self, texts: Sequence[str]) -> np.ndarray:
        return self._embed(texts)

    @staticmethod
    def _embed(texts: Sequence[str]) -> np.ndarray:
        vectors = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.lower().replace(".", " ").replace("?", " ").split() or [""]:
                row[hashlib.blake2b(word.encode()).digest()[0] % DIMENSION] = 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Shelf:
    """A Source held in memory: name → text, pages parted by form feeds. `None` is a file that cannot be read."""

    def __init__(self, files: dict[str, str | None], reader: str = "1", prefix: bytes = b"shelf/") -> None:
        self.files = files
        self.reader = reader
        self.prefix = prefix
        self.skipped: list[str] = []
        self.unread: list[str] = []
        self.excluded: set[str] = set()
        self.read_names: list[str] = []

    def scan(self) -> Iterator[Entry]:
        for name, text in sorted(self.files.items()):
            problem = Outcome(Status.UNREADABLE, "no permission", "ask") if text is None else None
            version = "" if text is None else hashlib.sha256(text.encode()).hexdigest()
            yield Entry(self.prefix + name.encode(), name, f"shelf:{name}", version, len(text or ""), problem)

    def covers(self, key: bytes) -> bool:
        return key.startswith(self.prefix)

    def excludes(self, key: bytes) -> bool:
        return key.removeprefix(self.prefix).decode() in self.excluded

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]:
        for entry in entries:
            self.read_names.append(entry.name)
            text = self.files[entry.name]
            if text is None:
                assert entry.problem is not None
                yield Reading(entry, entry.problem)
            elif text == "scan":
                yield Reading(entry, Outcome(Status.NO_TEXT, "scanned", "use OCR", 1, (1,)))
            else:
                yield Reading(entry, Outcome(Status.INDEXED), document(entry.name, text))


def document(name: str, text: str) -> Document:
    pages = text.split("\f")
    offsets = [0]
    for page in pages[:-1]:
        offsets.append(offsets[-1] + len(page) + 1)
    marks = tuple(Mark(offset, f"p. {n}", n) for n, offset in enumerate(offsets, 1))
    return Document(name, f"shelf:{name}", name.rpartition(".")[0], text, marks)


def contents(collection: Store) -> set[tuple[str, str]]:
    """(document, passage text) of everything that can be searched."""
    view = collection.index()
    found = view.dense(np.ones(DIMENSION, dtype=np.float32), 10_000)
    return {(hit.passage.document, hit.passage.text) for hit in found}


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def collection(tmp_path: Path) -> Iterator[Collection]:
    made = Collection(tmp_path / "indexes", "default")
    yield made
    made.close()


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a small Milvus server, one for all tests."""
    if milvus_server.MISSING:
        pytest.skip("pymilvus and milvus-lite are not installed (the dev extra has them)")
    with milvus_server.milvus_lite(tmp_path_factory.mktemp("milvus")) as uri:
        yield uri


@pytest.fixture(params=["files", "server"])
def another(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Store]]:
    """Opens collections by name: in files of this machine, and again on a server."""
    indexes = tmp_path / "indexes"
    if request.param == "files":
        yield from milvus_server.in_folder(indexes)
    else:
        yield from milvus_server.on_server(request.getfixturevalue("milvus"), indexes)


@pytest.fixture(scope="session")
def practice() -> Path:
    """The practice data, which is not part of the project."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("RAG_PRACTICE_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"practice data not found at {folder}; set RAG_PRACTICE_DATA")
    return folder
