"""Which hit is a right one, and at which rank."""

from __future__ import annotations

import pytest

from rag.evaluation.matching import Level, coverage, matches, ranks, same_document, targets, unknown_documents
from rag.types import Evidence, Hit, Passage


def hit(document: str, page: int | None = None, text: str = "some words") -> Hit:
    return Hit(Passage(document, "", "", "", "", page, 0, len(text), text), 1.0)


@pytest.mark.parametrize(
    ("found", "wanted", "same"),
    [
        ("a.pdf", "a.pdf", True),
        ("reports/2022/a.pdf", "a.pdf", True),
        ("reports/2022/a.pdf", "2022/a.pdf", True),
        ("reports/2022/a.pdf", "2021/a.pdf", False),
        ("a.pdf", "reports/a.pdf", True),
        ("ACME_2022_10K.pdf", "ACME_2022_10K", True),
        ("French and Indian War.md", "French_and_Indian_War", True),
        ("ba.pdf", "a.pdf", False),
        ("a.pdf", "a.txt", False),
        ("a.pdf.txt", "a", False),
        ("Caf\u00e9.md", "Cafe\u0301.md", True),
    ],
)
def test_same_document(found: str, wanted: str, same: bool) -> None:
    assert same_document(found, wanted) is same


def test_documents_that_nothing_can_be_found_for() -> None:
    held = ["reports/2022/a.pdf", "b.md"]
    assert unknown_documents(["a.pdf", "2021/a.pdf", "b", "c", "c"], held) == ["2021/a.pdf", "c"]


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("one two three four five six", 1.0),
        ("One, two: THREE.", 0.5),
        ("zero two three four", 0.5),
        ("three two one six five four", 0.0),  # the same words in other company
        ("one two. five six", 0.0),
        ("one two three. four five six", 1.0),
        ("", 0.0),
    ],
)
def test_coverage_counts_words_in_runs_of_three(text: str, share: float) -> None:
    assert coverage(text, "one two three four five six") == pytest.approx(share)


def test_coverage_of_one_word_needs_the_word() -> None:
    assert coverage("It is France, they say", "France") == 1.0
    assert coverage("It is Spain, they say", "France") == 0.0
    assert coverage("anything", "…") == 0.0


def test_with_a_page_the_page_decides() -> None:
    evidence = Evidence("a.pdf", 3, "one two three")
    assert matches(hit("a.pdf", 3, "something else"), evidence)
    assert not matches(hit("a.pdf", 4, "one two three"), evidence)
    assert not matches(hit("b.pdf", 3, "one two three"), evidence)


def test_without_a_page_half_of_the_words_decide() -> None:
    evidence = Evidence("a.md", None, "one two three four five six")
    assert matches(hit("a.md", None, "x one two three x"), evidence)
    assert not matches(hit("a.md", None, "one two"), evidence)
    assert not matches(hit("b.md", None, "one two three four five six"), evidence)


def test_without_page_and_text_the_document_decides() -> None:
    assert matches(hit("a.md", 9), Evidence("a.md"))
    assert not matches(hit("b.md", 9), Evidence("a.md"))


EVIDENCE = (
    Evidence("a.pdf", 3, "first"),
    Evidence("a.pdf", 3, "second", grade=2),  # the same page
    Evidence("b.pdf", 1, "third"),
)


def test_targets_are_different_things() -> None:
    assert [(t.document, t.page, t.grade) for t in targets(EVIDENCE, Level.PASSAGE)] == [
        ("a.pdf", 3, 2),
        ("b.pdf", 1, 1),
    ]
    assert [t.document for t in targets(EVIDENCE, Level.DOCUMENT)] == ["a.pdf", "b.pdf"]
    assert targets([Evidence("a.md", None, "text")], Level.PAGE) == []
    assert len(targets([Evidence("a.md", None, "one"), Evidence("a.md", None, "two")], Level.PASSAGE)) == 2


HITS = [hit("a.pdf", 1), hit("a.pdf", 1), hit("c.pdf", 1), hit("a.pdf", 3), hit("b.pdf", 2)]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (Level.PASSAGE, [4, None]),
        (Level.PAGE, [3, None]),  # a/1, c/1, a/3, b/2
        (Level.DOCUMENT, [1, 3]),  # a, c, b
    ],
)
def test_ranks_count_different_things(level: Level, expected: list[int | None]) -> None:
    assert ranks(HITS, targets(EVIDENCE, level), level) == expected


def test_nothing_found() -> None:
    assert ranks([], targets(EVIDENCE, Level.PAGE), Level.PAGE) == [None, None]
