"""Another embedder for a collection that goes on being searched and synced."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Shelf, WordEmbedder
from halves import Halves
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.errors import FingerprintError, LockedError, UsageError
from rag.index import publishing, vectors
from rag.index.collection import Collection
from rag.index.ledger import Ledger
from rag.index.lock import writing
from rag.index.reembed import Reembedding, drop_side, reembed, roll_back
from rag.retrieval.current import Current
from rag.retrieval.fuse import Hybrid
from rag.types import Hit

FILES: dict[str, str | None] = {
    f"{name}.txt": "\f".join(f"{name} number {i} eats {i} leaves. " * 9 for i in range(4))
    for name in ("ant", "bee", "cow")
}
QUESTION = "how many leaves does bee number 2 eat?"


EMBEDDERS = {"words": WordEmbedder(), "halves": Halves()}


@pytest.fixture(autouse=True)
def windows_of_one_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every document is acknowledged by itself."""
    monkeypatch.setattr("rag.index.fill.FIRST_WINDOW", 1)
    monkeypatch.setattr("rag.index.fill.WINDOW", 1)


@pytest.fixture
def made(collection: Collection) -> Collection:
    collection.sync(Shelf(dict(FILES)), WordEmbedder())
    return collection


def again(collection: Collection) -> Collection:
    """As another process sees it."""
    return Collection(collection.home.parent, collection.name)


def answers(collection: Collection) -> tuple[str, list[Hit], list[Hit]]:
    """What made the vectors, and everything that is found, by both searches, with its scores."""
    seen = again(collection)
    model = seen.fingerprint.model
    view = seen.index()
    view.require(EMBEDDERS[model].fingerprint)
    vector = EMBEDDERS[model].embed_questions([QUESTION])[0]
    found = model, view.dense(vector, 10_000), view.keyword(QUESTION, 10_000)
    seen.close()
    return found


def built(folder: Path, files: dict[str, str | None], embedder: WordEmbedder) -> Collection:
    """The same, from nothing."""
    fresh = Collection(folder, "fresh")
    fresh.sync(Shelf(dict(files)), embedder)
    return fresh


def alike(one: tuple[str, list[Hit], list[Hit]], other: tuple[str, list[Hit], list[Hit]]) -> bool:
    """Whether the same is found, with the same scores; equal scores may stand in another order."""

    def sorted_(hits: list[Hit]) -> list[tuple[float, str, int]]:
        return sorted((round(hit.score, 5), hit.passage.document, hit.passage.start) for hit in hits)

    return one[0] == other[0] and all(sorted_(a) == sorted_(b) for a, b in zip(one[1:], other[1:], strict=True))


def test_it_is_what_a_build_from_nothing_would_be(made: Collection, tmp_path: Path) -> None:
    done = reembed(made, Halves(), "half/words@1")
    assert (done.switched, done.model, done.former, done.documents) == (True, "halves", "words", 3)
    assert done.passages == done.embedded > 12  # shorter passages, more of them
    assert answers(made) == answers(built(tmp_path, FILES, Halves()))
    assert again(made).called == "half/words@1"
    assert not again(made).verify()
    report = again(made).sync(Shelf(dict(FILES)), Halves())
    assert (report.unchanged, report.embedded) == (3, 0)


def test_the_same_embedder_again_changes_nothing(made: Collection) -> None:
    number = made.info()["generation"]
    done = reembed(made, WordEmbedder())
    assert (done.switched, done.embedded, made.info()["generation"]) == (False, 0, number)


def test_other_passages_of_the_same_model_embed_only_what_is_new(made: Collection) -> None:
    recut = WordEmbedder()
    recut._fingerprint = replace(recut.fingerprint, chunker="another")
    done = reembed(made, recut)
    assert (done.switched, done.embedded, recut.texts) == (True, 0, [])
    assert again(made).fingerprint.chunker == "another"
    assert not again(made).verify()


def test_what_is_interrupted_is_finished_by_the_next(made: Collection) -> None:
    before, embedder = answers(made), Halves()
    calls = iter(range(9))

    def impatient() -> None:
        if next(calls) == 2:
            raise KeyboardInterrupt

    embedder.before_passages = impatient
    with pytest.raises(KeyboardInterrupt):
        reembed(made, embedder)
    side = again(made).info()["side"]
    assert (side["state"], side["model"], side["documents_lacking"]) == ("unfinished", "halves", 1)
    assert answers(made) == before
    assert not again(made).verify()
    embedder.before_passages = lambda: None
    done = reembed(made, embedder)
    assert len(embedder.texts) == done.passages  # nothing was embedded twice
    assert done.embedded < done.passages


CHANGES: dict[str, Callable[[dict[str, str | None]], None]] = {
    "added": lambda files: files.update({"dog.txt": "dogs eat no leaves"}),
    "changed": lambda files: files.update({"bee.txt": "bees drink"}),
    "removed": lambda files: files.pop("ant.txt") and None,
    "moved": lambda files: files.update({"ox.txt": files.pop("cow.txt")}),
}


@pytest.mark.parametrize("moment", [0, 2])
@pytest.mark.parametrize("change", CHANGES)
def test_what_a_sync_does_meanwhile_is_not_lost(made: Collection, tmp_path: Path, change: str, moment: int) -> None:
    files, embedder, calls = dict(FILES), Halves(), iter(range(99))

    def sync() -> None:
        if next(calls) == moment:
            CHANGES[change](files)
            report = again(made).sync(Shelf(dict(files)), WordEmbedder(), prune=True)
            assert report.added + report.changed + report.removed + report.renamed == 1

    embedder.before_passages = sync
    reembed(made, embedder)
    before = built(tmp_path, FILES, WordEmbedder())  # the same, one after the other
    before.sync(Shelf(dict(files)), WordEmbedder(), prune=True)
    reembed(before, Halves())
    assert alike(answers(made), answers(before))
    assert not again(made).verify()


def test_a_sync_that_is_running_at_the_end_is_waited_for(made: Collection, tmp_path: Path) -> None:
    """And what it brought is embedded before the switch. Until then it is the old one that answers."""
    before, holding, go_on = answers(made), threading.Event(), threading.Event()
    files = {**FILES, "dog.txt": "dogs eat no leaves"}

    class Slow(WordEmbedder):
        def embed_passages(self, texts: Sequence[str]) -> np.ndarray:
            holding.set()
            assert go_on.wait(20)
            return super().embed_passages(texts)

    syncing = threading.Thread(target=lambda: again(made).sync(Shelf(dict(files)), Slow()))
    syncing.start()
    assert holding.wait(20)
    told = []

    def waits(holder: str) -> None:
        told.append(holder)
        assert answers(made) == before
        go_on.set()

    done = reembed(made, Halves(), wait=waits)
    syncing.join()
    assert told[0].startswith(f"pid {os.getpid()}")
    assert done.documents == 4
    assert alike(answers(made), answers(built(tmp_path, files, Halves())))


def test_searches_meanwhile_find_the_old_or_the_new(made: Collection, tmp_path: Path) -> None:
    """Over and over, in a thread that keeps its collection open, as a server does."""

    def retriever(searched: Collection) -> Hybrid:
        embedder = EMBEDDERS[searched.fingerprint.model]
        view = searched.index()
        view.require(embedder.fingerprint)
        return Hybrid(view, embedder)

    allowed = {"words": retriever(made).retrieve(QUESTION, 50)}
    allowed["halves"] = retriever(built(tmp_path, FILES, Halves())).retrieve(QUESTION, 50)
    assert allowed["words"] != allowed["halves"]
    seen: list[str] = []
    looked, stop = threading.Semaphore(0), threading.Event()

    def search() -> None:
        served = again(made)
        found = Current(lambda: served.state, lambda: retriever(served))
        while not stop.is_set():
            hits = found.retrieve(QUESTION, 50)
            seen.append(next((name for name, expected in allowed.items() if hits == expected), "a mix"))
            looked.release()
        served.close()

    thread = threading.Thread(target=search)
    thread.start()
    embedder = Halves()
    embedder.before_passages = lambda: looked.acquire(timeout=20) and None
    for _ in range(4):
        reembed(made, embedder)
        looked.acquire(timeout=20)
        roll_back(made, lambda made_by, called: WordEmbedder())
        looked.acquire(timeout=20)
        drop_side(made)
    stop.set()
    thread.join()
    assert set(seen) == {"words", "halves"}


def test_a_view_that_is_searched_across_the_switch_finds_nothing_rather_than_a_mix(made: Collection) -> None:
    view, vector = made.index(), WordEmbedder().embed_questions([QUESTION])[0]
    reembed(made, Halves())
    for search in (lambda: view.dense(vector, 5), lambda: view.keyword(QUESTION, 5)):
        with pytest.raises(FingerprintError, match="embedded anew, by halves, while it was searched"):
            search()


def test_a_filter_finds_what_it_leaves_after_a_switch(made: Collection) -> None:
    """Passages' ids stay small, however often they change: a filter is a bit for each of them."""
    for _ in range(3):
        reembed(made, Halves(), drop=True)
        reembed(made, WordEmbedder(), drop=True)
    vector = WordEmbedder().embed_questions([QUESTION])[0]
    hits = again(made).index("bee*").dense(vector, 99)
    assert {hit.passage.document for hit in hits} == {"bee.txt"}
    assert hits[0].passage.page == 3


def test_no_passage_ever_gets_the_id_of_another_one(made: Collection) -> None:
    def ids() -> set[int]:
        with closing(Ledger.read(made.home / "ledger.sqlite")) as ledger:
            return set(ledger.vectors()[0].tolist()) | set(
                ledger.side.vectors()[0].tolist() if ledger.side.exists else ()
            )

    ever = ids()
    files = dict(FILES)
    for number in range(4):
        before = ids()
        reembed(made, [Halves(), WordEmbedder()][number % 2], drop=True)
        files[f"{number}.txt"] = f"number {number}"
        again(made).sync(Shelf(dict(files)), [Halves(), WordEmbedder()][number % 2])
        drop_side(made)
        files[f"{number} again.txt"] = f"number {number} again"
        again(made).sync(Shelf(dict(files)), [Halves(), WordEmbedder()][number % 2])
        fresh = ids() - before
        assert fresh.isdisjoint(ever)
        ever |= fresh
    assert max(ever) < 200


def test_a_large_collection_is_searched_across_the_switch_too(
    made: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose vectors are in cells, and are scored by the ledger's own."""
    cells = vectors.Kind(since=5, cells=2, probed=2)
    monkeypatch.setattr(vectors, "KINDS", (vectors.EXACT, cells))
    monkeypatch.setattr(publishing, "PER_CELL", 1)
    made.sync(Shelf({**FILES, "dog.txt": "dogs eat no leaves"}), WordEmbedder())
    view, vector = again(made).index(), WordEmbedder().embed_questions([QUESTION])[0]
    assert len(view.dense(vector, 5)) == 5
    reembed(made, Halves())
    assert list(made.home.glob("generation-*/vectors-ivf2.faiss"))
    with pytest.raises(FingerprintError, match="embedded anew"):
        view.dense(vector, 5)
    assert len(answers(made)[1]) == again(made).info()["passages"]


def nobody(*_: object) -> WordEmbedder:
    raise AssertionError("no embedder is needed")


def test_there_is_a_way_back_and_forth_without_embedding(made: Collection) -> None:
    old = answers(made)
    reembed(made, Halves(), "half/words@1")
    new = answers(made)
    for expected, called in ((old, ""), (new, "half/words@1"), (old, "")):
        done = roll_back(made, nobody)
        assert (done.embedded, done.model) == (0, expected[0])
        assert answers(made) == expected
        assert again(made).called == called
        assert not again(made).verify()
    assert answers(made)[0] == "words"
    assert reembed(made, Halves()).embedded == 0  # asking for the former model by its name is the same


def test_the_way_back_takes_along_what_came_since(made: Collection, tmp_path: Path) -> None:
    reembed(made, Halves())
    files = {**FILES, "dog.txt": "dogs eat no leaves", "bee.txt": "bees drink"}
    del files["ant.txt"]
    again(made).sync(Shelf(dict(files)), Halves(), prune=True)
    assert again(made).info()["side"]["documents_lacking"] == 2
    new = answers(made)
    with pytest.raises(FingerprintError, match="embedded by words@1"):
        roll_back(made, lambda made_by, called: WordEmbedder("other words"))
    assert answers(made) == new
    embedder = WordEmbedder()
    done = roll_back(made, lambda made_by, called: embedder)
    assert (done.embedded, len(embedder.texts)) == (2, 2)
    assert alike(answers(made), answers(built(tmp_path, files, WordEmbedder())))
    assert not again(made).verify()


def test_other_vectors_in_the_way_are_not_given_up_without_a_word(made: Collection) -> None:
    reembed(made, Halves())
    third = Halves("thirds")
    with pytest.raises(UsageError, match=r"former vectors, by words, are still kept .* --drop gives them up"):
        reembed(made, third)
    assert roll_back(made, nobody).model == "words"
    third.before_passages = lambda: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        reembed(made, third, drop=True)
    with pytest.raises(UsageError, match="by thirds are half made"):
        reembed(made, Halves())
    with pytest.raises(UsageError, match="no former vectors"):
        roll_back(made, nobody)
    assert reembed(made, Halves(), drop=True).model == "halves"


def test_dropping_gives_the_disk_back(made: Collection) -> None:
    with pytest.raises(UsageError, match="keeps no other vectors"):
        drop_side(made)
    files = {f"{i}.txt": f"number {i} " * 300 for i in range(40)}
    made.sync(Shelf(dict(files)), WordEmbedder(), prune=True)
    made.close()
    alone = (made.home / "ledger.sqlite").stat().st_size
    done = reembed(made, Halves())
    both = (made.home / "ledger.sqlite").stat().st_size
    kept = again(made).info()["side"]["bytes"]
    assert both > alone + kept / 2
    assert kept == done.former_bytes
    new = answers(made)
    freed = drop_side(made)
    assert freed > kept / 2
    assert (made.home / "ledger.sqlite").stat().st_size < both
    assert answers(made) == new
    assert again(made).info()["side"] == {}
    with pytest.raises(UsageError, match="no former vectors"):
        roll_back(made, nobody)


def test_one_at_a_time_and_none_is_removed_under_way(made: Collection) -> None:
    with writing(made.home / "reembed.lock"):
        for act in (lambda: reembed(made, Halves()), lambda: drop_side(made), again(made).remove):
            with pytest.raises(LockedError):
                act()
    assert reembed(made, Halves()).switched
    again(made).remove()
    assert not made.home.exists()


def test_a_damaged_side_is_found_and_dropped_and_costs_nothing(made: Collection) -> None:
    before = answers(made)
    reembed(made, Halves())
    roll_back(made, nobody)
    with sqlite3.connect(made.home / "ledger.sqlite") as db:
        db.execute("UPDATE side_passages SET vector = zeroblob(64) WHERE id = (SELECT min(id) FROM side_passages)")
    db.close()
    problems = again(made).verify()
    assert len(problems) == 1
    assert "the side (former): the vector of passage" in problems[0]
    assert any("the side was dropped" in line for line in again(made).repair())
    assert not again(made).verify()
    assert answers(made)[1] == before[1]


@pytest.mark.parametrize("after", ["build", "swap", "publish"])
def test_a_switch_that_fails_half_way_has_not_happened(
    made: Collection, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    before = answers(made)
    place = {"build": (publishing, "build"), "publish": (Ledger, "publish"), "swap": ("rag.index.side.Side", "swap")}
    where, name = place[after]
    if isinstance(where, str):
        from rag.index.side import Side as where  # noqa: N813
    real = getattr(where, name)

    def fails(*given: object, **named: object) -> None:
        real(*given, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(where, name, fails)
        with pytest.raises(KeyboardInterrupt):
            reembed(made, Halves())
    assert answers(made) == before
    assert not again(made).verify()
    assert again(made).info()["side"]["documents_lacking"] == 0
    again(made).sync(Shelf(dict(FILES)), WordEmbedder())
    done = reembed(made, Halves())
    assert (done.switched, done.embedded) == (True, 0)
    assert len(list(made.home.glob("*generation-*"))) == 1


NAMES = st.sampled_from(["a.txt", "b.txt", "c.txt"])
TEXTS = st.sampled_from(["one", "two words here", "three words and more " * 20, "scan", "page one\fpage two"])
STEPS = st.tuples(st.sampled_from(["write", "delete", "sync", "forth", "back", "drop"]), NAMES, TEXTS)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=1, max_size=12))
def test_any_history_of_syncs_and_switches_ends_in_the_same_collection(steps: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept, files = Collection(Path(folder), "kept"), {"z.txt": "always there"}
        kept.sync(Shelf(dict(files)), WordEmbedder())
        for kind, name, text in [*steps, ("sync", "", "")]:
            if kind == "write":
                files[name] = text
            elif kind == "delete":
                files.pop(name, None)
            elif kind == "sync":
                again(kept).sync(Shelf(dict(files)), EMBEDDERS[again(kept).fingerprint.model], prune=True)
            elif kind == "forth":
                reembed(kept, Halves(), drop=True)
            elif again(kept).info()["side"]:
                done: Reembedding | int = (
                    drop_side(kept)
                    if kind == "drop"
                    else roll_back(kept, lambda made_by, called: EMBEDDERS[made_by.model])
                )
                assert done is not None
            assert again(kept).verify() == []
        model = again(kept).fingerprint.model
        assert alike(answers(kept), answers(built(Path(folder), files, EMBEDDERS[model])))


SWITCH = """
import sys; sys.path.insert(0, {tests!r}); from pathlib import Path
from rag.index import fill; fill.FIRST_WINDOW = fill.WINDOW = 1
from rag.index.collection import Collection; from rag.index.reembed import reembed
from halves import Halves
reembed(Collection(Path({indexes!r}), "default"), Halves())
"""


def switching(indexes: Path) -> list[str]:
    """A command that reembeds in a process of its own."""
    script = SWITCH.format(tests=str(Path(__file__).parent), indexes=str(indexes))
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n{script}"
    return [sys.executable, "-c", script]


def test_killed_while_it_embeds_nothing_that_was_acknowledged_is_embedded_again(made: Collection) -> None:
    script = switching(made.home.parent)
    script[-1] = (
        script[-1]
        .replace(
            "reembed(Coll",
            "import os; by = Halves(); calls = iter(range(9))\n"
            "by.before_passages = lambda: next(calls) == 2 and os.kill(os.getpid(), 9)\nreembed(Coll",
        )
        .replace("Halves())", "by)")
    )
    before = answers(made)
    assert subprocess.run(script, timeout=60).returncode == -9
    assert answers(made) == before
    assert again(made).info()["side"]["documents_lacking"] == 1
    done = reembed(made, Halves())
    assert 0 < done.embedded < done.passages
    assert not again(made).verify()
