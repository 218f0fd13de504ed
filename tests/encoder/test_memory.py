"""A device without room for a batch: smaller ones, the same vectors, and at last an error that says what to do."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_cross import folder as cross_encoder  # noqa: F401 - a fixture
from test_embed import write_model

from rag.encoder.checkpoint import Checkpoint
from rag.encoder.cross import CrossEncoderScorer
from rag.encoder.encoders import TorchEncoder
from rag.encoder.hub import find
from rag.encoder.memory import in_smaller_batches
from rag.encoder.tokens import TextTokenizer
from rag.errors import ModelError, OutOfMemoryError

pytestmark = pytest.mark.fault(20)
TEXTS = [f"text number {n}" for n in range(9)]


class Crowded:
    """A network that has no room for more than so many texts at once."""

    def __init__(self, network: Any, room: int) -> None:
        self.sizes: list[int] = []
        self.room = room
        embeddings = next(module for name, module in network.named_modules() if name.endswith("embeddings"))
        self._hook = embeddings.register_forward_pre_hook(self._refuse, with_kwargs=True)

    def _refuse(self, _: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        batch = next(value for value in [*given, *named.values()] if hasattr(value, "shape"))
        self.sizes.append(len(batch))
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")

    def leave(self) -> None:
        self._hook.remove()


@pytest.fixture
def encoder(tmp_path: Path) -> TorchEncoder:
    checkpoint: Checkpoint = find(str(write_model(tmp_path / "model")))
    made = TorchEncoder(checkpoint, TextTokenizer(checkpoint), "cpu")
    made._batch = 8
    return made


def tensors() -> int:
    gc.collect()
    return sum(1 for thing in gc.get_objects() if type(thing) is torch.Tensor)


@pytest.fixture
def crowd() -> Iterator[Callable[[Any, int], Crowded]]:
    made: list[Crowded] = []

    def crowded(network: Any, room: int) -> Crowded:
        made.append(Crowded(network, room))
        return made[-1]

    yield crowded
    for each in made:
        each.leave()


def test_texts_are_embedded_in_batches_that_fit(encoder: TorchEncoder, crowd: Callable[[Any, int], Crowded]) -> None:
    whole = encoder.encode(TEXTS, "")
    network = crowd(encoder._model, 3)
    assert np.allclose(encoder.encode(TEXTS, ""), whole, atol=1e-5)
    assert network.sizes == [8, 4, 2, 2, 2, 2, 1]
    network.sizes.clear()
    assert len(encoder.encode(TEXTS[:4], "")) == 4
    assert network.sizes == [2, 2], "what does not fit is not tried again"


def test_no_room_for_one_text_says_what_to_do_and_leaves_nothing(
    encoder: TorchEncoder, crowd: Callable[[Any, int], Crowded]
) -> None:
    whole = encoder.encode(TEXTS[:2], "")
    network, before = crowd(encoder._model, 0), tensors()
    for _ in range(5):
        with pytest.raises(OutOfMemoryError, match=r"not even for one text .* safe; .*RAG_DEVICE"):
            encoder.encode(TEXTS, "")
    assert tensors() == before
    network.room = 9
    assert np.allclose(encoder.encode(TEXTS[:2], ""), whole, atol=1e-5)
    assert issubclass(OutOfMemoryError, ModelError), "the command line's exit code is 6"


def test_a_cross_encoder_does_the_same(cross_encoder: Path, crowd: Callable[[Any, int], Crowded]) -> None:  # noqa: F811
    scorer = CrossEncoderScorer(str(cross_encoder), device="cpu")
    whole = scorer.score("Who?", TEXTS)
    network = crowd(scorer._model, 5)
    assert scorer.score("Who?", TEXTS) == pytest.approx(whole, abs=1e-5)
    assert max(network.sizes[-3:]) <= 5
    network.room = 0
    with pytest.raises(OutOfMemoryError, match="Not enough memory"):
        scorer.score("Who?", TEXTS)


def test_other_errors_are_not_taken_for_it() -> None:
    def broken(batch: int) -> None:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        in_smaller_batches(broken, 8, "model")
