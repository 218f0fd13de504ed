"""A PDF's page → its picture, with a passage marked on its lines, inside a child process."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from ctypes import c_double, c_int
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, Protocol

from rag.sources import recognition
from rag.sources.formats import HEAD
from rag.sources.parts import Drawing, RefusedError
from rag.sources.placing import Box, Glyph, NotPlacedError, Stretch, find, lines
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
DARK = 110  # of 255: a background darker than that is lit up, any other is replaced
LIT = 0.4
LINE, SPAN = (255, 236, 128), (255, 190, 60)

Corners = tuple[int, int, int, int]


def draw(data: bytes, job: Mapping[str, Any]) -> Drawing:
    """The page of `job`, `width` pixels wide, with its `text[start:end]` marked, if that is any, and `span` in another
    colour."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
        page = document[int(job["page"]) - 1]
    except (pypdfium2.PdfiumError, IndexError):
        what = "No engine can draw this page" if b"%PDF-" in data[:HEAD] else "Only pages of PDF files can be drawn"
        raise RefusedError(Status.DAMAGED, what, "Open the file itself.") from None
    picture = _rendered(page, int(job["width"]))
    try:
        found, narrow, problem = *_placed(page, picture, job), ""
    except NotPlacedError as error:
        found, narrow, problem = [], [], f"The passage could not be placed on its page: {error}."
    _mark(picture, found, LINE)
    _mark(picture, narrow, SPAN)
    return Drawing(_png(picture), *picture.size, tuple(found), tuple(narrow), problem)


def _placed(page: pdfium.PdfPage, picture: Image, job: Mapping[str, Any]) -> tuple[list[Corners], list[Corners]]:
    """The lines of what is cited, if anything is, and those of the words that answer. Raises NotPlacedError."""
    text, stretches = str(job["text"]), [(int(job["start"]), int(job["end"]))]
    if job["span"]:
        stretches.append((int(job["span"][0]), int(job["span"][1])))
    if job["start"] == job["end"]:
        return [], []
    printed: _Print = _TextLayer(page, picture.size)
    try:
        places = [find(printed.text, text, *stretch) for stretch in stretches]
    except NotPlacedError:
        if not job["program"]:
            raise
        printed = recognised = _Recognised(page, picture.size, job)
        places = [recognised.words(*find(printed.text, text, *stretch)) for stretch in stretches]
    found, *narrow = [_visible(_lines(printed, *place), picture) for place in places]
    return found, narrow[0] if narrow else []


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


class _Print(Protocol):
    """The `text` of a page, and where its characters stand in the picture. One that leaves no ink has no glyph."""

    text: str

    def glyph(self, index: int) -> Glyph | None: ...

    def ink(self, index: int) -> Box | None: ...


class _TextLayer:
    """The characters as PDFium numbers them."""

    def __init__(self, page: pdfium.PdfPage, size: tuple[int, int]) -> None:
        from pypdfium2 import raw

        self._page = page.get_textpage()
        count = self._page.count_chars()
        if count > MAX_CHARACTERS:
            raise NotPlacedError("the page has too many characters")
        codes = [raw.FPDFText_GetUnicode(self._page, index) for index in range(count)]
        self.text = "".join(chr(code) if code < 0x110000 else "\0" for code in codes)
        self._to_picture = _Transform(page, size)

    def ink(self, index: int) -> Box | None:
        return None if self.text[index].isspace() else self._to_picture.box(self._page.get_charbox(index))

    def glyph(self, index: int) -> Glyph | None:
        from pypdfium2 import raw

        ink = self.ink(index)
        if ink is None or raw.FPDFText_IsGenerated(self._page, index) == 1:  # PDFium has put it in
            return None
        full = self._to_picture.box(self._page.get_charbox(index, loose=True))
        angle = raw.FPDFText_GetCharAngle(self._page, index)
        return Glyph(ink, full, self._to_picture.is_standing(angle))


class _Recognised:
    """The words that OCR reads in the page, of which no part can be told from the rest."""

    def __init__(self, page: pdfium.PdfPage, size: tuple[int, int], job: Mapping[str, Any]) -> None:
        pieces: list[str] = []
        self._glyphs: list[Glyph | None] = []
        words = recognition.words(page, job, size)
        tall = [_is_tall(box) for word, box in words if len(word) > 2]  # short ones may be either way
        standing = 2 * sum(tall) > len(tall)
        for word, box in words:
            pieces.append(word + " ")
            self._glyphs += [Glyph(box, box, standing)] + [None] * len(word)
        self.text = "".join(pieces)

    def words(self, first: int, last: int) -> tuple[int, int]:
        """The same stretch from the beginning of a word to the end of one."""
        return self.text.rfind(" ", 0, first) + 1, self.text.find(" ", last - 1)

    def glyph(self, index: int) -> Glyph | None:
        return self._glyphs[index]

    def ink(self, index: int) -> Box | None:
        glyph = self._glyphs[index]
        return glyph.ink if glyph else None


def _is_tall(box: Box) -> bool:
    return box[3] - box[1] > box[2] - box[0]


def _lines(printed: _Print, first: int, last: int) -> list[Box]:
    """Where the characters from `first` to before `last` stand."""
    text = printed.text
    start, end = text.rfind("\n", 0, first) + 1, text.find("\n", last)
    bounds = (start, first, last, end if end >= 0 else len(text))
    parts = [[glyph for index in range(a, b) if (glyph := printed.glyph(index))] for a, b in pairwise(bounds)]
    others = (box for index in chain(range(first), range(last, len(text))) if (box := printed.ink(index)))
    return lines(Stretch(*parts), others)


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
    """Gives what is printed another background. A dark one is only lit up, since light letters stand on it."""
    from PIL import Image, ImageStat

    for corners in boxes:
        part = picture.crop(corners)
        background = ImageStat.Stat(part).median
        if min(background) < DARK:
            picture.paste(Image.blend(part, Image.new("RGB", part.size, colour), LIT), corners)
        else:
            pairs = zip(colour, background, strict=True)
            picture.paste(
                part.point([min(value * new // old, new) for new, old in pairs for value in range(256)]), corners
            )
