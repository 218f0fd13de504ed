"""The best hits read by a trained reader, question and passage together, and put into a new order.

A hit's new score is a weighted sum over what found it and what the reader makes of it. How much the reader counts
depends on what the passage looks like: it has learned from prose, and a table of figures is something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rag.retrieval.rerank import prose
from rag.types import Hit, Reader, Retriever

if TYPE_CHECKING:
    from rag.types import Vectors

DEPTH = 20  # hits read: each costs a pass of the reader

# A table takes part with what found it alone: the reader's word on tables, as features of their own, cost FinanceBench
# a page of 47 at 5, whichever half they were fitted on.
FEATURES = (
    "found",  # the score that the hit was found with
    "prose",  # its share of running text, 0 for a table of figures
    "relevance",  # the reader's, less the mean over the hits, times that share
    "answers",  # log odds that the passage answers, at most a few either way, times that share
    "likely",  # log probability of the words that do, times that share
)
FURTHEST = 6.0  # log odds: beyond it the reader is merely sure


class ReaderRanking:
    """A Retriever that reorders the first `depth` hits of another by what a reader makes of them, and tells it."""

    def __init__(self, inner: Retriever, reader: Reader, ranking: Mapping[str, float], depth: int = DEPTH) -> None:
        self._inner = inner
        self._reader = reader
        self._ranking = ranking
        self.depth = depth

    def retrieve(self, question: str, k: int) -> list[Hit]:
        hits = self._inner.retrieve(question, max(k, self.depth))
        read, rest = self.read(question, hits[: self.depth]), hits[self.depth :]
        if not read:
            return []
        scores = features(read) @ weights(self._ranking)
        scored = [replace(hit, score=float(score)) for hit, score in zip(read, scores, strict=True)]
        scored.sort(key=lambda hit: -hit.score)  # stable: equal scores stay in the order in which they were found
        floor = scored[-1].score
        return [*scored, *(replace(hit, score=floor) for hit in rest)][:k]

    def read(self, question: str, hits: Sequence[Hit]) -> list[Hit]:
        """The same hits with what the reader makes of them, in their order."""
        extracts = self._reader.read(question, [hit.passage for hit in hits])
        return [replace(hit, extract=extract) for hit, extract in zip(hits, extracts, strict=True)]


def features(hits: Sequence[Hit]) -> Vectors:
    """One row per hit, columns as in FEATURES. All of the hits have been read."""
    import numpy as np

    extracts = [hit.extract for hit in hits if hit.extract]
    if len(extracts) != len(hits):
        raise ValueError("features of hits that were not read")
    mean = float(np.mean([extract.relevance for extract in extracts]))
    rows = []
    for hit, extract in zip(hits, extracts, strict=True):
        said = [
            extract.relevance - mean,
            float(np.clip(extract.answers, -FURTHEST, FURTHEST)),
            max(extract.likely, -2 * FURTHEST),
        ]
        running = prose(hit.passage.text)
        rows.append([hit.score, running, *(running * value for value in said)])
    return np.asarray(rows, dtype=np.float32)


def weights(by_name: Mapping[str, float]) -> Vectors:
    """As a column in the order of FEATURES; 0 for those without a weight."""
    import numpy as np

    return np.asarray([by_name.get(name, 0.0) for name in FEATURES], dtype=np.float32)
