"""The page on which people ask, without a browser: what it shows, and what becomes of what they do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from conftest import Shelf, WordEmbedder
from streamlit.testing.v1 import AppTest
from tab import HITS, PRICES, STORAGE, Found, Scribe, ask, asker, prose, settled, tab

from app import ask as page_of_ask
from app import evidence, shared
from rag.answer import Asker
from rag.errors import BusyError
from rag.generation.followup import RuleRewriter
from rag.index.collection import Collection
from rag.types import Article, Hit, Message, Passage, Picture, Span, Written

FILES = {"prices.txt": PRICES, "halls.txt": STORAGE}
TWO = ("Beta costs 20 euros. [1]\n", "It is stored in hall 4. [2]")


@pytest.fixture(autouse=True)
def indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedder: WordEmbedder) -> Iterator[Path]:
    folder = tmp_path / "indexes"
    for name in ("prices", "other"):
        collection = Collection(folder, name)
        collection.sync(Shelf(FILES, prefix=b"shelf:"), embedder)
        collection.close()
    monkeypatch.setenv("RAG_INDEXES", str(folder))
    monkeypatch.setenv("RAG_COLLECTION", "prices")
    st.cache_resource.clear()
    answers(monkeypatch, asker(*TWO))
    yield folder
    st.cache_resource.clear()


Answers = Callable[..., None]


def answers(monkeypatch: pytest.MonkeyPatch, asking: Asker) -> None:
    monkeypatch.setattr(shared, "asker", lambda *_: asking)


def click(test: AppTest, label: str) -> AppTest:
    next(button for button in test.button if label in button.label).click()
    test.run()
    assert not test.exception
    return test


def labels(test: AppTest) -> list[str]:
    return [button.label for button in test.button]


def shown(test: AppTest) -> str:
    kinds = (test.markdown, test.caption, test.text, test.warning, test.subheader)
    return "\n".join(element.value for elements in kinds for element in elements)


# ------------------------------------------------------------------------------------------------- asking


def test_an_answer_is_shown_with_its_sources_and_the_address_names_the_conversation() -> None:
    test = ask(tab().run(), "What does Beta cost?")
    assert prose(test) == ["Beta costs 20 euros.[1]\nIt is stored in hall 4.[2]"]
    assert [label for label in labels(test) if label.startswith("**")] == [
        r"**1** prices\.txt, p\. 1 · private",
        r"**2** halls\.txt, p\. 1 · private",
    ]
    assert test.query_params["collection"] == "prices"
    assert len(test.query_params["chat"]) == 32


def test_a_link_to_a_conversation_shows_it_again_to_its_owner_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    test = ask(tab().run(), "What does Beta cost?")
    link = dict(test.query_params)
    again = tab(**link).run()
    assert prose(again) == prose(test)
    from app import login
    from app.people import Person

    monkeypatch.setattr(login, "person", lambda: Person("somebody", "else"))
    other = tab(**link).run()
    assert not other.exception
    assert prose(other) == []
    assert "Beta" not in shown(other)


@pytest.mark.fault(29)
def test_two_tabs_share_nothing_but_what_is_kept() -> None:
    one, two = tab().run(), tab().run()
    ask(one, "What does Beta cost?")
    two.run()
    assert prose(two) == []
    ask(two, "Where is Beta?")
    one.run()
    assert [element.value for element in one.text] == ["What does Beta cost?"]
    assert [element.value for element in two.text] == ["Where is Beta?"]


@pytest.mark.fault(29)
def test_an_answer_streams_while_the_page_is_drawn_again_and_ends_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gates = [threading.Event(), threading.Event()]
    answers(monkeypatch, asker(*TWO, gates=gates))
    test = tab().run()
    gates[0].set()
    test.chat_input[0].set_value("What does Beta cost?").run()
    assert "Stop" in labels(test)
    for _ in range(3):
        test.run()
    assert len(test.session_state["conversation"].turns) == 0
    gates[1].set()
    settled(test)
    assert prose(test) == ["Beta costs 20 euros.[1]\nIt is stored in hall 4.[2]"]
    assert "Stop" not in labels(test)


def test_stop_keeps_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    gates = [threading.Event(), threading.Event()]
    scribe = Scribe(*TWO, gates=gates)
    answers(monkeypatch, Asker(Found(HITS), scribe))
    test = tab().run()
    gates[0].set()
    test.chat_input[0].set_value("What does Beta cost?").run()
    answering = test.session_state["conversation"].answering
    click(test, "Stop")
    gates[1].set()
    assert answering.wait(20)
    assert scribe.closed.wait(20)
    assert "Stopped" in shown(test)
    assert not any(label == "How it was answered" for label in labels(test))
    assert test.query_params.get("chat") is None


def test_ask_again_and_edit_take_the_place_of_the_question() -> None:
    test = ask(tab().run(), "What does Beta cost?")
    click(test, "Ask again")
    settled(test)
    assert [element.value for element in test.text] == ["What does Beta cost?"]
    click(test, "Edit")
    assert test.chat_input[0].proto.value == "What does Beta cost?"
    assert "You are editing a question" in shown(test)
    ask(test, "What does Gamma cost?")
    assert [element.value for element in test.text] == ["What does Gamma cost?"]
    assert "You are editing" not in shown(test)


def test_editing_can_be_called_off() -> None:
    test = ask(tab().run(), "What does Beta cost?")
    click(click(test, "Edit"), "Cancel")
    ask(test, "And Gamma?")
    assert [element.value for element in test.text] == ["What does Beta cost?", "And Gamma?"]


def test_a_long_conversation_is_folded_until_somebody_wants_to_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_of_ask, "SHOWN", 2)
    test = tab().run()
    for number in range(4):
        ask(test, f"Question {number}?")
    assert [element.value for element in test.text] == ["Question 2?", "Question 3?"]
    click(test, "Show 2 earlier")
    test.run()
    assert [element.value for element in test.text] == [f"Question {number}?" for number in range(4)]


def test_a_follow_up_says_how_it_was_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, Asker(Found(HITS), Scribe(*TWO), RuleRewriter()))
    test = ask(ask(tab().run(), "What does Beta cost?"), "And Gamma?")
    assert "Understood as: What does Gamma cost?" in shown(test)
    assert shown(test).count("Understood as") == 1


def test_no_answer_looks_like_one_and_shows_what_is_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, asker())
    test = ask(tab().run(), "Who is the emperor?")
    assert "The documents do not say." in shown(test)
    assert "The 2 best passages were read" in shown(test)
    assert prose(test) == [" ".join(PRICES.split()), STORAGE]
    assert not test.error
    assert not test.warning
    click(test, "**2** halls")
    assert test.query_params["source"] == "2"


@pytest.mark.fault(26)
def test_what_goes_wrong_is_told_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> Asker:
        raise BusyError("beluga **is** busy ![x](http://evil/x.png)")

    monkeypatch.setattr(shared, "asker", busy)
    test = ask(tab().run(), "What does Beta cost?")
    assert test.warning[0].value.startswith(r"beluga \*\*is\*\* busy \!\[x\]")
    assert "Ask again" in labels(test)


def test_a_question_that_is_none_is_refused_in_words() -> None:
    test = ask(tab().run(), "?!")
    assert test.warning[0].value == r"Please type a question\."


# ----------------------------------------------------------------------------------------------- evidence


def test_a_citation_opens_its_evidence_and_the_address_says_so() -> None:
    test = ask(tab().run(), "What does Beta cost?")
    click(test, "**2** halls")
    assert (test.query_params["answer"], test.query_params["source"]) == ("1", "2")
    assert "**halls\\.txt, p\\. 1**" in shown(test)
    assert "It is stored in hall 4." in [element.value for element in test.text]
    assert prose(test)[-1] == STORAGE


def test_a_link_opens_the_evidence_with_the_page_and_its_answer_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    start = PRICES.index("20 euros")
    answers(monkeypatch, asker(*TWO, knows=Written(0.9, (Span(1, start, start + 8),))))
    drawn: list[Any] = []

    def draw(cited: Any) -> Picture:
        drawn.append(cited)
        return Picture(b"", 0, 0, problem="The passage could not be placed on its page: it is not there.")

    monkeypatch.setattr(evidence, "drawn", draw)
    test = ask(tab().run(), "What does Beta cost?")
    link = dict(test.query_params)
    again = tab(**link, answer="1", source="1").run()
    assert not again.exception
    pieces = [piece for pieces in drawn_pieces(again) for piece in pieces]
    assert ["answer", "20 euros"] in [piece[:2] for piece in pieces]
    assert len(drawn) == 1
    assert "could not be placed" in shown(again)


def drawn_pieces(test: AppTest) -> list[Any]:
    from tab import drawn

    return list(drawn(test))


def test_a_link_to_evidence_that_there_is_not_opens_the_page() -> None:
    for query in ({"answer": "7", "source": "1"}, {"answer": "1", "source": "99"}):
        test = tab(collection="prices", **query).run()
        assert not test.exception
        assert "What would you like to know?" in shown(test)


def test_an_article_is_cited_by_its_section_its_link_and_its_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    article = Article("en", 1, 2, "2026-03-01T10:00:00Z", "https://en.wikipedia.org/w/?oldid=2", "CC BY-SA 4.0")
    passage = Passage(
        "Beta", "https://en.wikipedia.org/wiki/Beta", "Beta", "History", "History", None, 0, 5, "Beta.", article
    )
    answers(monkeypatch, asker("Beta. [1]", hits=[Hit(passage, 1.0)]))
    test = ask(tab().run(), "What is Beta?")
    click(test, "**1** Beta, History · Wikipedia")
    assert "**Beta, History** · Wikipedia" in shown(test)
    assert r"Wikipedia contributors, CC BY\-SA 4\.0, as of 2026\-03\-01" in shown(test)
    assert [link.proto.url for link in test.get("link_button")] == ["https://en.wikipedia.org/w/?oldid=2"]


def test_a_document_opens_at_a_page() -> None:
    test = tab(collection="prices", document="prices.txt", page="1").run()
    assert not test.exception
    assert "**prices\\.txt**" in shown(test)
    assert prose(test) == [PRICES]
    gone = tab(collection="prices", document="../../etc/passwd").run()
    assert "There is no such document" in shown(gone)


# ------------------------------------------------------------------------------------- how it was answered


def test_how_it_was_answered_is_one_click_away(monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = (Message("system", "Only the passages."), Message("user", "[1] **Beta** costs 20."))
    answers(monkeypatch, asker(*TWO, knows=Written(0.5, used=1, prompt=prompt)))
    test = ask(tab().run(), "What does Beta cost?")
    click(test, "How it was answered")
    table = test.dataframe[0].value
    assert list(table["What became of it"]) == ["cited", "dropped: no room, or not needed"]
    assert list(table["Score"]) == [0.9, 0.4]
    assert [block.value for block in test.code] == ["Only the passages.", "[1] **Beta** costs 20."]
    assert "Finding passages" in list(test.dataframe[1].value["Stage"])
    test.run()
    assert not test.dataframe  # it is closed by anything else


def test_where_no_model_was_asked_the_prompt_says_so() -> None:
    test = click(ask(tab().run(), "What does Beta cost?"), "How it was answered")
    assert "The model was not asked" in shown(test)


# ------------------------------------------------------------------------------------------------- history


def test_conversations_are_listed_found_named_and_deleted() -> None:
    test = ask(tab().run(), "What does Beta cost?")
    click(test, "New conversation")
    assert prose(test) == []
    assert test.query_params.get("chat") is None
    ask(test, "Where is **Gamma**?")
    listed = [label for label in labels(test) if label.startswith(("What", "Where"))]
    assert listed == [r"Where is \*\*Gamma\*\*?", "What does Beta cost?"]
    test.text_input(key="search").set_value("beta").run()
    assert [label for label in labels(test) if label.startswith(("What", "Where"))] == listed
    test.text_input(key="search").set_value("nothing like it").run()
    assert "Nothing found." in shown(test)
    test.text_input(key="search").set_value("").run()
    click(test, "What does Beta cost")
    assert [element.value for element in test.text] == ["What does Beta cost?"]
    test.session_state["menu"] = True
    test.run()
    test.text_input(key=f"title {test.query_params['chat']}").set_value("Prices of Beta").run()
    assert "Prices of Beta" in labels(test)
    click(click(test, "Delete conversation"), "Yes, delete it")
    assert [label for label in labels(test) if label.startswith(("What", "Where"))] == listed[:1]


def test_a_verdict_is_kept_with_its_note(indexes: Path) -> None:
    from rag.compose import PEOPLE
    from rag.history.store import History, Thumb

    test = ask(tab().run(), "What does Beta cost?")
    test.feedback[0].set_value(0).run()
    test.text_area[0].set_value("Too short.")
    test.text_area[1].set_value("20 euros")
    click(test, "Keep")
    history = History(indexes / PEOPLE)
    (judged,) = history.judged("local")
    assert (judged.verdict.thumb, judged.verdict.note, judged.verdict.expected) == (
        Thumb.DOWN,
        "Too short.",
        "20 euros",
    )
    test.feedback[0].set_value(None).run()
    assert history.judged("local") == []


# ------------------------------------------------------------------------------------- what there is to ask


def test_another_collection_begins_another_conversation() -> None:
    test = ask(tab().run(), "What does Beta cost?")
    test.selectbox(key="collection").set_value("other").run()
    assert prose(test) == []
    assert test.query_params["collection"] == "other"
    assert test.query_params.get("chat") is None


def test_filters_narrow_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, object]] = []

    def remember(config: object, pattern: str, only: object, tell: object) -> Asker:
        asked.append((pattern, only))
        return asker(*TWO)

    monkeypatch.setattr(shared, "asker", remember)
    test = tab(only="wikipedia").run()
    test.text_input(key="documents").set_value("halls*").run()
    assert r"Only halls\* · Wikipedia is asked\." in shown(test).replace("asked.", r"asked\.")
    ask(test, "Where is Beta?")
    assert asked == [("halls*", "wikipedia")]
    assert (test.query_params["documents"], test.query_params["only"]) == ("halls*", "wikipedia")
    click(test, "Ask everything")
    assert test.query_params.get("documents") is None


def test_where_there_is_nothing_the_page_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_INDEXES", str(tmp_path / "empty"))
    st.cache_resource.clear()
    test = tab().run()
    assert not test.exception
    assert "No documents yet" in shown(test)
    assert not test.chat_input


def test_a_collection_that_is_not_here_is_told_and_another_can_be_chosen() -> None:
    test = tab(collection="gone").run()
    assert "This collection is not here" in shown(test)
    assert not test.chat_input
    test.selectbox(key="collection").set_value("prices").run()
    assert test.chat_input


def test_a_collection_of_which_nothing_could_be_read_says_where_that_is_told(
    indexes: Path, embedder: WordEmbedder
) -> None:
    collection = Collection(indexes, "scans")
    collection.sync(Shelf({"scan.pdf": "scan"}), embedder)
    collection.close()
    test = tab(collection="scans").run()
    assert not test.exception
    assert "the Library says what became of its documents" in shown(test)


def test_a_damaged_collection_is_told_in_words(indexes: Path) -> None:
    (indexes / "prices" / "ledger.sqlite").write_bytes(b"no ledger at all, but a text of some length" * 100)
    test = tab(collection="prices").run()
    assert not test.exception
    assert "damaged" in test.warning[0].value


def test_a_history_that_cannot_be_read_leaves_the_page_usable(indexes: Path) -> None:
    from rag.compose import PEOPLE
    from rag.history.store import FILE

    (indexes / PEOPLE).mkdir()
    (indexes / PEOPLE / FILE).write_bytes(b"no history" * 500)
    test = ask(tab().run(), "What does Beta cost?")
    assert prose(test) == ["Beta costs 20 euros.[1]\nIt is stored in hall 4.[2]"]
    assert "This answer could not be kept in the history" in shown(test)


def test_a_model_that_is_not_here_is_not_fetched_by_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_MODEL", "beluga-7b")
    monkeypatch.setenv("HF_HUB_CACHE", "/nonexistent")
    st.cache_resource.clear()
    test = tab().run()
    assert not test.exception
    assert "The model is not on this machine yet" in shown(test)
    assert not test.chat_input


# --------------------------------------------------------------------------------------- loaded once, shared


def test_the_first_paint_loads_no_model_and_reads_no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("loaded before anything was asked")

    from rag import compose
    from rag.index import generation

    monkeypatch.setattr(compose, "embedder", never)
    monkeypatch.setattr(compose, "asker", never)
    monkeypatch.setattr(generation, "load", never)
    test = tab().run()
    assert not test.exception
    assert "2 documents" in shown(test)
