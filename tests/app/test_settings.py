"""The page of settings, without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from conftest import Shelf, WordEmbedder
from streamlit.testing.v1 import AppTest
from tab import PRICES

from app import login, settings, work
from app.people import Person
from rag.generation import precision
from rag.generation.precision import Machine
from rag.index.collection import Collection


def page() -> None:
    from app import settings

    settings.show()


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedder: WordEmbedder) -> Iterator[None]:
    indexes = tmp_path / "indexes"
    collection = Collection(indexes, "prices")
    collection.sync(Shelf({"prices.txt": PRICES}), embedder)
    collection.close()
    monkeypatch.setenv("RAG_INDEXES", str(indexes))
    monkeypatch.setenv("RAG_COLLECTION", "prices")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    card = Machine("cpu", 30_000_000_000, torchao=False, bitsandbytes=False, int4=False)
    monkeypatch.setattr(precision, "machine", lambda device: card)
    st.cache_resource.clear()
    yield
    st.cache_resource.clear()


def shown(test: AppTest) -> str:
    assert not test.exception
    return "\n".join(element.value for kind in (test.markdown, test.caption) for element in kind)


def opened() -> AppTest:
    return AppTest.from_function(page, default_timeout=30).run()


def labels(test: AppTest) -> list[str]:
    return [button.label for button in test.button]


def click(test: AppTest, label: str) -> AppTest:
    next(button for button in test.button if button.label == label).click()
    return test.run()


def test_nothing_changes_and_nothing_is_told_before_something_is_chosen() -> None:
    test = opened()
    assert "Change something above" in shown(test)
    assert "Apply" not in labels(test)


def test_a_change_holds_only_once_it_is_applied_and_its_cost_is_told_before() -> None:
    test = opened()
    test.number_input(key="set passages").set_value(20).run()
    assert "**What this changes**" in shown(test)
    assert "20 passages are found for a question" in shown(test)
    assert "settings" not in test.session_state
    click(test, "Apply")
    assert test.session_state["settings"]["passages"] == 20
    assert "Apply" not in labels(test)
    assert test.code[0].value == "RAG_PASSAGES=20 python -m app"


def test_a_change_can_be_left() -> None:
    test = opened()
    test.number_input(key="set passages").set_value(20).run()
    click(test, "Leave it as it is")
    assert test.number_input(key="set passages").value == 8
    assert "settings" not in test.session_state


def test_a_model_that_is_not_here_is_downloaded_only_when_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[work.Work] = []
    monkeypatch.setattr(settings.following, "start", lambda config, what: begun.append(what))
    test = opened()
    test.selectbox(key="set model").set_value("qwen-1.5b").run()
    assert "some 3\\.1 GB, once" in shown(test)
    assert "Apache\\-2\\.0\\." in shown(test)
    assert "Apply" not in labels(test)
    assert begun == []
    click(test, "Download it")
    assert [what.arguments for what in begun] == [("models", "fetch", "--json", "qwen-1.5b")]
    assert "settings" not in test.session_state


def test_what_there_is_not_cannot_be_applied() -> None:
    test = opened()
    test.selectbox(key="set model").set_value("another one …").run()
    test.text_input(key="set other").set_value("non sense").run()
    assert "There is no model" in shown(test)
    apply = next(button for button in test.button if button.label == "Apply")
    assert apply.disabled


def test_who_logs_in_names_no_folder_and_downloads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "person", lambda: Person("password:anna", "anna"))
    test = opened()
    assert "another one …" not in test.selectbox(key="set model").options
    assert "set embedder" not in [field.key for field in test.text_input]
    test.selectbox(key="set model").set_value("qwen-1.5b").run()
    assert {"Apply", "Download it"}.isdisjoint(labels(test))
    assert "Whoever runs this server can fetch it" in shown(test)


def test_the_table_of_models_is_worked_out_when_it_is_opened() -> None:
    test = opened()
    assert not test.dataframe


def test_filters_hold_at_once() -> None:
    test = opened()
    test.radio(key="kind").set_value("Wikipedia").run()
    assert test.query_params["only"] == "wikipedia"
    assert "Apply" not in labels(test)
