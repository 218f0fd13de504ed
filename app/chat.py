"""A conversation as a tab holds it: the questions asked, how each ended, and the one that is being answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from app.answering import NOT_KEPT, Answering, Ended, Kept, Loads
from rag.errors import RagError, UsageError
from rag.history.store import History, Verdict
from rag.types import Answer, Exchange


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and how it ended: with an answer; stopped, with the text that was there; or failed, and why. `number`
    names an answer within its conversation, from 1, and `kept` says where it is on disk, or why it is not."""

    question: str
    ended: Ended
    answer: Answer | None = None
    text: str = ""
    number: int = 0
    kept: Kept = NOT_KEPT
    verdict: Verdict | None = None


@dataclass(slots=True)
class Chat:
    """Of one tab. `id` is empty until something of it is kept. `replaces` is the place of the turn that the next
    question takes, with all that follows it: one that is being edited, or asked again."""

    collection: str = ""
    id: str = ""
    turns: list[Turn] = field(default_factory=list)
    answering: Answering | None = None
    replaces: int | None = None
    is_unfolded: bool = False  # whether all turns are shown, however many

    def unfold(self) -> None:
        self.is_unfolded = True

    def ask(
        self, question: str, loads: Loads, passages: int, keeper: Keeper, listens: Callable[[], bool] = lambda: True
    ) -> None:
        """Stops what is being answered, if anything is."""
        self.stop()
        at = None
        if self.replaces is not None:
            at = next((turn.number for turn in self.turns[self.replaces :] if turn.kept.number), None)
            self.turns = self.turns[: self.replaces]
            self.replaces = None
        history = [Exchange(turn.answer.understood, turn.answer.text) for turn in self.turns if turn.answer]
        keep = keeper.keeps(self.collection, self.id, at)
        self.answering = Answering(question, loads, passages, history, listens, keep)
        self.answering.start()

    def stop(self) -> None:
        """What had been written stays; an answer that was there already is taken as one."""
        if self.answering and not self.answering.stop():
            self.settle(None)
        elif self.answering:
            self._add(Turn(self.answering.question, Ended.STOPPED, text=self.answering.progress.text))

    def settle(self, seconds: float | None = 0.0) -> bool:
        """Whether nothing is being answered any more, after so many seconds at most."""
        if self.answering and self.answering.wait(seconds):
            progress = self.answering.progress
            ended, text, kept = progress.ended or Ended.STOPPED, progress.failed or progress.text, progress.kept
            number = kept.number or self.last + 1 if progress.answer else 0
            self.id = kept.conversation or self.id
            self._add(Turn(self.answering.question, ended, progress.answer, text, number, kept))
        return self.answering is None

    @property
    def last(self) -> int:
        """The number of the last answer, 0 where there is none."""
        return max((turn.number for turn in self.turns), default=0)

    def answered(self, number: int) -> Answer | None:
        """The answer of this number, if there is one."""
        return next((turn.answer for turn in reversed(self.turns) if number and turn.number == number), None)

    def judge(self, keeper: Keeper, judged: Turn, verdict: Verdict | None) -> None:
        """Keeps a verdict with its answer. Raises RagError."""
        keeper.history.judge(keeper.owner, judged.kept.conversation, judged.kept.number, verdict)
        self.turns = [replace(turn, verdict=verdict) if turn is judged else turn for turn in self.turns]

    def _add(self, turn: Turn) -> None:
        self.answering = None
        self.turns.append(turn)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps one person's conversations on disk, and finds them there."""

    history: History
    owner: str

    def keeps(self, collection: str, id_: str, at: int | None) -> Callable[[Answer], Kept]:
        """What keeps an answer in a conversation, or in a new one where it has none: also when it was deleted
        meanwhile. Never raises: an answer that cannot be kept can still be read."""

        def keep(answer: Answer) -> Kept:
            try:
                return self._add(collection, id_, answer, at)
            except RagError as error:
                return Kept(failed=str(error))

        return keep

    def _add(self, collection: str, id_: str, answer: Answer, at: int | None) -> Kept:
        if id_:
            try:
                return Kept(id_, self.history.add(self.owner, id_, answer, at).number)
            except UsageError:  # deleted meanwhile
                pass
        return Kept(self.history.begin(self.owner, collection, answer).id, 1)

    def found(self, id_: str) -> Chat:
        """Raises RagError: UsageError for one that this person does not have."""
        about = self.history.conversation(self.owner, id_)
        turns = [_turn(id_, kept.number, kept.answer, kept.verdict) for kept in self.history.turns(self.owner, id_)]
        return Chat(about.collection, id_, turns)


def _turn(id_: str, number: int, answer: Answer, verdict: Verdict | None) -> Turn:
    return Turn(answer.question, Ended.ANSWERED, answer, answer.text, number, Kept(id_, number), verdict)
