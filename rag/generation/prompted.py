"""A chat model as a Writer: the prompt goes in, the text comes out, a refusal becomes an empty text.

A prompt that a GPU has no room for is tried again with half the passages, down to one, then with a shorter answer,
whose cache is smaller. What was left out is said. Where nothing that was found bears on the question, the model is not
asked: it would only invent, and take its time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from rag.errors import OutOfMemoryError
from rag.generation.prompt import REFUSAL, fit, messages, recall
from rag.generation.sentences import MARKER
from rag.types import Exchange, Generator, Hit, Writing, Written

RESERVE = 512  # tokens of the window that are kept for the answer
SHORT = 128  # tokens of an answer that is better than none

# Of `bearing`: below it the model is not asked. On the half of the practice SQuAD that nothing was fitted on, this
# refuses 2 of 663 answerable questions whose paragraph was found, and of those whose answer is not there: 0.29 with
# their whole article withheld, 0.05 with their paragraph withheld, 0.01 of SQuAD's own. The rest is the model's to say:
# it stays low because rows of tables score lower than the prose that it was fitted on.
LEAST_BEARING = 0.015

Bearing = Callable[[str, Sequence[Hit]], float | None]  # how probable it is that hits answer a question, if known


class PromptedWriter:
    """`bearing` decides, before the model is asked, whether anything found has to do with the question."""

    def __init__(self, generator: Generator, reserve: int = RESERVE, bearing: Bearing | None = None) -> None:
        self._generator = generator
        self._reserve = reserve
        self._bearing = bearing

    @property
    def name(self) -> str:
        return self._generator.name

    def recall(self, question: str, history: Sequence[Exchange]) -> list[Exchange]:
        return recall(question, history, self._generator, self._reserve)

    def fit(self, question: str, hits: Sequence[Hit], history: Sequence[Exchange] = ()) -> list[Hit]:
        """Raises UsageError when the question alone does not fit the model's window."""
        return fit(question, hits, self._generator, self._reserve, history)

    def write(self, question: str, hits: Sequence[Hit], history: Sequence[Exchange] = ()) -> Writing:
        """Raises OutOfMemoryError when not even one passage and a short answer have room, or when room ran out in the
        middle of an answer."""
        confidence = self._bearing(question, hits) if self._bearing else None
        if confidence is not None and confidence < LEAST_BEARING:
            return Written(confidence)
        used, reserve = len(hits), self._reserve
        while True:
            turns = messages(question, [hit.passage for hit in hits[:used]], history)
            shown = False
            try:
                for piece in without_refusal(self._generator.stream(turns, reserve)):
                    shown = True
                    yield piece
                notes = tuple(self._left_out(used, len(hits), reserve))
                return Written(confidence, used=used, notes=notes, prompt=tuple(turns))
            except OutOfMemoryError:
                if shown or (used <= 1 and reserve <= SHORT):
                    raise
            used, reserve = (used // 2, reserve) if used > 1 else (used, min(reserve, SHORT))

    def _left_out(self, used: int, offered: int, reserve: int) -> Iterator[str]:
        if used < offered:
            yield f"Not enough GPU memory: answered with {used} of {offered} passages."
        if reserve < self._reserve:
            yield f"Not enough GPU memory: the answer was limited to {reserve} tokens."


def without_refusal(pieces: Iterator[str]) -> Iterator[str]:
    """The same text, or nothing at all when it is only the sentence that says that the documents do not say.

    The beginning is held back for as long as it may still become that sentence.
    """
    held = ""
    for piece in pieces:
        held += piece
        if not _may_refuse(held):
            yield held
            yield from pieces
            return
    if not _refuses(held):
        yield held


def _letters(text: str) -> str:
    return " ".join(re.findall(r"\w+", MARKER.sub(" ", text).casefold()))


_REFUSAL_LETTERS = _letters(REFUSAL)


def _may_refuse(text: str) -> bool:
    """Whether nothing speaks against a refusal yet: one sentence that begins, or may go on to begin, like it."""
    letters = _letters(text)
    return _REFUSAL_LETTERS.startswith(letters) or _refuses(text)


def _refuses(text: str) -> bool:
    """ "The documents do not say what it costs. [1]" is a refusal, a further sentence behind it is an answer."""
    one_sentence = not re.search(r"[.!?]\s+\w", MARKER.sub(" ", text).strip())
    return one_sentence and _letters(text).startswith(_REFUSAL_LETTERS)
