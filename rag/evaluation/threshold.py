"""METRIC=VALUE: what a figure has to reach, so that a build can fail over it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rag.errors import UsageError
from rag.evaluation.catalogue import metric
from rag.evaluation.figures import Figure


@dataclass(frozen=True, slots=True)
class Threshold:
    name: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """Raises UsageError for what names no metric or no number."""
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise UsageError(f"--fail-under {text!r}: it takes a metric and a number, like hit@5=0.8.")
        return cls(metric(name).name, number)

    def shortfall(self, figures: Mapping[str, Figure]) -> str:
        """What to say of a figure that is worse; nothing otherwise. Raises UsageError where it was not measured."""
        if self.name not in figures:
            raise UsageError(f"--fail-under: {self.name} was not measured. There are: {', '.join(figures)}.")
        which, figure = metric(self.name), figures[self.name].value
        if not which.is_worse(figure, self.value):
            return ""
        return f"{self.name} is {figure:.4f}, {'under' if which.higher_is_better else 'over'} {self.value:g}"
