from __future__ import annotations

import pytest

from rag.sources.assemble import Gathered, assemble, judge, ranges
from rag.sources.parts import Bookmark, Facts, Part, State
from rag.types import Mark, Outcome, Status


def _gathered(*parts: Part, facts: Facts | None = None) -> Gathered:
    gathered = Gathered()
    gathered.add(facts or Facts(pages=len(parts), printed=True))
    for part in parts:
        gathered.add(part)
    return gathered


def _page(number: int, text: str = "", state: State = State.TEXT) -> Part:
    return Part(text, f"p. {number}", number, state)


def test_marks_say_where_each_page_begins() -> None:
    body = assemble(_gathered(_page(1, "First page."), _page(2), _page(3, "Third page.")))
    assert body.text == "First page.\n\nThird page."
    assert body.marks == (Mark(0, "p. 1", 1), Mark(13, "p. 3", 3))
    assert body.text[body.marks[1].offset :] == "Third page."


def test_a_sentence_that_runs_over_the_page_is_not_cut_by_a_paragraph() -> None:
    assert assemble(_gathered(_page(1, "profit rose"), _page(2, "by a tenth"))).text == "profit rose\nby a tenth"
    assert assemble(_gathered(_page(1, "profit rose"), _page(2, "By a tenth"))).text == "profit rose\n\nBy a tenth"


def test_only_print_is_mended() -> None:
    words = ("bird", "fish", "goat", "hare", "lynx")
    pages = [_page(n, f"ACME\n{word} infor-\nmation on {word}") for n, word in enumerate(words, 1)]
    mended = assemble(_gathered(*pages)).text
    assert "ACME" not in mended
    assert mended.count("information") == 5
    assert assemble(_gathered(*pages, facts=Facts(pages=5))).text.count("ACME") == 5


def test_headings_of_parts_move_with_them() -> None:
    parts = [Part("Intro"), Part("Scope\n\ntext", "Scope", headings=((0, "Guide > Scope"),))]
    body = assemble(_gathered(*parts, facts=Facts()))
    assert body.headings == (Mark(7, "Guide > Scope"),)
    assert body.marks == (Mark(7, "Scope"),)


def test_bookmarks_stand_at_their_words_or_at_their_pages_beginning() -> None:
    outline = (
        Bookmark("Item 1. Business", "Part I > Item 1. Business", 2),
        Bookmark("Risks", "Part I > Risks", 2),
        Bookmark("Not there", "Not there", 1),
        Bookmark("Beyond", "Beyond", 9),
    )
    pages = [_page(1, "Cover. Risks."), _page(2, "Some text\nITEM 1.\nBusiness\nRisks\nmore")]
    body = assemble(_gathered(*pages, facts=Facts(pages=2, outline=outline, printed=True)))
    found = {mark.label: body.text[mark.offset : mark.offset + 7] for mark in body.headings}
    assert found == {"Not there": "Cover. ", "Part I > Item 1. Business": "ITEM 1.", "Part I > Risks": "Risks\nm"}
    assert [mark.offset for mark in body.headings] == sorted(mark.offset for mark in body.headings)


@pytest.mark.parametrize(
    ("parts", "status", "reason", "pages"),
    [
        ([_page(1, "a"), _page(2, "b")], Status.INDEXED, "", ()),
        ([_page(1, "a"), _page(2, "", State.BLANK)], Status.INDEXED, "", ()),
        (
            [_page(1, "a"), _page(2, "", State.PICTURE), _page(3, "b")],
            Status.PARTLY,
            "No text on 1 of 3 pages (2): scanned image or drawing. OCR is off",
            (2,),
        ),
        (
            [_page(1, "a"), _page(2, "", State.GARBLED), _page(3, "", State.FAILED)],
            Status.PARTLY,
            "Unreadable text layer on 1 of 3 pages (2): its characters are not those that are shown. "
            "Nothing on 1 of 3 pages (3): the page is broken. OCR is off",
            (2, 3),
        ),
        ([_page(1, "", State.BLANK), _page(2)], Status.NO_TEXT, "No text: its pages are blank", (1, 2)),
        ([_page(1, "", State.PICTURE), _page(2, "", State.GARBLED)], Status.NO_TEXT, None, (1, 2)),
        ([_page(1, "", State.GARBLED), _page(2, "", State.BLANK)], Status.GARBLED, None, (1, 2)),
        ([_page(1, "", State.FAILED)], Status.DAMAGED, "Nothing on 1 of 1 page (1): the page is broken", (1,)),
    ],
)
def test_the_outcome_follows_from_the_pages(
    parts: list[Part], status: Status, reason: str | None, pages: tuple[int, ...]
) -> None:
    outcome = judge(_gathered(*parts), ocr=None)
    assert outcome.status is status
    assert outcome.pages == len(parts)
    assert outcome.pages_without_text == pages
    assert outcome.reason == reason if reason is not None else outcome.reason
    assert bool(outcome.remedy) == (status is not Status.INDEXED)


def test_with_ocr_the_reason_says_that_it_found_nothing() -> None:
    outcome = judge(_gathered(_page(1, "a"), _page(2, "", State.PICTURE)), ocr="tesseract 5.3.0 eng")
    assert outcome.reason.endswith("OCR (tesseract 5.3.0 eng) found no words there")


@pytest.mark.parametrize("ocr", [None, "tesseract 5.3.0 eng"])
@pytest.mark.parametrize("printed", [True, False])
@pytest.mark.parametrize("state", [state for state in State if state is not State.TEXT])
@pytest.mark.parametrize("beside", [[], [_page(2, "a")]])
def test_whatever_is_not_simply_indexed_has_a_remedy(
    beside: list[Part], state: State, printed: bool, ocr: str | None
) -> None:
    pages = [_page(1, "", state), *beside]
    outcome = judge(_gathered(*pages, facts=Facts(pages=len(pages), printed=printed)), ocr)
    indexed = bool(beside) and state in (State.BLANK, State.ANNOTATED)
    assert (outcome.status is Status.INDEXED) == indexed
    assert bool(outcome.reason) == bool(outcome.remedy) == (not indexed)


def test_blank_pages_with_annotations_are_told_from_blank_ones() -> None:
    outcome = judge(_gathered(_page(1, "", State.BLANK), _page(2, "", State.ANNOTATED)), None)
    assert outcome.status is Status.NO_TEXT
    assert outcome.reason == "No text: its pages hold only annotations or form fields, which are not read"
    assert (outcome.pages, outcome.pages_without_text) == (2, (1, 2))


def test_slides_are_not_for_ocr() -> None:
    gathered = _gathered(_page(1, "a"), _page(2, "", State.PICTURE), facts=Facts(pages=2))
    assert gathered.pictured() == {}
    assert "OCR is off" not in judge(gathered, None).reason
    assert "PDF" in judge(gathered, None).remedy


def test_a_file_that_was_halted_keeps_what_it_gave() -> None:
    gathered = _gathered(_page(1, "a"), _page(2, "", State.PICTURE), facts=Facts(pages=9, printed=True))
    gathered.halted = Outcome(Status.LIMIT, "Stopped after 30 s", "Split it.")
    assert judge(gathered, None) == Outcome(Status.LIMIT, "Stopped after 30 s", "Split it.", 9, (2,))
    assert assemble(gathered).text == "a"
    assert gathered.pictured() == {}


def test_runs_of_pages_are_named_shortly() -> None:
    assert ranges([7, 1, 2, 3]) == "1-3, 7"
    assert ranges(range(1, 100, 2)).endswith("19, …")
