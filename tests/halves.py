"""A second embedder beside that of words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from conftest import WordEmbedder


class Halves(WordEmbedder):
    """Another model: every word's hash is taken modulo half the dimensions, and passages are half as long."""

    def __init__(self, model: str = "halves", **changed: object) -> None:
        super().__init__(model, max_tokens=20)
        self._fingerprint = replace(self._fingerprint, dimension=32, **changed)
        self.before_passages: Callable[[], None] = lambda: None

    def embed_passages(self, texts: Sequence[str]) -> np.ndarray:
        self.before_passages()
        return super().embed_passages(texts)

    @staticmethod
    def _embed(texts: Sequence[str]) -> np.ndarray:
        wide = WordEmbedder._embed(texts)
        folded = wide[:, :32] + wide[:, 32:]
        return folded / np.linalg.norm(folded, axis=1, keepdims=True)
