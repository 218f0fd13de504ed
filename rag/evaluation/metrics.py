"""What is measured of a ranking and of an answer, one question at a time. Pure functions, from 0 to 1 unless said.

A ranking is given as `ranks`: for each thing wanted, the rank from 1 at which it is first found, None where it is
not (`matching.ranks`). Answers are compared as plain text, without citation markers; of several gold answers the
one that fits best counts.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterable, Sequence
from math import log2

Ranks = Sequence[int | None]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_WORD = re.compile(r"\w+")


# ---------------------------------------------------------------------------------------------- rankings


def hit_at(ranks: Ranks, k: int) -> float:
    """1 when anything wanted is among the first k. Success@k in TREC's terms (trec_eval: success_k)."""
    return float(any(rank is not None and rank <= k for rank in ranks))


def recall_at(ranks: Ranks, k: int) -> float:
    """The share of what is wanted that is among the first k (trec_eval: recall_k)."""
    return sum(rank is not None and rank <= k for rank in ranks) / len(ranks)


def reciprocal_rank(ranks: Ranks) -> float:
    """1 / the rank of the first thing wanted, 0 when nothing was found; its mean is MRR (Voorhees, TREC-8 1999;
    trec_eval: recip_rank)."""
    found = [rank for rank in ranks if rank is not None]
    return 1 / min(found) if found else 0.0


def ndcg_at(ranks: Ranks, grades: Sequence[int], k: int) -> float:
    """Discounted cumulative gain over that of the ideal ranking, with gain = grade and discount = log2(rank + 1)
    (Järvelin and Kekäläinen, TOIS 2002; trec_eval: ndcg_cut_k). `grades` belong to `ranks`. A passage that holds
    several wanted things gains the best of them once."""
    gains: dict[int, int] = {}
    for rank, grade in zip(ranks, grades, strict=True):
        if rank is not None and rank <= k:
            gains[rank] = max(grade, gains.get(rank, 0))
    ideal = enumerate(sorted(grades, reverse=True)[:k], 1)
    return _discounted(gains.items()) / _discounted(ideal)


def _discounted(gains: Iterable[tuple[int, int]]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in gains)


# ----------------------------------------------------------------------------------------------- answers


def squad_normal(text: str) -> str:
    """As the official SQuAD script compares: lower case, without ASCII punctuation and articles, one space between
    words (Rajpurkar et al., arXiv 1606.05250)."""
    without = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(_ARTICLES.sub(" ", without).split())


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """1 when the answer is a gold answer, by SQuAD's normal form. Without gold answers (an unanswerable question)
    the empty answer is the right one, as in SQuAD 2.0 (arXiv 1806.03822)."""
    return float(squad_normal(answer) in _gold_normals(golds))


def token_f1(answer: str, golds: Sequence[str]) -> float:
    """The harmonic mean of precision and recall over tokens of SQuAD's normal form, as bags. Where either side has
    no tokens, 1 if both have none, else 0 (SQuAD 2.0's official script)."""
    return max(_f1(squad_normal(answer).split(), gold.split()) for gold in _gold_normals(golds))


def _gold_normals(golds: Sequence[str]) -> list[str]:
    return [normal for gold in golds if (normal := squad_normal(gold))] or [""]


def _f1(ours: Sequence[str], gold: Sequence[str]) -> float:
    if not ours or not gold:
        return float(ours == gold)
    shared = (Counter(ours) & Counter(gold)).total()
    return 2 * shared / (len(ours) + len(gold))


def rouge_l(answer: str, golds: Sequence[str]) -> float:
    """ROUGE-L: the F-measure (beta 1) over the longest common subsequence of words, lower case, no stemming (Lin,
    ACL 2004 workshop, "ROUGE: a package for automatic evaluation of summaries")."""
    ours = words(answer)
    return max((_rouge_l(ours, words(gold)) for gold in golds), default=0.0)


def _rouge_l(ours: Sequence[str], gold: Sequence[str]) -> float:
    previous = [0] * (len(gold) + 1)
    for word in ours:
        current = [0]
        for i, other in enumerate(gold):
            current.append(previous[i] + 1 if word == other else max(previous[i + 1], current[i]))
        previous = current
    return 2 * previous[-1] / (len(ours) + len(gold)) if previous[-1] else 0.0


def containment(answer: str, golds: Sequence[str]) -> float:
    """1 when the words of a gold answer stand in the answer, in a row, articles left out. The accuracy by which
    open-domain question answering judges free text (Mallen et al., arXiv 2212.10511)."""
    ours = f" {_plain(answer)} "
    return float(any(plain and f" {plain} " in ours for plain in map(_plain, golds)))


def _plain(text: str) -> str:
    return " ".join(words(_ARTICLES.sub(" ", text.lower())))


def words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


# --------------------------------------------------------------------------------------------- citations


def citation_precision(holds: Sequence[Sequence[int]]) -> float:
    """The share of cited passages that hold something wanted; each is given as the numbers of what it holds. After
    ALCE (Gao et al., arXiv 2305.14627), with the set's own evidence in the place of an entailment model. Undefined
    without citations."""
    return sum(bool(held) for held in holds) / len(holds)


def citation_recall(holds: Sequence[Sequence[int]], wanted: int) -> float:
    """The share of the things wanted that a cited passage holds; 0 without citations. After ALCE, as above."""
    return len({item for held in holds for item in held}) / wanted


def citation_support(supported: Sequence[bool]) -> float:
    """The share of citations whose passage bears out the sentence that carries them, as far as numbers, names and
    words tell (`generation.check`). Needs no evidence in the set. Undefined without citations."""
    return sum(supported) / len(supported)
