"""Any cross-encoder of sentence-transformers as a Scorer."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.encoder.cross import CrossEncoderScorer
from rag.encoder.hub import find
from rag.errors import ModelError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder that has learned nothing: one small layer and one score."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    made = tmp_path_factory.mktemp("cross")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertForSequenceClassification(BertConfig(**sizes, num_labels=1)).save_pretrained(made)
    AutoTokenizer.from_pretrained(find("all-MiniLM-L6-v2").transformer).save_pretrained(made)
    return made


def test_scores_depend_on_question_and_text(folder: Path) -> None:
    scorer = CrossEncoderScorer(str(folder), device="cpu")
    scores = scorer.score("Who founded Acme?", ["Ada Smith did.", "Pumps are sold."])
    assert len(scores) == 2
    assert scores[0] != scores[1]
    assert scorer.score("Pumps?", ["Ada Smith did."])[0] != scores[0]
    assert scorer.score("Pumps?", []) == []


def test_one_that_cannot_be_had_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cross-encoder .*nowhere cannot be loaded.*RAG_RERANK"):
        CrossEncoderScorer(str(tmp_path / "nowhere"), device="cpu")


def test_a_hub_that_does_not_answer_is_told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # where nothing listens
    with pytest.raises(ModelError, match=r"owner/nothing cannot be loaded \(http://127\.0\.0\.1:9 cannot be reached"):
        CrossEncoderScorer("owner/nothing", device="cpu")
