"""The simple loop: one call of the model a token, on transformers' own cache. What every faster way must agree with,
and what serves models and devices that the faster ways do not know."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from typing import Any


def simple_tokens(
    model: Any,
    end_token_ids: Collection[int],
    prompt: list[int],
    max_new_tokens: int,
    choose: Callable[[Any], int] | None = None,
) -> Generator[int, None, None]:
    """The tokens that follow `prompt`, without an end token. `choose` picks one from logits of shape (vocabulary,);
    the likeliest is taken without it."""
    import torch

    past = None
    ids = torch.tensor([prompt], device=model.device)
    for _ in range(max_new_tokens):
        with torch.inference_mode():  # never across a yield: it would hold in the caller's code, too
            out = model(input_ids=ids, past_key_values=past, use_cache=True, logits_to_keep=1)
            logits = out.logits[0, -1]
            token = choose(logits) if choose else int(logits.argmax())
        if token in end_token_ids:
            return
        yield token
        past = out.past_key_values
        ids = torch.tensor([[token]], device=model.device)
