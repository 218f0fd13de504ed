"""Passages → the vectors that are stored; no text is embedded twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rag.index.rows import digest, packed_vectors
from rag.types import Embedder, Passage

Known = Callable[[Sequence[bytes]], dict[bytes, bytes]]  # the vectors that there are, by digest


def vectors_of(passages: Sequence[Passage], known: Known, embedder: Embedder) -> tuple[dict[bytes, bytes], int]:
    """float16 vectors by digest, and how many of them had to be computed."""
    texts = {digest(passage.headed): passage.headed for passage in passages}
    found = known(list(texts))
    missing = [key for key in texts if key not in found]
    if missing:
        vectors = embedder.embed_passages([texts[key] for key in missing])
        found.update(zip(missing, packed_vectors(vectors), strict=True))
    return found, len(missing)
