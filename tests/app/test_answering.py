"""An answer in a thread of its own: it ends once, however it ends."""

from __future__ import annotations

import threading

import pytest
from tab import HITS, Found, Scribe, asker

from app import answering
from app.answering import UNEXPECTED, Answering, Ended, Kept
from rag.answer import Asker
from rag.errors import BusyError
from rag.types import Answer, Exchange


class Keeps:
    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def __call__(self, answer: Answer) -> Kept:
        self.answers.append(answer)
        return Kept("c", len(self.answers))


def started(asking: Asker, question: str = "What does Beta cost?", **how: object) -> Answering:
    made = Answering(question, lambda tell: asking, 8, **how)  # type: ignore[arg-type]
    made.start()
    return made


def test_an_answer_is_written_checked_and_kept_once() -> None:
    keeps = Keeps()
    made = started(asker("Beta costs ", "20 euros. [1]"), keep=keeps)
    assert made.wait(20)
    progress = made.progress
    assert progress.ended is Ended.ANSWERED
    assert progress.answer is not None
    assert progress.text == progress.answer.text == "Beta costs 20 euros. [1]"
    assert progress.kept == Kept("c", 1)
    assert keeps.answers == [progress.answer]
    assert not made.stop()


def test_what_is_written_is_seen_meanwhile_and_stop_ends_it() -> None:
    gates = [threading.Event() for _ in range(3)]
    keeps, seen = Keeps(), threading.Event()
    scribe = Scribe("Beta ", "costs ", "20 euros. [1]", gates=gates)

    def listens() -> bool:
        if made.progress.text == "Beta ":
            seen.set()
        return True

    made = Answering("What does Beta cost?", lambda tell: Asker(Found(HITS), scribe), 8, listens=listens, keep=keeps)
    made.start()
    gates[0].set()
    assert seen.wait(20)
    assert made.progress.text == "Beta "
    assert made.progress.ended is None
    assert made.stop()
    gates[1].set()
    assert made.wait(20)
    assert made.progress.ended is Ended.STOPPED
    assert made.progress.answer is None
    assert keeps.answers == []
    assert scribe.closed.wait(20)  # the model is told


@pytest.mark.fault(29)
def test_a_tab_that_is_gone_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "GRACE", -1.0)
    scribe = Scribe("Beta ", "costs.")
    made = started(Asker(Found(HITS), scribe), listens=lambda: False)
    assert made.wait(20)
    assert made.progress.ended is Ended.STOPPED


@pytest.mark.fault(29)
def test_a_tab_that_comes_back_in_time_gets_its_answer() -> None:
    left = iter([True, False, False])
    made = started(asker("Beta ", "costs ", "20 euros. [1]"), listens=lambda: next(left, True))
    assert made.wait(20)
    assert made.progress.ended is Ended.ANSWERED


def test_errors_that_people_see_are_told_and_others_keep_their_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(error: BaseException) -> Answering:
        def loads(tell: object) -> Asker:
            raise error

        made = Answering("?", loads, 8)
        made.start()
        assert made.wait(20)
        return made

    busy = fails(BusyError("Too many wait."))
    assert (busy.progress.ended, busy.progress.failed) == (Ended.FAILED, "Too many wait.")
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: raised.append(told.exc_value))
    bug = KeyError("a bug")
    broken = fails(bug)
    broken._thread.join(20)
    assert (broken.progress.ended, broken.progress.failed) == (Ended.FAILED, UNEXPECTED)
    assert raised == [bug]


def test_what_a_model_that_loads_says_is_told() -> None:
    heard, loaded = threading.Event(), threading.Event()

    def loads(tell: object) -> Asker:
        tell("Loading beluga-7b")  # type: ignore[operator]
        heard.set()
        assert loaded.wait(20)
        return asker("Beta costs 20 euros. [1]")

    made = Answering("What does Beta cost?", loads, 8)
    made.start()
    assert heard.wait(20)
    assert made.progress.told == "Loading beluga-7b"
    loaded.set()
    assert made.wait(20)
    assert made.progress.told == ""


def test_a_follow_up_is_understood_from_what_was_asked() -> None:
    class Rewrites:
        def rewrite(self, question: str, history: object) -> str:
            return f"{question} (after {len(history)})"  # type: ignore[arg-type]

    asking = Asker(Found(HITS), Scribe("Gamma costs 30. [1]"), Rewrites())
    made = started(asking, "And Gamma?", history=[Exchange("What does Beta cost?", "20")])
    assert made.wait(20)
    assert made.progress.understood == "And Gamma? (after 1)"


@pytest.mark.fault(29)
def test_an_answer_is_kept_or_stopped_and_never_both() -> None:
    """Stop comes at every moment: while it is kept, too."""
    for _ in range(50):
        keeps = Keeps()
        made = started(asker("Beta ", "costs ", "20 euros. [1]"), keep=keeps)
        stopped = made.stop()
        assert made.wait(20)
        assert made.progress.ended is (Ended.STOPPED if stopped else Ended.ANSWERED)
        assert len(keeps.answers) == (0 if stopped else 1)
