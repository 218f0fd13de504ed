"""What is shown, worked out without a page."""

from __future__ import annotations

import re

import pytest

from app.views import (
    Piece,
    answer_pieces,
    around,
    claims,
    copied,
    line,
    literal,
    opening,
    passage_pieces,
    plain,
    safe_link,
)
from rag.types import Answer, Article, Citation, Hit, Passage, Span

TEXT = "5 Leave\nFull-time employees have 26 days of annual\nleave. After five years they have 28."


def passage(text: str = TEXT, article: Article | None = None) -> Passage:
    return Passage("handbook.pdf", "file:///handbook.pdf", "Handbook", "", "p. 5", 5, 0, len(text), text, article)


def answer(text: str, *numbers: int, unsupported: tuple[str, ...] = ()) -> Answer:
    cited = tuple(Citation(number, passage(), supported=True) for number in numbers)
    return Answer("?", text, False, "scribe", cited, (Hit(passage(), 1.0),), 1, unsupported)


def told(pieces: list[Piece]) -> list[tuple[str, str]]:
    return [(piece.kind, piece.text) for piece in pieces]


def test_a_citation_becomes_a_source_that_can_be_opened() -> None:
    pieces = answer_pieces(answer("They have 26 days. [1]", 1))
    assert pieces == [Piece("text", "They have 26 days."), Piece("source", "1", 1, "handbook.pdf, p. 5")]


def test_several_in_one_marker_become_several_and_lines_stay_lines() -> None:
    pieces = answer_pieces(answer("A. [1][2]\nB. [2, 3-4] end", 1, 2, 3, 4))
    assert told(pieces) == [
        ("text", "A."),
        ("source", "1"),
        ("source", "2"),
        ("text", "\nB."),
        ("source", "2"),
        ("source", "3"),
        ("source", "4"),
        ("text", " end"),
    ]


def test_numbers_that_cite_nothing_stay_text() -> None:
    assert told(answer_pieces(answer("See [7] and [2026].", 1))) == [("text", "See [7] and [2026].")]
    huge = f"See [{'9' * 5000}] and [1-{'9' * 5000}]."
    assert "".join(text for _, text in told(answer_pieces(answer(huge, 1)))).startswith("See [999")


def test_what_nothing_bears_out_is_marked_with_its_sources() -> None:
    pieces = answer_pieces(answer("Right. [1] Wrong! [1] End.", 1, unsupported=("Wrong! [1]",)))
    assert told(pieces)[2:] == [("text", " "), ("doubt", "Wrong!"), ("source", "1"), ("text", " End.")]


@pytest.mark.fault(26)
def test_markup_of_a_model_is_text_and_what_is_not_seen_is_gone() -> None:
    pieces = answer_pieces(answer("![x](http://evil/x.png) <b>hi</b> \u202eabc\x1b[31m", 1))
    assert told(pieces) == [("text", "![x](http://evil/x.png) <b>hi</b>  abc [31m")]


def test_a_passage_shows_what_is_quoted_and_in_it_the_answer() -> None:
    start = TEXT.index("26")
    pieces = passage_pieces(
        passage(), ["Full-time employees have 26 days of annual leave."], [Span(1, start, start + 2)]
    )
    assert told(pieces) == [
        ("text", "5 Leave\n"),
        ("mark", "Full-time employees have "),
        ("answer", "26"),
        ("mark", " days of annual\nleave."),
        ("text", " After five years they have 28."),
    ]


def test_a_quotation_that_is_not_there_marks_nothing() -> None:
    assert told(passage_pieces(passage(), ["They have 40 days.", "", "  "], [])) == [("text", TEXT)]
    assert told(passage_pieces(passage(), [], [Span(1, 5_000, 6_000)])) == [("text", TEXT)]


def test_what_an_answer_says_on_the_word_of_a_source() -> None:
    said = answer("First. [1] Second [2] and third. [1]\nFourth. [2-3]", 1, 2, 3)
    assert claims(said, 1) == ["First.", "and third."]
    assert claims(said, 2) == ["Second", "Fourth."]
    assert claims(said, 3) == ["Fourth."]
    assert claims(said, 4) == []


def test_what_stands_around_a_passage() -> None:
    text = f"{'before ' * 200}HERE{' after' * 200}"
    at = text.index("HERE")
    cited = Passage("a", "", "", "", "", None, at, at + 4, "HERE")
    before, after = around(text, cited)
    assert before.startswith("… before ")
    assert after.endswith("after …")
    assert len(before) < 720
    assert around(text.replace("HERE", "GONE"), cited) == ("", "")


def test_an_answer_is_copied_with_what_it_cites() -> None:
    article = Article("en", 1, 2, "2026-01-01T00:00:00Z", "https://en.wikipedia.org/?oldid=2", "CC BY-SA 4.0")
    cited = Citation(1, passage(article=article), supported=True)
    said = Answer("?", "They have 26 days. [1]", False, "scribe", (cited,))
    assert copied(said) == (
        "They have 26 days. [1]\n\n[1] handbook.pdf, p. 5, https://en.wikipedia.org/?oldid=2 "
        "(Wikipedia contributors, CC BY-SA 4.0)"
    )
    assert copied(answer("None.")) == "None."


@pytest.mark.fault(26)
def test_only_links_of_the_web_are_followed() -> None:
    assert safe_link("https://en.wikipedia.org/w/index.php?oldid=1") == "https://en.wikipedia.org/w/index.php?oldid=1"
    for bad in (
        "javascript:alert(1)",
        "data:text/html,x",
        "https://a b",
        'https://a"onclick',
        "//evil",
        "https://a\n",
        "",
    ):
        assert safe_link(bad) == ""


def test_one_line_and_the_beginning_of_a_text() -> None:
    assert line(" a\n\tb \u200b c ") == "a b c"
    assert opening("word " * 100).endswith("word …")
    assert len(opening("x" * 1000)) < 270
    assert plain("a\r\nb\u2028c") == "a\nb c"


SPECIAL = set("\\`*_{}[]()<>#+-.!|~$:^=&\"'@/")


@pytest.mark.fault(26)
@pytest.mark.parametrize("text", ["".join(sorted(SPECIAL)), "![x](http://e/x.png)", ":red[x] :material/home:", "$x$"])
def test_whatever_markdown_knows_is_escaped(text: str) -> None:
    """What a browser makes of it is tested in one (test_journeys)."""
    unescaped = re.sub(r"\\[!-/:-@\[-`{-~]", "", literal(text))
    assert not SPECIAL & set(unescaped)
