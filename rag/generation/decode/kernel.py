"""Attention of a few new tokens to a long cache, in Triton: flash decoding (Dao et al. 2023).

Reads exactly the keys and values that are in use, whatever the cache could hold, and splits them over the whole GPU
even for one sequence, so that one captured graph serves every length. What torch offers either masks (and reads all
of the cache) or gives each head to one multiprocessor. `cached_attention` is its oracle.
"""

# mypy: ignore-errors
# ruff: noqa: N803 - kernels name their compile-time constants in capitals

from __future__ import annotations

from typing import TYPE_CHECKING

import triton
import triton.language as tl

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 64  # keys at a time
PROGRAMS = 512  # some four for each multiprocessor of a large GPU


@triton.jit
def _partial(
    query, keys, values, positions, sums, tops, scale,
    cache_batch, cache_head,
    HEADS: tl.constexpr, GROUP: tl.constexpr, WIDTH: tl.constexpr, SIZE: tl.constexpr,
    ROWS: tl.constexpr, BLOCK: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """One split of one key head: the softmax's weighted sum over it, and the logarithm of its weight."""
    pair, split = tl.program_id(0), tl.program_id(1)
    batch, head = pair // HEADS, pair % HEADS
    rows, columns, places = tl.arange(0, ROWS), tl.arange(0, SIZE), tl.arange(0, BLOCK)
    used = rows < GROUP * WIDTH  # rows are the group's heads by the new tokens, padded for the tensor cores
    positions += batch * WIDTH
    own = tl.load(positions + rows % WIDTH, mask=used, other=0)
    length = tl.load(positions + WIDTH - 1) + 1  # positions ascend
    chunk = tl.cdiv(tl.cdiv(length, SPLITS), BLOCK) * BLOCK
    start = split * chunk
    end = tl.minimum(start + chunk, length)
    first = (batch * HEADS + head) * GROUP * WIDTH
    queries = tl.load(query + (first + rows[:, None]) * SIZE + columns[None, :], mask=used[:, None], other=0.0)
    cache = batch.to(tl.int64) * cache_batch + head.to(tl.int64) * cache_head
    top = tl.full([ROWS], float("-inf"), tl.float32)
    weight = tl.zeros([ROWS], tl.float32)
    total = tl.zeros([ROWS, SIZE], tl.float32)
    for here in range(start, end, BLOCK):
        at = here + places
        block = cache + at[:, None] * SIZE + columns[None, :]
        k = tl.load(keys + block, mask=at[:, None] < end, other=0.0)
        v = tl.load(values + block, mask=at[:, None] < end, other=0.0)
        scores = tl.dot(queries, tl.trans(k), input_precision="ieee") * scale
        seen = (at[None, :] < end) & (at[None, :] <= own[:, None])
        scores = tl.where(seen, scores, float("-inf"))
        best = tl.maximum(top, tl.max(scores, 1))
        safe = tl.where(best == float("-inf"), 0.0, best)  # nothing seen so far: no inf - inf
        shares = tl.exp(scores - safe[:, None])
        shrink = tl.exp(top - safe)
        weight = weight * shrink + tl.sum(shares, 1)
        total = total * shrink[:, None] + tl.dot(shares.to(v.dtype), v, input_precision="ieee")
        top = best
    out = (first + rows) * SPLITS + split
    some = tl.where(weight > 0, weight, 1.0)  # a split behind the text's end has seen nothing
    tl.store(tops + out, tl.where(weight > 0, top + tl.log(some), float("-inf")), mask=used)
    tl.store(sums + out[:, None] * SIZE + columns[None, :], total / some[:, None], mask=used[:, None])


@triton.jit
def _combine(sums, tops, out, SIZE: tl.constexpr, SPLITS: tl.constexpr):
    """The splits of one row, by their weights."""
    row = tl.program_id(0)
    splits, columns = tl.arange(0, SPLITS), tl.arange(0, SIZE)
    top = tl.load(tops + row * SPLITS + splits)
    shares = tl.exp(top - tl.max(top, 0))  # the first split always sees something
    parts = tl.load(sums + (row * SPLITS + splits)[:, None] * SIZE + columns[None, :])
    mixed = tl.sum(parts * shares[:, None], 0) / tl.sum(shares, 0)
    tl.store(out + row * SIZE + columns, mixed.to(out.dtype.element_ty))


def flash_decode(query: Tensor, keys: Tensor, values: Tensor, positions: Tensor) -> Tensor:
    """As `cached_attention`; positions of a sequence ascend by one, and the head dimension is a power of two."""
    import torch

    batch, heads, width, size = query.shape
    of_keys = keys.shape[1]
    group = heads // of_keys
    splits = min(32, triton.next_power_of_2(triton.cdiv(PROGRAMS, batch * of_keys)))
    query, out = query.contiguous(), query.new_empty(query.shape)
    sums = query.new_empty((batch, heads, width, splits, size), dtype=torch.float32)
    tops = query.new_empty((batch, heads, width, splits), dtype=torch.float32)
    rows = max(16, triton.next_power_of_2(group * width))
    _partial[(batch * of_keys, splits)](
        query, keys, values, positions, sums, tops, size**-0.5, keys.stride(0), keys.stride(1),
        of_keys, group, width, size, rows, BLOCK, splits,
    )  # fmt: skip
    _combine[(batch * heads * width,)](sums, tops, out, size, splits)
    return out
