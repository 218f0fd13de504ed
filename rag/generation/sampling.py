"""Words drawn by their probability, the same ones for the same seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag.generation.options import Sampling

if TYPE_CHECKING:
    from torch import Tensor


class Draw:
    """One answer's draws: the next token from logits of shape (vocabulary,)."""

    def __init__(self, sampling: Sampling) -> None:
        import torch

        self._sampling = sampling
        # On the processor and of its own: neither the device nor another stream changes what a seed draws.
        self._random = torch.Generator().manual_seed(sampling.seed)

    def __call__(self, logits: Tensor) -> int:
        import torch

        scaled = (logits.float().cpu() / self._sampling.temperature).softmax(dim=-1)
        likely, tokens = scaled.sort(descending=True, stable=True)
        before = likely.cumsum(dim=-1) - likely
        likely[before >= self._sampling.top_p] = 0.0  # never the first, before which there is nothing
        return int(tokens[torch.multinomial(likely, 1, generator=self._random)])
