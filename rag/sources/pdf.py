"""PDF → Parts, page by page, inside a child process. PDFium reads, pypdf where PDFium fails.

PDFium is some 9 times faster, mends broken files, resolves ligatures and prints bold text once; pypdf reads a few
files that PDFium will not, and survives some that kill it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from rag.sources import ink
from rag.sources.clean import normalize
from rag.sources.fallback import REMEDY, Fallback
from rag.sources.garbled import is_garbled
from rag.sources.parts import Bookmark, Facts, Part, RefusedError, State, is_empty
from rag.sources.salvage import salvaged
from rag.types import Status

if TYPE_CHECKING:
    import pypdfium2 as pdfium

PDFIUM, PYPDF = "pdfium", "pypdf"
MAX_PAGES = 20_000
REMAINS = "The file is broken or was cut short: only what is left of its pages is read"
MAX_BOOKMARKS = 5_000
MAX_STRING = 32_767  # PDFium cuts a longer string operand without a word
MAX_TITLE = 120
SPARSE = 16  # letters and digits: a page number, a scanner's stamp

_SPACES = re.compile(r"[ \t]{2,}")


def read(data: bytes, first: int, last: int | None, engine: str) -> Iterator[Part | Facts]:
    """Facts, then the pages from `first` to `last` (1-based, None: to the end).

    `engine` is tried first: the parent asks for pypdf where PDFium died. Raises RefusedError if no engine can open the
    file, if it needs a password, or has more than MAX_PAGES pages; at the end, if these are only what was left of it.
    """
    if not data:
        raise is_empty()
    book = _opened(data, engine)
    anything = False
    document, fallback, count = book.document, book.fallback, book.count
    if document is None:
        yield Facts(fallback.title(), count, printed=True)
        pages = (_page_by_pypdf(fallback, n, f"p. {n}") for n in _span(first, last, count))
    else:
        outline = tuple(_outline(document)) if first == 1 else ()
        yield Facts(document.get_metadata_value("Title"), count, outline, printed=True)
        pages = (_page(document, n, fallback) for n in _span(first, last, count))
    for part in pages:
        yield part
        anything |= bool(part.text)
    if book.verdict and last is None:
        raise RefusedError(Status.PARTLY, REMAINS, REMEDY) if anything else book.verdict
    if count > MAX_PAGES and last is None:
        reason = f"Only the first {MAX_PAGES:,} of {count:,} pages are read"
        raise RefusedError(Status.LIMIT, reason, "Split the file.")


def _span(first: int, last: int | None, count: int) -> range:
    return range(first, min(last or count, count, MAX_PAGES) + 1)


@dataclass(frozen=True, slots=True)
class _Book:
    """An open file: `document` is None where pypdf alone can open it. With a `verdict`, no engine could: it is what is
    left of it."""

    document: pdfium.PdfDocument | None
    fallback: Fallback
    verdict: RefusedError | None = None

    @property
    def count(self) -> int:
        return self.fallback.open() if self.document is None else len(self.document)


def _opened(data: bytes, engine: str) -> _Book:
    """Raises RefusedError. PDFium tries the empty password by itself; some files of the later encryption revisions open
    with it in pypdf alone. Where pages are missing, what is left is the file in which most of them are found."""
    document, found = _by_pdfium(data) if engine == PDFIUM else (None, 0)
    verdict: RefusedError | None = None
    if document is None:
        try:
            fallback = Fallback(data)
            fallback.open()
            return _Book(None, fallback)
        except RefusedError as refused:
            if refused.outcome.status is not Status.DAMAGED:
                raise
            verdict = refused
    elif found == min(len(document), MAX_PAGES):
        return _Book(document, Fallback(data, found))
    whole = salvaged(data)
    mended, more = _by_pdfium(whole) if whole else (None, 0)
    if whole and mended and more > found:
        return _Book(mended, Fallback(whole, more), verdict or _broken())
    if document is None:
        raise verdict or _broken()
    return _Book(document, Fallback(data, found))


def _broken() -> RefusedError:
    return RefusedError(Status.DAMAGED, "Broken: its pages cannot be found", REMEDY)


def _by_pdfium(data: bytes) -> tuple[pdfium.PdfDocument | None, int]:
    """The document, and how many of its pages PDFium finds; None if that is none, or it cannot open the file."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError:
        return None, 0
    found = 0
    for index in range(min(len(document), MAX_PAGES)):
        try:
            document.get_page_size(index)  # to load a page is to draw it, which may kill us
            found += 1
        except pypdfium2.PdfiumError:
            continue
    return (document if found else None), found


def _page(document: pdfium.PdfDocument, number: int, fallback: Fallback) -> Part:
    label = _label(document, number)
    try:
        raw, drawn = _text_and_drawing(document, number)
    except _pdfium_error():
        return _page_by_pypdf(fallback, number, label)
    doubtful = not raw.strip() or is_garbled(raw)
    if doubtful or any(len(line) >= MAX_STRING for line in raw.split("\r\n")):
        raw, defect = _second_opinion(raw, drawn, fallback, number)
        if defect is not None:
            return Part("", label, number, defect)
    return _part(raw, label, number, drawn)


def _second_opinion(raw: str, drawn: State, fallback: Fallback, number: int) -> tuple[str, State | None]:
    """The page's text as the better engine has it, and what is wrong with the page where neither has any."""
    other = fallback.text(number)
    doubtful = not raw.strip() or is_garbled(raw)
    if other and other.strip() and not is_garbled(other) and (doubtful or len(other) > len(raw)):
        return other, None
    if not doubtful:
        return raw, None
    if raw.strip() or (other and other.strip()):
        return "", State.GARBLED
    if drawn is State.PICTURE or not fallback.is_open:
        return "", None
    unpacked = other is not None and not (drawn is State.BLANK and fallback.lost(number))
    return "", None if unpacked else State.FAILED


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
        return raw, ink.besides_text(page, sparse=bool(raw.strip())) if _is_sparse(raw) else State.TEXT
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
