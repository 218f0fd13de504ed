"""Two engines that turn text into vectors: OpenVINO on a processor, torch on a GPU or for what OpenVINO's graph
cannot express. Both give the vectors that sentence-transformers gives, not yet of unit length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rag.encoder.bert import graph
from rag.encoder.checkpoint import Checkpoint
from rag.encoder.engine import BATCH_TOKENS, Engine, batches, padded, stepped
from rag.encoder.memory import in_smaller_batches
from rag.encoder.quiet import quieten
from rag.encoder.tokens import TextTokenizer, valid
from rag.errors import ModelError

if TYPE_CHECKING:
    from rag.types import Vectors

    Pool = Callable[[Vectors], Vectors]

WINDOW = 4096  # texts sorted by length together: enough for full batches, little enough for memory
GPU_BATCH_TOKENS = 65536


class Encoder(Protocol):
    dimension: int

    def encode(self, texts: Sequence[str], prompt: str) -> Vectors: ...

    def encode_tokens(self, texts: Sequence[str]) -> list[Vectors]: ...


class OpenVinoEncoder:
    """Runs a BERT on all cores, one batch of about equally long texts a core; in bfloat16 where the processor has it,
    else in float32."""

    def __init__(self, checkpoint: Checkpoint, tokenizer: TextTokenizer, threads: int = 0) -> None:
        self._engine = Engine(_model(checkpoint), threads)
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
        inputs = ((places, self._padded(rows)) for places, rows in self._batches(texts))
        for places, (states,) in self._engine.run(inputs):
            for row, (place, length) in enumerate(places):
                yield place, states[row, :length]

    def _batches(self, texts: Sequence[str]) -> Iterator[tuple[list[tuple[int, int]], list[list[int]]]]:
        """Places and lengths of texts of about equal length, and their rows of token ids."""
        for start in range(0, len(texts), WINDOW):
            rows = self._tokenizer.rows(texts[start : start + WINDOW])
            for batch in batches([self._width(len(row)) for row in rows], BATCH_TOKENS):
                yield [(start + place, len(rows[place])) for place in batch], [rows[place] for place in batch]

    def _width(self, length: int) -> int:
        return min(stepped(length), self._max_tokens)

    def _padded(self, rows: list[list[int]]) -> list[Any]:
        ids, mask = padded(rows, self._width(max(len(row) for row in rows)))
        return [ids, mask]


class TorchEncoder:
    """sentence-transformers itself: on a GPU in half precision, on a processor in float32."""

    def __init__(self, checkpoint: Checkpoint, tokenizer: TextTokenizer, device: str) -> None:
        import torch

        quieten()
        from sentence_transformers import SentenceTransformer

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
        self._name = checkpoint.name
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

        def run(batch: int) -> Any:
            return self._model.encode(clean, batch_size=batch, show_progress_bar=False, **options)

        found, self._batch = in_smaller_batches(run, self._batch, self._name)
        return found


def _model(checkpoint: Checkpoint) -> Any:
    """An openvino.Model of the checkpoint's graph."""
    try:
        return graph(checkpoint)
    except (RuntimeError, ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise ModelError(
            f"{checkpoint.transformer / 'config.json'} does not describe the weights beside it ({error}). "
            "Get the model again."
        ) from error


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
