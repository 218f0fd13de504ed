"""`rag train` from the command line to an answer."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).parent / "generation"))
from tiny import random_llama

from rag import terminal
from rag.cli import main

pytest.importorskip("peft")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return random_llama(tmp_path / "base", max_position_embeddings=2048)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three questions, a row that is none, and one of whose answer no passage is known."""
    told = {"context": "Acme sells pumps.", "answers": [{"text": "Acme", "start": 0}]}
    rows = [{"question": f"Who sells {what}?", **told} for what in ("pumps", "pipes", "taps")]
    without = {"question": "Who?", "answers": ["Beta"], "evidence": [{"document": "a.pdf", "page": 1}]}
    path = tmp_path / "firms.jsonl"
    path.write_text("\n".join([*map(json.dumps, rows), "no row", json.dumps(without)]))
    return path


def command(base: Path, data: Path, out: Path) -> list[str]:
    how = ["--float32", "--epochs", "8", "--batch", "2", "--rate", "0.02"]
    return ["train", "reader", "--data", str(data), "--out", str(out), "--lora", str(base), *how]


def test_an_adapter_is_trained_stopped_gone_on_with_and_asked(
    base: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, halted, where = tmp_path / "whole", tmp_path / "halted", ["--indexes", str(tmp_path / "indexes")]
    assert main([*command(base, data, whole), "--json"]) == 3
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert (result["adapter"], result["model"], result["steps"], result["lessons"]) == (str(whole), str(base), 16, 3)
    assert [problem.partition(": ")[0] for problem in result["left_out"]] == [f"{data}:4", f"{data}:5"]
    assert f"rag: {data}:4: " in shown.err
    assert "<svg" in (whole / "losses.html").read_text()

    with monkeypatch.context() as patch:
        patch.setattr(terminal.StepProgress, "step", interrupt_at(3))
        assert main(command(base, data, halted)) == 130
    assert f"Stopped. {halted} keeps the first 3 steps; the same command goes on" in capsys.readouterr().err
    assert main(command(base, data, halted)) == 3
    assert f"rag ask … --model {base} --adapter {halted}" in capsys.readouterr().out
    one, other = (load_file(folder / "adapter_model.safetensors") for folder in (whole, halted))
    for name, tensor in one.items():
        assert tensor == pytest.approx(other[name], abs=1e-5), name

    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "firms.txt").write_text("Acme sells pumps.")
    assert main(["index", str(tmp_path / "documents"), *where]) == 0
    capsys.readouterr()
    asked = ["ask", "Who sells pumps?", "--model", str(base), "--precision", "fp32", "--json", *where]
    said = []
    for adapter in ([], ["--adapter", str(halted)]):
        assert main([*asked, *adapter]) == 0
        said.append(json.loads(capsys.readouterr().out)["answer"])
    assert said[0] != said[1]
    assert said[1].endswith(" [1].")


def interrupt_at(step: int):
    def stop(bar: terminal.StepProgress, done: int, steps: int, losses: object) -> None:
        if done == step:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--gradient-checkpointing"], "--gradient-checkpointing is for --lora"),
        (["--lora", "--from", "encoder"], "--from is for the reader"),
        (["--lora", "qwen-1.5b-gguf"], "is a GGUF model"),
        (["--lora", "no such model"], "Known models: beluga-7b"),
    ],
)
def test_what_does_not_go_together_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert main(["train", "reader", "--data", str(data), "--out", str(tmp_path / "out"), *more]) == 2
    assert message in capsys.readouterr().err
