"""Two engines that turn text into vectors: OpenVINO on a processor, torch on a GPU or for what OpenVINO's graph
cannot express. Both give the vectors that sentence-transformers gives, not yet of unit length.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rag.errors import ModelError
from rag.index.bert import graph
from rag.index.checkpoint import Checkpoint
from rag.index.tokens import TextTokenizer, valid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rag.types import Vectors

    Pool = Callable[[NDArray[np.float32]], NDArray[np.float32]]

WINDOW = 4096  # texts sorted by length together: enough for full batches of equal length, little enough for memory
CPU_BATCH_TOKENS = 2048  # 0.1 s of work, so that Ctrl-C is heard; batches larger or half as large are no faster
CPU_CACHE_ENTRIES = 500  # OpenVINO keeps a megabyte for every shape seen: its own limit of 5000 lets them fill 2 GB
GPU_BATCH_TOKENS = 65536


class Encoder(Protocol):
    dimension: int

    def encode(self, texts: Sequence[str], prompt: str) -> Vectors: ...

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]: ...


class OpenVinoEncoder:
    """Runs a BERT on all cores, one batch of equally long texts a core: without padding, nothing is masked and no
    work is wasted. In bfloat16 where the processor has it, else in float32."""

    def __init__(self, checkpoint: Checkpoint, tokenizer: TextTokenizer) -> None:
        compiled = _compiled(checkpoint)
        # One more than run at a time, so that the next batch lies ready while a finished one is read.
        parallel = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS") + 1
        self._requests = [compiled.create_infer_request() for _ in range(parallel)]
        self._tokenizer = tokenizer
        self._pools = [pools()[mode] for mode in checkpoint.poolings]
        self.dimension = checkpoint.config["hidden_size"] * len(self._pools)

    def encode(self, texts: Sequence[str], prompt: str) -> Vectors:
        import numpy as np

        vectors = np.empty((len(texts), self.dimension), np.float32)

        def take(places: Sequence[int], states: NDArray[np.float32]) -> None:
            vectors[places] = np.concatenate([pool(states) for pool in self._pools], axis=1)

        self._run([prompt + text for text in texts] if prompt else texts, take)
        return vectors

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        found: dict[int, Vectors] = {}
        lead, tail = len(self._tokenizer.lead), len(self._tokenizer.tail)

        def take(places: Sequence[int], states: NDArray[np.float32]) -> None:
            inner = states[:, lead : states.shape[1] - tail].copy()
            found.update(zip(places, inner, strict=True))

        self._run(texts, take)
        return [found[place] for place in range(len(texts))]

    def _run(self, texts: Sequence[str], take: Callable[[Sequence[int], NDArray[np.float32]], None]) -> None:
        """Calls `take` with the places of some texts and their token vectors (n, length, hidden size), until all
        texts are done. The array is OpenVINO's own and overwritten afterwards."""
        running: deque[tuple[Any, list[int]]] = deque()
        idle = list(self._requests)

        def finish() -> None:
            request, places = running.popleft()
            request.wait()
            take(places, request.get_output_tensor(0).data)
            idle.append(request)

        # No callbacks: what Python drops in one of OpenVINO's threads can be that thread's own pool, and abort.
        try:
            for places, ids in self._inputs(texts):
                if not idle:
                    finish()
                request = idle.pop()
                request.start_async([ids])
                running.append((request, places))
            while running:
                finish()
        finally:
            for request in self._requests:  # after Ctrl-C: the next call must find all of them idle
                request.wait()

    def _inputs(self, texts: Sequence[str]) -> Iterator[tuple[list[int], NDArray[np.int32]]]:
        """Batches of equally long rows of token ids, with the places of their texts."""
        import numpy as np

        for start in range(0, len(texts), WINDOW):
            rows = self._tokenizer.rows(texts[start : start + WINDOW])
            for batch in _batches([len(row) for row in rows]):
                yield [start + place for place in batch], np.array([rows[place] for place in batch], np.int32)


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
    try:
        return core.compile_model(model, "CPU", {**settings, "CPU_RUNTIME_CACHE_CAPACITY": CPU_CACHE_ENTRIES})
    except RuntimeError:  # the last setting is undocumented, so another version may refuse it
        return core.compile_model(model, "CPU", settings)


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of equally long rows, longest first, so that what needs most memory fails first."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        length = lengths[place]
        if batch and (length != lengths[batch[0]] or (len(batch) + 1) * length > CPU_BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def pools() -> dict[str, Pool]:
    """Token vectors (n, length, d) of whole rows to one vector each (n, d), by sentence-transformers' names."""
    import numpy as np

    def weighted(states: NDArray[np.float32]) -> NDArray[np.float32]:
        weights = np.arange(1, states.shape[1] + 1, dtype=np.float32)
        mean: NDArray[np.float32] = np.einsum("nld,l->nd", states, weights / weights.sum())
        return mean

    return {
        "cls": lambda states: states[:, 0],
        "max": lambda states: states.max(axis=1),
        "mean": lambda states: states.mean(axis=1),
        "mean_sqrt_len_tokens": lambda states: states.sum(axis=1) / np.sqrt(np.float32(states.shape[1])),
        "weightedmean": weighted,
        "lasttoken": lambda states: states[:, -1],
    }
