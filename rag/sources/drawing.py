"""A PDF's page → its picture, with a passage marked on its lines, inside a child process."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from ctypes import c_double, c_int
from itertools import chain
from typing import TYPE_CHECKING, Any

from rag.sources.formats import HEAD
from rag.sources.parts import Drawing, RefusedError
from rag.sources.placing import Box, Glyph, NotPlacedError, find, lines
from rag.types import Status

if TYPE_CHECKING:
    import pypdfium2 as pdfium
    from PIL.Image import Image

MAX_PIXELS = 12_000_000
MAX_CHARACTERS = 200_000  # of a page: more are no page that anybody reads
PACKED = 3  # of 9: a page is shown at once, and not kept
FINE = 1024  # steps of a pixel in which PDFium is asked for places, since it answers in whole numbers
STRAIGHT = 0.05  # of its direction: text more aslant than that has no rectangle for a line
FAINT = 24  # of 255: what has less contrast than that cannot be seen
DARK = 110  # of 255: a background darker than that is lit up, any other is tinted
LINE, SPAN = (255, 236, 128), (255, 190, 60)

Corners = tuple[int, int, int, int]


def draw(data: bytes, job: Mapping[str, Any]) -> Drawing:
    """The page of `job`, `width` pixels wide, with its `text[start:end]` marked, and `span` in another colour."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
        page = document[int(job["page"]) - 1]
    except (pypdfium2.PdfiumError, IndexError):
        what = "No engine can draw this page" if b"%PDF-" in data[:HEAD] else "Only pages of PDF files can be drawn"
        raise RefusedError(Status.DAMAGED, what, "Open the file itself.") from None
    picture = _rendered(page, int(job["width"]))
    text, start, end, span = str(job["text"]), int(job["start"]), int(job["end"]), job["span"]
    found: list[Corners] = []
    narrow: list[Corners] = []
    problem = ""
    try:
        printed = _Print(page, picture.size)
        found = _visible(printed.lines(*find(printed.text, text, start, end)), picture)
        if span:
            narrow = _visible(printed.lines(*find(printed.text, text, *span)), picture)
    except NotPlacedError as error:
        problem = f"The passage could not be placed on its page: {error}."
    _mark(picture, found, LINE)
    _mark(picture, narrow, SPAN)
    return Drawing(_png(picture), *picture.size, tuple(found), tuple(narrow), problem)


def _rendered(page: pdfium.PdfPage, width: int) -> Image:
    wide, high = page.get_size()
    scale = min(width / max(wide, 1.0), math.sqrt(MAX_PIXELS / max(wide * high, 1.0)))
    bitmap = page.render(scale=scale, rev_byteorder=True)
    picture: Image = bitmap.to_pil()
    bitmap.close()
    return picture


def _png(picture: Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=PACKED)
    return base64.b64encode(file.getvalue()).decode("ascii")


# --------------------------------------------------------------------------------------- what is printed


class _Print:
    """The characters of a page, as PDFium numbers them, and where they stand in its picture."""

    def __init__(self, page: pdfium.PdfPage, size: tuple[int, int]) -> None:
        from pypdfium2 import raw

        self._page = page.get_textpage()
        count = self._page.count_chars()
        if count > MAX_CHARACTERS:
            raise NotPlacedError("the page has too many characters")
        codes = [raw.FPDFText_GetUnicode(self._page, index) for index in range(count)]
        self.text = "".join(chr(code) if code < 0x110000 else "\0" for code in codes)
        self._boxes = [self._page.get_charbox(index) for index in range(count)]
        self._to_picture = _Transform(page, size)

    def lines(self, first: int, last: int) -> list[Box]:
        cited = [glyph for index in range(first, last) if (glyph := self._glyph(index))]
        others = chain(range(first), range(last, len(self.text)))
        return lines(cited, [self._to_picture.box(self._boxes[i]) for i in others if not self.text[i].isspace()])

    def _glyph(self, index: int) -> Glyph | None:
        """None for what PDFium has put in: spaces, line ends."""
        from pypdfium2 import raw

        if self.text[index].isspace() or raw.FPDFText_IsGenerated(self._page, index) == 1:
            return None
        ink, full = self._boxes[index], self._page.get_charbox(index, loose=True)
        angle = raw.FPDFText_GetCharAngle(self._page, index)
        return Glyph(self._to_picture.box(ink), self._to_picture.box(full), self._to_picture.is_standing(angle))


class _Transform:
    """Places on a page → places in its picture, as PDFium draws it: turned, cropped and stretched."""

    def __init__(self, page: pdfium.PdfPage, size: tuple[int, int]) -> None:
        self._origin = self._asked(page, size, 0.0, 0.0)
        (x, y), far = self._origin, 1000.0
        right, up = self._asked(page, size, far, 0.0), self._asked(page, size, 0.0, far)
        self._across = ((right[0] - x) / far, (right[1] - y) / far)
        self._upward = ((up[0] - x) / far, (up[1] - y) / far)

    @staticmethod
    def _asked(page: pdfium.PdfPage, size: tuple[int, int], x: float, y: float) -> tuple[float, float]:
        from pypdfium2 import raw

        to_x, to_y = c_int(), c_int()
        wide, high = size
        raw.FPDF_PageToDevice(page, 0, 0, wide * FINE, high * FINE, 0, c_double(x), c_double(y), to_x, to_y)
        return to_x.value / FINE, to_y.value / FINE

    def box(self, bounds: Sequence[float]) -> Box:
        left, bottom, right, top = bounds
        (x, y), (x2, y2) = self._point(left, bottom), self._point(right, top)  # it turns by quarters only
        return min(x, x2), min(y, y2), max(x, x2), max(y, y2)

    def _point(self, x: float, y: float) -> tuple[float, float]:
        return (
            self._origin[0] + x * self._across[0] + y * self._upward[0],
            self._origin[1] + x * self._across[1] + y * self._upward[1],
        )

    def is_standing(self, angle: float) -> bool | None:
        """Whether text of this angle (in radians, on the page) runs up or down in the picture; None where it runs
        aslant."""
        cos, sin = math.cos(angle), math.sin(angle)
        x = abs(cos * self._across[0] + sin * self._upward[0])
        y = abs(cos * self._across[1] + sin * self._upward[1])
        if min(x, y) > STRAIGHT * max(x, y):
            return None
        return y > x


# --------------------------------------------------------------------------------------- what is marked


def _visible(boxes: Iterable[Box], picture: Image) -> list[Corners]:
    """Boxes as whole pixels of the picture. Raises NotPlacedError for what no eye would find there."""
    from PIL import ImageStat

    found = []
    for left, top, right, bottom in boxes:
        corners = (
            max(math.floor(left), 0),
            max(math.floor(top), 0),
            min(math.ceil(right), picture.width),
            min(math.ceil(bottom), picture.height),
        )
        if corners[0] >= corners[2] or corners[1] >= corners[3]:
            raise NotPlacedError("it stands outside of what the page shows")
        shades = ImageStat.Stat(picture.crop(corners).convert("L")).extrema[0]
        if shades[1] - shades[0] < FAINT:
            raise NotPlacedError("its words are in the file, but cannot be seen on the page")
        found.append(corners)
    return found


def _mark(picture: Image, boxes: Iterable[Corners], colour: tuple[int, int, int]) -> None:
    """Tints a light background and lights up a dark one, so that what is printed stays as easy to read."""
    from PIL import Image, ImageChops, ImageStat

    for corners in boxes:
        part = picture.crop(corners)
        sheet = Image.new("RGB", part.size, colour)
        dark = ImageStat.Stat(part.convert("L")).median[0] < DARK
        picture.paste(Image.blend(part, sheet, 0.4) if dark else ImageChops.multiply(part, sheet), corners)
