"""The names of all figures: what each says, in which group it is shown, and which way is better."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag.errors import UsageError
from rag.evaluation.matching import Level

KS = (1, 3, 5, 10, 20)
NDCG_K = 10
PREFIX = {Level.PASSAGE: "", Level.PAGE: "page_", Level.DOCUMENT: "document_"}
STAGES = {"retrieve": "to retrieve", "first_token": "to the first token", "write": "to write"}  # of Answer.timings


@dataclass(frozen=True, slots=True)
class Metric:
    """`seconds` says that the figure is a time, `rate` that it is one; else it is a share."""

    name: str
    group: str
    definition: str
    higher_is_better: bool = True
    seconds: bool = False
    rate: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it may be above 1."""
        return self.seconds or self.rate

    def is_worse(self, value: float, than: float) -> bool:
        return value < than if self.higher_is_better else value > than


_UNITS = {
    Level.PASSAGE: ("Passages found", "passages"),
    Level.PAGE: ("Pages found", "different pages"),
    Level.DOCUMENT: ("Documents found", "different documents"),
}
_RANKED = {
    r"hit@(\d+)": "questions with something wanted among the first {} {}",
    r"recall@(\d+)": "share of what is wanted among the first {} {}, averaged over questions",
    r"mrr()": "mean of 1 / rank of the first thing wanted, ranks counting {1}",
    r"ndcg@(\d+)": "gain discounted by log2(rank + 1), of the ideal ranking's, over the first {} {}",
}
_ANSWERS = "Answers (answerable questions)"
_ABSTAINING = "Abstention"
_SPEED = "Speed"
_FIXED = (
    Metric("correct", _ANSWERS, "questions put right: a gold answer contained or its numbers given (or as judged)"),
    Metric("containment", _ANSWERS, "a gold answer's words stand in the answer, in a row"),
    Metric("exact_match", _ANSWERS, "the answer is a gold answer, in SQuAD's normal form"),
    Metric("f1", _ANSWERS, "overlap of the answer's and the gold answer's tokens, as SQuAD counts it"),
    Metric("rouge_l", _ANSWERS, "F-measure over the longest common subsequence of words"),
    Metric("numeric_match", _ANSWERS, "every number of a gold answer is given; units, scale and rounding apart"),
    Metric(
        "span_exact_match", _ANSWERS, "the stretch that the writer points at is a gold answer, in SQuAD's normal form"
    ),
    Metric("span_f1", _ANSWERS, "overlap of that stretch's and the gold answer's tokens, as SQuAD counts it"),
    Metric("judged_correct", _ANSWERS, "answers that the judge finds to say what a gold answer says"),
    Metric("citation_precision", "Citations", "share of cited passages that hold gold evidence"),
    Metric("citation_recall", "Citations", "share of gold evidence that a cited passage holds"),
    Metric("citation_support", "Citations", "share of citations that bear out the sentence that carries them"),
    Metric("answerable_refused", _ABSTAINING, "share of answerable questions that were refused", False),
    Metric("unanswerable_answered", _ABSTAINING, "share of unanswerable questions that were answered", False),
    Metric("accuracy", _ABSTAINING, "all questions: put right, or rightly refused"),
    Metric("exact_match_all", _ABSTAINING, "exact match over all questions; a right refusal is 1 (SQuAD 2.0)"),
    Metric("f1_all", _ABSTAINING, "F1 over all questions; a right refusal is 1 (SQuAD 2.0)"),
    Metric("aurc", _ABSTAINING, "mean risk over all coverages, surest answers first, refusals last", False),
    Metric("aurc_best_score", _ABSTAINING, "the same, ordered by the best passage's score alone", False),
    Metric("aurc_gain", _ABSTAINING, "how much smaller the area is by the system's confidence than by that score"),
    Metric("latency_p50", _SPEED, "time a question takes, median", False, True),
    Metric("latency_p95", _SPEED, "time a question takes, 95th percentile", False, True),
    *(Metric(f"{stage}_p50", _SPEED, f"time {what}, median", False, True) for stage, what in STAGES.items()),
    *(Metric(f"{stage}_p95", _SPEED, f"time {what}, 95th percentile", False, True) for stage, what in STAGES.items()),
    Metric("tokens_per_second", _SPEED, "tokens written in all, over the seconds spent writing", rate=True),
)
_BY_NAME = {metric.name: metric for metric in _FIXED}


def metric(name: str) -> Metric:
    """Raises UsageError for a name that there is not."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    for level, prefix in reversed(PREFIX.items()):
        if name.startswith(prefix):
            for pattern, definition in _RANKED.items():
                if match := re.fullmatch(pattern, name.removeprefix(prefix)):
                    group, unit = _UNITS[level]
                    return Metric(name, group, definition.format(match[1], unit))
    known = [f"[page_|document_]{ranked}" for ranked in ("hit@K", "recall@K", "mrr", f"ndcg@{NDCG_K}")]
    raise UsageError(f"There is no metric {name!r}. There are: {', '.join([*known, *_BY_NAME])}.")


def position(name: str) -> tuple[int, int, int]:
    """Where a figure stands in a list of all: by what was ranked, by kind, by k; then the others."""
    if name in _BY_NAME:
        return len(PREFIX), list(_BY_NAME).index(name), 0
    kind, _, k = name.rpartition("_")[2].partition("@")
    level = [*PREFIX].index(next(level for level, prefix in reversed(PREFIX.items()) if name.startswith(prefix)))
    return level, ("hit", "recall", "mrr", "ndcg").index(kind), int(k or 0)
