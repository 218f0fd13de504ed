"""Two runs over the same questions: what changed, by how much, how surely, and for which questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rag.errors import UsageError
from rag.evaluation.catalogue import metric, position
from rag.evaluation.figures import Aggregate, aggregates
from rag.evaluation.folder import Run, load_run
from rag.evaluation.predictions import Prediction
from rag.evaluation.scores import cutoffs, depth_of, scores
from rag.evaluation.uncertainty import mean_interval, paired_interval_and_p, paired_p

FLIPPING = ("accuracy", "page_hit@5", "hit@5")  # figures whose questions are listed when they flip, where defined


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of both runs over the `count` questions that both define it for. `low` to `high` is the 95 % interval
    of the difference, paired by question, and `p` that of the paired randomisation test, or of the paired bootstrap
    where a figure is no mean over questions."""

    name: str
    before: float
    after: float
    count: int
    low: float
    high: float
    p: float

    @property
    def change(self) -> float:
        return self.after - self.before

    @property
    def is_better(self) -> bool:
        return metric(self.name).is_worse(self.before, self.after)


@dataclass(frozen=True, slots=True)
class Flips:
    """Ids of the questions that a yes-or-no figure `gained`, and of those that it `lost`."""

    gained: tuple[str, ...]
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`common` questions are equal in both runs and were put right or wrong in each; the others are left out."""

    before: Run
    after: Run
    common: tuple[str, ...]
    differences: tuple[Difference, ...]
    flips: Mapping[str, Flips]

    @property
    def left_out(self) -> int:
        return len(self.before.predictions.keys() | self.after.predictions.keys()) - len(self.common)

    def pair(self, id_: str) -> tuple[Prediction, Prediction]:
        return self.before.predictions[id_], self.after.predictions[id_]

    def as_json(self) -> dict[str, Any]:
        return {
            "before": str(self.before.folder),
            "after": str(self.after.folder),
            "common": len(self.common),
            "left_out": self.left_out,
            "settings": {name: list(values) for name, values in settings_that_differ(self)},
            "differences": [{**asdict(d), "change": d.change, "better": d.is_better} for d in self.differences],
            "flips": {name: asdict(flips) for name, flips in self.flips.items()},
        }


def compare(before: Path, after: Path) -> Comparison:
    """Raises UsageError where either is no run, or where they have no question in common."""
    first, second = load_run(before), load_run(after)
    common = tuple(
        id_
        for id_, prediction in first.predictions.items()
        if id_ in second.predictions and second.predictions[id_].example == prediction.example
    )
    if not common:
        raise UsageError(f"{before} and {after} have no question in common: there is nothing to compare.")
    old = [first.predictions[id_] for id_ in common]
    new = [second.predictions[id_] for id_ in common]
    ks = cutoffs(old) if depth_of(old) <= depth_of(new) else cutoffs(new)
    pairs = _pairs([scores(p, ks) for p in old], [scores(p, ks) for p in new], common)
    found = [_difference(name, list(paired.values())) for name, paired in pairs.items()]
    found += _aggregated(aggregates(old), aggregates(new))
    found.sort(key=lambda difference: position(difference.name))
    flips = {name: _flips(pairs[name]) for name in FLIPPING if name in pairs}
    return Comparison(first, second, common, tuple(found), flips)


def settings_that_differ(comparison: Comparison) -> Iterator[tuple[str, tuple[Any, Any]]]:
    before, after = _flat(comparison.before.config), _flat(comparison.after.config)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield name, (before.get(name), after.get(name))


Paired = dict[str, tuple[float, float]]  # id → score before and after


def _pairs(old: Sequence[dict[str, float]], new: Sequence[dict[str, float]], ids: Sequence[str]) -> dict[str, Paired]:
    found: dict[str, Paired] = {}
    for id_, before, after in zip(ids, old, new, strict=True):
        for name in before.keys() & after.keys():
            found.setdefault(name, {})[id_] = (before[name], after[name])
    return found


def _difference(name: str, pairs: Sequence[tuple[float, float]]) -> Difference:
    changes = [after - before for before, after in pairs]
    before, after = (sum(column) / len(pairs) for column in zip(*pairs, strict=True))
    return Difference(name, before, after, len(pairs), *mean_interval(changes), paired_p(changes))


def _aggregated(old: Mapping[str, Aggregate], new: Mapping[str, Aggregate]) -> Iterator[Difference]:
    """Areas, percentiles and rates, over the questions that have them in both runs."""
    for name in old.keys() & new.keys():
        before, after = old[name], new[name]
        if ids := [id_ for id_ in before.rows if id_ in after.rows]:
            low, high, p = paired_interval_and_p(before.statistic, before.columns(ids), after.columns(ids))
            yield Difference(name, before.value(ids), after.value(ids), len(ids), low, high, p)


def _flips(pairs: Paired) -> Flips:
    gained = tuple(id_ for id_, (before, after) in pairs.items() if before < after)
    lost = tuple(id_ for id_, (before, after) in pairs.items() if before > after)
    return Flips(gained, lost)


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in config.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found
