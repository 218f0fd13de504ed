"""Numbers, names and words as they are compared."""

from __future__ import annotations

import pytest

from rag.generation.terms import stem, terms


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1,577", {"1577"}),
        ("1577.00", {"1577"}),
        ("$1,577", {"1577"}),
        ("1.577,50", {"1577.5"}),
        ("1 577", {"1"}),  # an ordinary space does not group: 577 is asserted below
        ("1\u00a0577", {"1577"}),
        ("3.5%", {"3.5"}),
        ("007", {"7"}),
        ("01.07.2022", {"1", "7", "2022"}),
        ("2022-07-01", {"2022", "7", "1"}),
        ("three", {"3"}),
        ("one of them", set()),
        ("the 10th", {"10"}),
        ("Q3", set()),
        ("3 months", {"3", "3 month"}),
        ("three-month", {"3", "3 month"}),
        ("$1.5bn", {"1.5", "1.5 billion"}),
        ("12 million", {"12", "12 million"}),
    ],
)
def test_numbers(text: str, numbers: set[str]) -> None:
    found = terms(text).numbers
    assert found == (numbers if text != "1 577" else numbers | {"577"})


def test_names_are_capitalised_inside_a_sentence_acronyms_and_codes() -> None:
    found = terms("The report of Ada Byron covers NASA and Q3. Revenue fell. iPhone sales rose.")
    assert found.names == {stem(name) for name in ("Ada", "Byron", "NASA", "Q3")}
    assert stem("revenue") in found.words


def test_stopwords_and_endings_do_not_count() -> None:
    assert terms("What is the notice period?").words == terms("notices periods").words
    assert terms("The company's employees").words == terms("company employee").words


def test_equal_words_have_equal_stems() -> None:
    for pair in (("companies", "company"), ("founded", "founder"), ("paid", "paid"), ("prices", "price")):
        assert stem(pair[0]) == stem(pair[1])
