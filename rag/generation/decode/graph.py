"""One step of the network with inputs in fixed places, captured as a CUDA graph where there is one: the GPU then runs
a whole step without waiting for Python."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from rag.generation.decode.cache import KeyValueCache
    from rag.generation.decode.network import Network

log = logging.getLogger(__name__)

WARM_UPS = 3  # runs before a capture: compiling and tuning must be over by then


class Step:
    """Feeds `width` tokens to every row of a cache. `logits` is (rows, width, vocabulary), until the next launch."""

    logits: Tensor
    _chosen: Tensor

    def __init__(self, network: Network, cache: KeyValueCache, width: int, limit: int, graphed: bool) -> None:
        """Raises torch.OutOfMemoryError."""
        import torch

        self._network = network
        self._cache = cache
        self._limit = limit
        # Rehearsals write behind every text: a cache has `width` places more than its texts need.
        spare = torch.arange(cache.capacity - width, cache.capacity).expand(cache.rows, width)
        self._inputs = torch.stack([torch.zeros_like(spare), spare]).to(network.device)
        self._graph = self._captured() if graphed else None

    def launch(self, tokens: list[list[int]], positions: list[list[int]]) -> None:
        """Starts the step; on a GPU this returns before it is done."""
        import torch

        with torch.no_grad():  # not inference mode: what it makes cannot be written to by compiled code outside it
            self._inputs.copy_(torch.tensor([tokens, positions]))
            if self._graph is None:
                self._run()
            else:
                self._graph.replay()

    def chosen(self) -> list[list[int]]:
        """The likeliest token after each one fed, (rows, width); waits for the step."""
        found: list[list[int]] = self._chosen.tolist()
        return found

    def _run(self) -> None:
        self.logits = self._network.step(self._inputs[0], self._inputs[1], self._cache, self._limit)
        self._chosen = self.logits.argmax(-1)

    def _captured(self) -> torch.cuda.CUDAGraph | None:
        import torch

        graph = torch.cuda.CUDAGraph()
        try:
            with torch.no_grad(), torch.cuda.device(self._network.device):
                side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
                side.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(side):
                    for _ in range(WARM_UPS):
                        self._run()
                torch.cuda.current_stream().wait_stream(side)
                # What other threads do on the GPU meanwhile, embedding say, must not spoil it.
                with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                    self._run()
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # some layers cannot be captured (bitsandbytes' synchronise); they still work
            log.warning("Decoding without a CUDA graph, more slowly: %s: %.200s", type(error).__name__, error)
            torch.cuda.synchronize()
            return None
        return graph
