"""A tab's conversation, and how it is kept."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tab import HITS, Found, Scribe, asker

from app.answering import Ended
from app.chat import Chat, Keeper
from rag.answer import Asker
from rag.errors import StorageError, UsageError
from rag.history.store import History, Thumb, Verdict


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(History(tmp_path), "anna")


def ask(chat: Chat, keeper: Keeper, question: str, text: str = "Beta costs 20 euros. [1]") -> None:
    chat.ask(question, lambda tell: asker(text), 8, keeper)
    assert chat.settle(20)


def questions(keeper: Keeper, id_: str) -> list[str]:
    return [turn.answer.question for turn in keeper.history.turns(keeper.owner, id_)]


def test_a_conversation_is_named_by_its_first_answer_and_found_again(keeper: Keeper) -> None:
    chat = Chat("prices")
    assert chat.id == ""
    ask(chat, keeper, "What does Beta cost?")
    ask(chat, keeper, "And Gamma?", "Gamma costs 30. [1]")
    found = keeper.found(chat.id)
    assert (found.collection, found.id) == ("prices", chat.id)
    assert found.turns == chat.turns
    assert [turn.number for turn in found.turns] == [1, 2]
    answer = found.answered(2)
    assert answer is not None
    assert answer.text == "Gamma costs 30. [1]"
    assert found.answered(0) is found.answered(3) is None


def test_nobody_else_finds_it(keeper: Keeper) -> None:
    chat = Chat("prices")
    ask(chat, keeper, "What does Beta cost?")
    with pytest.raises(UsageError):
        Keeper(keeper.history, "bert").found(chat.id)


def test_a_question_asked_again_takes_the_place_of_what_followed(keeper: Keeper) -> None:
    chat = Chat("prices")
    for question in ("One?", "Two?", "Three?"):
        ask(chat, keeper, question)
    chat.replaces = 1
    ask(chat, keeper, "Two, otherwise?")
    assert [turn.question for turn in chat.turns] == ["One?", "Two, otherwise?"]
    assert questions(keeper, chat.id) == ["One?", "Two, otherwise?"]
    assert chat.replaces is None


def test_two_tabs_at_one_conversation_lose_nothing(keeper: Keeper) -> None:
    here = Chat("prices")
    ask(here, keeper, "One?")
    there = keeper.found(here.id)
    ask(here, keeper, "Two, here?")
    ask(there, keeper, "Two, there?")
    assert questions(keeper, here.id) == ["One?", "Two, here?", "Two, there?"]
    assert [turn.question for turn in here.turns] == ["One?", "Two, here?"]
    assert [turn.number for turn in there.turns] == [1, 3]


def test_what_was_stopped_is_shown_and_not_kept(keeper: Keeper) -> None:
    gate = threading.Event()
    chat = Chat("prices")
    ask(chat, keeper, "One?")
    scribe = Scribe("Beta ", "costs.", gates=[threading.Event(), gate])
    scribe.gates[0].set()
    chat.ask("Two?", lambda tell: Asker(Found(HITS), scribe), 8, keeper)
    stopped = chat.answering
    assert stopped is not None
    chat.stop()
    gate.set()
    assert stopped.wait(20)
    assert [turn.ended for turn in chat.turns] == [Ended.ANSWERED, Ended.STOPPED]
    assert chat.turns[1].number == 0
    assert questions(keeper, chat.id) == ["One?"]
    ask(chat, keeper, "Three?")
    assert [turn.number for turn in chat.turns] == [1, 0, 2]


def test_what_was_stopped_is_no_part_of_what_follow_ups_are_understood_from(keeper: Keeper) -> None:
    heard: list[list[str]] = []

    class Rewrites:
        def rewrite(self, question: str, history: object) -> str:
            heard.append([exchange.question for exchange in history])  # type: ignore[attr-defined]
            return question

    def loads(tell: object) -> Asker:
        return Asker(Found(HITS), Scribe("Beta costs 20 euros. [1]"), Rewrites())

    chat = Chat("prices")
    ask(chat, keeper, "One?")
    held = threading.Event()
    chat.ask("Two?", lambda tell: asker("x", gates=[held]), 8, keeper)
    chat.stop()
    held.set()
    chat.ask("Three?", loads, 8, keeper)
    assert chat.settle(20)
    assert heard == [["One?"]]


def test_a_new_question_ends_the_one_that_is_being_answered(keeper: Keeper) -> None:
    held = threading.Event()
    chat = Chat("prices")
    chat.ask("One?", lambda tell: asker("x", gates=[held]), 8, keeper)
    first = chat.answering
    assert first is not None
    ask(chat, keeper, "Two?")
    held.set()
    assert first.wait(20)
    assert [(turn.question, turn.ended) for turn in chat.turns] == [("One?", Ended.STOPPED), ("Two?", Ended.ANSWERED)]


def test_a_conversation_that_was_deleted_meanwhile_goes_on_as_a_new_one(keeper: Keeper) -> None:
    chat = Chat("prices")
    ask(chat, keeper, "One?")
    gone = chat.id
    keeper.history.remove(keeper.owner, gone)
    ask(chat, keeper, "Two?")
    assert chat.id != gone
    assert questions(keeper, chat.id) == ["Two?"]


def test_an_answer_that_cannot_be_kept_can_still_be_read(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StorageError("The disk is full.")

    monkeypatch.setattr(History, "begin", full)
    chat = Chat("prices")
    ask(chat, keeper, "One?")
    assert chat.turns[0].kept.failed == "The disk is full."
    assert chat.turns[0].answer is chat.answered(1)


def test_a_verdict_stays_with_its_answer(keeper: Keeper) -> None:
    chat = Chat("prices")
    for question in ("One?", "Two?"):
        ask(chat, keeper, question)
    chat.judge(keeper, chat.turns[0], Verdict(Thumb.DOWN, "too short", "20 euros"))
    assert [turn.verdict for turn in chat.turns] == [Verdict(Thumb.DOWN, "too short", "20 euros"), None]
    assert keeper.found(chat.id).turns == chat.turns
    chat.judge(keeper, chat.turns[0], None)
    assert keeper.found(chat.id).turns[0].verdict is None
