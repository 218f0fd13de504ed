"""Dense and keyword search, fused.

A hit's score is its cosine, plus its share of the best BM25 score, plus a bonus when the question names its document,
plus what speaks for the part of a filing that the question asks for, plus something of a better neighbour. A convex
combination of scores beats reciprocal rank fusion where one of the two is clearly better on a question (Bruch et al.,
arXiv 2210.11934), and every bonus is soft: it moves passages up and hides none. The weights were chosen on the practice
sets, where a wide range around them does as well; tests/benchmarks/ablation.py measures what each part gains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from rag.retrieval.filings import Section, asked_sections
from rag.retrieval.query import Names, keywords
from rag.types import Embedder, Hit, Index, Passage

DEPTH = 200  # hits taken from each list: what neither list has that far down is not missed
NAMED = 0.5  # of the best affinity: documents above it are also searched by themselves
MOST_NAMED = 32
AMONG_NAMED = 64  # hits taken from those: they are few, and three times as many were measured to find no more
GAP = 40  # characters between passages that stand beside each other: blank lines


@dataclass(frozen=True, slots=True)
class Weights:
    """What each part counts in a score; 0 leaves it out.

    `keyword`: the share of the best BM25 score. `name`: how surely the question names the document. `likeness`: the
    cosine to the part of a filing that is asked for, as it may read there. `title`: standing under that part's title.
    `neighbour`: the share of its lead that a better passage right before or behind gives.
    """

    keyword: float = 0.3
    name: float = 0.25
    likeness: float = 0.5
    title: float = 0.2
    neighbour: float = 0.3


DEFAULT = Weights()


@dataclass(frozen=True, slots=True)
class Parts:
    """What fusion has before it for a question: each list best first, `sections` and `likeness` (cosines to them) empty
    where no part of a filing is asked for, and `affinity` by document id."""

    dense: list[Hit]
    keyword: list[Hit]
    likeness: list[Hit]
    sections: tuple[Section, ...]
    affinity: Mapping[int, float]


class Hybrid:
    """A Retriever over an index."""

    def __init__(self, index: Index, embedder: Embedder, weights: Weights = DEFAULT) -> None:
        self._index = index
        self._embedder = embedder
        self._weights = weights
        self._names = Names(index.cards(), index.openings)
        self._documents = {card.name: card.id for card in index.cards()}

    def retrieve(self, question: str, k: int) -> list[Hit]:
        return self.fuse(self.parts(question, max(DEPTH, k)))[:k]

    def parts(self, question: str, depth: int = DEPTH) -> Parts:
        """Up to `depth` hits of each search, and some more from the documents that the question names."""
        weights = self._weights
        sections = asked_sections(question) if weights.likeness or weights.title else {}
        vector, *alike = self._embedder.embed_questions([question, *sections.values()])
        affinity = self._names.affinity(question)
        named = _named(affinity)
        dense = _widened(partial(self._index.dense, vector), depth, named)
        keyword = _widened(partial(self._index.keyword, keywords(question)), depth, named)
        likeness = _best(hit for each in alike for hit in self._index.dense(each, depth, named or None))
        present = tuple(section for section in sections if any(section.holds(hit.passage) for hit in likeness))
        # In documents without statements, what reads like one is no better for it.
        return Parts(dense, keyword, likeness if present else [], present, affinity)

    def fuse(self, parts: Parts) -> list[Hit]:
        """All hits of the parts, best first."""
        weights = self._weights
        dense, keyword, likeness = (_scores(hits) for hits in (parts.dense, parts.keyword, parts.likeness))
        best = max(keyword.values(), default=0.0) or 1.0
        # A passage that one list lacks scored no better there than the last that the list has. BM25 can be anything
        # down to nothing, unless the list ended because no further passage shares a word with the question.
        unseen = min(dense.values(), default=0.0)
        unlike = min(likeness.values(), default=0.0)
        unshared = min(keyword.values()) / 2 if len(keyword) >= DEPTH else 0.0
        scores = {}
        for passage in dense.keys() | keyword.keys() | likeness.keys():
            score = dense.get(passage, unseen) + weights.keyword * keyword.get(passage, unshared) / best
            score += weights.name * parts.affinity.get(self._documents.get(passage.document, -1), 0.0)
            score += weights.likeness * likeness.get(passage, unlike)
            score += weights.title * any(section.holds(passage) for section in parts.sections)
            scores[passage] = score
        hits = [Hit(passage, score) for passage, score in _beside(scores, weights.neighbour).items()]
        # Equal scores are told apart by place, so that the same question gives the same order every time.
        hits.sort(key=lambda hit: (-hit.score, hit.passage.document, hit.passage.start))
        return hits


def _beside(scores: Mapping[Passage, float], share: float) -> Mapping[Passage, float]:
    """Scores in which a passage has gained a `share` of the lead of the better one right before or behind it: an
    answer often stands across their border, or where a name has become "he"."""
    if not share:
        return scores
    raised = dict(scores)
    ordered = sorted(scores, key=lambda passage: (passage.document, passage.uri, passage.start))
    for before, behind in pairwise(ordered):
        if before.document == behind.document and behind.start - before.end < GAP:
            low, high = sorted((before, behind), key=lambda passage: scores[passage])
            raised[low] = max(raised[low], scores[low] + share * (scores[high] - scores[low]))
    return raised


def _named(affinity: Mapping[int, float]) -> list[int]:
    best = max(affinity.values(), default=0.0)
    likely = sorted((id_ for id_, score in affinity.items() if score >= NAMED * best), key=lambda id_: -affinity[id_])
    return likely[:MOST_NAMED]


def _widened(search: Callable[..., list[Hit]], depth: int, named: Sequence[int]) -> list[Hit]:
    """What a search finds, and what it finds among the named documents, unless it has come to its end before."""
    hits = search(depth)
    return _best([*hits, *search(depth * AMONG_NAMED // DEPTH, named)]) if named and len(hits) >= depth else hits


def _best(hits: Iterable[Hit]) -> list[Hit]:
    """Each passage once, with the best of its scores, best first."""
    best: dict[Passage, Hit] = {}
    for hit in hits:
        if hit.passage not in best or hit.score > best[hit.passage].score:
            best[hit.passage] = hit
    return sorted(best.values(), key=lambda hit: (-hit.score, hit.passage.document, hit.passage.start))


def _scores(hits: Iterable[Hit]) -> dict[Passage, float]:
    return {hit.passage: hit.score for hit in hits}
