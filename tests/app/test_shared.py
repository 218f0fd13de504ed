"""What is loaded once in a process, and what notices that something has changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from conftest import Shelf, WordEmbedder

from app import shared
from rag import compose
from rag.answer import Asker
from rag.config import Config
from rag.encoder import embed
from rag.errors import UsageError
from rag.index.collection import Collection

PRICES = {"prices.txt": "Beta costs 20 euros.", "halls.txt": "Beta is stored in hall 4."}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedder: WordEmbedder) -> Iterator[Config]:
    made = Config(indexes=tmp_path / "indexes", collection="prices", rerank="none", embedder="words")
    monkeypatch.setattr(shared, "environment", lambda: made)
    st.cache_resource.clear()
    sync(made, PRICES, embedder)
    yield made
    st.cache_resource.clear()


def sync(config: Config, files: dict[str, str], embedder: WordEmbedder) -> None:
    collection = Collection(config.indexes, config.collection)
    collection.sync(Shelf(dict(files)), embedder, prune=True)
    collection.close()


@pytest.fixture(autouse=True)
def loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Which embedders were loaded."""
    names: list[str] = []
    two = threading.Barrier(2)

    def load(checkpoint: str, *_: object) -> WordEmbedder:
        names.append(checkpoint)
        with suppress(threading.BrokenBarrierError):  # time enough for another thread to load as well, if it may
            two.wait(0.3)
        return WordEmbedder()

    monkeypatch.setattr(embed, "TextEmbedder", load)
    monkeypatch.setattr(compose, "_checkpoint", str)
    compose._embedder.cache_clear()
    yield names
    compose._embedder.cache_clear()


def asker(config: Config, pattern: str = "") -> Asker:
    return shared.asker(config, pattern, None, lambda told: None)


def found(asking: Asker, question: str = "What does Beta cost?") -> set[str]:
    return {hit.passage.text for hit in asking.ask(question).hits}


@pytest.mark.fault(29)
def test_many_threads_load_a_model_once_and_share_it(config: Config, loaded: list[str]) -> None:
    start = threading.Barrier(8)

    def ask(number: int) -> set[str]:
        start.wait(20)
        asking = asker(replace(config, passages=number + 1), "prices*" if number % 2 else "")
        return found(asking)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert loaded == ["words"]
    assert answers == [set(PRICES.values()), {PRICES["prices.txt"]}] * 4


def test_the_same_settings_are_the_same_asker_and_others_share_its_collection(
    config: Config, loaded: list[str]
) -> None:
    assert asker(config) is asker(replace(config, passages=3))
    assert asker(config) is not asker(config, "prices*")
    assert loaded == ["words"]


@pytest.mark.fault(29)
def test_a_new_generation_is_found_without_a_restart(config: Config, loaded: list[str], embedder: WordEmbedder) -> None:
    asking, narrow = asker(config), asker(config, "prices*")
    assert found(asking) == set(PRICES.values())
    changed = {"prices.txt": "Beta costs 25 euros now.", "more.txt": "Beta is blue."}
    sync(config, changed, embedder)
    assert found(asking) == set(changed.values())
    assert found(narrow) == {changed["prices.txt"]}
    assert loaded == ["words"]


def test_a_collection_that_was_removed_is_gone_and_one_made_in_its_place_is_found(
    config: Config, loaded: list[str], embedder: WordEmbedder
) -> None:
    asking = asker(config)
    assert found(asking)
    Collection(config.indexes, config.collection).remove()
    with pytest.raises(UsageError, match="No collection 'prices'"):
        asking.ask("What does Beta cost?")
    sync(config, {"new.txt": "Beta costs nothing."}, embedder)
    assert found(asking) == {"Beta costs nothing."}


def test_people_who_ask_while_others_index_always_find_it(
    config: Config, loaded: list[str], embedder: WordEmbedder
) -> None:
    before, after = {"a.txt": "Beta costs 20 euros."}, {"a.txt": "Beta costs 25 euros."}
    sync(config, before, embedder)
    asking = [asker(config), asker(config, "a*")]
    done = threading.Event()

    def ask(which: int) -> set[frozenset[str]]:
        seen = set()
        while not done.is_set():
            seen.add(frozenset(found(asking[which % 2])))
        return seen

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(ask, which) for which in range(4)]
        for files in (after, before):
            sync(config, files, embedder)
        done.set()
        seen = set().union(*(one.result(20) for one in running))
    both = {*before.values(), *after.values()}
    assert all(texts and texts <= both for texts in seen)


def test_a_model_that_is_released_is_loaded_again_when_it_is_asked(config: Config, loaded: list[str]) -> None:
    first = asker(config)
    shared.release("beluga-7b")
    assert asker(config) is not first
    assert loaded == ["words"]  # what everybody needs stays
