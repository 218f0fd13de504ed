"""`rag train reader`, from questions in a file to a reader that answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag.cli import main
from rag.encoder.hub import find
from rag.reader import weights
from rag.reader.read import Reader
from rag.types import Passage

TOWNS = ["Leeds", "Berlin", "Oslo", "Quito"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = []
    for number, town in enumerate(TOWNS):
        context = f"Company {number} was founded in {town}. It sells pumps to farmers all over the country."
        answers = [{"text": town, "start": context.index(town)}]
        rows.append({"question": f"Where was company {number} founded?", "context": context, "answers": answers})
    path = tmp_path / "lessons.jsonl"
    path.write_text("\n".join([*map(json.dumps, rows), "{not json"]), encoding="utf-8")
    return path


def test_a_reader_from_a_file(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "reader"
    command = ["train", "reader", "--data", str(data), "--out", str(out), "--from", "encoder", "--batch", "2", "--json"]
    assert main([*command, "--float32"]) == 3, "a row was left out"
    told = capsys.readouterr()
    result = json.loads(told.out)
    assert result["steps"] == 2
    assert set(result["losses"]) == {"span", "answer", "relevance"}
    assert result["left_out"] == [
        f"{data}:5: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    ]
    assert "this row is left out" in told.err
    assert "step 2 of 2" in told.err
    text = "Acme was founded in Lima."
    [extract] = Reader(find("all-MiniLM-L6-v2"), weights.read(out)).read(
        "Where?", [Passage("a", "", "", "", "", None, 0, len(text), text)]
    )
    assert 0 <= extract.start < extract.end <= len(text)
    assert "<svg" in (out / "losses.html").read_text(encoding="utf-8")
    lines = (out / "losses.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]
    # What is finished is not trained again, and another training in the same folder would be another reader.
    assert main([*command, "--float32"]) == 3
    assert json.loads(capsys.readouterr().out)["reader"] == str(out / "reader.safetensors")
    assert main([*command, "--float32", "--seed", "1"]) == 2
    assert "holds the progress of another training" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--epochs", "0"], "--epochs is 0; it takes a whole number from 1"),
        (["--batch", "x"], "--batch is 'x'; it takes a whole number from 1"),
        (["--from", "nowhere"], "There is no nowhere"),
        (["--data", "missing.jsonl"], "missing.jsonl cannot be read"),
    ],
)
def test_a_wrong_argument(
    given: list[str], message: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "reader", "--data", str(data), "--out", str(tmp_path / "out"), *given]) in (2, 6)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists(), "nothing is half-written"
