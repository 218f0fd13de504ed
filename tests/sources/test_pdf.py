from __future__ import annotations

import time
import zlib

import pytest
from pdf_writer import HELVETICA, picture, show, stream, write_pdf

from rag.sources import pdf
from rag.sources.parts import Bookmark, Facts, Part, RefusedError, State
from rag.types import Status

ROMAN_LABELS = b"/PageLabels<</Nums[0<</S/r>>2<</S/D>>]>>"


def _read(data: bytes, engine: str = pdf.PDFIUM) -> tuple[Facts, list[Part]]:
    facts, *parts = pdf.read(data, 1, None, engine)
    assert isinstance(facts, Facts)
    return facts, [part for part in parts if isinstance(part, Part)]


@pytest.mark.parametrize("engine", [pdf.PDFIUM, pdf.PYPDF])
def test_pages_come_in_order_with_their_labels(engine: str) -> None:
    facts, parts = _read(write_pdf([show("One fish"), show("Two fish")], info="Fish"), engine)
    assert facts == Facts("Fish", 2, (), printed=True)
    assert parts == [Part("One fish", "p. 1", 1), Part("Two fish", "p. 2", 2)]


def test_printed_page_numbers_stand_beside_the_true_ones() -> None:
    _, parts = _read(write_pdf([show(f"page {n} of this") for n in range(4)], catalog=ROMAN_LABELS))
    assert [(part.label, part.page) for part in parts] == [
        ("p. i (1)", 1),
        ("p. ii (2)", 2),
        ("p. 1 (3)", 3),
        ("p. 2 (4)", 4),
    ]


def test_the_outline_is_kept_with_its_paths() -> None:
    extra = [  # objects 4 to 7; the pages are 8 and 10
        b"<</Type/Outlines/First 5 0 R/Last 7 0 R/Count 3>>",
        b"<</Title(Part I)/Parent 4 0 R/Dest[8 0 R/Fit]/First 6 0 R/Last 6 0 R/Count 1/Next 7 0 R>>",
        b"<</Title(Item 1)/Parent 5 0 R/Dest[10 0 R/Fit]>>",
        b"<</Title(Nowhere)/Parent 4 0 R/Prev 5 0 R>>",
    ]
    facts, _ = _read(write_pdf([show("a b c"), show("Item 1")], catalog=b"/Outlines 4 0 R", extra=extra))
    assert facts.outline == (Bookmark("Part I", "Part I", 1), Bookmark("Item 1", "Part I > Item 1", 2))


def test_a_part_of_the_pages() -> None:
    data = write_pdf([show(f"page {n} of this") for n in range(1, 6)])
    assert [part.page for part in pdf.read(data, 2, 3, pdf.PYPDF) if isinstance(part, Part)] == [2, 3]


@pytest.mark.fault(17)
@pytest.mark.parametrize(
    ("content", "state"),
    [
        (b"", State.BLANK),
        (b"0 0 m 600 0 l S", State.BLANK),
        (picture(), State.PICTURE),
        (show("7") + b" " + picture(), State.PICTURE),
        (show("A caption of more than a few words") + b" " + picture(), State.TEXT),
        (show("Chapter 7"), State.TEXT),
        (b" ".join(b"%d 100 m %d 200 l S" % (x, x + 9) for x in range(0, 600, 20)), State.PICTURE),
        (show(" ", "  "), State.BLANK),
    ],
)
def test_what_a_page_gave(content: bytes, state: State) -> None:
    _, (part,) = _read(write_pdf([content]))
    assert part.state is state


@pytest.mark.parametrize(
    ("annotation", "state"),
    [
        (b"/Subtype/Text/Contents(a note)", State.ANNOTATED),
        (b"/Subtype/FreeText/RC(<p>rich</p>)", State.ANNOTATED),
        (b"/Subtype/Widget/FT/Tx/T(name)", State.ANNOTATED),
        (b"/Subtype/Text/Contents()", State.BLANK),
        (b"/Subtype/Link", State.BLANK),
    ],
)
def test_annotations_on_a_blank_page_are_noticed(annotation: bytes, state: State) -> None:
    blank, annotated = b"/Type/Page/Parent", b"/Type/Page/Annots[4 0 R]/Parent"
    extra = [b"<</Type/Annot%s/Rect[100 100 300 120]>>" % annotation]
    _, (part,) = _read(write_pdf([b""], extra=extra).replace(blank, annotated))
    assert (part.text, part.state) == ("", state)
    _, (part,) = _read(write_pdf([show("Page with words")], extra=extra).replace(blank, annotated))
    assert (part.text, part.state) == ("Page with words", State.TEXT)


@pytest.mark.fault(17)
def test_glyphs_that_mean_nothing_are_a_picture() -> None:
    """A font whose every letter is said to be a space: the page shows words, and its text layer has none."""
    cmap = (
        b"begincmap 1 begincodespacerange <00> <ff> endcodespacerange 1 beginbfrange <20> <7e> [%s] endbfrange endcmap"
    )
    unicode = stream(cmap % b" ".join([b"<0020>"] * 95))
    font = HELVETICA.replace(b">>", b"/ToUnicode 4 0 R>>")
    data = write_pdf([show(*"These are words that only a reader of the picture can see".split() * 2)], extra=[unicode])
    _, (part,) = _read(data.replace(HELVETICA, font))
    assert (part.text, part.state) == ("", State.PICTURE)


@pytest.mark.fault(17)
def test_garbled_pages_give_no_text() -> None:
    shifted = "".join(chr(ord(char) - 29) for char in "ThequarterlyrevenueofNorthwindwasfortyeightmillioneuro")
    _, parts = _read(write_pdf([show("A readable page of text"), show(shifted)]))
    assert [(part.state, bool(part.text)) for part in parts] == [(State.TEXT, True), (State.GARBLED, False)]


@pytest.mark.fault(13)
def test_a_string_longer_than_pdfium_reads_is_read_whole() -> None:
    content = b"BT /F1 1 Tf 10 700 Td (%s) Tj ET" % (b"word " * 20_000)
    _, (part,) = _read(write_pdf([content]))
    assert part.text.count("word") == 20_000


def test_rows_of_a_table_stay_on_their_line() -> None:
    cells = [(60, 700, b"2023"), (160, 700, b"48.3"), (260, 700, b"4.0"), (60, 680, b"2022"), (160, 680, b"44.7")]
    content = b" ".join(b"BT /F1 12 Tf %d %d Td (%s) Tj ET" % cell for cell in cells)
    _, (part,) = _read(write_pdf([content]))
    assert part.text == "2023 48.3 4.0\n2022 44.7"


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"", Status.DAMAGED, "The file is empty (0 bytes)"),
        (b"<html><body>", Status.DAMAGED, "Not a PDF (starts with '<html><body>')"),
        (b"%PDF-1.4\nnothing else", Status.DAMAGED, "Broken"),
    ],
)
def test_what_no_engine_can_open_is_refused(data: bytes, status: Status, reason: str) -> None:
    with pytest.raises(RefusedError) as refused:
        _read(data)
    assert refused.value.outcome.status is status
    assert refused.value.outcome.reason.startswith(reason)
    assert refused.value.outcome.remedy


def test_a_lying_page_count_costs_nothing() -> None:
    data = write_pdf([show("One fish only here")]).replace(b"/Count 1>>", b"/Count 1000000000>>")
    begun = time.monotonic()
    _, parts = _read(data)
    assert [part.text for part in parts if part.text] == ["One fish only here"]
    assert time.monotonic() - begun < 5


@pytest.mark.fault(13)
def test_more_pages_than_are_read_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_PAGES", 2)
    messages = pdf.read(write_pdf([show("some page of it")] * 3), 1, None, pdf.PDFIUM)
    assert [type(next(messages)) for _ in range(3)] == [Facts, Part, Part]
    with pytest.raises(RefusedError) as refused:
        next(messages)
    assert refused.value.outcome.status is Status.LIMIT
    assert refused.value.outcome.reason == "Only the first 2 of 3 pages are read"


def test_a_page_that_no_engine_can_unpack_has_failed() -> None:
    content = zlib.compress(show("Two fish swim"))
    head = b"/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 1000000000>>"
    data = write_pdf([b"?"]).replace(stream(b"?"), stream(content, head))
    _, (part,) = _read(data)
    assert (part.text, part.state) == ("", State.FAILED)
