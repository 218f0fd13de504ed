"""PDF → Parts, page by page, inside a child process. PDFium reads, pypdf where PDFium fails.

PDFium is some 9 times faster, mends broken files, resolves ligatures and prints bold text once; pypdf reads a few
files that PDFium will not, and survives some that kill it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from rag.sources.clean import normalize
from rag.sources.fallback import Fallback
from rag.sources.garbled import is_garbled
from rag.sources.parts import Bookmark, Facts, Part, RefusedError, State, is_empty
from rag.types import Status

if TYPE_CHECKING:
    import pypdfium2 as pdfium

PDFIUM, PYPDF = "pdfium", "pypdf"
MAX_PAGES = 20_000
MAX_BOOKMARKS = 5_000
MAX_STRING = 32_767  # PDFium cuts a longer string operand without a word
MAX_OBJECTS = 2_000  # looked at, on a page without text
MAX_TITLE = 120
FEW_STROKES = 12  # a frame and some rules; more of them are a drawing, or letters as outlines
SPARSE = 16  # letters and digits: a page number, a scanner's stamp
PAGE_SIZED = 0.5  # of the page's area: an image this large is the page itself
SPECK = 0.002  # of the page's area: an image smaller than this is dirt

_TEXT, _PATH, _IMAGE, _SHADING = 1, 2, 3, 4  # FPDF_PAGEOBJ_*
_SPACES = re.compile(r"[ \t]{2,}")


def read(data: bytes, first: int, last: int | None, engine: str) -> Iterator[Part | Facts]:
    """Facts, then the pages from `first` to `last` (1-based, None: to the end).

    `engine` is tried first: the parent asks for pypdf where PDFium died. Raises RefusedError if no engine can open the
    file, if it needs a password, or has more than MAX_PAGES pages.
    """
    if not data:
        raise is_empty()
    fallback = Fallback(data)
    document = _open(data, fallback) if engine == PDFIUM else None
    if document is None:
        count = fallback.open()
        yield Facts(fallback.title(), count, printed=True)
        pages = (_page_by_pypdf(fallback, n, f"p. {n}") for n in _span(first, last, count))
    else:
        count = len(document)
        outline = tuple(_outline(document)) if first == 1 else ()
        yield Facts(document.get_metadata_value("Title"), count, outline, printed=True)
        pages = (_page(document, n, fallback) for n in _span(first, last, count))
    yield from pages
    if count > MAX_PAGES and last is None:
        reason = f"Only the first {MAX_PAGES:,} of {count:,} pages are read"
        raise RefusedError(Status.LIMIT, reason, "Split the file.")


def _span(first: int, last: int | None, count: int) -> range:
    return range(first, min(last or count, count, MAX_PAGES) + 1)


def _open(data: bytes, fallback: Fallback) -> pdfium.PdfDocument | None:
    """None if PDFium cannot open the file. It tries the empty password by itself; some files of the later
    encryption revisions open with it in pypdf alone."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
        return document if len(document) else None
    except pypdfium2.PdfiumError:
        fallback.open()  # raises RefusedError unless it can do better
        return None


def _page(document: pdfium.PdfDocument, number: int, fallback: Fallback) -> Part:
    label = _label(document, number)
    try:
        raw, drawn = _text_and_drawing(document, number)
    except _pdfium_error():
        return _page_by_pypdf(fallback, number, label)
    doubtful = not raw.strip() or is_garbled(raw)
    cut = any(len(line) >= MAX_STRING for line in raw.split("\r\n"))
    if cut or doubtful:
        other = fallback.text(number)
        if other is None and fallback.is_open and not raw.strip() and drawn is not State.PICTURE:
            return Part("", label, number, State.FAILED)  # there is something, but neither can unpack it
        if other and other.strip() and not is_garbled(other) and (doubtful or len(other) > len(raw)):
            raw, doubtful = other, False
    if doubtful and raw.strip():
        return Part("", label, number, State.GARBLED)
    return _part(raw, label, number, drawn)


def _page_by_pypdf(fallback: Fallback, number: int, label: str) -> Part:
    raw = fallback.text(number)
    if raw is not None and is_garbled(raw):
        return Part("", label, number, State.GARBLED)
    return _part(raw, label, number, State.BLANK)


def _text_and_drawing(document: pdfium.PdfDocument, number: int) -> tuple[str, State]:
    page = document[number - 1]
    try:
        textpage = page.get_textpage()
        raw: str = textpage.get_text_range()  # get_text_bounded would drop what stands outside the page's box
        textpage.close()
        return raw, _drawn(page, sparse=bool(raw.strip())) if _is_sparse(raw) else State.TEXT
    finally:
        page.close()


def _part(raw: str | None, label: str, number: int, drawn: State) -> Part:
    """The page as a Part. `drawn` says what lies on it besides text: that counts when there is next to no text."""
    text = _SPACES.sub(" ", normalize(raw or "")).strip()
    if not text:
        return Part("", label, number, State.FAILED if raw is None else drawn)
    return Part(text, label, number, State.PICTURE if drawn is State.PICTURE and _is_sparse(text) else State.TEXT)


def _is_sparse(text: str) -> bool:
    return len(text) < MAX_STRING and sum(map(str.isalnum, text[:400])) <= SPARSE


def _drawn(page: pdfium.PdfPage, sparse: bool) -> State:
    """What there is besides text. For PICTURE, beside `sparse` text, it must fill half of the page."""
    width, height = page.get_size()
    least = (PAGE_SIZED if sparse else SPECK) * width * height
    strokes = 0  # lines and glyphs: letters may be drawn as either, and mean no character
    for thing in islice(page.get_objects(max_depth=5), MAX_OBJECTS):
        if thing.type in (_IMAGE, _SHADING) and _area(thing) >= least:
            return State.PICTURE
        strokes += thing.type in (_PATH, _TEXT)
    if strokes > FEW_STROKES and not sparse:
        return State.PICTURE
    return State.ANNOTATED if _is_annotated(page) else State.BLANK


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


def _label(document: pdfium.PdfDocument, number: int) -> str:
    """ "p. 3", or "p. iv (4)" where the number printed on the page is another."""
    printed = normalize(document.get_page_label(number - 1)).strip()[:20]
    return f"p. {number}" if printed in ("", str(number)) else f"p. {printed} ({number})"


def _outline(document: pdfium.PdfDocument) -> Iterator[Bookmark]:
    """As much of it as is sound."""
    above: list[str] = []
    try:
        for bookmark in islice(document.get_toc(max_depth=6), MAX_BOOKMARKS):
            title = " ".join(normalize(bookmark.get_title()).split())[:MAX_TITLE]
            del above[bookmark.level :]
            above.append(title)
            destination = bookmark.get_dest()
            index = destination.get_index() if destination else None
            if title and index is not None:
                yield Bookmark(title, " > ".join(filter(None, above[-3:])), index + 1)
    except _pdfium_error():
        return


def _pdfium_error() -> type[Exception]:
    import pypdfium2

    error: type[Exception] = pypdfium2.PdfiumError
    return error
