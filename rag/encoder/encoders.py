"""Two engines that turn text into vectors: OpenVINO on a processor, torch on a GPU or for what OpenVINO's graph
cannot express. Both give the vectors that sentence-transformers gives, not yet of unit length.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rag.encoder.bert import graph
from rag.encoder.checkpoint import Checkpoint
from rag.encoder.tokens import TextTokenizer, valid
from rag.errors import ModelError

if TYPE_CHECKING:
    from rag.types import Vectors

    Pool = Callable[[Vectors], Vectors]

WINDOW = 4096  # texts sorted by length together: enough for full batches, little enough for memory
STEP = 16  # rows are padded to a multiple: OpenVINO's attention is a quarter slower at 207 tokens than at 208, and
# prepares (7 ms) and remembers (1 MB) every shape that it meets
MASKED = -1e9
CPU_BATCH_TOKENS = 1024  # some 50 ms of one core, so that Ctrl-C is heard; larger batches are no faster
GPU_BATCH_TOKENS = 65536


class Encoder(Protocol):
    dimension: int

    def encode(self, texts: Sequence[str], prompt: str) -> Vectors: ...

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]: ...


class OpenVinoEncoder:
    """Runs a BERT on all cores, one batch of about equally long texts a core; in bfloat16 where the processor has it,
    else in float32."""

    def __init__(self, checkpoint: Checkpoint, tokenizer: TextTokenizer) -> None:
        compiled = _compiled(checkpoint)
        # One more than run at a time, so that the next batch lies ready while a finished one is read.
        parallel = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") + 1
        self._requests = [compiled.create_infer_request() for _ in range(parallel)]
        self._tokenizer = tokenizer
        self._max_tokens = checkpoint.max_tokens
        self._pools = [pools()[mode] for mode in checkpoint.poolings]
        self.dimension = checkpoint.config["hidden_size"] * len(self._pools)

    def encode(self, texts: Sequence[str], prompt: str) -> Vectors:
        import numpy as np

        vectors = np.empty((len(texts), self.dimension), np.float32)
        for place, states in self._run([prompt + text for text in texts] if prompt else texts):
            vectors[place] = np.concatenate([pool(states) for pool in self._pools])
        return vectors

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        lead, tail = len(self._tokenizer.lead), len(self._tokenizer.tail)
        found = {place: states[lead : len(states) - tail].copy() for place, states in self._run(texts)}
        return [found[place] for place in range(len(texts))]

    def _run(self, texts: Sequence[str]) -> Iterator[tuple[int, Vectors]]:
        """Each text's place and its token vectors (tokens, hidden size), special tokens included, in any order. The
        vectors are OpenVINO's own and overwritten after the next step."""
        running: deque[tuple[Any, list[int], list[int]]] = deque()
        idle = list(self._requests)
        for request in idle:
            request.wait()  # for what a call that Ctrl-C ended left running

        def finish() -> Iterator[tuple[int, Vectors]]:
            request, places, lengths = running.popleft()
            request.wait()
            states = request.get_output_tensor(0).data
            for row, (place, length) in enumerate(zip(places, lengths, strict=True)):
                yield place, states[row, :length]
            idle.append(request)

        # No callbacks: what Python drops in one of OpenVINO's threads can be that thread's own pool, and abort.
        for places, rows in self._batches(texts):
            if not idle:
                yield from finish()
            request = idle.pop()
            request.start_async(self._padded(rows))
            running.append((request, places, [len(row) for row in rows]))
        while running:
            yield from finish()

    def _batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], list[list[int]]]]:
        """Places of texts of about equal length, and their rows of token ids."""
        for start in range(0, len(texts), WINDOW):
            rows = self._tokenizer.rows(texts[start : start + WINDOW])
            for batch in batches([self._width(len(row)) for row in rows], CPU_BATCH_TOKENS):
                yield [start + place for place in batch], [rows[place] for place in batch]

    def _width(self, length: int) -> int:
        return min(-(-length // STEP) * STEP, self._max_tokens)

    def _padded(self, rows: list[list[int]]) -> list[Any]:
        """What the graph takes: token ids (n, width) and the mask (n, 1, 1, width)."""
        import numpy as np

        width = self._width(max(len(row) for row in rows))
        ids = np.zeros((len(rows), width), np.int32)
        mask = np.full((len(rows), 1, 1, width), MASKED, np.float32)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
            mask[place, 0, 0, : len(row)] = 0
        return [ids, mask]


class TorchEncoder:
    """sentence-transformers itself: on a GPU in half precision, on a processor in float32."""

    def __init__(self, checkpoint: Checkpoint, tokenizer: TextTokenizer, device: str) -> None:
        import torch
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        logging.disable_progress_bar()  # a bar of its own for a second's work, amid ours

        dtype = torch.float32
        if device.startswith("cuda"):
            dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        loading: dict[str, Any] = {"use_safetensors": True, "dtype": dtype}
        try:
            self._model = SentenceTransformer(
                str(checkpoint.folder),
                device=device,
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs=loading if checkpoint.config else None,
            )
        except Exception as error:  # transformers raises whatever a model's files lead it into
            raise ModelError(f"{checkpoint.folder} cannot be loaded as a model: {error}") from error
        self._tokenizer = tokenizer
        self._batch = max(1, GPU_BATCH_TOKENS // checkpoint.max_tokens)
        self.dimension = int(self._model.get_embedding_dimension())

    def encode(self, texts: Sequence[str], prompt: str) -> Vectors:
        vectors: Vectors = self._encode(texts, prompt=prompt, convert_to_numpy=True)
        return vectors

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        states = self._encode(texts, prompt="", output_value="token_embeddings")
        lead, tail = len(self._tokenizer.lead), len(self._tokenizer.tail)
        return [state[lead : len(state) - tail].float().cpu().numpy() for state in states]

    def _encode(self, texts: Sequence[str], **options: Any) -> Any:
        clean = [valid(text) for text in texts]
        return self._model.encode(clean, batch_size=self._batch, show_progress_bar=False, **options)


def _compiled(checkpoint: Checkpoint) -> Any:
    """An openvino.CompiledModel of the checkpoint's graph."""
    import openvino

    try:
        model = graph(checkpoint)
    except (RuntimeError, ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise ModelError(
            f"{checkpoint.transformer / 'config.json'} does not describe the weights beside it ({error}). "
            "Get the model again."
        ) from error
    core = openvino.Core()
    precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "THROUGHPUT"}
    return core.compile_model(model, "CPU", settings)


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


def pools() -> dict[str, Pool]:
    """A text's token vectors (length, d) to one vector (d,), by sentence-transformers' names."""
    import numpy as np

    def weighted(states: Vectors) -> Vectors:
        weights = np.arange(1, len(states) + 1, dtype=np.float32)
        mean: Vectors = (weights / weights.sum()) @ states
        return mean

    return {
        "cls": lambda states: states[0],
        "max": lambda states: states.max(axis=0),
        "mean": lambda states: states.mean(axis=0),
        "mean_sqrt_len_tokens": lambda states: states.sum(axis=0) / np.sqrt(np.float32(len(states))),
        "weightedmean": weighted,
        "lasttoken": lambda states: states[-1],
    }
