"""Splitting text into what can be quoted."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.generation.sentences import MARKER, Kind, sentences, units


def split(text: str) -> list[str]:
    return [text[a:b] for a, b in sentences(text)]


def pieces(text: str, kind: Kind) -> list[str]:
    return [text[u.start : u.end] for u in units(text) if u.kind is kind]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith met J. Jones at Acme Inc. in May.", ["Dr. Smith met J. Jones at Acme Inc. in May."]),
        ("It rose 3.5 % to 1,577.00. Costs fell.", ["It rose 3.5 % to 1,577.00.", "Costs fell."]),
        ("See p. 12 for e.g. rates. Then stop.", ["See p. 12 for e.g. rates.", "Then stop."]),
        (
            "On 23 June Rep. Joe Barton wrote. Daly et al. Found more.",
            ["On 23 June Rep. Joe Barton wrote.", "Daly et al. Found more."],
        ),
        (
            "BEST BUY CO., INC. Richfield. See Item 9A. Controls and Note 7. Leases.",
            ["BEST BUY CO., INC. Richfield.", "See Item 9A. Controls and Note 7. Leases."],
        ),
        ('He said "no." She left.', ['He said "no."', "She left."]),
        ("A claim.[1] Another. [2][3] Last one [4].", ["A claim.[1]", "Another. [2][3]", "Last one [4]."]),
        ("No full stop", ["No full stop"]),
        ("第一句。第二句。", ["第一句。", "第二句。"]),
        ("   ", []),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert split(text) == expected


def test_wrapped_lines_are_one_sentence_and_headings_stand_apart() -> None:
    text = (
        "Notice periods\n"
        "The notice period for managers is three months to the end of a quarter,\n"
        "for all others four weeks.\n\n"
        "Leave is 28 days."
    )
    assert pieces(text, Kind.HEAD) == ["Notice periods"]
    assert [" ".join(p.split()) for p in pieces(text, Kind.PROSE)] == [
        "The notice period for managers is three months to the end of a quarter, for all others four weeks.",
        "Leave is 28 days.",
    ]


def test_list_items_stand_apart() -> None:
    text = "Bring:\n- a passport\n- two photographs\n• the form"
    assert pieces(text, Kind.PROSE) == ["Bring:", "a passport", "two photographs", "the form"]


def test_rows_know_their_caption_and_column_heads() -> None:
    text = "Consolidated results, in EUR million\n2025 2024\nRevenue 1,577 1,432\nCosts (1,200) (1,100)\n\nA sentence."
    rows = [u for u in units(text) if u.kind is Kind.ROW]
    assert [text[u.start : u.end] for u in rows] == ["Revenue 1,577 1,432", "Costs (1,200) (1,100)"]
    assert all(u.head is not None for u in rows)
    assert {text[u.head[0] : u.head[1]] for u in rows if u.head} == {"Consolidated results, in EUR million\n2025 2024"}
    assert pieces(text, Kind.PROSE) == ["A sentence."]


def test_rows_set_apart_by_bars() -> None:
    text = "Site | Manager | Phone\nKendal | Ada Byron | 015\nLeeds | Alan King | 016"
    assert pieces(text, Kind.HEAD) == ["Site | Manager | Phone"]
    assert pieces(text, Kind.ROW) == ["Kendal | Ada Byron | 015", "Leeds | Alan King | 016"]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("[1]", "1"),
        ("[1, 2]", "1, 2"),
        ("[1-3]", "1-3"),
        ("[Passage 2]", "2"),
        ("[a]", None),
        ("[]", None),
        ("[1", None),
    ],
)
def test_markers(text: str, numbers: str | None) -> None:
    found = MARKER.search(text)
    assert (found and found.group(1)) == numbers


@given(st.text(alphabet="ab A1.,!?|\t\n[]•- é。", max_size=120))
def test_units_are_ordered_disjoint_and_lose_no_letter(text: str) -> None:
    found = units(text)
    spans = [(u.start, u.end) for u in found]
    assert all(a < b for a, b in spans)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    kept = "".join(text[a:b] for a, b in spans)
    marks = str.maketrans("", "", "•- \t\n")  # of list items
    assert kept.translate(marks) == text.translate(marks)


def test_an_omission_ends_no_sentence() -> None:
    text = "Key figures 2024 2023 … Revenue 85,290 78,790 [1]. It went on… And on."
    assert [text[start:end] for start, end in sentences(text)] == [
        "Key figures 2024 2023 … Revenue 85,290 78,790 [1].",
        "It went on…",
        "And on.",
    ]
