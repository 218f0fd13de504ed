"""Runs and comparisons as plots: rows, and what draws them, in Vega-Lite's words. Pure, and without foreign text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rag.evaluation.catalogue import metric
from rag.evaluation.compare import Difference
from rag.evaluation.plots import Series, bulk, density
from rag.evaluation.predictions import Prediction
from rag.evaluation.report import recall_curves, risk_curves, score_series
from rag.evaluation.scores import is_graded

BINS = 30
POINTS = 120  # of a smooth curve
MOST = 400  # points of any: more cannot be seen

Rows = list[dict[str, Any]]
Spec = dict[str, Any]
GREY = "#8a8f98"  # seen on light and on dark
_LEGEND = {"title": None, "orient": "top", "columns": 2, "labelLimit": 300, "padding": 0, "offset": 4}


def of_run(predictions: Sequence[Prediction]) -> Iterator[tuple[str, Rows, Spec]]:
    """A title, rows and a specification for each plot that there is something to draw in."""
    if recall := list(recall_curves(predictions)):
        spec = _curves("first k", "recall", {"scale": {"domain": [0, 1]}})
        yield "Recall over the number retrieved", _points(recall), spec
    if graded := list(filter(is_graded, predictions)):
        spec = _curves("share answered, surest first", "share wrong", {"scale": {"domain": [0, 1]}})
        yield "Risk over coverage", _points(list(risk_curves(graded))), spec
    if predictions:
        yield "Time a question takes", *_histogram([p.seconds for p in predictions], "seconds", "questions")
    if scores := list(score_series(predictions)):
        spec = _curves("score", "density", {"axis": {"labels": False, "ticks": False}})
        yield "Score of the best passage", _points(_smoothed(scores)), spec


def differences(found: Sequence[Difference]) -> tuple[Rows, Spec] | None:
    """Every change of a share that there is, with its interval: what does not cross zero is sure. Recall is left to the
    table, where it says what hits say."""
    rows = [
        {"figure": one.name, "change": one.change, "low": one.low, "high": one.high}
        for one in found
        if one.low < one.high and not metric(one.name).is_open and "recall@" not in one.name
    ]
    if not rows:
        return None
    figure = {"field": "figure", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 200}}
    change = "change from A to B, with its 95 % interval"
    spec = {
        "encoding": {"y": figure},
        "layer": [
            {"mark": {"type": "rule", "color": GREY, "strokeDash": [4, 4]}, "encoding": {"x": {"datum": 0}, "y": None}},
            {
                "mark": {"type": "rule", "color": GREY, "strokeWidth": 2},
                "encoding": {
                    "x": {"field": "low", "type": "quantitative", "title": change},
                    "x2": {"field": "high"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 50, "tooltip": True},
                "encoding": {"x": {"field": "change", "type": "quantitative"}},
            },
        ],
    }
    return rows, spec


def _points(series: Sequence[Series]) -> Rows:
    rows: Rows = []
    for one in series:
        keep = max(1, len(one.x) // MOST)
        rows += [{"x": x, "y": y, "of": one.name} for x, y in list(zip(one.x, one.y, strict=True))[::-keep]]
    return rows


def _curves(across: str, up: str, y: Mapping[str, Any]) -> Spec:
    return {
        "mark": {"type": "line", "tooltip": True},
        "encoding": {
            "x": {"field": "x", "type": "quantitative", "title": across, "scale": {"zero": False}},
            "y": {"field": "y", "type": "quantitative", "title": up, **y},
            "color": {"field": "of", "type": "nominal", "sort": None, "legend": _LEGEND},
        },
    }


def _histogram(values: Sequence[float], across: str, up: str) -> tuple[Rows, Spec]:
    """How values from 0 on spread; the longest hundredth of the tail is in the last bar."""
    width = bulk(values)[1] / BINS
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int(value / width))] += 1
    rows: Rows = [{"from": width * i, "to": width * (i + 1), "count": count} for i, count in enumerate(counts)]
    encoding = {
        "x": {"field": "from", "type": "quantitative", "title": across, "bin": {"binned": True}},
        "x2": {"field": "to"},
        "y": {"field": "count", "type": "quantitative", "title": up, "axis": {"tickMinStep": 1}},
    }
    return rows, {"mark": {"type": "bar", "tooltip": True}, "encoding": encoding}


def _smoothed(series: Sequence[Series]) -> list[Series]:
    """The values of several groups, each drawn to the same height, so that small groups are seen as well."""
    low, high = bulk([value for one in series for value in one.x])
    low, high = low - (high - low) / 6, high + (high - low) / 6
    at = [low + (high - low) * i / (POINTS - 1) for i in range(POINTS)]
    return [Series(f"{one.name} ({len(one.x):,})", at, density(one.x, at)) for one in series]
