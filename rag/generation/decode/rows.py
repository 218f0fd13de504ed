"""Many prompts at once, each in a row of its own: continuous batching (Yu et al. 2022, "Orca").

Prompts are read one by one into their rows, so nothing is padded, and a row whose answer has ended takes the next
prompt at once. What all prompts begin with is read once. Longest first, so that the rows end together.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from rag.generation.decode.cache import KeyValueCache, bucket, common_length
from rag.generation.decode.graph import Step

if TYPE_CHECKING:
    from rag.generation.decode.network import Network

log = logging.getLogger(__name__)

MOST_GPU, MOST_CPU = 64, 8  # rows; a processor is busy with a few already
SHARE = 0.8  # of the free memory, for the cache


class Rows:
    def __init__(self, network: Network, ends: Collection[int], graphs: bool, lock: threading.RLock) -> None:
        self._network = network
        self._ends = ends
        self._graphs = graphs
        self._lock = lock

    def finished(self, prompts: Sequence[list[int]], max_new_tokens: int) -> Iterator[tuple[int, list[int]]]:
        """Prompts' numbers with their answers. Raises torch.OutOfMemoryError when not even one row fits."""
        import torch

        waiting = sorted(range(len(prompts)), key=lambda number: -len(prompts[number]))
        if max_new_tokens < 1:
            yield from ((number, []) for number in waiting)
            return
        most = len(waiting)
        while waiting:
            capacity = bucket(len(prompts[waiting[0]]) + max_new_tokens + 1)
            rows = min(len(waiting), most, self._fitting(capacity))
            batch = None
            try:
                batch = _Batch(self._network, self._ends, prompts, max_new_tokens)
                for number, answer in batch.run(list(waiting), rows, capacity, self._graphs, self._lock):
                    waiting.remove(number)
                    yield number, answer
            except torch.OutOfMemoryError:
                if rows == 1:
                    raise
                log.warning("Not enough memory for %d answers at once: going on with %d", rows, rows // 2)
                most = rows // 2
            del batch
            if self._network.device.type == "cuda":
                torch.cuda.empty_cache()

    def _fitting(self, capacity: int) -> int:
        """Rows for which there is memory."""
        import torch

        if self._network.device.type != "cuda":
            return MOST_CPU
        layers, heads, size = self._network.shape
        row = layers * 2 * heads * capacity * size * self._network.dtype.itemsize
        device = self._network.device
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        free = torch.cuda.mem_get_info(device)[0] + unused
        return int(max(1, min(MOST_GPU, free * SHARE // row)))


class _Batch:
    """The rows of one cache, from the first prompt to the last answer."""

    def __init__(
        self, network: Network, ends: Collection[int], prompts: Sequence[list[int]], max_new_tokens: int
    ) -> None:
        self._network = network
        self._ends = ends
        self._prompts = prompts
        self._most = max_new_tokens
        self._numbers: dict[int, int] = {}  # row → its prompt's number
        self._answers: dict[int, list[int]] = {}  # row → tokens so far, the last of which is not fed yet
        self._filled: set[int] = set()  # rows that hold the common beginning

    def run(
        self, waiting: list[int], rows: int, capacity: int, graphs: bool, lock: threading.RLock
    ) -> Iterator[tuple[int, list[int]]]:
        network = self._network
        self._shared = self._beginning(waiting)
        with lock:
            cache = KeyValueCache(network.shape, rows, capacity, network.dtype, network.device)
            step = Step(network, cache, 1, capacity, graphs)
        while waiting or self._numbers:
            for row in range(rows):
                while waiting and row not in self._numbers:
                    with lock:
                        self._fill(cache, row, waiting.pop(0))
                    yield from self._ended(row)
            if self._numbers:
                with lock:
                    self._advance(step, rows)
                for row in list(self._numbers):
                    yield from self._ended(row)

    def _beginning(self, waiting: Sequence[int]) -> int:
        """How many tokens all prompts have in common, the last two of each left out."""
        texts = [self._prompts[number] for number in waiting]
        shared = common_length(min(texts), max(texts))  # in the order of the alphabet, so these differ the most
        return max(0, min(shared, min(map(len, texts)) - 2))

    def _fill(self, cache: KeyValueCache, row: int, number: int) -> None:
        import torch

        prompt = self._prompts[number]
        with torch.no_grad():
            if row not in self._filled and self._filled:
                cache.copy_row(next(iter(self._filled)), row, self._shared)
                self._filled.add(row)
            start = self._shared if row in self._filled else 0
            token = int(self._network.prefill(prompt[start:], cache, row, start).argmax())
        self._filled.add(row)
        self._numbers[row] = number
        self._answers[row] = [token]

    def _advance(self, step: Step, rows: int) -> None:
        """One token for every row; an idle one is fed a place that its next prompt overwrites."""
        tokens, positions = [[0]] * rows, [[self._shared]] * rows
        for row, number in self._numbers.items():
            answer = self._answers[row]
            tokens[row] = [answer[-1]]
            positions[row] = [len(self._prompts[number]) + len(answer) - 1]
        step.launch(tokens, positions)
        chosen = step.chosen()
        for row in self._numbers:
            self._answers[row].append(chosen[row][0])

    def _ended(self, row: int) -> Iterator[tuple[int, list[int]]]:
        answer = self._answers[row]
        over = answer[-1] in self._ends
        if over or len(answer) == self._most:
            number = self._numbers.pop(row)
            yield number, answer[:-1] if over else answer
