"""A cross-encoder by name: question and passage read together by a model from the hub, or from a folder."""

from __future__ import annotations

from collections.abc import Sequence

from rag.encoder.quiet import quieten
from rag.errors import ModelError


class CrossEncoderScorer:
    """Satisfies `rag.types.Scorer` with any CrossEncoder of sentence-transformers, such as
    cross-encoder/ms-marco-MiniLM-L6-v2. Only safetensors are loaded, and nothing of the model's author is run. Raises
    ModelError."""

    def __init__(self, model: str, device: str = "auto") -> None:
        quieten()
        from sentence_transformers import CrossEncoder

        name, _, revision = model.partition("@")
        try:
            self._model = CrossEncoder(
                name,
                revision=revision or None,
                device=None if device == "auto" else device,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
        except Exception as error:  # transformers raises whatever a model's files, or the way to them, lead it into
            raise ModelError(
                f"The cross-encoder {model} cannot be loaded ({error}). Give the folder or the hub id of one, or set "
                "RAG_RERANK to reader, late or none."
            ) from error

    def score(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        scores: list[float] = self._model.predict(
            [(question, text) for text in texts], show_progress_bar=False
        ).tolist()
        return scores
