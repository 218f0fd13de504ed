"""Late interaction: the best hits read once more, token by token, by the encoder that found them.

Each token of the question looks for its nearest token in the passage (ColBERT's MaxSim, arXiv 2004.12832), and the
cosines are averaged, rare tokens counting more. No training and no further model: the vectors are the encoder's own
last layer. Tables are not read and stay where fusion put them: among figures, the words that match best are the least
telling.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from rag.types import Hit, Retriever, Scorer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rag.types import Vectors

DEPTH = 16  # hits among which what is no table is read again: each costs an encoder pass
FIGURES = 0.125  # the share of numbers among its words from which on a passage counts as a table

_NUMBER = re.compile(r"(?<!\w)[($]*\d[\d,.]*%?")


class TokenEncoder(Protocol):
    """Vectors of a text's tokens, float32 of shape (tokens, d) and unit length, and the tokens' ids."""

    def embed_tokens(self, texts: Sequence[str]) -> list[Vectors]: ...

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]: ...


class Rescored:
    """A Retriever that puts the first `depth` hits of another into the order of a Scorer."""

    def __init__(self, inner: Retriever, scorer: Scorer, depth: int = DEPTH) -> None:
        self._inner = inner
        self._scorer = scorer
        self.depth = depth

    def retrieve(self, question: str, k: int) -> list[Hit]:
        hits = self._inner.retrieve(question, max(k, self.depth))
        read, rest = hits[: self.depth], hits[self.depth :]
        scores = self._scorer.score(question, [hit.passage.headed for hit in read]) if read else []
        scored = [Hit(hit.passage, float(score)) for hit, score in zip(read, scores, strict=True)]
        scored.sort(key=lambda hit: -hit.score)
        return [*scored, *(Hit(hit.passage, min(hit.score, scored[-1].score)) for hit in rest)][:k]


class LateInteraction:
    """A Retriever that reorders the first `depth` hits of another."""

    def __init__(self, inner: Retriever, encoder: TokenEncoder, depth: int = DEPTH) -> None:
        self._inner = inner
        self._encoder = encoder
        self.depth = depth

    def retrieve(self, question: str, k: int) -> list[Hit]:
        hits = self._inner.retrieve(question, max(k, self.depth))
        read, rest = hits[: self.depth], hits[self.depth :]
        shares = {hit.passage: share for hit in read if (share := prose(hit.passage.text))}
        if len(shares) < 2:
            return hits[:k]
        similarity = self._similarity(question, [passage.headed for passage in shares])
        # Only differences count, so that a passage that is not judged stays where it was.
        gains = dict(zip(shares, (similarity - similarity.mean()) * list(shares.values()), strict=True))
        scored = [Hit(hit.passage, hit.score + float(gains.get(hit.passage, 0.0))) for hit in read]
        scored.sort(key=lambda hit: -hit.score)
        floor = scored[-1].score
        return [*scored, *(Hit(hit.passage, min(hit.score, floor)) for hit in rest)][:k]

    def _similarity(self, question: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """One figure per text: the weighted mean, over the question's tokens, of the best cosine in the text."""
        import numpy as np

        asked, *tokens = self._encoder.token_ids([question, *texts])
        vectors, *read = self._encoder.embed_tokens([question, *texts])
        weights = rarity(asked, tokens)[: len(vectors)]
        weights /= weights.sum()
        return np.asarray([weights @ (vectors @ text.T).max(axis=1) for text in read], dtype=np.float32)


def rarity(asked: Sequence[int], texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """How telling each token of the question is among these texts: its idf, never below one half."""
    import numpy as np

    frequency = Counter(token for text in texts for token in set(text))
    idf = [math.log((len(texts) + 1) / (frequency[token] + 0.5)) for token in asked]
    return np.asarray([max(value, 0.0) + 0.5 for value in idf], dtype=np.float32)


def prose(text: str) -> float:
    """1 for running text, 0 for a table of figures, in between by the share of numbers."""
    numbers = len(_NUMBER.findall(text))
    return max(0.0, 1.0 - numbers / max(1, len(text.split())) / FIGURES)
