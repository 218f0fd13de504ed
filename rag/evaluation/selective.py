"""Abstention as a trade: answer fewer questions, and be wrong less often. Pure.

Ordered by how sure the system was, the risk at a coverage is the share of wrong answers among the surest questions
of that share (El-Yaniv and Wiener, JMLR 2010; Geifman and El-Yaniv, arXiv 1705.08500).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def risk_coverage(wrong: Sequence[float] | Floats, confidence: Sequence[float] | Floats) -> Floats:
    """The risk at coverage 1/n, 2/n, … 1. Questions of equal confidence are taken in no particular order: each has
    their average wrongness, so that a confidence that says nothing gives a flat line."""
    import numpy as np

    sure = np.asarray(confidence, np.float64)
    errors = np.asarray(wrong, np.float64)
    _, place, count = np.unique(-sure, return_inverse=True, return_counts=True)
    average = np.bincount(place, weights=errors) / count
    ordered = np.repeat(average, count)
    risk: Floats = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return risk


def aurc(wrong: Sequence[float] | Floats, confidence: Sequence[float] | Floats) -> float:
    """The area under the risk-coverage curve: the mean risk over all coverages (Geifman et al., arXiv 1805.08206).
    0 is best; a confidence that says nothing gives the share of wrong answers."""
    return float(risk_coverage(wrong, confidence).mean())
