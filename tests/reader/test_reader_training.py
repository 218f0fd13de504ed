"""Training end to end on a handful of lessons, and the reader that comes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import WordEmbedder

from rag.encoder.checkpoint import Checkpoint
from rag.encoder.hub import find
from rag.errors import ModelError
from rag.reader import weights
from rag.reader.lessons import Lesson
from rag.reader.mining import mine
from rag.reader.network import ReaderNetwork, TorchEngine, exported, load
from rag.reader.pairs import Pairs
from rag.reader.read import Reader, best_span, whole_words
from rag.reader.training import train
from rag.training.steps import Progress, Settings
from rag.types import Passage

TOWNS = ["Leeds", "Berlin", "Oslo", "Quito", "Lima", "Porto", "Ghent", "Turin"]
SETTINGS = Settings(epochs=2, batch=4, learning_rate=3e-4, precision="no", save_seconds=0.0)


def lessons() -> list[Lesson]:
    made = []
    for number, town in enumerate(TOWNS):
        context = f"Company {number} was founded in {town}. It sells pumps to farmers all over the country."
        start = context.index(town)
        made.append(Lesson(f"Where was company {number} founded?", context, "", ((start, start + len(town)),), "a"))
    return made


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def encoder() -> Checkpoint:
    return find("all-MiniLM-L6-v2")


def trained(encoder: Checkpoint, folder: Path, stop: int = 0) -> tuple[ReaderNetwork, list[Progress]]:
    seen: list[Progress] = []

    def on_step(progress: Progress) -> None:
        seen.append(progress)
        if progress.step == stop:
            raise KilledError

    network = ReaderNetwork.from_encoder(encoder.transformer)
    taught = lessons()
    train(network, Pairs.of(encoder), taught, mine(taught, WordEmbedder()), folder, SETTINGS, on_step)
    return network, seen


@pytest.fixture(scope="module")
def network(encoder: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> ReaderNetwork:
    whole, seen = trained(encoder, tmp_path_factory.mktemp("whole"))
    assert [progress.step for progress in seen] == [1, 2, 3, 4]
    assert set(seen[0].losses) == {"span", "answer", "relevance"}
    return whole


@pytest.fixture(scope="module")
def folder(encoder: Checkpoint, network: ReaderNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("reader")
    weights.write(made, exported(network), encoder.sha256, weights.UNFITTED)
    return made


def test_a_training_that_is_killed_and_resumed_ends_in_the_same_weights(
    encoder: Checkpoint, network: ReaderNetwork, tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        trained(encoder, tmp_path, stop=2)
    resumed, seen = trained(encoder, tmp_path)
    assert [progress.step for progress in seen] == [2, 3, 4], "the step that was not saved is done again"
    for name, tensor in exported(network).items():
        assert np.allclose(tensor, exported(resumed)[name], atol=1e-6), name


def test_the_words_stay_the_encoders(encoder: Checkpoint, network: ReaderNetwork) -> None:
    fresh = ReaderNetwork.from_encoder(encoder.transformer)
    name = "encoder.embeddings.word_embeddings.weight"
    assert dict(fresh.named_parameters())[name].equal(dict(network.named_parameters())[name])
    assert weights.WORDS not in exported(network)
    assert not np.allclose(exported(fresh)["span.weight"], exported(network)["span.weight"])


def test_what_is_written_is_read_by_both_engines_alike(encoder: Checkpoint, folder: Path) -> None:
    passages = [passage(f"Acme was founded in {town}." + " It sells pumps." * n) for n, town in enumerate(TOWNS)]
    question = "Where was Acme founded?"
    quick = Reader(encoder, weights.read(folder)).read(question, passages)
    thorough = Reader(encoder, weights.read(folder))
    thorough.__dict__["_engine"] = TorchEngine(encoder, weights.read(folder), "cpu")
    for one, other in zip(quick, thorough.read(question, passages), strict=True):
        assert (one.answers, one.relevance) == pytest.approx((other.answers, other.relevance), abs=0.1)
        assert one.likely == pytest.approx(other.likely, abs=0.3)


def test_weights_go_on_in_another_network(encoder: Checkpoint, network: ReaderNetwork, folder: Path) -> None:
    other = ReaderNetwork.from_encoder(encoder.transformer, seed=5)
    load(other, weights.read(folder))
    for name, tensor in exported(network).items():
        assert np.allclose(tensor, exported(other)[name], atol=1e-3, rtol=1e-3), name


def passage(text: str) -> Passage:
    return Passage("a.pdf", "file:///a.pdf", "Acme", "Founding", "p. 1", 1, 0, len(text), text)


def test_offsets_are_of_the_passages_own_text(encoder: Checkpoint, folder: Path) -> None:
    text = "Founded in Saint-Étienne, 日本 and Köln."
    [extract] = Reader(encoder, weights.read(folder)).read("Where?", [passage(text)])
    assert 0 <= extract.start < extract.end <= len(text)
    assert text[extract.start : extract.end].strip() == text[extract.start : extract.end]


@pytest.mark.parametrize("text", ["", " ", "\u200b", "x" * 5000, "\ud800 lone"])
def test_odd_passages(encoder: Checkpoint, folder: Path, text: str) -> None:
    extracts = Reader(encoder, weights.read(folder)).read("Where?" * 300, [passage(text), passage("Leeds.")])
    assert len(extracts) == 2
    assert np.isfinite([extracts[0].answers, extracts[0].relevance, extracts[0].likely]).all()


def test_weights_of_another_encoder_are_refused(encoder: Checkpoint, network: ReaderNetwork, tmp_path: Path) -> None:
    weights.write(tmp_path, exported(network), "0" * 64, weights.UNFITTED)
    with pytest.raises(ModelError, match=r"trained on another encoder.*RAG_RERANK=late"):
        Reader(encoder, weights.read(tmp_path))


@pytest.mark.parametrize("content", [b"", b"junk", b"\x08\0\0\0\0\0\0\0{}      "])
def test_damaged_weights_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / weights.FILE).write_bytes(content)
    with pytest.raises(ModelError, match=r"reader\.safetensors is no reader"):
        weights.read(tmp_path)
    with pytest.raises(ModelError, match="There is no"):
        weights.read(tmp_path / "nowhere")


def test_the_best_span() -> None:
    starts, ends = np.array([0.0, 5.0, 0.0, 1.0]), np.array([9.0, 0.0, 2.0, 3.0])
    assert best_span(starts, ends) == (0, 0, 9.0), "an end before its start is none"
    assert best_span(np.array([4.0, 5.0, 0.0, 1.0]), np.array([-9.0, 0.0, 2.0, 3.0])) == (1, 3, 8.0)
    assert best_span(np.array([4.0, 5.0, 0.0, 1.0]), np.array([-9.0, 0.0, 2.0, 3.0]), longest=2) == (1, 2, 7.0)


def test_whole_words() -> None:
    text = "Ada Smithson, 1910"
    assert text[slice(*whole_words(text, 5, 8))] == "Smithson"
    assert text[slice(*whole_words(text, 14, 18))] == "1910"
