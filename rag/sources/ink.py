"""What lies on a page besides text, as PDFium sees it: one without a word may be blank, or a picture of a thousand."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING

from rag.sources.parts import State

if TYPE_CHECKING:
    import pypdfium2 as pdfium

MAX_OBJECTS = 2_000  # looked at
FEW_STROKES = 12  # a frame and some rules; more of them are a drawing, or letters as outlines
LETTER = 4  # rows of pixels that a letter is high, at least: a dashed rule is less
LARGEST = 2_000_000  # pixels of the picture in which letters are looked for
PAGE_SIZED = 0.5  # of the page's area: an image this large is the page itself
SPECK = 0.002  # of the page's area: an image smaller than this is dirt

_TEXT, _PATH, _IMAGE, _SHADING = 1, 2, 3, 4  # FPDF_PAGEOBJ_*
_INK = bytes(192) + b"\1" * 64  # grey → 0 for what is seen, 1 for paper


def besides_text(page: pdfium.PdfPage, sparse: bool) -> State:
    """What there is besides text. For PICTURE, beside `sparse` text, it must fill half of the page."""
    width, height = page.get_size()
    least = (PAGE_SIZED if sparse else SPECK) * width * height
    strokes = 0  # lines and glyphs: letters may be drawn as either, and mean no character
    for thing in islice(page.get_objects(max_depth=5), MAX_OBJECTS):
        if thing.type in (_IMAGE, _SHADING) and _area(thing) >= least:
            return State.PICTURE
        strokes += thing.type in (_PATH, _TEXT)
    if not sparse and (strokes > FEW_STROKES or (strokes and _looks_written_on(page))):
        return State.PICTURE
    return State.ANNOTATED if _is_annotated(page) else State.BLANK


def _looks_written_on(page: pdfium.PdfPage) -> bool:
    """Whether there is more to see than a frame and some rules: a whole line of letters may be a single stroke, and a
    scan the pattern of a fill."""
    width, height = page.get_size()
    bitmap = page.render(
        scale=min(1.0, (LARGEST / max(width * height, 1)) ** 0.5), grayscale=True, may_draw_forms=False
    )
    rows = bytes(bitmap.buffer).translate(_INK)
    stride = bitmap.stride
    bitmap.close()
    busy = sum(rows.count(b"\1\0", at, at + stride) > FEW_STROKES for at in range(0, len(rows), stride))
    return busy >= LETTER


def _is_annotated(page: pdfium.PdfPage) -> bool:
    """Whether there is a form field on the page, or an annotation that says something (an empty string has 2 bytes)."""
    from pypdfium2 import raw

    found = False
    for index in range(min(raw.FPDFPage_GetAnnotCount(page), MAX_OBJECTS)):
        if annotation := raw.FPDFPage_GetAnnot(page, index):
            sizes = [raw.FPDFAnnot_GetStringValue(annotation, key, None, 0) for key in (b"Contents", b"RC")]
            found |= max(sizes) > 2 or raw.FPDFAnnot_GetSubtype(annotation) == raw.FPDF_ANNOT_WIDGET
            raw.FPDFPage_CloseAnnot(annotation)
    return found


def _area(thing: pdfium.PdfObject) -> float:
    try:
        left, bottom, right, top = thing.get_bounds()
    except _pdfium_error():
        return math.inf  # nobody knows: better a page too many to look at than one too few
    return float((right - left) * (top - bottom))


def _pdfium_error() -> type[Exception]:
    import pypdfium2

    error: type[Exception] = pypdfium2.PdfiumError
    return error
