"""A cross-encoder by name: question and passage read together by a model from the hub, or from a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rag.encoder.hub import connect
from rag.encoder.memory import in_smaller_batches
from rag.encoder.quiet import quieten
from rag.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

BATCH = 32  # pairs that are read together


class CrossEncoderScorer:
    """Satisfies `rag.types.Scorer` with any CrossEncoder of sentence-transformers, such as
    cross-encoder/ms-marco-MiniLM-L6-v2. Only safetensors are loaded, and nothing of the model's author is run. Raises
    ModelError."""

    def __init__(self, model: str, device: str = "auto") -> None:
        quieten()
        self._name = model
        self._batch = BATCH
        try:
            self._model = _loaded(model, device)
        except Exception as error:  # transformers raises whatever a model's files, or the way to them, lead it into
            raise ModelError(
                f"The cross-encoder {model} cannot be loaded ({error}). Give the folder or the hub id of one, or set "
                "RAG_RERANK to reader, late or none."
            ) from error

    def score(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        pairs = [(question, text) for text in texts]

        def run(batch: int) -> list[float]:
            scores: list[float] = self._model.predict(pairs, batch_size=batch, show_progress_bar=False).tolist()
            return scores

        scores, self._batch = in_smaller_batches(run, self._batch, self._name)
        return scores


def _loaded(model: str, device: str) -> CrossEncoder:
    """What is on this machine needs no network. The hub is asked only where something is not, and answers."""
    from huggingface_hub import constants
    from sentence_transformers import CrossEncoder

    name, _, revision = model.partition("@")

    def load(locally: bool) -> CrossEncoder:
        return CrossEncoder(
            name,
            revision=revision or None,
            device=None if device == "auto" else device,
            trust_remote_code=False,
            local_files_only=locally,
            model_kwargs={"use_safetensors": True},
        )

    try:
        return load(locally=True)
    except Exception:  # as above: what it raises for a file that is not there changes from version to version
        if Path(name).exists() or constants.HF_HUB_OFFLINE:
            raise
    connect(constants.ENDPOINT)
    return load(locally=False)
