"""Attention by torch's own kernels. Tensors are (batch, heads, tokens, head dimension); keys and values may have fewer
heads than queries (grouped queries)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def prefill_attention(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Causal attention of the last tokens of a text to all of it, without a mask, so that flash attention applies."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.attention.bias import causal_lower_right
    from torch.nn.functional import scaled_dot_product_attention

    group = query.shape[1] // keys.shape[1]
    if group > 1:  # spelt out: not every kernel of every version takes grouped queries here
        keys, values = keys.repeat_interleave(group, 1), values.repeat_interleave(group, 1)
    # Not cuDNN's: it plans for every new length of a prompt, for longer than it then computes.
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]):
        if query.shape[2] == keys.shape[2]:
            return scaled_dot_product_attention(query, keys, values, is_causal=True)
        bias = causal_lower_right(query.shape[2], keys.shape[2])
        return scaled_dot_product_attention(query, keys, values, attn_mask=bias)


def cached_attention(query: Tensor, keys: Tensor, values: Tensor, positions: Tensor) -> Tensor:
    """Attention of each token to the cached ones up to its own position; `positions` is (batch, tokens)."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    places = torch.arange(keys.shape[2], device=keys.device)
    visible = places <= positions[:, None, :, None]
    group = query.shape[1] // keys.shape[1]
    if group == 1:
        return scaled_dot_product_attention(query, keys, values, attn_mask=visible)
    batch, heads, width, size = query.shape  # a group's queries stand side by side, and no key is copied
    stacked = query.reshape(batch, heads // group, group * width, size)
    visible = visible.repeat(1, 1, group, 1)
    return scaled_dot_product_attention(stacked, keys, values, attn_mask=visible).reshape(query.shape)
