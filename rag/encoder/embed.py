"""Text → unit vectors, with any SentenceTransformer model.

Opening an embedder reads and hashes the model's files; the tokenizer is loaded at the first count and the engine at
the first text, so that an index that turns out to be up to date costs nothing.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rag.encoder.bert import is_bert
from rag.encoder.checkpoint import Checkpoint
from rag.encoder.encoders import Encoder, OpenVinoEncoder, TorchEncoder
from rag.encoder.hub import find
from rag.encoder.tokens import TextTokenizer
from rag.errors import ModelError
from rag.types import Fingerprint

if TYPE_CHECKING:
    from rag.types import Vectors

DEFAULT_MODEL = "all-MiniLM-L6-v2"


def load_embedder(model: str = DEFAULT_MODEL, device: str = "auto", chunker: str = "") -> TextEmbedder:
    """An embedder for a model's name, its folder or its hub id (`hub.find` says where it looks).

    `device` is "auto" (a GPU if there is one), "cpu", or torch's name for a device; `chunker` is the version of what
    cuts the passages, which the fingerprint carries. Raises ModelError.
    """
    return TextEmbedder(find(model), device, chunker)


class TextEmbedder:
    """Satisfies `rag.types.Embedder`. May be shared between threads; they take turns. Of a processor it uses so many
    `threads`, 0 for all that there are."""

    def __init__(self, checkpoint: Checkpoint, device: str = "auto", chunker: str = "", threads: int = 0) -> None:
        self._checkpoint = checkpoint
        self._device = device
        self._chunker = chunker
        self._threads = threads
        self._lock = threading.RLock()

    @cached_property
    def fingerprint(self) -> Fingerprint:
        checkpoint = self._checkpoint
        return Fingerprint(
            model=checkpoint.name,
            revision=checkpoint.sha256[:16],
            dimension=self._dimension(),
            pooling="+".join(checkpoint.poolings) + "".join(f" > {kind}" for kind in checkpoint.further),
            normalized=True,
            question_prompt=checkpoint.question_prompt,
            passage_prompt=checkpoint.passage_prompt,
            max_tokens=checkpoint.max_tokens,
            chunker=self._chunker,
        )

    def count(self, texts: Sequence[str]) -> list[int]:
        with self._lock:
            return self._tokenizer.count(texts)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        return self._embed(texts, self._checkpoint.passage_prompt)

    def embed_questions(self, texts: Sequence[str]) -> Vectors:
        return self._embed(texts, self._checkpoint.question_prompt)

    def embed_tokens(self, texts: Sequence[str]) -> list[Vectors]:
        """Unit vectors of each text's tokens, float32 (tokens, hidden size), for late interaction. Prompts and
        special tokens are left out; `token_ids` names the tokens."""
        with self._lock:
            return [_unit(vectors, self._checkpoint.name) for vectors in self._encoder.encode_tokens(texts)]

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The tokens that `embed_tokens` gives vectors for, as ids in the model's vocabulary."""
        with self._lock:
            lead, tail = len(self._tokenizer.lead), len(self._tokenizer.tail)
            return [row[lead : len(row) - tail] for row in self._tokenizer.rows(texts)]

    def _embed(self, texts: Sequence[str], prompt: str) -> Vectors:
        import numpy as np

        if not texts:
            return np.empty((0, self._dimension()), np.float32)
        places: dict[str, int] = {}
        for text in texts:  # annual reports repeat themselves: each text is embedded once
            places.setdefault(text, len(places))
        with self._lock:
            vectors = _unit(self._encoder.encode(list(places), prompt), self._checkpoint.name)
        if len(places) == len(texts):
            return vectors
        return vectors[[places[text] for text in texts]]

    def _dimension(self) -> int:
        """As the files say it, so that no engine is loaded, unless only the engine knows."""
        checkpoint = self._checkpoint
        if not checkpoint.further and "hidden_size" in checkpoint.config:
            return int(checkpoint.config["hidden_size"]) * len(checkpoint.poolings)
        with self._lock:
            return self._encoder.dimension

    @cached_property
    def _tokenizer(self) -> TextTokenizer:
        return TextTokenizer(self._checkpoint)

    @cached_property
    def _encoder(self) -> Encoder:
        checkpoint = self._checkpoint
        device = resolved(self._device)
        if device == "cpu" and checkpoint.stock and not checkpoint.further and is_bert(checkpoint):
            return OpenVinoEncoder(checkpoint, self._tokenizer, self._threads)
        return TorchEncoder(checkpoint, self._tokenizer, device)


def _unit(vectors: Vectors, model: str) -> Vectors:
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all():
        raise ModelError(
            f"The model {model} gave vectors that are not numbers, and nothing of them was kept. "
            "Get the model again, or use another one."
        )
    return np.divide(vectors, np.where(lengths > 0, lengths, 1), dtype=np.float32)


def resolved(device: str) -> str:
    """ "cpu" or torch's name for a device. torch takes seconds to load, and is asked only where there is a driver."""
    if device == "cpu" or (device == "auto" and not _has_nvidia_driver()):
        return "cpu"
    import torch

    if torch.cuda.is_available() and device in ("auto", "cuda"):
        return "cuda"
    if device == "auto":
        return "cpu"
    if device.startswith("cuda"):
        raise ModelError(f"There is no device {device}: torch sees no CUDA GPU. Set the device to auto or cpu.")
    return device


def _has_nvidia_driver() -> bool:
    nodes = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
    return any(node.exists() for node in nodes) or shutil.which("nvidia-smi") is not None
