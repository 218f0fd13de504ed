"""Is what is stored what was written? Each check returns its findings, and nothing for a ledger that is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag.errors import DamagedError
from rag.index.ledger import Ledger
from rag.index.queries import Queries
from rag.index.side import FORMER, UNFINISHED

if TYPE_CHECKING:
    from rag.types import Vectors


def unfaithful(ledger: Queries) -> list[str]:
    """Passages that are not the text of their document at their offsets."""
    problems = []
    for id_, document in ledger.documents():
        for passage_id, start, end, text in ledger.spans(id_):
            if document.text[start:end] != text:
                problems.append(f"passage {passage_id} is not the text of {document.name} at {start}:{end}")
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
