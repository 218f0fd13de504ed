"""Is what is stored what was written? Each check returns its findings, and nothing for a ledger that is whole."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from rag.errors import DamagedError
from rag.index.ledger import Ledger
from rag.index.queries import Queries
from rag.index.rows import digest
from rag.index.side import FORMER, UNFINISHED
from rag.types import Mark

if TYPE_CHECKING:
    from rag.types import Vectors


def unfaithful(ledger: Queries) -> list[str]:
    """Passages that are not what their document has there: its text, its page or section, what was embedded of it."""
    problems = []
    for id_, document in ledger.documents():
        starts = [mark.offset for mark in document.marks]
        for passage_id, embedded, passage in ledger.stored(id_, document):
            at = bisect_right(starts, passage.start)
            mark = document.marks[at - 1] if at else Mark(0, "")
            if document.text[passage.start : passage.end] != passage.text:
                problems.append(f"passage {passage_id} is not the text of {document.name} at {passage.start}")
            elif (passage.place, passage.page) != (mark.label, mark.page):
                problems.append(f"passage {passage_id} of {document.name} stands on another page")
            elif digest(passage.headed) != embedded:
                problems.append(f"passage {passage_id} of {document.name} was embedded under another heading")
    return problems


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
