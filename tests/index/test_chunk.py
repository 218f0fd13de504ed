"""Passages, with a counter for which a token is a word, so that sizes can be counted by hand."""

from __future__ import annotations

import pytest
from conftest import WordEmbedder, document
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.index.chunk import chunk, is_row
from rag.types import Document, Mark, Passage

WORDS = WordEmbedder()


def cut(made: Document, max_tokens: int = 40) -> list[Passage]:
    return chunk(made, WORDS, max_tokens)


def sentences(count: int, length: int = 10) -> str:
    return " ".join(f"S{i} " + "word " * (length - 2) + "end." for i in range(count))


def test_one_short_text_is_one_passage() -> None:
    (passage,) = cut(document("a.txt", "  A few words.  "))
    assert (passage.text, passage.start, passage.end) == ("A few words.", 2, 14)
    assert (passage.page, passage.place, passage.title) == (1, "p. 1", "a")


def test_a_passage_never_crosses_a_page() -> None:
    passages = cut(document("a.pdf", "One.\fTwo.\f\fFour."))
    assert [(p.text, p.page) for p in passages] == [("One.", 1), ("Two.", 2), ("Four.", 4)]


def test_cuts_at_sentence_ends_into_even_pieces() -> None:
    passages = cut(document("a.txt", sentences(5)))  # 50 words; 37 fit beside title and special tokens
    assert [len(p.text.split()) for p in passages] == [30, 20]
    assert all(p.text.endswith("end.") for p in passages)


def test_abbreviations_do_not_end_a_sentence() -> None:
    text = "Dr. Smith of Acme Inc. met Mr. Jones. " + sentences(4)
    first = cut(document("a.txt", text))[0].text
    assert first.startswith("Dr. Smith of Acme Inc. met Mr. Jones.")
    assert first.endswith("end.")


def test_paragraphs_of_some_size_stand_alone_and_stumps_are_joined() -> None:
    long = sentences(2)
    assert [p.text for p in cut(document("a.txt", f"{long}\n\n{long}"))] == [long, long]
    assert [p.text for p in cut(document("a.txt", f"Title\n\n{long}"))] == [f"Title\n\n{long}"]


def test_a_heading_begins_a_passage_and_stands_above_it() -> None:
    text = f"Intro. {sentences(1)}\nCosts\nTen euros for each of us."
    at = text.index("Costs")
    made = Document("a.pdf", "", "a", text, (Mark(0, "p. 1", 1),), (Mark(0, "Start"), Mark(at, "Money > Costs")))
    passages = cut(made)
    assert [(p.heading, p.start) for p in passages] == [("Start", 0), ("Money > Costs", at)]
    assert passages[1].headed == "a > Money > Costs\nCosts\nTen euros for each of us."


def test_a_section_without_pages_is_heading_and_place() -> None:
    made = Document("a.md", "", "Guide", "Hello there.\nPay now.", (Mark(0, "Guide > Hello"), Mark(13, "Guide > Pay")))
    assert [(p.place, p.heading, p.page) for p in cut(made)] == [
        ("Guide > Hello", "Guide > Hello", None),
        ("Guide > Pay", "Guide > Pay", None),
    ]
    assert cut(made)[0].headed == "Guide > Hello\nHello there."  # the title is not said twice


def test_without_an_outline_the_pages_own_title_stands_above_the_rest_of_it() -> None:
    text = f"ACME CORP\nBalance sheet\n{sentences(5)}\fNo title here, but a sentence.\n{sentences(5)}"
    passages = cut(document("a.pdf", text), 50)
    assert [(p.page, p.heading) for p in passages] == [(1, ""), (1, "ACME CORP Balance sheet"), (2, ""), (2, "")]
    assert passages[0].text.startswith("ACME CORP")


def test_a_table_stays_together_and_its_further_pieces_repeat_its_heads() -> None:
    rows = "\n".join(f"Item {i} {i}0 {i}5" for i in range(1, 14))
    text = f"Some prose comes first and says a thing, which ends.\nTable 1. Prices\nItem 2023 2024\n{rows}"
    passages = cut(document("a.pdf", text), 50)
    tables = [p for p in passages if "Item 5 50 55" in p.text or p.heading]
    assert passages[0].text.startswith("Some prose")
    assert "Table 1. Prices" in tables[0].text
    assert len(tables) > 1
    assert all(p.heading == "Table 1. Prices Item 2023 2024" for p in tables[1:])
    assert all(line in "\n".join(p.text for p in passages).split("\n") for line in rows.split("\n"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Net sales 1,577 1,402 (35)", True),
        ("Hotel | 165 | 175", True),
        ("Total assets $ 14,544 $ 13,208", True),
        ("In 2023 we sold 15 of the 20 sites that we had bought three years earlier.", False),
        ("A heading", False),
        ("Page 3", False),
    ],
)
def test_what_looks_like_a_row(line: str, expected: bool) -> None:
    assert is_row(line) is expected


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.text(alphabet=st.sampled_from("ab1 .\n,|%$\f-éß漢"), max_size=300)
        | st.just("x" * 900)
        | st.just(sentences(9)),
        max_size=4,
    ),
    st.integers(20, 60),
)
def test_any_text_is_covered_by_passages_in_order(pieces: list[str], max_tokens: int) -> None:
    made = document("some name.txt", "\n".join(pieces))
    passages = cut(made, max_tokens)
    position = 0
    for passage in passages:
        assert made.text[passage.start : passage.end] == passage.text
        assert passage.start >= position
        assert not made.text[position : passage.start].strip()  # nothing is lost between passages
        assert len(passage.headed.split()) + 2 <= max_tokens
        position = passage.end
    assert not made.text[position:].strip()


@pytest.mark.fault(13)
def test_a_word_longer_than_a_passage_is_cut_and_nothing_is_lost() -> None:
    passages = cut(document("a.txt", "y" * 100_000))
    assert "".join(p.text for p in passages) == "y" * 100_000
