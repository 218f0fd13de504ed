"""Predictions → figures with intervals. Pure: equal predictions give equal figures.

Most figures are means of scores over questions. Areas, percentiles and rates are not: they are statistics of columns
that have a value a question, so that they can be resampled, and paired, like the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.evaluation.catalogue import STAGES, position
from rag.evaluation.predictions import Prediction
from rag.evaluation.scores import cutoffs, is_graded, scores, wrong_and_confidence
from rag.evaluation.selective import aurc
from rag.evaluation.uncertainty import interval, mean_interval

if TYPE_CHECKING:
    from rag.evaluation.uncertainty import Floats


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its 95 % interval, over the `count` questions for which it is defined."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Aggregate:
    """By question id the values of the columns that `statistic` takes: it gets an array (columns, samples, questions)
    and returns one number a sample."""

    rows: Mapping[str, tuple[float, ...]]
    statistic: Callable[[Floats], Floats]

    def columns(self, ids: Sequence[str]) -> list[tuple[float, ...]]:
        return list(zip(*(self.rows[id_] for id_ in ids), strict=True))

    def value(self, ids: Sequence[str]) -> float:
        """Over these questions."""
        import numpy as np

        return float(self.statistic(np.asarray(self.columns(ids), np.float64)[:, None, :])[0])

    def figure(self) -> Figure:
        ids = list(self.rows)
        return Figure(self.value(ids), *interval(self.statistic, *self.columns(ids)), len(ids))


def figures(predictions: Sequence[Prediction]) -> dict[str, Figure]:
    """Every figure that is defined for these questions, in the order of the catalogue."""
    ks = cutoffs(predictions)
    columns: dict[str, list[float]] = {}
    for prediction in predictions:
        for name, score in scores(prediction, ks).items():
            columns.setdefault(name, []).append(score)
    found = {
        name: Figure(sum(column) / len(column), *mean_interval(column), len(column)) for name, column in columns.items()
    }
    found |= {name: aggregate.figure() for name, aggregate in aggregates(predictions).items()}
    return dict(sorted(found.items(), key=lambda item: position(item[0])))


def aggregates(predictions: Sequence[Prediction]) -> dict[str, Aggregate]:
    """The figures that are no mean over questions."""
    return dict(_areas(predictions)) | dict(_speeds(predictions))


def _areas(predictions: Sequence[Prediction]) -> Iterator[tuple[str, Aggregate]]:
    graded = list(filter(is_graded, predictions))
    if not graded:
        return
    wrong, sure, best = wrong_and_confidence(graded)
    rows = {p.id: row for p, row in zip(graded, zip(wrong, sure, best, strict=True), strict=True)}
    yield "aurc", Aggregate(rows, lambda sample: _areas_by(sample, 1))
    yield "aurc_best_score", Aggregate(rows, lambda sample: _areas_by(sample, 2))
    yield "aurc_gain", Aggregate(rows, lambda sample: _areas_by(sample, 2) - _areas_by(sample, 1))


def _areas_by(sample: Floats, column: int) -> Floats:
    import numpy as np

    return np.asarray([aurc(wrong, sure) for wrong, sure in zip(sample[0], sample[column], strict=True)])


def _speeds(predictions: Sequence[Prediction]) -> Iterator[tuple[str, Aggregate]]:
    asked = [p for p in predictions if not p.error]
    times = {"latency": {p.id: (p.seconds,) for p in asked}}
    times |= {stage: {p.id: (p.timings[stage],) for p in asked if stage in p.timings} for stage in STAGES}
    for stage, rows in times.items():
        for percent in (50, 95) if rows else ():
            yield f"{stage}_p{percent}", Aggregate(rows, _percentile(percent))
    wrote = {p.id: (float(p.tokens), p.timings["write"]) for p in asked if p.tokens and p.timings.get("write")}
    if wrote:
        yield "tokens_per_second", Aggregate(wrote, lambda sample: sample[0].sum(axis=-1) / sample[1].sum(axis=-1))


def _percentile(percent: int) -> Callable[[Floats], Floats]:
    def statistic(sample: Floats) -> Floats:
        import numpy as np

        found: Floats = np.percentile(sample[0], percent, axis=-1)
        return found

    return statistic
