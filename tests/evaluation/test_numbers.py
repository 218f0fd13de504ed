"""Numbers read and compared as people do."""

from __future__ import annotations

import pytest

from rag.evaluation.numbers import Quantity, numeric_match, quantities

MILLIONS = "What is the revenue? Answer in USD millions."
BILLIONS = "What is the capital expenditure (in USD billions)?"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$1,577 million", [Quantity(1577, 1, 1e6, "$")]),
        ("1577.00 in millions", [Quantity(1577, 1, 1e6)]),
        ("$2,018mn in FY 2023", [Quantity(2018, 1, 1e6, "$"), Quantity(2023, 1)]),
        ("US$ 8.4bn", [Quantity(8.4, 0.1, 1e9, "$")]),
        ("EUR 5k, £3", [Quantity(5, 1, 1e3, "€"), Quantity(3, 1, None, "£")]),
        ("(1,234) and -0.02", [Quantity(1234, 1, negative=True), Quantity(0.02, 0.01, negative=True)]),
        ("a loss of $(3.2) billion", [Quantity(3.2, 0.1, 1e9, "$", negative=True)]),
        ("24.6% or 5 per cent", [Quantity(24.6, 0.1, percent=True), Quantity(5, 1, percent=True)]),
        ("8.70", [Quantity(8.7, 0.1)]),
        ("2015-2017", [Quantity(2015, 1), Quantity(2017, 1)]),
        ("1.5x", [Quantity(1.5, 0.1)]),
        ("FY2023 Q2 10-K 3rd p.3 5-year 9.8.2020 1.577.000", []),
        ("5 m tall", [Quantity(5, 1)]),
    ],
)
def test_read(text: str, found: list[Quantity]) -> None:
    assert list(quantities(text)) == found


@pytest.mark.parametrize(
    ("answer", "gold", "question", "match"),
    [
        ("$1,577 million", "1577.00", MILLIONS, 1),
        ("It was 1,577", "$1577.00", MILLIONS, 1),
        ("$1,577,000,000", "$1577.00", MILLIONS, 1),
        ("$1.577 billion", "$1577.00", MILLIONS, 1),
        ("$1.6 billion", "$1577.00", MILLIONS, 1),
        ("$2 billion", "$1577.00", MILLIONS, 0),
        ("$1,577 thousand", "$1577.00", MILLIONS, 0),
        ("$1,578 million", "$1577.00", MILLIONS, 0),
        ("8,738", "$8.70", BILLIONS, 1),
        ("9 billion", "$8.70", BILLIONS, 0),
        ("5 million", "5", "How many stores?", 0),
        ("5", "5 million", "How many?", 1),
        ("€5", "$5", "", 0),
        ("2.79%", "2.8%", "", 1),
        ("2.8", "2.8%", "", 1),
        ("0.028", "2.8%", "", 1),
        ("66%", "0.66", "", 1),
        ("3%", "2.8%", "", 0),
        ("$2.8 million", "2.8%", "", 0),
        ("from 24.6% to 21.6%", "It fell from 24.6% in FY 2021 to 21.6% in FY 2022", "", 1),
        ("21.6%", "It fell from 24.6% in FY 2021 to 21.6% in FY 2022", "", 0),
        ("in 2019", "2018", "", 0),
        ("in 2018", "2018", "", 1),
        ("fell by 2.5 billion", "-2.5 billion", "", 1),
        ("rose by 2.5 billion", "-2.5 billion", "", 0),
        ("-0.02", "-0.02", "", 1),
        ("no number", "5", "", 0),
    ],
)
def test_matched(answer: str, gold: str, question: str, match: float) -> None:
    assert numeric_match(answer, [gold], question) == match


def test_any_gold_answer_with_numbers_will_do() -> None:
    assert numeric_match("It is 7.", ["five", "6", "7"]) == 1.0
    assert numeric_match("It is 7.", ["five", "FY2023"]) is None
