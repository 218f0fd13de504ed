"""Prompt to tokens, one at a time: the simple loop. Faster ones are tested against it.

It keeps nothing between calls, runs in the thread of whoever reads, and closing it frees its cache.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol

from rag.generation.options import Sampling


class Loop(Protocol):
    """`tokens` yields token ids until it is closed or `max_new_tokens` have come; it need not know end tokens."""

    def tokens(self, prompt_ids: list[int], max_new_tokens: int) -> Generator[int, None, None]: ...


class SimpleLoop:
    """One forward pass a token, with transformers' growing cache.

    Greedy decoding repeats itself bit for bit on one machine with the same versions, precision and loop. Another
    batch size, GPU or kernel adds numbers in another order: two tokens within rounding of each other may then change
    places, and the text goes another way from there.
    """

    def __init__(self, network: Any, sampling: Sampling | None = None) -> None:
        self._network = network
        self._sampling = sampling

    def tokens(self, prompt_ids: list[int], max_new_tokens: int) -> Generator[int, None, None]:
        import torch

        pick = _Picker(self._sampling)
        past = None
        ids = torch.tensor([prompt_ids], device=self._network.device)
        for _ in range(max_new_tokens):
            with torch.inference_mode():  # never across a yield: it would hold in the caller's code, too
                out = self._network(input_ids=ids, past_key_values=past, use_cache=True, logits_to_keep=1)
                token = pick(out.logits[0, -1])
                past = out.past_key_values
                del out
            yield token
            ids = torch.tensor([[token]], device=self._network.device)


class _Picker:
    """The next token from its logits, of shape (vocabulary,)."""

    def __init__(self, sampling: Sampling | None) -> None:
        self._sampling = sampling
        if sampling is not None:
            import torch

            # On the processor and of its own: neither the device nor another stream changes what a seed draws.
            self._random = torch.Generator().manual_seed(sampling.seed)

    def __call__(self, logits: Any) -> int:
        if self._sampling is None:
            return int(logits.argmax())
        import torch

        scaled = (logits.float().cpu() / self._sampling.temperature).softmax(dim=-1)
        likely, tokens = scaled.sort(descending=True, stable=True)
        before = likely.cumsum(dim=-1) - likely
        likely[before >= self._sampling.top_p] = 0.0  # never the first, before which there is nothing
        return int(tokens[torch.multinomial(likely, 1, generator=self._random)])
