"""How vectors are indexed as a collection grows, through the seam that users have. The table's thresholds are lowered,
so that hundreds of passages are many."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import DIMENSION, Shelf, WordEmbedder

from rag.index.collection import Collection
from rag.index.vectors import EXACT, Kind, kind_for, kind_of
from rag.index.vectors import KINDS as TABLE

SUBJECTS = 40
PAGES = 10
NEAREST = 10


class Topics(WordEmbedder):
    """A text's vector lies near that of its subject (its first word), and a little aside for each further text."""

    @staticmethod
    def _embed(texts: list[str]) -> np.ndarray:
        said = [text.rpartition("\n")[2] for text in texts]  # without the title that stands above
        rows = [_direction(text.split()[0]) + 0.4 * _direction(text) for text in said]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)


def _direction(text: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")
    row = np.random.default_rng(seed).normal(size=DIMENSION)
    return row / np.linalg.norm(row)


def files(first: int, last: int) -> dict[str, str | None]:
    """Each of ten pages, each page one passage."""
    subjects = [f"subject{number % SUBJECTS}" for number in range(first, last)]
    return {
        f"{number:04}.txt": "\f".join(f"{subject} file {number} page {page}" for page in range(PAGES))
        for number, subject in zip(range(first, last), subjects, strict=True)
    }


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = (EXACT, Kind(since=1000, cells=16, probed=6), Kind(since=3000, cells=32, probed=8))
    monkeypatch.setattr("rag.index.vectors.KINDS", kinds)
    monkeypatch.setattr("rag.index.publishing.SMALL", 200)


@pytest.fixture
def embedder() -> Topics:
    return Topics()


@pytest.fixture
def grown(collection: Collection, embedder: Topics) -> Iterator[Collection]:
    """1,200 passages in cells."""
    collection.sync(Shelf(files(0, 120)), embedder)
    yield collection
    collection.close()


def recall(collection: Collection, embedder: Topics) -> float:
    """The share of the nearest that a search finds, of all that the ledger holds."""
    ids, vectors = collection._reading().vectors()
    queries, view, found = embedder.embed_questions([f"subject{n} asked" for n in range(20)]), collection.index(), 0
    for query in queries:
        nearest = ids[np.argsort(-(vectors @ query))[:NEAREST]].tolist()
        wanted = {(p.document, p.text) for p in collection._reading().passages(nearest).values()}
        found += len(wanted & {(hit.passage.document, hit.passage.text) for hit in view.dense(query, NEAREST)})
    return found / (NEAREST * len(queries))


def vectors_file(collection: Collection) -> Path:
    (path,) = collection.home.glob("generation-*/vectors*")
    return path


def test_the_kind_changes_as_the_collection_grows_and_says_so(collection: Collection, embedder: Topics) -> None:
    small = collection.sync(Shelf(files(0, 30)), embedder)
    assert small.notes == ()
    assert collection.info()["vectors"].startswith("exact")
    for passages, kind in ((1200, "16 cells"), (3000, "32 cells")):
        report = collection.sync(Shelf(files(0, passages // PAGES)), embedder)
        assert len(report.notes) == 1
        assert kind in report.notes[0]
        assert kind in collection.info()["vectors"]
        assert recall(collection, embedder) > 0.97
        assert not collection.verify()
        assert collection.sync(Shelf(files(0, passages // PAGES)), embedder).notes == ()
    assert "exact" in collection.sync(Shelf(files(0, 30)), embedder, prune=True).notes[0]
    assert recall(collection, embedder) == 1.0


def test_scores_are_cosines_whatever_the_kind(grown: Collection, embedder: Topics) -> None:
    (query,) = embedder.embed_questions(["subject3 asked"])
    hits = grown.index().dense(query, NEAREST)
    (stored,) = embedder.embed_passages([hits[0].passage.text])
    assert hits[0].score == pytest.approx(float(stored @ query), abs=1e-3)
    assert hits == sorted(hits, key=lambda hit: -hit.score)


def test_a_filter_looks_into_every_cell(grown: Collection, embedder: Topics) -> None:
    (query,) = embedder.embed_questions(["subject3 asked"])
    far = "0017.txt"  # of another subject: no search without a filter comes by it
    hits = grown.index(far).dense(query, 100)
    assert [hit.passage.document for hit in hits] == [far] * PAGES


def test_what_comes_and_goes_is_seen_before_the_cells_are_written_again(grown: Collection, embedder: Topics) -> None:
    before = vectors_file(grown).stat().st_ino
    changed = {**files(0, 120), "0007.txt": "subject7 rewritten"} | files(900, 902)
    del changed["0047.txt"]
    grown.sync(Shelf(changed), embedder)
    assert vectors_file(grown).stat().st_ino == before  # a link to the same file
    assert recall(grown, embedder) > 0.97
    (query,) = embedder.embed_questions(["subject7 rewritten"])
    hits = grown.index().dense(query, 60)
    assert hits[0].passage.text == "subject7 rewritten"
    assert not {"0047.txt", "0007.txt"} & {hit.passage.document for hit in hits[1:]}
    assert len(hits) == 60


def test_cells_are_filled_up_without_learning_them_again(
    grown: Collection, embedder: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learn(*_: object) -> None:
        raise AssertionError("learned again")

    monkeypatch.setattr("rag.index.vectors.VectorIndex.learn", learn)
    before = vectors_file(grown).stat().st_ino
    grown.sync(Shelf(files(20, 150)), embedder)  # 200 passages less and 300 more
    assert vectors_file(grown).stat().st_ino != before
    assert grown._reading().generation().vectors_count == 1300
    assert recall(grown, embedder) > 0.97
    assert not grown.verify()


def test_the_same_ledger_gives_the_same_bytes(grown: Collection) -> None:
    before = vectors_file(grown).read_bytes()
    os.truncate(vectors_file(grown), 1000)
    grown.close()
    assert any("rebuilt" in line for line in grown.repair())
    assert vectors_file(grown).read_bytes() == before


def test_every_damage_to_the_cells_is_detected_before_they_are_used(grown: Collection, embedder: Topics) -> None:
    path = vectors_file(grown)
    good = path.read_bytes()
    dice = np.random.default_rng(0)
    for _ in range(10):
        hurt = bytearray(good)
        hurt[int(dice.integers(len(good)))] ^= 1 << int(dice.integers(8))
        path.write_bytes(hurt)
        reader = Collection(grown.home.parent, grown.name)
        assert recall(reader, embedder) == 1.0  # the ledger, compared exactly
        assert "damaged" in reader.notes[0]
        reader.close()
    path.write_bytes(good)


def test_files_tell_their_kind() -> None:
    assert [kind_for(count).cells for count in (0, 999, 1000, 2999, 3000, 10**9)] == [0, 0, 16, 16, 32, 32]
    assert kind_of("vectors.faiss").cells == 0
    assert kind_of("vectors-ivf16.faiss") == kind_for(1000)
    assert kind_of("vectors-ivf20.faiss").probed == 6  # another version's table had it


def test_the_table_is_in_order() -> None:
    assert TABLE[0].since == 0
    for smaller, larger in pairwise(TABLE):
        assert smaller.since < larger.since
        assert smaller.cells < larger.cells
        assert smaller.probed <= larger.probed < larger.cells
