"""Risk over coverage, intervals and p-values, where they can be worked out."""

from __future__ import annotations

import math
import random
from itertools import product

import pytest

from rag.evaluation.selective import aurc, risk_coverage
from rag.evaluation.uncertainty import interval, mean_interval, paired_interval_and_p, paired_p


def test_risk_over_coverage_by_hand() -> None:
    assert risk_coverage([1, 0, 0, 1], [0.1, 0.9, 0.8, 0.5]).tolist() == pytest.approx([0, 0, 1 / 3, 1 / 2])
    assert aurc([1, 0, 0, 1], [0.1, 0.9, 0.8, 0.5]) == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)


def test_a_confidence_that_says_nothing_gives_a_flat_line() -> None:
    assert risk_coverage([1, 0, 0, 1], [5, 5, 5, 5]).tolist() == pytest.approx([0.5] * 4)
    assert risk_coverage([1, 0], [-math.inf, -math.inf]).tolist() == pytest.approx([0.5, 0.5])


def test_the_better_order_has_the_smaller_area() -> None:
    wrong = [0, 0, 0, 1, 1]
    assert aurc(wrong, [5, 4, 3, 2, 1]) < aurc(wrong, [1, 1, 1, 1, 1]) == pytest.approx(0.4)
    assert aurc(wrong, [1, 2, 3, 4, 5]) > 0.4


def test_the_interval_of_a_mean_is_what_theory_says() -> None:
    draw = random.Random(1)
    values = [draw.gauss(3, 2) for _ in range(400)]
    mean = sum(values) / 400
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / 400 / 400)
    low, high = mean_interval(values)
    assert low == pytest.approx(mean - 1.96 * deviation, abs=0.03)
    assert high == pytest.approx(mean + 1.96 * deviation, abs=0.03)
    assert (low, high) == mean_interval(values)  # seeded


def test_the_interval_of_what_does_not_vary_is_a_point() -> None:
    assert mean_interval([0.5]) == (0.5, 0.5)
    assert mean_interval([1.0] * 9) == (1.0, 1.0)


def test_an_interval_of_two_columns_draws_them_together() -> None:
    ratios = interval(lambda sample: sample[0].sum(axis=-1) / sample[1].sum(axis=-1), [2, 4, 60], [1, 2, 30])
    assert ratios == (2.0, 2.0)


def test_a_large_sample_is_drawn_in_blocks() -> None:
    low, high = mean_interval([0.0, 1.0] * 20_000)
    assert low == pytest.approx(0.5 - 0.0049, abs=0.001)
    assert high == pytest.approx(0.5 + 0.0049, abs=0.001)


def test_p_is_that_of_all_sign_changes() -> None:
    differences = [0.3, 0.1, -0.2, 0.5, 0.4, 0.0]
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in product((1, -1), repeat=6)]
    exact = sum(value >= 1.1 - 1e-9 for value in sums) / len(sums)
    assert paired_p(differences) == pytest.approx(exact, abs=0.01)


def test_p_of_no_difference_and_of_a_great_one() -> None:
    assert paired_p([0.0, 0.0]) == 1.0
    assert paired_p([1.0, -1.0]) == 1.0
    assert paired_p([1.0] * 30) == pytest.approx(1 / 10_001)


def test_a_statistic_of_both_runs_is_taken_over_the_same_questions() -> None:
    before = [float(i % 7) for i in range(60)]
    after = [value + 0.5 for value in before]
    low, high, p = paired_interval_and_p(lambda sample: sample[0].mean(axis=-1), [before], [after])
    assert (low, high) == (pytest.approx(0.5), pytest.approx(0.5))  # whichever questions are drawn
    assert p == pytest.approx(2 / 1001)
    assert paired_interval_and_p(lambda sample: sample[0].mean(axis=-1), [before], [before]) == (0.0, 0.0, 1.0)
