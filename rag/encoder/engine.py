"""Running a model of token rows through OpenVINO: which rows go together, padding, and all cores kept busy."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rag.encoder.quiet import unheard

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Key = TypeVar("Key")

STEP = 16  # rows are padded to a multiple: OpenVINO's attention is a quarter slower at 207 tokens than at 208, and
# prepares (7 ms) and remembers (1 MB) every shape that it meets
MASKED = -1e9
BATCH_TOKENS = 1024  # some 50 ms of one core, so that Ctrl-C is heard; larger batches are no faster


class Engine:
    """An openvino.Model on all cores, or on so many `threads`, one batch a core; in bfloat16 where the processor has
    it, else in float32."""

    def __init__(self, model: Any, threads: int = 0) -> None:
        unheard()
        import openvino

        core = openvino.Core()
        precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "THROUGHPUT"}
        settings |= {"INFERENCE_NUM_THREADS": threads} if threads else {}
        compiled = core.compile_model(model, "CPU", settings)
        # One more than run at a time, so that the next batch lies ready while a finished one is read.
        parallel = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") + 1
        self._outputs = range(len(compiled.outputs))
        self._requests = [compiled.create_infer_request() for _ in range(parallel)]

    def run(self, batches: Iterable[tuple[Key, list[Any]]]) -> Iterator[tuple[Key, list[Any]]]:
        """For each batch, a key and the model's inputs, the key and the model's outputs, in the same order. The outputs
        are OpenVINO's own and overwritten after the next step."""
        running: deque[tuple[Any, Key]] = deque()
        idle = list(self._requests)
        for request in idle:
            request.wait()  # for what a call that Ctrl-C ended left running

        def finish() -> Iterator[tuple[Key, list[Any]]]:
            request, key = running.popleft()
            request.wait()
            yield key, [request.get_output_tensor(place).data for place in self._outputs]
            idle.append(request)

        # No callbacks: what Python drops in one of OpenVINO's threads can be that thread's own pool, and abort.
        for key, inputs in batches:
            if not idle:
                yield from finish()
            request = idle.pop()
            request.start_async(inputs)
            running.append((request, key))
        while running:
            yield from finish()


def batches(widths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Places of equally wide rows, `tokens` or one row at a time, widest first: what needs most memory fails first."""
    batch: list[int] = []
    for place in sorted(range(len(widths)), key=widths.__getitem__, reverse=True):
        width = widths[place]
        if batch and (width != widths[batch[0]] or (len(batch) + 1) * width > tokens):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def stepped(length: int) -> int:
    """The width that a row of this length is padded to."""
    return -(-length // STEP) * STEP


def padded(rows: Sequence[Sequence[int]], width: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Token ids (n, width), and a mask (n, 1, 1, width) that is added to attention's logits."""
    import numpy as np

    ids = np.zeros((len(rows), width), np.int32)
    mask = np.full((len(rows), 1, 1, width), MASKED, np.float32)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
        mask[place, 0, 0, : len(row)] = 0
    return ids, mask
