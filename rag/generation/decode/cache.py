"""Keys and values in fixed places, so that a captured graph finds them where they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

BUCKET = 256  # capacities are multiples of this


def bucket(tokens: int) -> int:
    return -(-tokens // BUCKET) * BUCKET


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts have in common from their beginning."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))


class KeyValueCache:
    """`keys[layer]` and `values[layer]` are (rows, heads, capacity, head dimension); a row holds one sequence.

    All zeros at first: what is masked is still multiplied by a weight of nought, which a NaN would survive.
    """

    def __init__(
        self, shape: tuple[int, int, int], rows: int, capacity: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        """`shape` is (layers, heads, head dimension). Raises torch.OutOfMemoryError."""
        import torch

        layers, heads, size = shape
        self.rows = rows
        self.capacity = capacity
        self.store = torch.zeros((layers, 2, rows, heads, capacity, size), dtype=dtype, device=device)
        self.keys: list[Tensor] = [self.store[layer, 0] for layer in range(layers)]
        self.values: list[Tensor] = [self.store[layer, 1] for layer in range(layers)]

    def copy_row(self, source: int, target: int, length: int) -> None:
        """The first `length` tokens of one row to another."""
        self.store[:, :, target, :, :length].copy_(self.store[:, :, source, :, :length])

    def take(self, other: KeyValueCache, length: int) -> None:
        """The first `length` tokens of another cache's first row."""
        self.store[:, :, 0, :, :length].copy_(other.store[:, :, 0, :, :length])
