"""Dense and keyword search, fused.

A hit's score is its cosine, plus its share of the best BM25 score, plus a bonus when the question names its document.
A convex combination of scores beats reciprocal rank fusion where one of the two is clearly better on a question
(Bruch et al., arXiv 2210.11934), and the bonus is soft: it moves documents up and hides none. The weights were
chosen on the practice sets, where a wide range around them does as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rag.retrieval.query import Names, keywords
from rag.types import Embedder, Hit, Index, Passage

KEYWORD_WEIGHT = 0.3
NAME_WEIGHT = 0.25
DEPTH = 200  # hits taken from each list: what neither list has that far down is not missed
NAMED = 0.5  # of the best affinity: documents above it are also searched by themselves
MOST_NAMED = 32


class Hybrid:
    """A Retriever over an index."""

    def __init__(self, index: Index, embedder: Embedder) -> None:
        self._index = index
        self._embedder = embedder
        self._names = Names(index.cards())
        self._documents = {card.name: card.id for card in index.cards()}

    def retrieve(self, question: str, k: int) -> list[Hit]:
        vector = self._embedder.embed_questions([question])[0]
        words = keywords(question)
        affinity = self._names.affinity(question)
        depth = max(DEPTH, k)
        scopes: list[Sequence[int] | None] = [None]
        if named := _named(affinity):
            scopes.append(named)
        dense = _scores(hit for scope in scopes for hit in self._index.dense(vector, depth, scope))
        keyword = _scores(hit for scope in scopes for hit in self._index.keyword(words, depth, scope))
        best = max(keyword.values(), default=0.0) or 1.0
        # A passage that one list lacks scored no better there than the last that the list has.
        unseen = min(dense.values(), default=0.0)
        hits = []
        for passage in dense.keys() | keyword.keys():
            score = dense.get(passage, unseen) + KEYWORD_WEIGHT * keyword.get(passage, 0.0) / best
            score += NAME_WEIGHT * affinity.get(self._documents.get(passage.document, -1), 0.0)
            hits.append(Hit(passage, score))
        # Equal scores are told apart by place, so that the same question gives the same order every time.
        hits.sort(key=lambda hit: (-hit.score, hit.passage.document, hit.passage.start))
        return hits[:k]


def _named(affinity: dict[int, float]) -> list[int]:
    best = max(affinity.values(), default=0.0)
    likely = sorted((id_ for id_, score in affinity.items() if score >= NAMED * best), key=lambda id_: -affinity[id_])
    return likely[:MOST_NAMED]


def _scores(hits: Iterable[Hit]) -> dict[Passage, float]:
    return {hit.passage: hit.score for hit in hits}
