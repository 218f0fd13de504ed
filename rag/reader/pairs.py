"""What the network sees of a lesson: the question with a passage that answers it, and with one that does not."""

from __future__ import annotations

import random
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.encoder.checkpoint import Checkpoint
from rag.encoder.tokens import load_tokenizer
from rag.errors import ModelError
from rag.reader.lessons import Lesson
from rag.reader.swaps import unanswerable

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

QUESTION_TOKENS = 64
SHORTEST, LONGEST = 96, 224  # tokens of a passage: drawn anew each time, so that no length means anything
ELSEWHERE = 0.6  # of the negatives are other passages; the rest is the same passage, without an answer

_SENTENCE = re.compile(r"[^.!?\n]*(?:[.!?]+[\"')\]]*|\n|$)\s*")


@dataclass(frozen=True, slots=True)
class Row:
    """One row for the network. `kinds` is 0 for the question and 1 for the passage. `span` are the answer's first and
    last token by their places in the row, None without an answer. The passage's own words begin at `text_start`."""

    ids: list[int]
    kinds: list[int]
    span: tuple[int, int] | None
    text_start: int


@dataclass(frozen=True, slots=True)
class Pair:
    """A row that answers its question and one that does not. `elsewhere` is True when the latter is the same question
    with another passage, so that the former is the more relevant one."""

    answering: Row | None
    lacking: Row
    elsewhere: bool


class Pairs:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._cls, self._sep = (_special(tokenizer, token) for token in ("[CLS]", "[SEP]"))

    @classmethod
    def of(cls, encoder: Checkpoint) -> Pairs:
        """Tokenized as the encoder does it."""
        return cls(load_tokenizer(encoder))

    def draw(self, lessons: Sequence[Lesson], negatives: Sequence[Sequence[str]], seed: int) -> Iterator[Pair]:
        """A Pair for each lesson in turn, the same for the same seed. Of a lesson that has no answer there is only the
        row that lacks it; a lesson for which no such row can be made is left out."""
        for place, lesson in enumerate(lessons):
            draw = random.Random(f"{seed}/{place}/{lesson.question}")  # noqa: S311 - no secret
            length = draw.randint(SHORTEST, LONGEST)
            title = lesson.title if draw.random() < 0.5 else ""
            if not lesson.spans:
                yield Pair(None, self.row(lesson.question, title, lesson.context, None, length, draw), False)
            elif lack := _lack(lesson, negatives[place], draw):
                question, context, elsewhere = lack
                answering = self.row(lesson.question, title, lesson.context, draw.choice(lesson.spans), length, draw)
                yield Pair(answering, self.row(question, title, context, None, length, draw), elsewhere)

    def row(
        self, question: str, title: str, context: str, span: tuple[int, int] | None, length: int, draw: random.Random
    ) -> Row:
        """The passage is cut to `length` tokens around the span."""
        asked, above, text = (self._encoded(part) for part in (question, title, context))
        answer = _tokens(text, span) if span else None
        start = _start(text, context, answer, length, draw)
        head = [self._cls, *asked.ids[:QUESTION_TOKENS], self._sep]
        body = [*above.ids, *text.ids[start : start + length], self._sep]
        text_start = len(head) + len(above.ids)
        moved = (answer[0] - start + text_start, answer[1] - start + text_start) if answer else None
        return Row(head + body, [0] * len(head) + [1] * len(body), moved, text_start)

    def _encoded(self, text: str) -> Encoding:
        return self._tokenizer.encode(text, add_special_tokens=False)


def _special(tokenizer: Tokenizer, token: str) -> int:
    number = tokenizer.token_to_id(token)
    if number is None:
        raise ModelError(f"The encoder's vocabulary has no {token}: a reader is trained on a BERT.")
    return number


def _lack(lesson: Lesson, elsewhere: Sequence[str], draw: random.Random) -> tuple[str, str, bool] | None:
    """A question, a passage that does not answer it, and whether that is another passage than the lesson's."""
    if elsewhere and draw.random() < ELSEWHERE:
        ranks = range(len(elsewhere))
        rank = draw.choices(ranks, [1 / (rank + 3) for rank in ranks])[0]
        return lesson.question, elsewhere[rank], True
    answers = [lesson.context[start:end] for start, end in lesson.spans]
    swapped = unanswerable(lesson.question, lesson.context, answers, draw)
    without = _without(lesson.context, lesson.spans)
    if swapped and (draw.random() < 0.6 or not without):
        return swapped, lesson.context, False
    if without:
        return lesson.question, without, False
    return (lesson.question, elsewhere[0], True) if elsewhere else None


def _without(context: str, spans: Sequence[tuple[int, int]]) -> str | None:
    """The context without the sentences of its answers; None when too little is left, or it answers elsewhere too."""
    kept = [
        match.group()
        for match in _SENTENCE.finditer(context)
        if not any(start < match.end() and match.start() < end for start, end in spans)
    ]
    rest = "".join(kept).strip()
    answers = {context[start:end].casefold() for start, end in spans}
    enough = len(rest) >= 200 and len(rest) >= len(context) / 3
    return rest if enough and not any(answer in rest.casefold() for answer in answers) else None


def _tokens(text: Encoding, span: tuple[int, int]) -> tuple[int, int]:
    """The first and the last token that touch the characters of the span."""
    first = bisect_right([end for _, end in text.offsets], span[0])
    last = bisect_left([start for start, _ in text.offsets], span[1]) - 1
    return first, max(first, last)


def _start(text: Encoding, context: str, answer: tuple[int, int] | None, length: int, draw: random.Random) -> int:
    """Where to cut: at a sentence's beginning if one is in reach, with the answer, or its beginning, inside."""
    room = len(text.ids) - length
    if room <= 0:
        return 0
    lowest, highest = 0, room
    if answer:
        highest = min(answer[0], room)
        lowest = min(max(0, answer[1] + 1 - length), highest)
    opening = [
        place
        for place in range(lowest, highest + 1)
        if place == 0 or context[: text.offsets[place][0]].rstrip()[-1:] in (".", "!", "?")
    ]
    return draw.choice(opening) if opening else draw.randint(lowest, highest)
