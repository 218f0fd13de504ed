"""What is marked is compared with pixels: those of the cited words printed alone, and those of all others alone."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pypdf
import pypdfium2
import pytest
from pdf_writer import write_pdf
from PIL import Image
from pypdf.generic import FloatObject, NameObject, RectangleObject

from rag.sources import pdf
from rag.sources.clean import join_hyphens
from rag.sources.isolate import Limits
from rag.sources.ocr import find_engine
from rag.sources.parts import Part
from rag.sources.pictures import Drawer
from rag.types import Cited, Picture, Rectangle

WORDS = [
    "The pump was stopped at noon because the",
    "valve (type B) leaked; a spare part was sent",
    "from Kendal and fitted by the evening shift.",
    "Nothing else was found, and the works ran on.",
]
WIDTH = 700
DARK = 140


@pytest.fixture(scope="module")
def drawer() -> Iterator[Drawer]:
    made = Drawer()
    yield made
    made.close()


def lines(*words: str, only: Sequence[int] | None = None, at: str = "1 0 0 1 60 700", leading: int = 14) -> bytes:
    """Lines of words below each other, of which `only` some leave ink. The matrix `at` says where and how."""
    escaped = [line.replace("(", "\\(").replace(")", "\\)") for line in words]
    shown = [
        f"{0 if only is None or n in only else 3} Tr ({line}) Tj 0 {-leading} Td" for n, line in enumerate(escaped)
    ]
    return f"BT /F1 12 Tf {at} Tm {' '.join(shown)} ET ".encode("cp1252")


def turned(data: bytes, rotate: int = 0, crop: Sequence[float] = (), unit: float = 1.0) -> bytes:
    writer = pypdf.PdfWriter(io.BytesIO(data))
    page = writer.pages[0]
    page.rotate(rotate)
    if crop:
        page.cropbox = RectangleObject(tuple(crop))
    if unit != 1.0:
        page[NameObject("/UserUnit")] = FloatObject(unit)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def read(data: bytes, engine: str = pdf.PDFIUM) -> str:
    """The first page as it goes into the ledger."""
    return join_hyphens(next(part.text for part in pdf.read(data, 1, 1, engine) if isinstance(part, Part)))


def cited(path: Path, data: bytes, text: str, *quotes: str, span: str = "") -> Cited:
    """From the first of the quotes to the last."""
    path.write_bytes(data)
    places = [(text.index(quote), text.index(quote) + len(quote)) for quote in quotes]
    words = (text.index(span), text.index(span) + len(span)) if span else None
    version = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return Cited(bytes(path), version, 1, text, min(places)[0], max(places)[1], words)


def pixels(picture: Picture) -> np.ndarray:
    image = Image.open(io.BytesIO(picture.png))
    assert image.size == (picture.width, picture.height)
    return np.asarray(image.convert("L"))


def mask(picture: Picture, rectangles: Sequence[Rectangle]) -> np.ndarray:
    inside = np.zeros((picture.height, picture.width), dtype=bool)
    for box in rectangles:
        inside[box.top : box.bottom, box.left : box.right] = True
    return inside


def tight(dark: np.ndarray, box: Rectangle) -> int:
    """The area that the ink in a rectangle needs."""
    rows, columns = np.nonzero(dark[box.top : box.bottom, box.left : box.right])
    return int((rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1))


@pytest.fixture
def draw(tmp_path: Path, drawer: Drawer) -> Callable[..., Picture]:
    def drawn(data: bytes, *quotes: str, span: str = "", text: str = "") -> Picture:
        return drawer.draw(cited(tmp_path / "file.pdf", data, text or read(data), *quotes, span=span), WIDTH)

    return drawn


def check(picture: Picture, wanted: Picture, others: Picture, boxes: Sequence[Rectangle], tolerance: int = 0) -> None:
    """The ink of what is wanted lies inside the boxes, that of all others outside, and they are no larger than need
    be: half as large again, since lines are marked in one height."""
    assert picture.problem == ""
    marked, ink, foreign = mask(picture, boxes), pixels(wanted) < DARK, pixels(others) < DARK
    assert ink.sum() > 30
    assert (ink & ~marked).sum() <= tolerance
    assert (foreign & marked).sum() <= tolerance
    assert marked.sum() < 1.7 * sum(tight(ink, box) for box in boxes)


LAYOUTS = {
    "plain": ({}, {}),
    "turned by 90": ({}, {"rotate": 90}),
    "turned by 180": ({}, {"rotate": 180}),
    "turned by 270": ({}, {"rotate": 270}),
    "cropped": ({}, {"crop": (50, 600, 400, 760)}),
    "cropped and turned": ({}, {"crop": (50, 600, 400, 760), "rotate": 270}),
    "larger units": ({}, {"unit": 2.0}),
    "lines upwards": ({"at": "0 1 -1 0 200 100"}, {}),
    "lines upwards, turned upright": ({"at": "0 1 -1 0 200 100"}, {"rotate": 90}),
    "upside down": ({"at": "-1 0 0 -1 500 300"}, {}),
    "small": ({"at": "0.5 0 0 0.5 60 700"}, {}),
    "set solid": ({"leading": 12}, {}),
    "stretched": ({"at": "1.6 0 0 1 20 700"}, {}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_marks_cover_the_cited_lines_and_no_others(layout: str, draw: Callable[..., Picture]) -> None:
    how, turns = LAYOUTS[layout]

    def drawn(*only: int) -> Picture:
        return draw(turned(write_pdf([lines(*WORDS, only=only, **how)]), **turns), *WORDS[1:3])

    picture = drawn(0, 1, 2, 3)
    assert len(picture.lines) == 2
    check(picture, drawn(1, 2), drawn(0, 3), picture.lines)


def test_the_words_that_answer_are_marked_within_their_lines(draw: Callable[..., Picture]) -> None:
    def page(first: int, answer: int, last: int) -> bytes:
        words = f"{first} Tr (Notice is ) Tj {answer} Tr (six months \\(in writing\\)) Tj {last} Tr ( and no more.) Tj"
        return write_pdf([f"BT /F1 12 Tf 60 700 Td {words} ET".encode()])

    def drawn(*modes: int) -> Picture:
        return draw(page(*modes), "Notice is six months (in writing) and no more.", span="six months (in writing)")

    picture = drawn(0, 0, 0)
    check(picture, drawn(3, 0, 3), drawn(0, 3, 0), picture.span)
    (line,), (span,) = picture.lines, picture.span
    assert (line.top, line.bottom) == (span.top, span.bottom)
    assert line.left < span.left
    assert span.right < line.right


def test_columns_do_not_touch(draw: Callable[..., Picture]) -> None:
    right = ["On Monday the gauge", "was read again", "and found in order."]

    def drawn(left_ink: Sequence[int], right_ink: Sequence[int]) -> Picture:
        columns = lines(*WORDS, only=left_ink) + lines(*right, only=right_ink, at="1 0 0 1 330 700")
        return draw(write_pdf([columns]), WORDS[2], WORDS[3], right[0])

    picture = drawn(range(4), range(3))
    assert len(picture.lines) == 3  # the end of one column and the beginning of the next
    check(picture, drawn((2, 3), (0,)), drawn((0, 1), (1, 2)), picture.lines)


def test_what_stands_in_the_way_of_a_line_is_gone_around(draw: Callable[..., Picture]) -> None:
    """A figure that is printed between the words of a line, but belongs to a later one by its place in the file."""

    def drawn(cited: int, other: int) -> Picture:
        row = f"BT /F1 12 Tf {cited} Tr 60 700 Td (Inflow) Tj 300 0 Td (Outflow) Tj ET "
        between = f"BT /F1 12 Tf {other} Tr 60 650 Td (Another line) Tj 100 50 Td (4,711) Tj ET"
        return draw(write_pdf([(row + between).encode()]), "Inflow Outflow")

    picture = drawn(0, 0)
    check(picture, drawn(0, 3), drawn(3, 0), picture.lines)
    assert len(picture.lines) == 2


def test_of_equal_passages_the_cited_one_is_marked(
    draw: Callable[..., Picture], tmp_path: Path, drawer: Drawer
) -> None:
    data = write_pdf([lines("Pay within 30 days.", "Unless agreed:", "Pay within 30 days.", "Or else.")])
    text = read(data)
    first = cited(tmp_path / "file.pdf", data, text, "Pay within 30 days.")
    again = text.rindex("Pay")
    second = Cited(first.key, first.version, 1, text, again, again + len("Pay within 30 days."))
    (above,), (below,) = drawer.draw(first, WIDTH).lines, drawer.draw(second, WIDTH).lines
    two_lines = 2 * 14 * WIDTH / 612
    assert below.top - above.top == pytest.approx(two_lines, abs=1.5)
    assert (above.left, above.right) == (below.left, below.right)


def test_a_divided_word_is_whole_in_the_ledger_and_marked_on_both_lines(draw: Callable[..., Picture]) -> None:
    data = write_pdf([lines("The notice holds all infor-", "mation that is needed.", "Another line.")])
    assert "information" in read(data)
    picture = draw(data, "information that is needed.", span="information")
    assert picture.problem == ""
    assert len(picture.lines) == len(picture.span) == 2


def test_ligatures_are_marked_as_the_letters_that_they_stand_for(draw: Callable[..., Picture]) -> None:
    data = write_pdf([b"BT /F1 12 Tf 60 700 Td (The ) Tj (\\256nal of\\256ce \\(\\257oor 2\\)) Tj ET"])
    text = read(data)
    assert text == "The final office (floor 2)"
    (line,) = draw(data, "final office").lines
    (whole,) = draw(data, text).lines
    assert whole.left < line.left < line.right < whole.right


def test_light_words_on_a_dark_ground_stay_legible(draw: Callable[..., Picture]) -> None:
    data = write_pdf([b"0 0 0.4 rg 50 690 300 30 re f 1 g " + lines("Revenue by region")])
    picture = draw(data, "Revenue by region")
    (box,) = picture.lines
    shades = pixels(picture)[box.top : box.bottom, box.left : box.right]
    assert int(shades.max()) - int(shades.min()) > 90
    assert np.median(shades) > 60  # it was 17


# ------------------------------------------------------------------------------------ rather none than a wrong one


def test_hidden_words_are_not_marked_and_said_to_be_hidden(draw: Callable[..., Picture]) -> None:
    picture = draw(write_pdf([lines(*WORDS, only=(0, 3))]), WORDS[1])
    assert not picture.lines
    assert "cannot be seen on the page" in picture.problem


def test_words_outside_of_the_page_are_not_marked(draw: Callable[..., Picture]) -> None:
    picture = draw(turned(write_pdf([lines(*WORDS)]), crop=(50, 690, 400, 760)), WORDS[3])
    assert not picture.lines
    assert "outside of what the page shows" in picture.problem


def test_words_printed_aslant_are_not_marked(draw: Callable[..., Picture]) -> None:
    data = write_pdf([lines("Draft for comment", at="0.8 0.6 -0.6 0.8 100 300") + lines(*WORDS)])
    assert "aslant" in draw(data, "Draft for comment").problem
    assert not draw(data, WORDS[0]).problem  # a watermark is nothing to the others


def test_a_page_that_was_read_otherwise(draw: Callable[..., Picture]) -> None:
    """Words that the text layer has once are sure to be the ones; other words are nowhere."""
    data = write_pdf([lines("Total 5", *WORDS, "Total 5")])
    other = "\n".join([WORDS[2], "Total 5", "Words of the fallback", WORDS[1]])
    assert len(draw(data, WORDS[1], text=other).lines) == 1
    assert "in several places" in draw(data, "Total 5", text=other).problem
    assert "reads otherwise" in draw(data, "Words of the fallback", text=other).problem


def test_a_file_that_changed_or_is_gone_is_not_drawn(tmp_path: Path, drawer: Drawer) -> None:
    path = tmp_path / "file.pdf"
    wanted = cited(path, write_pdf([lines(*WORDS)]), "\n".join(WORDS), WORDS[0])
    path.write_bytes(write_pdf([lines(*WORDS, "One more")]))
    assert drawer.draw(wanted) == Picture(b"", 0, 0, problem="Changed since it was indexed. Index it again.")
    path.unlink()
    assert drawer.draw(wanted) == Picture(b"", 0, 0, problem="Vanished since it was indexed. Index it again.")


@pytest.mark.parametrize(("data", "what"), [(b"plain words", "Only pages of PDF files"), (b"%PDF-1.4", "No engine")])
def test_what_cannot_be_drawn(data: bytes, what: str, draw: Callable[..., Picture]) -> None:
    picture = draw(data, "words", text="words")
    assert picture.png == b""
    assert picture.problem.startswith(what)


def test_encrypted_with_an_empty_password(draw: Callable[..., Picture]) -> None:
    writer = pypdf.PdfWriter(io.BytesIO(write_pdf([lines(*WORDS)])))
    writer.encrypt("", "owner", algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    assert len(draw(out.getvalue(), WORDS[1]).lines) == 1


def test_a_page_that_takes_too_long_costs_the_others_nothing(tmp_path: Path) -> None:
    plain = cited(tmp_path / "plain.pdf", write_pdf([lines(*WORDS)]), "\n".join(WORDS), WORDS[0])
    heavy = write_pdf([b"q 500 0 0 500 50 100 cm " + b"0 0 m 1 1 l 0 1 l f " * 3_000_000 + b" Q"])
    endless = cited(tmp_path / "heavy.pdf", heavy, "words", "words")
    drawer = Drawer(limits=Limits(seconds=3))
    try:
        assert drawer.draw(plain, WIDTH).png
        picture = drawer.draw(endless, WIDTH)
        assert picture.png == b""
        assert "more time or memory" in picture.problem
        assert drawer.draw(plain, WIDTH).png
    finally:
        drawer.close()


def test_pictures_are_bounded(tmp_path: Path, drawer: Drawer) -> None:
    tall = turned(write_pdf([lines(*WORDS)]), crop=(0, 0, 20, 792))
    picture = drawer.draw(cited(tmp_path / "tall.pdf", tall, "words", "words"), 100_000)
    assert picture.width * picture.height <= 12_100_000


# ----------------------------------------------------------------------------------------------------- scans


@pytest.mark.parametrize("turn", [0, 90])
def test_words_of_a_scan_are_marked_where_they_were_read(turn: int, tmp_path: Path, drawer: Drawer) -> None:
    engine = find_engine()
    if engine is None or not engine.program:
        pytest.skip("tesseract is not installed")

    def scan(*only: int) -> bytes:
        page = pypdfium2.PdfDocument(write_pdf([lines(*WORDS, only=only, leading=24)]))[0]
        out = io.BytesIO()
        page.render(scale=2, rotation=turn).to_pil().save(out, "PDF", resolution=144)
        return out.getvalue()

    def unmarked(*only: int) -> Picture:
        return drawer.draw(cited(tmp_path / "part.pdf", scan(*only), "words", "words"), WIDTH)

    reader = Drawer(engine)
    try:
        whole = cited(tmp_path / "file.pdf", scan(0, 1, 2, 3), "\n".join(WORDS), WORDS[1], WORDS[2])
        picture = reader.draw(whole, WIDTH)
    finally:
        reader.close()
    assert len(picture.lines) == 2
    check(picture, unmarked(1, 2), unmarked(0, 3), picture.lines, tolerance=8)
