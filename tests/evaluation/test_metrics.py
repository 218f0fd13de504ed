"""Metrics, by hand and against independent implementations: trec_eval, and SQuAD's formula written out again."""

from __future__ import annotations

import collections
import random
import re
import string
from collections.abc import Sequence
from math import log2

import pytest

from rag.evaluation import metrics

# ---------------------------------------------------------------------------------------------- rankings


@pytest.mark.parametrize(
    ("ranks", "hit", "recall", "reciprocal"),
    [
        ([1], 1, 1, 1),
        ([3], 1, 1, 1 / 3),
        ([4], 0, 0, 1 / 4),
        ([None], 0, 0, 0),
        ([None, 2], 1, 1 / 2, 1 / 2),
        ([4, 2, None], 1, 1 / 3, 1 / 2),
        ([1, 1], 1, 1, 1),
    ],
)
def test_ranking_by_hand(ranks: list[int | None], hit: float, recall: float, reciprocal: float) -> None:
    assert metrics.hit_at(ranks, 3) == hit
    assert metrics.recall_at(ranks, 3) == pytest.approx(recall)
    assert metrics.reciprocal_rank(ranks) == pytest.approx(reciprocal)


def test_ndcg_by_hand() -> None:
    ideal = 3 / log2(2) + 1 / log2(3)
    assert metrics.ndcg_at([1, 2], [3, 1], 10) == pytest.approx(1.0)
    assert metrics.ndcg_at([2, 1], [3, 1], 10) == pytest.approx((1 / log2(2) + 3 / log2(3)) / ideal)
    assert metrics.ndcg_at([None, 11], [3, 1], 10) == 0.0
    assert metrics.ndcg_at([1, 1], [3, 1], 10) == pytest.approx(3 / ideal)  # one passage, counted once


def test_rankings_as_trec_eval_has_them() -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    draw = random.Random(3)
    qrels, run, rankings = {}, {}, {}
    for question in map(str, range(200)):
        documents = [f"d{i}" for i in range(30)]
        retrieved = draw.sample(documents, draw.randint(1, 25))
        relevant = {name: draw.randint(1, 3) for name in draw.sample(documents, draw.randint(1, 6))}
        qrels[question] = relevant
        run[question] = {name: float(100 - i) for i, name in enumerate(retrieved)}
        ranks = [retrieved.index(name) + 1 if name in retrieved else None for name in relevant]
        rankings[question] = (ranks, list(relevant.values()))
    wanted = {"success.1,5,10", "recall.1,5,10", "recip_rank", "ndcg_cut.5,10"}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, wanted).evaluate(run)
    for question, (ranks, grades) in rankings.items():
        for k in (1, 5, 10):
            assert metrics.hit_at(ranks, k) == theirs[question][f"success_{k}"]
            assert metrics.recall_at(ranks, k) == pytest.approx(theirs[question][f"recall_{k}"])
        for k in (5, 10):
            assert metrics.ndcg_at(ranks, grades, k) == pytest.approx(theirs[question][f"ndcg_cut_{k}"])
        assert metrics.reciprocal_rank(ranks) == pytest.approx(theirs[question]["recip_rank"])


# ----------------------------------------------------------------------------------------------- answers


def normalize_answer(s: str) -> str:
    """The steps of SQuAD 2.0's evaluation, one after the other, as its paper and script describe them."""
    lowered = s.lower()
    exclude = set(string.punctuation)
    unpunctuated = "".join(ch for ch in lowered if ch not in exclude)
    without_articles = re.compile(r"\b(a|an|the)\b", re.UNICODE).sub(" ", unpunctuated)
    return " ".join(without_articles.split())


def squad(prediction: str, gold_answers: Sequence[str]) -> tuple[float, float]:
    """Exact match and F1 by precision and recall, with the rule for questions that have no answer."""
    golds = [gold for gold in gold_answers if normalize_answer(gold)] or [""]
    exact, best = 0.0, 0.0
    for gold in golds:
        exact = max(exact, float(normalize_answer(gold) == normalize_answer(prediction)))
        gold_toks, pred_toks = normalize_answer(gold).split(), normalize_answer(prediction).split()
        common = collections.Counter(gold_toks) & collections.Counter(pred_toks)
        same = sum(common.values())
        if len(gold_toks) == 0 or len(pred_toks) == 0:
            f1 = float(gold_toks == pred_toks)
        elif same == 0:
            f1 = 0.0
        else:
            precision, recall = same / len(pred_toks), same / len(gold_toks)
            f1 = 2 * precision * recall / (precision + recall)
        best = max(best, f1)
    return exact, best


WORDS = ["the", "a", "An", "cat", "Cat.", "sat", "on", "mat", "U.S.", "1,577", "France's", "—", "…", "10th", "über"]


def test_answers_as_squad_scores_them() -> None:
    draw = random.Random(5)
    seen = set()
    for _ in range(3000):
        answer = " ".join(draw.choices(WORDS, k=draw.randint(0, 5)))
        golds = [" ".join(draw.choices(WORDS, k=draw.randint(0, 4))) for _ in range(draw.randint(0, 3))]
        exact, f1 = squad(answer, golds)
        assert metrics.exact_match(answer, golds) == exact
        assert metrics.token_f1(answer, golds) == pytest.approx(f1)
        seen.add((exact, f1 > 0))
    assert seen == {(0.0, False), (0.0, True), (1.0, True)}


@pytest.mark.parametrize(
    ("answer", "golds", "f1"),
    [
        ("The cat sat.", ["a cat"], 2 / 3),
        ("", [], 1.0),
        ("cat", [], 0.0),
        ("", ["cat"], 0.0),
        ("cat", ["dog", "cat"], 1),
    ],
)
def test_f1_by_hand(answer: str, golds: list[str], f1: float) -> None:
    assert metrics.token_f1(answer, golds) == pytest.approx(f1)


def longest_common_subsequence(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    """By definition, with no table."""
    if not a or not b:
        return 0
    if a[0] == b[0]:
        return 1 + longest_common_subsequence(a[1:], b[1:])
    return max(longest_common_subsequence(a[1:], b), longest_common_subsequence(a, b[1:]))


def test_rouge_l_by_definition() -> None:
    draw = random.Random(7)
    for _ in range(300):
        ours = tuple(draw.choices("abcd", k=draw.randint(1, 7)))
        gold = tuple(draw.choices("abcd", k=draw.randint(1, 7)))
        common = longest_common_subsequence(ours, gold)
        precision, recall = common / len(ours), common / len(gold)
        expected = 2 * precision * recall / (precision + recall) if common else 0.0
        assert metrics.rouge_l(" ".join(ours), [" ".join(gold)]) == pytest.approx(expected)


def test_rouge_l_by_hand() -> None:
    # Lin 2004: "police killed the gunman" and "police kill the gunman" share police, the, gunman
    assert metrics.rouge_l("Police kill the gunman", ["police killed the gunman"]) == pytest.approx(3 / 4)
    assert metrics.rouge_l("", ["gunman"]) == metrics.rouge_l("gunman", []) == 0.0


@pytest.mark.parametrize(
    ("answer", "golds", "contained"),
    [
        ("It lies in France's north.", ["France"], 1),
        ("It was in 1066.", ["10"], 0),
        ("In the 10th and 11th centuries, they say", ["10th and 11th centuries"], 1),
        ("the cat and a dog", ["cat and dog"], 1),
        ("a dog and a cat", ["cat and dog", "dog"], 1),
        ("anything", ["the"], 0),
        ("anything", [], 0),
        ("", ["anything"], 0),
    ],
)
def test_containment(answer: str, golds: list[str], contained: float) -> None:
    assert metrics.containment(answer, golds) == contained


def test_citations_by_hand() -> None:
    holds = [(0,), (), (0, 1)]
    assert metrics.citation_precision(holds) == pytest.approx(2 / 3)
    assert metrics.citation_recall(holds, 4) == 0.5
    assert metrics.citation_recall([], 2) == 0.0
    assert metrics.citation_support([True, False]) == 0.5
