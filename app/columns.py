"""Runs and questions as the columns of tables, and as the lines of plots. Pure: foreign text goes through as it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.runs import Summary
from rag.evaluation.cards import goodness
from rag.evaluation.catalogue import metric
from rag.evaluation.compare import Comparison, settings_that_differ
from rag.evaluation.compare_page import moved, verdict
from rag.evaluation.explain import Explanation
from rag.evaluation.figures import Figure
from rag.evaluation.matching import Level
from rag.evaluation.predictions import Prediction
from rag.evaluation.report import shown
from rag.evaluation.scores import correctness, is_graded

Columns = dict[str, list[Any]]

GLANCE = ("page_hit@5", "hit@5", "correct", "accuracy", "latency_p50")  # of a run, among others


def of_runs(summaries: Sequence[Summary]) -> Columns:
    columns: Columns = {
        "Run": [one.name for one in summaries],
        "When": [time.strftime("%Y-%m-%d %H:%M", time.localtime(one.changed)) for one in summaries],
        "Collection": [one.collection for one in summaries],
        "Questions": [one.questions for one in summaries],
        "What": [_what(one) for one in summaries],
    }
    for name in GLANCE:
        if any(name in one.figures for one in summaries):
            columns[name.replace("_", " ")] = [
                shown(metric(name), one.figures[name].value) if name in one.figures else "" for one in summaries
            ]
    return columns


def _what(summary: Summary) -> str:
    if not summary.figures:
        return "not finished"
    if summary.config.get("mode") == "retrieval only":
        return "retrieval"
    return str(summary.config.get("chosen", {}).get("model", "answers"))


def of_figures(figures: Mapping[str, Figure]) -> Columns:
    """Every figure with its interval."""
    rows = [(metric(name), figure) for name, figure in figures.items()]
    return {
        "Group": [which.group for which, _ in rows],
        "Figure": [which.name for which, _ in rows],
        "Value": [shown(which, figure.value) for which, figure in rows],
        "95 % interval": [
            f"{shown(which, figure.low)} – {shown(which, figure.high)}" if figure.count > 1 else ""
            for which, figure in rows
        ],
        "Questions": [figure.count for _, figure in rows],
        "What it is": [which.definition for which, _ in rows],
    }


def of_questions(predictions: Sequence[Prediction]) -> Columns:
    return {
        "Question": [p.example.question for p in predictions],
        "Result": [fate(p) for p in predictions],
        "Evidence at": [first_right(p) for p in predictions],
        "Lost by": [p.lost_by for p in predictions],
        "Answer": [said(p) for p in predictions],
        "Expected": [expected(p) for p in predictions],
        "Seconds": [round(p.seconds, 3) for p in predictions],
        "Id": [p.id for p in predictions],
    }


def fate(prediction: Prediction) -> str:
    """What became of a question, in a word."""
    if prediction.error:
        return "failed"
    if is_graded(prediction):
        if correctness(prediction):
            return "right"
        if prediction.abstained:
            return "refused"
        return "wrong"
    if not prediction.ranks.get(Level.PASSAGE):
        return "not measured"
    return "found" if first_right(prediction) else "not found"


def is_poor(prediction: Prediction) -> bool:
    """Whether something about it could have been better."""
    return bool(prediction.error) or goodness(prediction) < (1.0, 1.0) or fate(prediction) == "not found"


def first_right(prediction: Prediction) -> int | None:
    return min((rank for rank in prediction.ranks.get(Level.PASSAGE, ()) if rank is not None), default=None)


def said(prediction: Prediction) -> str:
    if prediction.error:
        return prediction.error
    return "refused" if prediction.abstained else prediction.answer or ""


def expected(prediction: Prediction) -> str:
    example = prediction.example
    return " or ".join(example.answers) if example.answerable else "no answer in the documents"


def of_hits(prediction: Prediction) -> Columns:
    hits = prediction.hits
    return {
        "": ["✓" if hit.right else "" for hit in hits],
        "Document": [hit.document for hit in hits],
        "Place": [hit.place for hit in hits],
        "Score": [round(hit.score, 3) for hit in hits],
        "Text": [hit.text for hit in hits],
    }


def of_differences(comparison: Comparison) -> Columns:
    rows = [(metric(d.name), d) for d in comparison.differences]
    return {
        "Figure": [d.name for _, d in rows],
        f"A: {comparison.before.name}": [shown(which, d.before) for which, d in rows],
        f"B: {comparison.after.name}": [shown(which, d.after) for which, d in rows],
        "Change": [moved(which, d.change) for which, d in rows],
        "95 % interval": [f"{moved(which, d.low)} to {moved(which, d.high)}" for which, d in rows],
        "p": [round(d.p, 4) for _, d in rows],
        "": [verdict(d) for _, d in rows],
        "Questions": [d.count for _, d in rows],
    }


def of_settings(comparison: Comparison) -> Columns:
    rows = list(settings_that_differ(comparison))
    return {
        "Setting": [name for name, _ in rows],
        "A": ["–" if before in (None, "") else str(before) for _, (before, _) in rows],
        "B": ["–" if after in (None, "") else str(after) for _, (_, after) in rows],
    }


def of_standings(explanation: Explanation) -> Columns:
    rows = explanation.standings
    return {
        "Stage": [standing.stage for standing in rows],
        "Rank": [standing.rank for standing in rows],
        "Score": [_rounded(standing.score) for standing in rows],
        "Needed": [_rounded(standing.needed) for standing in rows],
        "Goes on": ["yes" if standing.kept else "no" for standing in rows],
        "Why": [standing.why for standing in rows],
    }


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 3)


Filter = Callable[[Prediction], bool]

FILTERS: dict[str, Filter] = {
    "all": lambda prediction: True,
    "could be better": is_poor,
    "evidence not found": lambda prediction: bool(prediction.lost_by) or fate(prediction) == "not found",
    "failed": lambda prediction: bool(prediction.error),
}
