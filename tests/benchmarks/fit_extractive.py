"""Fits the constants of rag/generation/extractive.py on half of the practice SQuAD, and reports on the other half.

    python tests/benchmarks/fit_extractive.py [--data ../shared/data] [--out fit_extractive.json]

Halves are articles, not questions, so that no paragraph is on both sides. Hits are paragraphs of the whole corpus,
dense and BM25 scores fused. Ranking: a softmax over the sentences of each answerable question, likelihood of those
sentences of its gold paragraph that contain an answer. Decision: logistic regression of "the answer is there" on the
best sentence, where it is not there in three ways: SQuAD's own unanswerable questions, answerable ones with their
gold paragraph withheld, and with their whole article withheld.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import string
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rag.encoder.embed import load_embedder
from rag.generation import extractive
from rag.generation.evidence import FEATURES, candidates, features
from rag.types import Embedder, Hit, Passage

HITS = 8
RANKED = ("similarity", "passage", "words", "before", "around", "names", "there", "missing", "rank")
DECIDED = ("named", "numbered")
REFUSED = (0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)  # shares of answerable questions to report a threshold for


@dataclass
class Case:
    """A question over what was found for it. `x`: features of every sentence; `contains`: it contains an answer;
    `gold`: and is in the gold paragraph. `withheld` is "", "paragraph" or "article"."""

    article: str
    answerable: bool
    withheld: str
    x: np.ndarray
    contains: np.ndarray
    gold: np.ndarray
    found: bool  # the gold paragraph is among the hits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RAG_PRACTICE_DATA", "../shared/data")))
    parser.add_argument("--out", type=Path, help="write the report here as JSON as well")
    arguments = parser.parse_args()
    cases = Corpus(arguments.data / "squad", load_embedder()).cases()
    articles = sorted({case.article for case in cases})
    fitted = [case for case in cases if articles.index(case.article) % 2 == 0]
    held_out = [case for case in cases if articles.index(case.article) % 2 == 1]
    model = fit(fitted)
    report = {
        "ranking": dict(zip(RANKED, model.ranking.round(2).tolist(), strict=True)),
        "decision": dict(zip(("ranking", *DECIDED), model.decision.round(2).tolist(), strict=True)),
        "bias": round(model.bias, 2),
        "held out": measure(held_out, model),
        "held out, as written with the constants in force": as_written(held_out),
        "fitted on": measure(fitted, model),
    }
    print(json.dumps(report, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


# ------------------------------------------------------------------------------------------------ cases


class Corpus:
    def __init__(self, folder: Path, embedder: Embedder) -> None:
        self.embedder = embedder
        lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
        self.questions: list[dict[str, Any]] = [json.loads(line) for line in lines]
        self.passages = [p for path in sorted((folder.resolve() / "articles").glob("*.md")) for p in paragraphs(path)]
        self.index = {(p.document, " ".join(p.text.split())): i for i, p in enumerate(self.passages)}
        self.found = [candidates([passage]) for passage in self.passages]
        headed = [passage.headed for passage in self.passages]
        sentences = embedder.embed_passages([candidate.quote for each in self.found for candidate in each])
        self.sentences = np.split(sentences, np.cumsum([len(each) for each in self.found])[:-1])
        self.dense = embedder.embed_passages(headed)
        self.keyword = BM25(headed)

    def cases(self) -> list[Case]:
        cases, article = [], ""
        vectors = self.embedder.embed_questions([question["question"] for question in self.questions])
        for question, vector in zip(self.questions, vectors, strict=True):
            evidence = question["evidence"]
            article = evidence[0]["document"] if evidence else article  # questions stand in the order of articles
            gold = self.index[article, " ".join(evidence[0]["text"].split())] if evidence else -1
            scores = standard(self.dense @ vector) + standard(self.keyword.scores(question["question"]))
            for withheld in ("", "paragraph", "article") if evidence else ("",):
                cases.append(self._case(question, vector, scores, article, gold, withheld))
        return cases

    def _case(
        self, question: dict[str, Any], vector: np.ndarray, scores: np.ndarray, article: str, gold: int, withheld: str
    ) -> Case:
        gone = {
            "": np.zeros(len(scores), bool),
            "paragraph": np.arange(len(scores)) == gold,
            "article": np.array([passage.document == article for passage in self.passages]),
        }[withheld]
        best = np.argsort(-np.where(gone, -np.inf, scores), kind="stable")[:HITS].tolist()
        hits = [self.passages[i] for i in best]
        similarity = np.concatenate([self.sentences[i] for i in best]) @ vector
        answers = [f" {plain(answer)} " for answer in question["answers"]]
        quotes = [(i, f" {plain(c.quote)} ") for i in best for c in self.found[i]]
        contains = np.array([any(answer in quote for answer in answers) for _, quote in quotes])
        return Case(
            article=article,
            answerable=question["answerable"],
            withheld=withheld,
            x=features(
                question["question"], candidates(hits), [Hit(hit, 0.0) for hit in hits], similarity.tolist()
            ).astype(np.float64),
            contains=contains,
            gold=contains & np.array([i == gold for i, _ in quotes]),
            found=gold in best,
        )


def paragraphs(path: Path) -> list[Passage]:
    text = path.read_text(encoding="utf-8")
    spans = [m.span() for m in re.finditer(r"(?:(?!\n\n).)+", text, re.DOTALL) if not m.group().startswith("# ")]
    return [Passage(path.name, path.as_uri(), path.stem, "", "", None, a, b, text[a:b]) for a, b in spans]


def plain(text: str) -> str:
    """SQuAD's own normalisation: lower case, no punctuation, no articles."""
    words = "".join(" " if c in string.punctuation else c for c in text.lower()).split()
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def standard(scores: np.ndarray) -> np.ndarray:
    return np.asarray((scores - scores.mean()) / (scores.std() + 1e-9))


class BM25:
    def __init__(self, texts: Sequence[str]) -> None:
        documents = [self._words(text) for text in texts]
        mean = sum(map(len, documents)) / len(documents)
        frequency = Counter(word for words in documents for word in set(words))
        self._size = len(documents)
        self._postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for i, words in enumerate(documents):
            for word, n in Counter(words).items():
                rarity = math.log(1 + (len(documents) - frequency[word] + 0.5) / (frequency[word] + 0.5))
                weight = rarity * n * 2.2 / (n + 1.2 * (0.25 + 0.75 * len(words) / mean))
                self._postings[word].append((i, weight))

    def scores(self, question: str) -> np.ndarray:
        scores = np.zeros(self._size)
        for word in set(self._words(question)):
            for i, weight in self._postings.get(word, ()):
                scores[i] += weight
        return scores

    @staticmethod
    def _words(text: str) -> list[str]:
        return re.findall(r"\w+", text.lower())


# ------------------------------------------------------------------------------------------------- fit


@dataclass
class Fitted:
    ranking: np.ndarray
    decision: np.ndarray  # on the ranking score and the columns DECIDED
    bias: float

    def scores(self, case: Case) -> np.ndarray:
        return np.asarray(case.x[:, [FEATURES.index(name) for name in RANKED]] @ self.ranking)

    def probability(self, cases: Sequence[Case]) -> np.ndarray:
        """That the best sentence of each answers its question."""
        odds = np.array([best(case, self.scores(case)) for case in cases]) @ self.decision + self.bias
        return np.asarray(1 / (1 + np.exp(-odds)))


def best(case: Case, scores: np.ndarray) -> np.ndarray:
    first = int(np.argmax(scores))
    return np.array([scores[first], *(case.x[first, FEATURES.index(name)] for name in DECIDED)])


def fit(cases: Sequence[Case]) -> Fitted:
    listed = [case for case in cases if case.answerable and not case.withheld and case.gold.any()]
    x = [case.x[:, [FEATURES.index(name) for name in RANKED]] for case in listed]
    ranking = listwise(x, [case.gold for case in listed], np.ones(len(listed)))
    model = Fitted(ranking, np.zeros(1 + len(DECIDED)), 0.0)
    judged = [case for case in cases if case.withheld or not case.answerable or case.found]
    there = np.array([case.answerable and not case.withheld for case in judged], dtype=np.float64)
    *decision, model.bias = logistic(np.array([best(case, model.scores(case)) for case in judged]), there)
    model.ranking = model.ranking * decision[0]  # so that a ranking score is in units of log odds
    model.decision = np.array([1.0, *decision[1:]])
    return model


def listwise(
    features: Sequence[np.ndarray], golds: Sequence[np.ndarray], shares: np.ndarray, steps: int = 800
) -> np.ndarray:
    """Adam on the weighted mean of -log P(a gold row) over the questions, each a softmax over its rows of standardised
    features; returns weights for raw ones."""
    rate, decay = 0.05, 1e-3
    x, gold = np.concatenate(features), np.concatenate(golds)
    group = np.repeat(np.arange(len(features)), [len(rows) for rows in features])
    weight = (shares / shares.sum())[group]
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    spread = x.std(axis=0) + 1e-9
    x = (x - x.mean(axis=0)) / spread
    weights, mean, square = np.zeros((3, x.shape[1]))
    for step in range(1, steps + 1):
        scores = x @ weights
        e = np.exp(scores - np.maximum.reduceat(scores, starts)[group])
        p = e / np.add.reduceat(e, starts)[group]
        target = p * gold
        target /= np.add.reduceat(target, starts)[group]
        gradient = x.T @ ((p - target) * weight) + decay * weights
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        weights = weights - rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return np.asarray(weights / spread)


def logistic(x: np.ndarray, y: np.ndarray) -> list[float]:
    """Weights and, last, the bias, by Newton's method."""
    x = np.column_stack([x, np.ones(len(x))])
    b = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-(x @ b)))
        b -= np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x, x.T @ (p - y))
    return [float(value) for value in b]


# ---------------------------------------------------------------------------------------------- measure


def measure(cases: Sequence[Case], model: Fitted) -> dict[str, Any]:
    asked = [case for case in cases if case.answerable and not case.withheld]
    absent = {
        "unanswerable": [case for case in cases if not case.answerable],
        "paragraph withheld": [case for case in cases if case.withheld == "paragraph"],
        "article withheld": [case for case in cases if case.withheld == "article"],
    }
    there = model.probability(asked)
    known = model.probability([case for case in asked if case.found])
    gone = {name: model.probability(group) for name, group in absent.items()}
    return {
        "answerable": len(asked),
        "unanswerable": len(absent["unanswerable"]),
        "gold paragraph among the hits": mean([case.found for case in asked]),
        "containment in the best n sentences": {n: containment(asked, model, n) for n in (1, 2, 3)},
        "AUROC of abstention": {name: auroc(there, p) for name, p in gone.items()},
        "thresholds": [
            {
                "answerable refused": share,
                "threshold": round(float(cut := np.quantile(known, share)), 3),
                "answered": {name: mean(p >= cut) for name, p in gone.items()},
            }
            for share in REFUSED
        ],
    }


def as_written(cases: Sequence[Case]) -> dict[str, Any]:
    alone = extractive.ALONE
    ranking, decision = extractive.weights(alone.ranking), extractive.weights(alone.decision)

    def quoted(case: Case) -> np.ndarray:
        evidence = case.x @ ranking
        order = np.argsort(-evidence, kind="stable")[: extractive.SENTENCES]
        odds = evidence[order[0]] + case.x[order[0]] @ decision + alone.decision["bias"]
        refused = 1 / (1 + math.exp(-odds)) < alone.threshold
        return order[evidence[order] >= evidence[order[0]] + math.log(alone.second)][: 0 if refused else None]

    answerable = [(case, quoted(case)) for case in cases if case.answerable and not case.withheld]
    unanswerable = [quoted(case) for case in cases if not case.answerable]
    return {
        "answerable refused": mean([len(rows) == 0 for _, rows in answerable]),
        "unanswerable answered": mean([len(rows) > 0 for rows in unanswerable]),
        "containment, refusals counted as misses": mean([case.contains[rows].any() for case, rows in answerable]),
        "sentences in an answer": mean([len(rows) for _, rows in answerable if len(rows)]),
    }


def containment(cases: Sequence[Case], model: Fitted, n: int) -> float:
    return mean([case.contains[np.argsort(-model.scores(case), kind="stable")[:n]].any() for case in cases])


def auroc(higher: np.ndarray, lower: np.ndarray) -> float:
    wins = (higher[:, None] > lower[None, :]).mean() + 0.5 * (higher[:, None] == lower[None, :]).mean()
    return round(float(wins), 3)


def mean(values: Any) -> float:
    return round(float(np.mean(values)), 3)


if __name__ == "__main__":
    main()
