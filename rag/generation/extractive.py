"""An answer without a language model: the sentences of the best passages that answer the question, word for word.

Each is quoted on a line of its own with its marker. Quotations differ from their passage in white space alone, and
in bracketed numbers of the document's own, which become (12); a table row stands behind its table's head and " … ".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

from rag.generation.evidence import FEATURES, Candidate, candidates, features, shortlist
from rag.generation.spans import shortest
from rag.types import Embedder, Exchange, Hit, Origin, Span, Writing, Written

if TYPE_CHECKING:
    from rag.types import Vectors

PASSAGES = 8  # read at most: more cost time and add little
EMBEDDED = 48  # sentences at most; of more than that, those that share most words with the question
SENTENCES = 2  # quoted at most
FITTED_FOR = "all-MiniLM-L6-v2"  # whose cosines every threshold on them was chosen for


@dataclass(frozen=True, slots=True)
class Judgement:
    """Weights by the names of FEATURES. Their sum over `ranking` is a sentence's evidence: the log odds between those
    of one question. The best one's evidence times "evidence" (1 where nothing is said), the sum over `decision` and its
    "bias" are the log odds that it answers. Below the probability `threshold` nothing is quoted; a second sentence is
    when its odds are at least the share `second` of the first one's."""

    ranking: Mapping[str, float]
    decision: Mapping[str, float]
    threshold: float
    second: float = 0.4


# For passages that no reader has read. Fitted for all-MiniLM-L6-v2's cosines on half of the practice SQuAD by
# tests/benchmarks/fit_extractive.py; "other row" alone is set by hand, for there are no tables in SQuAD. On the other
# half, over 8 passages retrieved from the whole corpus: a gold answer stands in the best sentence for 0.69 of the
# answerable questions, in the best two for 0.80; as written, refusals included, in 1.6 sentences for 0.75. Area under
# the ROC curve of abstention: 0.65 against SQuAD's unanswerable questions, 0.81 with the paragraph that answers
# withheld, 0.95 with its whole article withheld. 0.09 of the answerable questions are refused.
ALONE = Judgement(
    ranking={
        "similarity": 2.04,
        "passage": 1.63,
        "words": 1.07,
        "before": 1.04,
        "around": 0.76,
        "names": 0.43,
        "there": 0.26,
        "missing": -0.32,
        "rank": 0.45,
        "other row": -1.5,
    },
    decision={"named": 0.80, "numbered": 1.09, "bias": -7.37},
    threshold=0.10,
)
_BY_COSINE = {"similarity", "passage"}  # features that cost an embedding of every sentence


@dataclass(frozen=True, slots=True)
class Scored:
    """`evidence` ranks sentences of one question, in log odds; `probability` is that the best one answers it."""

    candidate: Candidate
    evidence: float
    probability: float


class ExtractiveWriter:
    def __init__(self, embedder: Embedder, judgement: Judgement = ALONE) -> None:
        self._embedder = embedder
        self._judgement = judgement

    @property
    def name(self) -> str:
        return "extractive"

    def recall(self, question: str, history: Sequence[Exchange]) -> list[Exchange]:
        """All of it: a question that stands alone is quoted for without it, so none is left out."""
        return list(history)

    def fit(self, question: str, hits: Sequence[Hit], history: Sequence[Exchange] = ()) -> list[Hit]:
        return list(hits[:PASSAGES])

    def write(self, question: str, hits: Sequence[Hit], history: Sequence[Exchange] = ()) -> Writing:
        scored = self.score(question, hits)
        chosen = self._chosen(scored, hits)
        for index, candidate in enumerate(chosen):
            yield f"{chr(10) if index else ''}{candidate.quote} [{candidate.passage + 1}]"
        spans = tuple(_span(question, candidate, hits) for candidate in chosen)
        return Written(scored[0].probability if scored else 0.0, spans, verbatim=True)

    def score(self, question: str, hits: Sequence[Hit]) -> list[Scored]:
        """Every sentence that could be quoted, best evidence first."""
        import numpy as np

        found = candidates([hit.passage for hit in hits])
        if not found:
            return []
        ranking, decision = self._judgement.ranking, self._judgement.decision
        similarity = self._similarity(question, found) if _BY_COSINE & ranking.keys() else [0.0] * len(found)
        columns = features(question, found, hits, similarity)
        evidence = columns @ weights(ranking)
        odds = decision.get("evidence", 1.0) * evidence + columns @ weights(decision) + decision.get("bias", 0.0)
        probability = 1 / (1 + np.exp(-odds))
        order = np.argsort(-evidence, kind="stable")
        return [Scored(found[i], float(evidence[i]), float(probability[i])) for i in order]

    def confidence(self, question: str, hits: Sequence[Hit]) -> float | None:
        """How probable it is that the best sentence answers the question; None where there is nothing to quote."""
        scored = self.score(question, self.fit(question, hits))
        return scored[0].probability if scored else None

    def _similarity(self, question: str, found: Sequence[Candidate]) -> list[float]:
        """Cosine of the question and each candidate; 0 for those that are not worth embedding."""
        chosen = shortlist(question, found, EMBEDDED)
        vectors = self._embedder.embed_passages([found[i].quote for i in chosen])
        cosines = dict(zip(chosen, (vectors @ self._embedder.embed_questions([question])[0]).tolist(), strict=True))
        return [cosines.get(i, 0.0) for i in range(len(found))]

    def _chosen(self, scored: Sequence[Scored], hits: Sequence[Hit]) -> list[Candidate]:
        """Best first; where private documents and Wikipedia both answer, the private ones'."""
        if not scored or scored[0].probability < self._judgement.threshold:
            return []
        least = scored[0].evidence + log(self._judgement.second)
        chosen: list[Candidate] = []
        for quote in (each.candidate for each in scored if each.evidence >= least):
            if not any(quote.quote in other.quote or other.quote in quote.quote for other in chosen):
                chosen.append(quote)
        chosen.sort(key=lambda quote: hits[quote.passage].passage.origin is not Origin.PRIVATE)
        return chosen[:SENTENCES]


def _span(question: str, candidate: Candidate, hits: Sequence[Hit]) -> Span:
    """The words that answer: a reader's where it found them in this sentence, else the shortest that do by kind."""
    passage, extract = hits[candidate.passage].passage, hits[candidate.passage].extract
    if extract and candidate.start <= extract.start < extract.end <= candidate.end:
        return Span(candidate.passage + 1, extract.start, extract.end)
    start, end = shortest(question, passage.text[candidate.start : candidate.end], candidate.head)
    return Span(candidate.passage + 1, candidate.start + start, candidate.start + end)


def weights(by_name: Mapping[str, float]) -> Vectors:
    """As a column in the order of FEATURES; 0 for those without a weight."""
    import numpy as np

    return np.asarray([by_name.get(name, 0.0) for name in FEATURES], dtype=np.float32)
