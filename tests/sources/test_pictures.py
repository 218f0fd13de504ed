"""What is marked is compared with pixels: those of the cited words printed alone, and those of all others alone."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pypdf
import pytest
from pdf_writer import write_pdf
from PIL import Image
from pypdf.generic import FloatObject, NameObject, RectangleObject

from rag.sources import pdf
from rag.sources.parts import Part
from rag.sources.pictures import Drawer
from rag.types import Cited, Picture, Rectangle

WORDS = [
    "The pump was stopped at noon because the",
    "valve (type B) leaked; a spare part was sent",
    "from Kendal and fitted by the evening shift.",
    "Nothing else was found, and the works ran on.",
]
DARK = 140


@pytest.fixture(scope="module")
def drawer() -> Iterator[Drawer]:
    made = Drawer()
    yield made
    made.close()


def printed(only: Sequence[int], matrix: str = "1 0 0 1 60 700", leading: int = 14) -> bytes:
    """The lines, of which `only` some leave ink."""
    escaped = [line.replace("(", "\\(").replace(")", "\\)") for line in WORDS]
    shown = [f"{0 if n in only else 3} Tr ({line}) Tj 0 {-leading} Td" for n, line in enumerate(escaped)]
    return f"BT /F1 12 Tf {matrix} Tm {' '.join(shown)} ET".encode("cp1252")


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


def cited(path: Path, data: bytes, *quotes: str, span: str = "", page: int = 1, engine: str = pdf.PDFIUM) -> Cited:
    """From the first of the quotes to the last, in the page as it is read."""
    path.write_bytes(data)
    text = next(part.text for part in pdf.read(data, page, page, engine) if isinstance(part, Part))
    starts = [(text.index(quote), text.index(quote) + len(quote)) for quote in quotes]
    words = (text.index(span), text.index(span) + len(span)) if span else None
    version = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return Cited(bytes(path), version, page, text, min(starts)[0], max(starts)[1], words)


def ink(picture: Picture) -> np.ndarray:
    image = Image.open(io.BytesIO(picture.png))
    assert image.size == (picture.width, picture.height)
    return np.asarray(image.convert("L")) < DARK


def mask(picture: Picture, rectangles: Sequence[Rectangle]) -> np.ndarray:
    inside = np.zeros((picture.height, picture.width), dtype=bool)
    for box in rectangles:
        inside[box.top : box.bottom, box.left : box.right] = True
    return inside


LAYOUTS = {
    "plain": ({}, {}),
    "turned by 90": ({}, {"rotate": 90}),
    "turned by 180": ({}, {"rotate": 180}),
    "turned by 270": ({}, {"rotate": 270}),
    "cropped": ({}, {"crop": (50, 600, 400, 760)}),
    "cropped and turned": ({}, {"crop": (50, 600, 400, 760), "rotate": 270}),
    "larger units": ({}, {"unit": 2.0}),
    "lines upwards": ({"matrix": "0 1 -1 0 200 100"}, {}),
    "lines downwards, turned upright": ({"matrix": "0 -1 1 0 100 700"}, {"rotate": 270}),
    "upside down": ({"matrix": "-1 0 0 -1 500 300"}, {}),
    "small": ({"matrix": "0.5 0 0 0.5 60 700"}, {}),
    "set solid": ({"leading": 12}, {}),
    "stretched": ({"matrix": "1.6 0 0 1 20 700"}, {}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_marks_cover_the_cited_lines_and_no_others(layout: str, tmp_path: Path, drawer: Drawer) -> None:
    print_, turn = LAYOUTS[layout]

    def draw(*only: int) -> Picture:
        data = turned(write_pdf([printed(only, **print_)]), **turn)
        return drawer.draw(cited(tmp_path / "file.pdf", data, *WORDS[1:3]))

    picture, wanted, others = draw(0, 1, 2, 3), ink(draw(1, 2)), ink(draw(0, 3))
    assert picture.problem == ""
    assert len(picture.lines) == 2
    marked = mask(picture, picture.lines)
    assert wanted.sum() > 500
    assert not (wanted & ~marked).any()
    assert not (others & marked).any()
    assert marked.sum() < 1.35 * sum((b.right - b.left) * (b.bottom - b.top) for b in tight(wanted, picture.lines))


def tight(dark: np.ndarray, rectangles: Sequence[Rectangle]) -> list[Rectangle]:
    """What of each rectangle its ink needs."""
    found = []
    for box in rectangles:
        rows, columns = np.nonzero(dark[box.top : box.bottom, box.left : box.right])
        found.append(Rectangle(*(int(n) for n in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))))
    return found
