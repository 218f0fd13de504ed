"""Is what is stored what was written? Each check returns its findings, and nothing for a ledger that is whole."""

from __future__ import annotations

from rag.index.ledger import Ledger


def unfaithful(ledger: Ledger) -> list[str]:
    """Passages that are not the text of their document at their offsets."""
    problems = []
    for id_, document in ledger.documents():
        if not document.name:
            problems.append(f"document {id_} belongs to no file")
        for passage_id, start, end, text in ledger.spans(id_):
            if document.text[start:end] != text:
                problems.append(f"passage {passage_id} is not the text of {document.name} at {start}:{end}")
    return problems


def unsearchable(ledger: Ledger) -> list[str]:
    """Vectors that no search would find, or of the wrong passage."""
    import numpy as np

    ids, vectors = ledger.vectors()
    if not ids:
        return []
    if vectors.shape[1] != ledger.fingerprint.dimension:
        return [f"vectors have {vectors.shape[1]} dimensions instead of {ledger.fingerprint.dimension}"]
    lengths = np.linalg.norm(vectors, axis=1)
    bad = np.flatnonzero(~np.isfinite(lengths) | (np.abs(lengths - 1) > 0.01))
    return [f"the vector of passage {ids[i]} is not of unit length" for i in bad.tolist()]
