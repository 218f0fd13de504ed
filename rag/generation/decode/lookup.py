"""Prompt lookup: what followed the last words where they stood before (Saxena 2023, "Prompt Lookup Decoding").

An answer that quotes its passages repeats them word for word, so what followed there is a good guess at what follows
here. The guesses are checked by the model in one step, which costs about as much as a step for one token; a guess is
kept only where the model would have said the same, so the answer is the one that it would have been anyway.
"""

from __future__ import annotations

from collections.abc import Sequence

NGRAM = 3  # tokens that must agree before a guess is made: two agree by chance too often
PATIENCE = 8  # guesses in vain that are paid for, before the next ones must have earned their keep


class Lookup:
    """Follows a growing text of token ids."""

    def __init__(self) -> None:
        self._ends: dict[tuple[int, ...], int] = {}  # n-gram → where its latest occurrence with a continuation ends
        self._read = NGRAM
        self._balance = PATIENCE

    def guess(self, text: Sequence[int], length: int) -> list[int]:
        """`length` tokens that may follow `text`, which goes on from the text of the call before; or none."""
        for end in range(self._read, len(text)):
            self._ends[tuple(text[end - NGRAM : end])] = end
        self._read = max(self._read, len(text))
        if self._balance <= 0 or len(text) < NGRAM:
            return []
        if (found := self._ends.get(tuple(text[-NGRAM:]))) is None:
            return []
        guess: list[int] = []
        while len(guess) < length:  # what goes in a circle is guessed to go on: past the text's
            place = found + len(guess)  # end, the guess follows itself
            guess.append(text[place] if place < len(text) else guess[place - len(text)])
        return guess

    def learn(self, accepted: int) -> None:
        """Of the latest guess, `accepted` tokens were right. Guessing ends when it costs more than it brings."""
        self._balance = min(PATIENCE, self._balance + accepted - 1)
