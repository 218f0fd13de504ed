"""An answer without a language model: the sentences of the best passages that answer the question, word for word.

Each is quoted on a line of its own with its marker. Quotations differ from their passage in white space alone, and
in bracketed numbers of the document's own, which become (12); a table row stands behind its table's head and " … ".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rag.generation.evidence import FEATURES, Candidate, candidates, features, shortlist
from rag.types import Embedder, Hit

if TYPE_CHECKING:
    from rag.types import Vectors

PASSAGES = 8  # read at most: more cost time and add little
EMBEDDED = 48  # sentences at most; of more than that, those that share most words with the question
SENTENCES = 2  # quoted at most

# Both fitted for all-MiniLM-L6-v2's cosines on half of the practice SQuAD by tests/benchmarks/fit_extractive.py; "other
# row" alone is set by hand, for there are no tables in SQuAD. On the other half, over 8 passages retrieved from the
# whole corpus: a gold answer stands in the best sentence for 0.69 of the answerable questions, in the best two for
# 0.80. Area under the ROC curve of abstention: 0.65 against SQuAD's unanswerable questions, 0.81 with the paragraph
# that answers withheld, 0.95 with its whole article withheld. THRESHOLD refuses 0.10 of the answerable ones.
RANKING = {
    "similarity": 1.99,
    "passage": 1.66,
    "words": 1.07,
    "before": 1.02,
    "around": 0.79,
    "names": 0.42,
    "there": 0.27,
    "missing": -0.33,
    "rank": 0.43,
}
DECISION = {"named": 0.79, "numbered": 1.11, "other row": -1.5}  # added to the best sentence's ranking score
BIAS = -7.35
THRESHOLD = 0.115  # below this probability nothing is quoted
SECOND = 0.6  # a second sentence is quoted when its own is at least this share of the first one's


class ExtractiveWriter:
    def __init__(self, embedder: Embedder, threshold: float = THRESHOLD) -> None:
        self._embedder = embedder
        self._threshold = threshold

    @property
    def name(self) -> str:
        return "extractive"

    def fit(self, question: str, hits: Sequence[Hit]) -> list[Hit]:
        return list(hits[:PASSAGES])

    def write(self, question: str, hits: Sequence[Hit]) -> Iterator[str]:
        for index, (candidate, _) in enumerate(self._chosen(question, hits)):
            yield f"{chr(10) if index else ''}{candidate.quote} [{candidate.passage + 1}]"

    def score(self, question: str, hits: Sequence[Hit]) -> list[tuple[Candidate, float]]:
        """Every sentence with the probability that it answers the question, best evidence first."""
        import numpy as np

        passages = [hit.passage for hit in hits]
        found = candidates(passages)
        if not found:
            return []
        columns = features(question, found, passages, self._similarity(question, found))
        ranking = columns @ weights(RANKING)
        odds = ranking + columns @ weights(DECISION) + BIAS
        probability = 1 / (1 + np.exp(-odds))
        return [(found[i], float(probability[i])) for i in np.argsort(-ranking, kind="stable")]

    def _similarity(self, question: str, found: Sequence[Candidate]) -> list[float]:
        """Cosine of the question and each candidate; 0 for those that are not worth embedding."""
        chosen = shortlist(question, found, EMBEDDED)
        vectors = self._embedder.embed_passages([found[i].quote for i in chosen])
        cosines = dict(zip(chosen, (vectors @ self._embedder.embed_questions([question])[0]).tolist(), strict=True))
        return [cosines.get(i, 0.0) for i in range(len(found))]

    def _chosen(self, question: str, hits: Sequence[Hit]) -> list[tuple[Candidate, float]]:
        chosen: list[tuple[Candidate, float]] = []
        for candidate, probability in self.score(question, hits):
            if probability < (SECOND * chosen[0][1] if chosen else self._threshold) or len(chosen) == SENTENCES:
                break
            if all(candidate.quote not in other.quote and other.quote not in candidate.quote for other, _ in chosen):
                chosen.append((candidate, probability))
        return chosen


def weights(by_name: Mapping[str, float]) -> Vectors:
    """As a column in the order of FEATURES; 0 for those without a weight."""
    import numpy as np

    return np.asarray([by_name.get(name, 0.0) for name in FEATURES], dtype=np.float32)
