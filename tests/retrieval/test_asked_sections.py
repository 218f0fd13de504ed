"""Which part of a filing is asked for, and which passages stand there."""

from __future__ import annotations

import pytest

from rag.retrieval.filings import BALANCE, BUSINESS, CASH, INCOME, LEGAL, asked_sections
from rag.types import Passage

ROWS = "Inventories 1,577 1,402\nTotal current assets 16,525 15,887\nTotal assets 23,717 22,536"


def passage(text: str, heading: str = "") -> Passage:
    return Passage("a.pdf", "", "", heading, "p. 1", 1, 0, len(text), text)


@pytest.mark.parametrize(
    ("question", "sections"),
    [
        ("What is the year-end amount of inventories?", {BALANCE}),
        ("What is the inventory turnover ratio?", {INCOME, BALANCE}),
        ("Give the capex from the cash flow statement.", {CASH}),
        ("What was EBITDA?", {INCOME, CASH}),
        ("Use the statement of financial position and the P&L statement.", {INCOME, BALANCE}),
        ("Is the company being sued?", {LEGAL}),
        ("Which debt securities are registered?", set()),
        ("Who won the war of 1812?", set()),
        ("What does a deposit box cost?", set()),  # "EPS" is no part of a word
    ],
)
def test_what_a_question_asks_for(question: str, sections: set[object]) -> None:
    assert set(asked_sections(question)) == sections


def test_a_section_reads_as_it_does_in_a_filing() -> None:
    asked = asked_sections("How did the gross margin and COGS develop?")
    assert asked == {
        INCOME: "Consolidated statements of income\ncost of sales, cost of goods sold, net sales, gross profit"
    }


@pytest.mark.parametrize("title", ["CONSOLIDATED BALANCE SHEETS", "Statement of Consolidated Financial Position"])
def test_a_statement_is_a_table_under_its_title(title: str) -> None:
    assert BALANCE.holds(passage(ROWS, heading=f"{title} (in millions)"))
    assert BALANCE.holds(passage(f"{title}\n(in millions)\n{ROWS}"))
    assert not BALANCE.holds(passage(ROWS))
    assert not INCOME.holds(passage(ROWS, heading=title))


def test_talk_of_a_statement_is_not_the_statement() -> None:
    talk = "As the consolidated balance sheets show, inventories rose because shops were stocked earlier than before."
    assert not BALANCE.holds(passage(talk))
    assert not BALANCE.holds(passage(f"{talk} They are stated in millions of dollars:\n{ROWS}"))


def test_an_item_is_found_by_its_title_and_not_in_the_contents() -> None:
    assert BUSINESS.holds(passage("PART I\nItem 1. - Business\nWe make boxes."))
    contents = "Item 1. Business 3\nItem 1A. Risk Factors 9\nItem 2. Properties 20\nItem 3. Legal Proceedings 21"
    assert not BUSINESS.holds(passage(contents))
