"""`rag models`, and a chat model on the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "generation"))
from hub import Hub, serving
from tiny import SAID, tiny_llama

from rag.cli import main
from rag.config import Config, _options, generator
from rag.errors import UsageError
from rag.generation.formats import Format
from rag.generation.models import MODELS
from rag.generation.options import Options, Precision, Sampling
from rag.generation.queue import Queued


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    folder = tiny_llama(tmp_path / "published", SAID)
    with serving({path.name: path.read_bytes() for path in folder.iterdir()}, tmp_path / "cache", monkeypatch) as hub:
        yield hub


def test_the_table_shows_size_need_licence_and_presence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, hub: Hub
) -> None:
    assert main(["models"]) == 0
    head, first, *_ = capsys.readouterr().out.splitlines()
    assert head.split()[:7] == ["name", "parameters", "bf16", "int8", "int4", "nf4", "here"]
    assert first.split()[:9] == ["beluga-7b", "6.7", "B", "16.4", "10.0", "6.9", "6.8", "no", "no"]
    assert "Non-Commercial" in first
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == list(MODELS)
    assert rows[0]["path"] is None
    assert hub.requests == []


def test_fetch_shows_the_licence_and_says_where_the_model_is(capsys: pytest.CaptureFixture[str], hub: Hub) -> None:
    assert main(["models", "fetch", "owner/tiny"]) == 0
    shown = capsys.readouterr()
    assert "Licence of owner/tiny" in shown.err
    assert "1" * 40 in shown.out
    assert shown.out.strip().endswith("whole and verified.")


def test_fetch_without_a_name_or_with_an_unknown_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "fetch"]) == 2
    assert main(["models", "fetch", "no such model"]) == 2
    assert "Known models: beluga-7b" in capsys.readouterr().err


def test_settings_become_options() -> None:
    assert _options(Config()) == Options()
    config = Config.from_environment(precision="nf4", adapter="mine", merge="no", seed="7", temperature="0.5")
    assert _options(config) == Options(Precision.NF4, "mine", False, Sampling(7, 0.5))
    assert _options(Config.from_environment(format="vicuna")).format is Format.VICUNA


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"precision": "int3"}, "--precision is 'int3'; it takes auto, fp32, bf16, int8, int4, bnb8 or nf4"),
        ({"seed": "-1"}, "--seed is '-1'; it takes a whole number from 0"),
        ({"seed": "x"}, "--seed is 'x'"),
        ({"temperature": "0"}, "temperature is '0'; it takes a number above 0"),
        ({"temperature": "nan"}, "temperature is 'nan'"),
        ({"format": "chatml"}, "format is 'chatml'; it takes auto, stable-beluga"),
    ],
)
def test_a_wrong_setting_says_what_it_takes(given: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Config.from_environment(**given)
    assert message in str(caught.value)


def test_everyone_who_asks_for_the_same_model_gets_the_same_instance(tmp_path: Path) -> None:
    folder = str(tiny_llama(tmp_path, SAID))
    told: list[str] = []
    one = generator(Config(model=folder), tell=told.append)
    assert isinstance(one, Queued)
    assert generator(Config(model=folder, passages=3), tell=told.append) is one
    assert len(told) == 1
    assert told[0].startswith(f"Loading {tmp_path.name} on ")
    assert generator(Config(model=folder, precision="bf16")) is not one
    assert generator(Config(), folder) is one  # as a judge


def test_ask_writes_with_a_chat_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "prices.txt").write_text("Alpha costs 20 euros. Beta costs 30 euros.")
    folder = tiny_llama(tmp_path / "model", SAID, max_position_embeddings=4096)
    where = ["--indexes", str(tmp_path / "indexes")]
    assert main(["index", str(documents), *where]) == 0
    capsys.readouterr()
    asked = ["ask", "What does Alpha cost?", "--model", str(folder), "--precision", "bf16", *where]
    assert main([*asked, "--json"]) == 0
    shown = capsys.readouterr()
    answer = json.loads(shown.out)
    assert answer["answer"] == SAID
    assert [(c["number"], c["supported"]) for c in answer["citations"]] == [(1, True)]
    assert (answer["offered"], answer["notes"]) == (1, [])
    assert f"rag: Loading {folder.name} on" in shown.err
    assert main([*asked, "--seed", "x"]) == 2
