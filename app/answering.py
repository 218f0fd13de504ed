"""An answer that is worked out in a thread of its own, while the page is drawn as often as people touch it.

The thread knows nothing of Streamlit. It belongs to one tab: pages that are drawn meanwhile read how far it is, Stop
ends it at the next piece of text, and a tab that is gone is noticed the same way. However it ends, it ends once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from enum import Enum

from rag.answer import Asker
from rag.errors import RagError
from rag.types import Answer, Exchange

GRACE = 10.0  # seconds without its tab, such as a phone's in a tunnel, until an answer is given up
UNEXPECTED = (
    "Something went wrong that should not have; the server's terminal says what. Your documents and their index are "
    "untouched. Ask again, or report it with those lines."
)

Loads = Callable[[Callable[[str], None]], Asker]  # with what hears of a model that loads


class Ended(Enum):
    ANSWERED = "answered"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Kept:
    """Where an answer was kept: the conversation, and its number there. `failed` says why it could not be, in words for
    people."""

    conversation: str = ""
    number: int = 0
    failed: str = ""


NOT_KEPT = Kept()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an answer is. `text` is what has been written so far; `told` what is being waited for, such as a model
    that loads; `failed` why there is no answer, in words for people. `ended` is None while it goes on."""

    understood: str = ""
    text: str = ""
    told: str = ""
    ended: Ended | None = None
    answer: Answer | None = None
    failed: str = ""
    kept: Kept = NOT_KEPT


class _StoppedError(Exception):
    pass


class Answering:
    """`loads` may take its time: it is called in the thread. `listens` says whether anybody is there to see the answer;
    `keep` is called in the thread with one that was not stopped."""

    def __init__(
        self,
        question: str,
        loads: Loads,
        passages: int,
        history: Sequence[Exchange] = (),
        listens: Callable[[], bool] = lambda: True,
        keep: Callable[[Answer], Kept] = lambda _: NOT_KEPT,
    ) -> None:
        self.question = question
        self._loads = loads
        self._passages = passages
        self._history = tuple(history)
        self._listens = listens
        self._keep = keep
        self._heard = time.monotonic()
        self._ending = threading.Lock()  # so that an answer is either stopped or kept
        self._is_stopped = self._is_answered = False
        self._over = threading.Event()
        self._progress = Progress()
        self._thread = threading.Thread(target=self._work, name="answer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> bool:
        """At the next piece of text, without waiting for it. False when the answer was there already."""
        with self._ending:
            self._is_stopped = not self._is_answered
            return self._is_stopped

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it is over, after so many seconds at most."""
        return self._over.wait(seconds)

    @property
    def progress(self) -> Progress:
        return self._progress

    def _work(self) -> None:
        try:
            answer = self._answer()
            with self._ending:
                self._go_on()
                self._is_answered = True
            ended = replace(self._progress, ended=Ended.ANSWERED, answer=answer, text=answer.text)
            self._progress = replace(ended, kept=self._keep(answer))
        except _StoppedError:
            self._progress = replace(self._progress, ended=Ended.STOPPED)
        except RagError as error:
            self._progress = replace(self._progress, ended=Ended.FAILED, failed=str(error))
        except BaseException:
            self._progress = replace(self._progress, ended=Ended.FAILED, failed=UNEXPECTED)
            raise  # a bug keeps its traceback, on the server's side
        finally:
            self._over.set()

    def _answer(self) -> Answer:
        asker = self._loads(self._tell)
        self._go_on()
        understood = asker.understand(self.question, self._history)
        self._progress = replace(self._progress, understood=understood, told="")
        self._go_on()
        with closing(asker.stream(self.question, self._passages, self._history, understood)) as pieces:
            while True:
                try:
                    piece = next(pieces)
                except StopIteration as end:
                    answer: Answer = end.value
                    return answer
                self._progress = replace(self._progress, text=self._progress.text + piece)
                self._go_on()

    def _tell(self, told: str) -> None:
        self._progress = replace(self._progress, told=told)
        self._go_on()

    def _go_on(self) -> None:
        """Raises _StoppedError when the answer is not wanted any more."""
        now = time.monotonic()
        if self._listens():
            self._heard = now
        if self._is_stopped or now - self._heard > GRACE:
            raise _StoppedError
