"""An answer without a language model: the sentences of the best passages that answer the question, word for word.

Each is quoted on a line of its own with its marker. Quotations differ from their passage in white space alone, and
in bracketed numbers of the document's own, which become (12); a table row stands behind its table's head and " … ".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rag.generation.evidence import Candidate, candidates, features
from rag.types import Embedder, Hit

PASSAGES = 8  # read at most: more cost time and add little
SENTENCES = 2  # quoted at most

# Logistic regression over evidence.FEATURES, in their order, fitted for all-MiniLM-L6-v2's cosines on half of the
# practice SQuAD by tests/benchmarks/fit_extractive.py. On the other half, 8 passages retrieved from the whole corpus:
# a gold answer is in the best sentence for 0.69 of the answerable questions, in the best two for 0.80. Area under the
# ROC curve of abstention: 0.64 against SQuAD's unanswerable questions, 0.82 with the paragraph that answers withheld,
# 0.96 with its article withheld. At this threshold 0.12 of the answerable questions are refused.
WEIGHTS = (2.13, 1.78, 1.15, 1.10, 0.85, 0.45, 0.29, -0.36, 0.46)
BIAS = -5.94
THRESHOLD = 0.13  # below it nothing is quoted
SECOND = 0.6  # a second sentence is quoted when its probability is at least this share of the first one's


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
        """Every sentence with the probability that it answers the question, best first."""
        import numpy as np

        passages = [hit.passage for hit in hits]
        found = candidates(passages)
        if not found:
            return []
        vectors = self._embedder.embed_passages([candidate.quote for candidate in found])
        similarity = vectors @ self._embedder.embed_questions([question])[0]
        columns = features(question, found, passages, similarity.tolist())
        odds = columns @ np.asarray(WEIGHTS, dtype=np.float32) + BIAS
        probability = 1 / (1 + np.exp(-odds))
        order = np.argsort(-probability, kind="stable")
        return [(found[i], float(probability[i])) for i in order]

    def _chosen(self, question: str, hits: Sequence[Hit]) -> list[tuple[Candidate, float]]:
        chosen: list[tuple[Candidate, float]] = []
        for candidate, probability in self.score(question, hits):
            if probability < (SECOND * chosen[0][1] if chosen else self._threshold) or len(chosen) == SENTENCES:
                break
            if all(candidate.quote not in other.quote and other.quote not in candidate.quote for other, _ in chosen):
                chosen.append((candidate, probability))
        return chosen
