from __future__ import annotations

from collections.abc import Sequence

import pytest

from rag.retrieval.query import Names, keywords, name_terms
from rag.types import Card


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("What is the price of a BeckFlow 600?", "price BeckFlow 600?"),
        ("Who is it?", "Who is it?"),  # nothing would be left
        ("O'Neil (the CEO)", "O'Neil CEO)"),
    ],
)
def test_keywords_drop_how_it_is_asked(question: str, kept: str) -> None:
    assert keywords(question) == kept


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("PEPSICO_2022_10K", ["pepsico", "2022", "10k"]),
        ("FY2023Q2", ["fy", "2023", "q2"]),
        ("the 10-K of FY 22", ["the", "10k", "of", "2022"]),
        ("AnnualReport2024", ["annual", "report", "2024"]),
        ("DN200-7", ["dn200", "7"]),
    ],
)
def test_names_and_questions_are_written_alike(text: str, terms: list[str]) -> None:
    assert name_terms(text) == terms


def names(*files: str, openings: Sequence[str] = ()) -> Names:
    cards = [Card(i, file, "") for i, file in enumerate(files)]
    return Names(cards, lambda ids: {id_: openings[id_] for id_ in ids if openings})


FILINGS = (
    "BESTBUY_2022_10K.pdf",
    "BESTBUY_2023_10K.pdf",
    "NIKE_2022_10K.pdf",
    "NIKE_2023_10K.pdf",
    "NIKE_2023Q2_10Q.pdf",
)


@pytest.mark.parametrize(
    ("question", "best"),
    [
        ("What did Nike earn in FY2022?", "NIKE_2022_10K.pdf"),
        ("Best Buy's inventories in 2023", "BESTBUY_2023_10K.pdf"),
        ("Nike between FY2022 and FY2023, in the 10-K", "NIKE_2023_10K.pdf"),  # the later report covers both
        ("Nike, Q2 of FY2023", "NIKE_2023Q2_10Q.pdf"),
    ],
)
def test_company_and_year_point_at_a_document(question: str, best: str) -> None:
    affinity = names(*FILINGS).affinity(question)
    assert FILINGS[max(affinity, key=lambda id_: affinity[id_])] == best


def test_a_question_that_names_nothing_prefers_nothing() -> None:
    assert names(*FILINGS).affinity("How do I reset my password?") == {}
    assert names().affinity("Nike") == {}


def test_part_of_a_name_counts_less_than_all_of_it() -> None:
    affinity = names("French and Indian War.md", "War.md", "Oil.md").affinity("Who won the war?")
    assert affinity[1] > affinity[0]


SCANS = ("scan_2023_1.pdf", "scan_2023_2.pdf", "scan_2023_3.pdf")
FIRST_PAGES = ("Annual report of Nike", "Report of Puma", "Report of Reebok")


@pytest.mark.parametrize("sampled", [500, 1])
def test_the_first_page_tells_what_a_bare_name_does_not(monkeypatch: pytest.MonkeyPatch, sampled: int) -> None:
    """Where the first pages are too many to be read, those of the likeliest documents are."""
    monkeypatch.setattr("rag.retrieval.query.SAMPLED", sampled)
    affinity = names(*SCANS, openings=FIRST_PAGES).affinity("Puma 2023 1 2 3")
    assert max(affinity, key=lambda id_: affinity[id_]) == 1
    assert affinity[0] == affinity[2]


def test_of_many_first_pages_few_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.retrieval.query.SAMPLED", 100)
    monkeypatch.setattr("rag.retrieval.query.LOOKED_AT", 10)
    read: list[int] = []

    def openings(ids: Sequence[int]) -> dict[int, str]:
        read.extend(ids)
        return {id_: f"page {id_}" for id_ in ids}

    recognised = Names([Card(i, f"report {i}.pdf", "") for i in range(1000)], openings)
    assert len(read) == 100
    affinity = recognised.affinity("report 977")
    assert len(read) <= 110
    assert max(affinity, key=lambda id_: affinity[id_]) == 977
