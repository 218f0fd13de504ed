"""Is what is stored what was written? Each check returns its findings, and nothing for a ledger that is whole."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from rag.errors import DamagedError
from rag.index.ledger import Ledger
from rag.index.queries import Queries
from rag.index.rows import digest
from rag.index.side import FORMER, UNFINISHED
from rag.types import Document, Mark, Passage

if TYPE_CHECKING:
    from rag.types import Vectors


def unfaithful(ledger: Queries) -> list[str]:
    """Passages that are not what their document has there: its text, its page or section, what was embedded of it."""
    whole = ((document, ledger.stored(id_, document)) for id_, document in ledger.documents())
    return [problem for document, stored in whole for problem in unfaithful_passages(document, stored)]


def unfaithful_passages(document: Document, stored: Iterable[tuple[object, bytes, Passage]]) -> Iterator[str]:
    """Of a document; `stored` are (name, digest of what was embedded, passage)."""
    starts = [mark.offset for mark in document.marks]
    for name, embedded, passage in stored:
        at = bisect_right(starts, passage.start)
        mark = document.marks[at - 1] if at else Mark(0, "")
        if document.text[passage.start : passage.end] != passage.text:
            yield f"passage {name} is not the text of {document.name} at {passage.start}"
        elif (passage.place, passage.page) != (mark.label, mark.page):
            yield f"passage {name} of {document.name} stands on another page"
        elif digest(replace(passage, title=document.title).headed) != embedded:
            yield f"passage {name} of {document.name} was embedded under another heading"


def damages(ledger: Ledger) -> list[str]:
    """All findings. A document that no file holds is none: an interrupted sync leaves one, and the next removes it."""
    try:
        return ledger.integrity() or [*_unlisted(ledger), *unfaithful(ledger), *unsearchable(ledger)]
    except DamagedError as error:
        return [str(error)]


def side_damages(ledger: Ledger) -> list[str]:
    """The same of the side, where there is one."""
    side = ledger.side
    try:
        found = [*unfaithful(side), *unsearchable(side)] if side.exists else []
    except DamagedError as error:
        found = [str(error)]
    return [f"the side ({FORMER if side.is_former else UNFINISHED}): {problem}" for problem in found]


def _unlisted(ledger: Ledger) -> list[str]:
    """Reads every file's row, which fails if one makes no sense."""
    _ = ledger.fingerprint, ledger.roots(), list(ledger.files())
    return []


def unsearchable(ledger: Queries) -> list[str]:
    """Vectors that no search would find, or of the wrong passage."""
    problems = []
    for ids, vectors in ledger.vector_blocks():
        problems += [f"the vector of passage {ids[i]} is not of unit length" for i in lengths_off(vectors)]
    return problems


def lengths_off(vectors: Vectors) -> list[int]:
    """The rows that are not of unit length."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1)
    bad: list[int] = np.flatnonzero(~np.isfinite(lengths) | (np.abs(lengths - 1) > 0.01)).tolist()
    return bad
