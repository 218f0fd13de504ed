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
        room = (rows, heads, capacity, size)

        def places() -> list[Tensor]:  # each a tensor of its own: the compiler is wary of writing to parts of one
            return [torch.zeros(room, dtype=dtype, device=device) for _ in range(layers)]

        self.keys, self.values = places(), places()

    def copy_row(self, source: int, target: int, length: int) -> None:
        """The first `length` tokens of one row to another."""
        for places in (*self.keys, *self.values):
            places[target, :, :length] = places[source, :, :length]

    def take(self, other: KeyValueCache, length: int) -> None:
        """The first `length` tokens of another cache's first row."""
        pairs = zip((*self.keys, *self.values), (*other.keys, *other.values), strict=True)
        for ours, theirs in pairs:
            ours[0, :, :length] = theirs[0, :, :length]
