"""How sure a figure is, and a difference between two runs. Pure and seeded: equal input gives equal output.

Intervals are percentile bootstrap over questions (Efron and Tibshirani, "An introduction to the bootstrap", 1993);
p-values are of the paired randomisation test (Smucker, Allan and Carterette, CIKM 2007), or, where a figure is no mean
over questions, of the paired bootstrap (the same book, section 16.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RESAMPLES = 1_000
PERMUTATIONS = 10_000
CONFIDENCE = 0.95
SEED = 20_231_120
_BLOCK = 1_000_000  # numbers drawn at a time, to bound memory


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean."""
    return interval(lambda sample: sample[0].mean(axis=-1), values)


def interval(statistic: Callable[[Floats], Floats], *columns: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of a statistic of questions, each with a value in every column.

    `statistic` gets an array (columns, resamples, questions) and returns one number a resample.
    """
    import numpy as np

    return _middle(_resampled(statistic, np.asarray(columns, np.float64)))


def paired_interval_and_p(
    statistic: Callable[[Floats], Floats], before: Sequence[Sequence[float]], after: Sequence[Sequence[float]]
) -> tuple[float, float, float]:
    """The 95 % interval of how much a statistic changes, with the same questions drawn from both, and how often the
    change comes out on the other side of 0: two-sided, at least 2 / (RESAMPLES + 1)."""
    import numpy as np

    columns = len(before)
    both = np.asarray([*before, *after], np.float64)
    found = _resampled(lambda sample: statistic(sample[columns:]) - statistic(sample[:columns]), both)
    opposed = min(int((found <= 0).sum()), int((found >= 0).sum()))
    return *_middle(found), min(1.0, 2 * (opposed + 1) / (RESAMPLES + 1))


def _resampled(statistic: Callable[[Floats], Floats], table: Floats) -> Floats:
    import numpy as np

    count = table.shape[1]
    draw = np.random.default_rng(SEED)
    step = max(1, _BLOCK // count)
    sizes = [min(step, RESAMPLES - start) for start in range(0, RESAMPLES, step)]
    return np.concatenate([statistic(table[:, draw.integers(0, count, (size, count))]) for size in sizes])


def _middle(found: Floats) -> tuple[float, float]:
    import numpy as np

    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, (tail, 1 - tail))
    return float(low), float(high)


def paired_p(differences: Sequence[float]) -> float:
    """How often a mean difference at least this far from 0 comes about when each question's difference might as
    well have the other sign. Two-sided; at least 1 / (PERMUTATIONS + 1)."""
    import numpy as np

    moved = np.asarray([value for value in differences if value], np.float64)  # equal ones stay 0 under either sign
    if not len(moved):
        return 1.0
    observed = abs(moved.sum())
    draw = np.random.default_rng(SEED)
    step = max(1, _BLOCK // len(moved))
    as_far = 0
    for start in range(0, PERMUTATIONS, step):
        signs = draw.integers(0, 2, (min(step, PERMUTATIONS - start), len(moved)), np.int8) * 2.0 - 1
        as_far += int((np.abs(signs @ moved) >= observed * (1 - 1e-12)).sum())
    return (as_far + 1) / (PERMUTATIONS + 1)
