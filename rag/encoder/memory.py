"""A device that has no room for a batch is given smaller ones."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable
from typing import TypeVar

from rag.errors import OutOfMemoryError

Result = TypeVar("Result")


def in_smaller_batches(run: Callable[[int], Result], batch: int, model: str) -> tuple[Result, int]:
    """What `run(batch)` gives, and the batch that there was room for: half of it, and half of that, as often as memory
    runs out. Raises OutOfMemoryError when there is no room for a single text."""
    import torch

    while True:
        try:
            return run(batch), batch
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)  # which hold the batch that was too large
        gc.collect()
        torch.cuda.empty_cache()  # does nothing where there is no GPU
        if batch == 1:
            raise OutOfMemoryError(
                f"Not enough memory for the model {model}, not even for one text at a time. What was done is safe; "
                "end other programs that use the GPU, or set RAG_DEVICE to cpu, and run the same command again."
            )
        batch //= 2


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA's allocator has an error of its own; cuBLAS, the driver and the processor's allocator say it in words."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return any(words in said for words in ("out of memory", "can't allocate memory", "cublas_status_alloc_failed"))
