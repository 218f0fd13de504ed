"""What a chat model learns from: the prompt that it will get, over a few passages, and the answer that it should write.

The prompt is the writer's own. The answer is quoted with its marker; where no passage answers, it is the refusal.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.generation.prompt import REFUSAL, messages, neutral
from rag.generation.turns import Turns
from rag.types import Passage

OTHERS = 2  # passages beside the right one, at most
REFUSED = 0.2  # of the questions are asked without the right passage, so that refusing is not forgotten


@dataclass(frozen=True, slots=True)
class Exercise:
    """A question and a passage with its answers, word for word; none means that it does not answer the question. Nor do
    the `others`, though they seem to, the first ones most."""

    question: str
    passage: Passage
    answers: tuple[str, ...]
    others: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids of a prompt, and of the answer to it with its end token."""

    prompt: list[int]
    answer: list[int]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


class Rows:
    """Exercises as a model sees them. `window` is in tokens."""

    def __init__(self, turns: Turns, window: int) -> None:
        self._turns, self._window = turns, window

    def fits(self, exercise: Exercise) -> bool:
        """Whether there is room for its own passage, whichever of its answers is drawn."""
        texts = [_quoted(answer, 1) for answer in exercise.answers] or [REFUSAL]
        return all(len(self._row(exercise, [exercise.passage], text)) <= self._window for text in texts)

    def draw(self, exercise: Exercise, seed: str) -> Row:
        """The same for the same seed. Passages for which there is no room are dropped, never the one that answers."""
        draw = random.Random(seed)  # noqa: S311 - no secret
        answer = draw.choice(exercise.answers) if exercise.answers else None
        for passages in _shown(exercise, draw):
            shuffled = draw.sample(passages, len(passages))
            here = answer is not None and exercise.passage in shuffled
            text = _quoted(answer or "", shuffled.index(exercise.passage) + 1) if here else REFUSAL
            row = self._row(exercise, shuffled, text)
            if len(row) <= self._window:
                break
        return row

    def _row(self, exercise: Exercise, passages: Sequence[Passage], text: str) -> Row:
        turns = messages(exercise.question, passages)
        return Row(self._turns.prompt(turns), self._turns.answer(turns, text))


def _shown(exercise: Exercise, draw: random.Random) -> Iterator[list[Passage]]:
    """The passages to ask about; then, for want of room, ever fewer of them, down to the exercise's own."""
    left = list(exercise.others)
    near: list[Passage] = []
    for _ in range(min(draw.randint(1, OTHERS), len(left))):
        [rank] = draw.choices(range(len(left)), [1 / (rank + 3) for rank in range(len(left))])
        near.append(left.pop(rank))
    is_absent = bool(exercise.answers and near) and draw.random() < REFUSED
    own = [] if is_absent else [exercise.passage]
    for count in range(len(near), 0, -1):
        yield own + near[:count]
    yield [exercise.passage]


def _quoted(answer: str, number: int) -> str:
    """As it stands in the prompt, where the passage was made harmless."""
    return f"{' '.join(neutral(answer).split())} [{number}]."
