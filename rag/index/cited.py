"""A passage → the page of the file that it was cited from, as the ledger holds both."""

from __future__ import annotations

from itertools import pairwise
from urllib.parse import unquote_to_bytes

from rag.index.seams import Holdings
from rag.types import Cited, Mark, Passage


def cited(ledger: Holdings, passage: Passage, span: tuple[int, int] | None = None) -> list[Cited]:
    """Every page that the passage stands on, in order; none where it has no pages, or where the document is no longer
    what it was cited from. `span` are offsets into the passage's text."""
    key = unquote_to_bytes(passage.uri.removeprefix("file://"))
    row = ledger.files_at([key]).get(key)
    if row is None or row.document is None:
        return []
    text, marks = ledger.body(row.document)
    if text[passage.start : passage.end] != passage.text:
        return []
    words = (passage.start + span[0], passage.start + span[1]) if span else None
    found = []
    for mark, after in pairwise([*marks, Mark(len(text), "")]):
        here = _within((passage.start, passage.end), mark.offset, after.offset)
        if mark.page is not None and here:
            answer = _within(words, mark.offset, after.offset) if words else None
            found.append(Cited(key, row.version, mark.page, text[mark.offset : after.offset], *here, answer))
    return found


def _within(stretch: tuple[int, int], start: int, end: int) -> tuple[int, int] | None:
    """The part of a stretch that lies on a page, by offsets into the page."""
    first, last = max(stretch[0], start), min(stretch[1], end)
    return (first - start, last - start) if first < last else None
