"""The shortest stretch that answers, and the whole sentence where none is sure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.generation.spans import shortest


def answer(question: str, text: str, head: str | None = None) -> str:
    start, end = shortest(question, text, head)
    return text[start:end]


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        ("When was Montreal captured?", "Fort Duquesne fell in 1758 and Montreal was captured in 1760.", "1760"),
        ("When does the lease end?", "The lease began on 3 May 2019, and it ends on 31 March 2027.", "31 March 2027"),
        ("When did the Normans come?", "The Normans came in the 10th and 11th\ncenturies.", "10th and 11th\ncenturies"),
        ("What year did Rollo die?", "Rollo died on 4 June 930 AD in Rouen.", "930 AD"),
        ("How many pumps were sold in 2025?", "In 2025 the group sold 1,577 pumps and 20 valves.", "1,577"),
        ("How much did it cost?", "It cost US$3.5 million in 2020.", "US$3.5 million"),
        ("What percentage is Protestant?", "Some one million Protestants are 2% of the people.", "2%"),
        ("How long is the notice period?", "The notice period is three months for managers.", "three months"),
        ("Who founded Acme?", "Acme was founded by Jane van der Berg in Delft.", "Jane van der Berg"),
        ("Where was Acme founded?", "Acme was founded by Jane van der Berg in Delft.", "Delft"),
    ],
)
def test_what_is_asked_for(question: str, text: str, expected: str) -> None:
    assert answer(question, text) == expected


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Why did it fail?", "It failed in 2020 because 3 seals broke."),
        ("When did it fail?", "It failed when the seals broke."),
        ("When did the 1973 crisis begin?", "The 1973 crisis began after the embargo."),
        ("Who came?", "The bishop met Jane Smith, John Jones and Max Meier."),  # who of them?
        ("Who came?", "Nobody did."),
    ],
)
def test_the_whole_sentence_where_nothing_is_sure(question: str, text: str) -> None:
    assert answer(question, text) == text


@pytest.mark.parametrize(
    ("question", "row", "head", "expected"),
    [
        ("What were finance costs in 2024?", "Finance costs (880) (905)", "In £'000 2025 2024", "(905)"),
        ("What were finance costs?", "Finance costs (880) (905)", "In £'000 2025 2024", "Finance costs (880) (905)"),
        ("What is the hotel limit in London?", "London 165", "Hotel limit", "165"),
        ("What is the price of model Beta?", "Beta | 30 | 2,100", "Model | Price | Weight", "30"),
        ("What is the colour of Beta?", "Beta | 30 | 2,100", "Model | Price | Weight", "Beta | 30 | 2,100"),
    ],
)
def test_a_table_is_read_by_row_and_column(question: str, row: str, head: str, expected: str) -> None:
    assert answer(question, row, head) == expected


@given(
    st.sampled_from(["When?", "How many?", "Who?", "Where?", "Why?", "How long in 2020?"]),
    st.text(alphabet="aA1 2.,%$|–é\n£", max_size=60),
    st.one_of(st.none(), st.text(alphabet="aA1 2|", max_size=20)),
)
def test_it_is_always_a_part_of_the_text(question: str, text: str, head: str | None) -> None:
    start, end = shortest(question, text, head)
    assert 0 <= start <= end <= len(text)
    assert start < end or not text
