"""A conversation as a tab holds it: the questions asked, how each ended, and the one that is being answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from app.answering import Answering, Ended, Progress
from rag.answer import Asker
from rag.types import Answer, Exchange

Loads = Callable[[Callable[[str], None]], Asker]


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and how it ended: with an answer; stopped, with the text that was there; or failed, and why."""

    question: str
    ended: Ended
    answer: Answer | None = None
    text: str = ""
    asked: str = ""  # ISO 8601


@dataclass(slots=True)
class Conversation:
    """Of one tab. `answering` is the answer that is on its way, if one is; `draft` a question that is being edited,
    which will take the place of turn `replaces` and of what follows it."""

    id: str = field(default_factory=lambda: uuid4().hex)
    turns: list[Turn] = field(default_factory=list)
    answering: Answering | None = None
    replaces: int | None = None

    def ask(self, question: str, loads: Loads, passages: int, listens: Callable[[], bool]) -> None:
        """Stops what is being answered, if anything is."""
        self.stop()
        if self.replaces is not None:
            self.turns = self.turns[: self.replaces]
            self.replaces = None
        self.answering = Answering(question, loads, passages, self._history(), listens)
        self.answering.start()

    def stop(self) -> None:
        """At once, as far as this tab sees: what had been written stays."""
        if self.answering:
            self.answering.stop()
            self._take(self.answering.question, self.answering.progress)

    def settle(self, seconds: float = 0.0) -> bool:
        """Whether nothing is being answered any more, after so many seconds at most."""
        if self.answering and self.answering.wait(seconds):
            self._take(self.answering.question, self.answering.progress)
        return self.answering is None

    def _take(self, question: str, progress: Progress) -> None:
        self.answering = None
        ended = progress.ended or Ended.STOPPED
        text = progress.failed or progress.text
        asked = datetime.now(UTC).isoformat(timespec="seconds")
        self.turns.append(Turn(question, ended, progress.answer, text, asked))

    def _history(self) -> list[Exchange]:
        return [Exchange(turn.answer.understood, turn.answer.text) for turn in self.turns if turn.answer]
