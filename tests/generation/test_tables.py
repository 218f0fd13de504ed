"""Tables in extracted text, as PDFs and office files give them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.generation.tables import is_row, tables


def found(text: str) -> list[tuple[list[str], list[str]]]:
    """(head, rows) of each table."""
    lines = text.split("\n")
    return [
        (lines[table.top : table.body], [" / ".join(lines[first:past]) for first, past in table.rows])
        for table in tables(lines)
    ]


@pytest.mark.parametrize(
    "line",
    [
        "Revenue 1,577 1,432",
        "Finance costs (905) (742)",
        "Exceptional items (note 3) (640) –",
        "DN 15 to DN 50 145 190 265",
        "Data kept for 13 months 5 years 10 years",
        "readings 2 hours 2 Working Days",
        "Alpha | 20",
        "Kendal\tAda Byron",
    ],
)
def test_rows(line: str) -> None:
    assert is_row(line)


@pytest.mark.parametrize(
    "line",
    [
        "In 2024 revenue was 1,432 and in 2025 it was 1,577.",
        "The flood of 9 September 2025 cost £1,665,000: £720,000 for cleaning and drying, £560,000 for damaged",
        "Revenue rose by 4.3 per cent to £39.8 million (2023: £38.2 million) and operating profit to £5.1 million, a",
        "2025 (2024: £6.0 million). That is 0.5 times operating profit before exceptional items, depreciation and",
        "In 2024 we sold 1,200 meters and in 2025 1,300 of them at 20",
        "Report and accounts for the year ended 31 December 2025",
        "Leave is 28 days",
        "Notice periods",
    ],
)
def test_no_rows(line: str) -> None:
    assert not is_row(line)


def test_a_caption_a_unit_and_years_are_the_head() -> None:
    text = "Key figures\n£’000 unless stated\n2025 2024\nRevenue 94,990 85,290\nNet debt 8,393 6,014"
    assert found(text) == [
        (["Key figures", "£’000 unless stated", "2025 2024"], ["Revenue 94,990 85,290", "Net debt 8,393 6,014"])
    ]


def test_column_heads_with_figures_of_their_own() -> None:
    text = "Calibration (GBP)\nNominal size 3 points 5 points\nDN 15 145 190\nDN 65 185 240"
    assert found(text) == [
        (["Calibration (GBP)", "Nominal size 3 points 5 points"], ["DN 15 145 190", "DN 65 185 240"])
    ]


def test_column_heads_that_wrap() -> None:
    text = "Article Model Max. flow\n(m³/h) Price (GBP)\n(weeks)\nBF2 BeckFlow 200 6 612 2\nBF4 BeckFlow 400 11 628 2"
    [(head, rows)] = found(text)
    assert (len(head), len(rows)) == (3, 2)


def test_a_cell_that_wraps_stays_in_its_row() -> None:
    text = (
        "Class Meaning Answer by telephone\nA, critical Flow to a trunk main is\nnot measured 30 minutes 6 hours\n"
        "B, serious A district meter gives no\nreadings 2 hours 2 Working Days"
    )
    assert found(text) == [
        (
            ["Class Meaning Answer by telephone"],
            [
                "A, critical Flow to a trunk main is / not measured 30 minutes 6 hours",
                "B, serious A district meter gives no / readings 2 hours 2 Working Days",
            ],
        )
    ]


def test_bars_have_one_line_of_heads() -> None:
    assert found("Site | Manager\nKendal | Ada Byron\nLeeds | Alan King") == [
        (["Site | Manager"], ["Kendal | Ada Byron", "Leeds | Alan King"])
    ]


def test_prose_above_a_table_is_not_its_head() -> None:
    text = "These prices hold until the end of March.\nAlpha 20 1,577\nBeta 30 2,100"
    assert found(text) == [([], ["Alpha 20 1,577", "Beta 30 2,100"])]


def test_two_tables_and_what_stands_between() -> None:
    text = "Assets\nCash 10 20\nLand 30 40\nLiabilities\nLoans 50 60\nTaxes 70 80"
    assert found(text) == [
        (["Assets"], ["Cash 10 20", "Land 30 40"]),
        (["Liabilities"], ["Loans 50 60", "Taxes 70 80"]),
    ]


@given(st.lists(st.sampled_from(["Alpha 20 30", "Some words of", "Ends.", "2025 2024", "a | b", "small 1 2", "- x"])))
def test_lines_are_used_once_and_in_order(lines: list[str]) -> None:
    past = 0
    for table in tables(lines):
        assert past <= table.top <= table.body == table.rows[0][0]
        for first, stop in table.rows:
            assert first < stop
        assert [first for first, _ in table.rows[1:]] == [stop for _, stop in table.rows[:-1]]
        past = table.past
    assert past <= len(lines)
    assert not any(is_row(line) for line in lines[past:])
