"""How alike a claim and the sentences of a passage are, by an embedder."""

from __future__ import annotations

from collections.abc import Sequence

from rag.types import Embedder


class Similarity:
    """Callable as `rag.generation.check` wants it. Cosines depend on the model: see FITTED_FOR."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def __call__(self, claim: str, sentences: Sequence[str]) -> float:
        """The best cosine of the claim and any of the sentences; 0 without any."""
        if not sentences:
            return 0.0
        vectors = self._embedder.embed_passages([claim, *sentences])
        return float((vectors[1:] @ vectors[0]).max())
