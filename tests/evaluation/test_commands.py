"""`rag eval`, `rag compare` and `rag explain` as people call them, over a small collection."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Shelf, WordEmbedder

from rag import compose
from rag.commands.evaluation import add
from rag.errors import UsageError
from rag.index.collection import Collection

ANIMALS = ("ant", "bee", "cow")


def rag(*arguments: str) -> int:
    """The command line with these three commands alone."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text)
        made.set_defaults(run=run)
        made.add_argument("--collection")
        made.add_argument("--indexes", type=Path)
        made.add_argument("--store")
        made.add_argument("--json", action="store_true")
        return made

    add(command)
    options = parser.parse_args(arguments)
    return int(options.run(options))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a collection of three documents, and questions on each; the encoder is a fake."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_RERANK", "none")
    monkeypatch.setattr(compose, "embedder", lambda config: WordEmbedder())
    collection = Collection(Path("indexes"), "default")
    collection.sync(
        Shelf({f"{a}.txt": f"The {a} costs {i} euros.\fBack." for i, a in enumerate(ANIMALS)}), WordEmbedder()
    )
    collection.close()
    rows = [
        {"id": a, "question": f"What does the {a} cost?", "answers": [f"{i} euros"]}
        | {"evidence": [{"document": f"{a}.txt", "page": 1, "text": f"{i} euros"}]}
        for i, a in enumerate(ANIMALS)
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_eval_and_compare(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rag("eval", "q.jsonl", "--out", "runs/a", "--json") == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == ""
    assert found["questions"] == 3
    assert found["figures"]["page_hit@1"] == {"value": 1.0, "low": 1.0, "high": 1.0, "count": 3}
    assert rag("eval", "q.jsonl", "--out", "runs/b", "--retrieval-only", "-k", "2") == 0
    out, _ = capsys.readouterr()
    assert "page_hit@2" in out
    assert "correct" not in out
    assert "3 questions. See runs/b/report.html" in out
    assert rag("compare", "runs/a", "runs/b", "--json", "--html", "both.html") == 0
    out, _ = capsys.readouterr()
    assert json.loads(out)["common"] == 3
    assert "a → b" in (folder / "both.html").read_text(encoding="utf-8")
    assert rag("compare", "runs/a", "runs/b") == 0
    assert "page_hit@1" in capsys.readouterr().out


def test_eval_goes_on_where_it_was(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rag("eval", "q.jsonl", "--out", "a", "--json") == 0
    lines = (folder / "a" / "predictions.jsonl").read_bytes()
    assert rag("eval", "q.jsonl", "--out", "a", "--json") == 0
    assert (folder / "a" / "predictions.jsonl").read_bytes() == lines
    first, second = capsys.readouterr().out.split("}\n{")
    assert first.strip(" \n{}") == second.strip(" \n{}")
    with pytest.raises(UsageError, match="something else"):
        rag("eval", "q.jsonl", "--out", "a", "--retrieval-only")


@pytest.mark.parametrize(
    ("threshold", "code", "said"),
    [
        ("page_hit@1=1", 0, ""),
        ("page_hit@1=1.01", 1, "page_hit@1 is 1.0000, under 1.01"),
        ("latency_p50=0", 1, "over 0"),
        ("latency_p50=100", 0, ""),
    ],
)
def test_fail_under(folder: Path, capsys: pytest.CaptureFixture[str], threshold: str, code: int, said: str) -> None:
    assert rag("eval", "q.jsonl", "--out", "a", "--fail-under", "mrr=0", "--fail-under", threshold) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("threshold", ["hit@5", "hit@5=high", "hit@5=nan", "wit@5=1", "=1"])
def test_fail_under_what_is_no_metric_is_said_before_anything_is_asked(folder: Path, threshold: str) -> None:
    with pytest.raises(UsageError):
        rag("eval", "q.jsonl", "--out", "a", "--fail-under", threshold)
    assert not (folder / "a").exists()


def test_fail_under_what_was_not_measured(folder: Path) -> None:
    with pytest.raises(UsageError, match="judged_correct was not measured"):
        rag("eval", "q.jsonl", "--out", "a", "--fail-under", "judged_correct=1")


def test_bad_rows_and_lost_documents_are_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"question": "What does the dog cost?", "evidence": [{"document": "dog.txt", "page": 1}]}
    with (folder / "q.jsonl").open("a") as file:
        file.write("{}\n" + json.dumps(row) + "\n")
    assert rag("eval", "q.jsonl", "--out", "a", "--limit", "4") == 3
    _, err = capsys.readouterr()
    assert "rag: q.jsonl, line 4: no question; skipped" in err
    assert "1 documents that evidence names are not in collection 'default' (dog.txt)" in err


@pytest.mark.parametrize("wrong", [("-k", "0"), ("--limit", "-1")])
def test_eval_wants_whole_numbers_from_one(folder: Path, wrong: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="whole number from 1"):
        rag("eval", "q.jsonl", "--out", "a", *wrong)


def test_explain(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rag("explain", "What does the bee cost?", "--document", "bee", "--page", "1", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["lost_by"], found["standings"][-1]["rank"], found["passages"]) == ("", 1, 1)
    assert rag("explain", "What does the bee cost?", "--document", "bee.txt", "--page", "7") == 0
    assert "No passage is indexed there" in capsys.readouterr().out
    assert rag("explain", "What does the bee cost?", "--document", "bee.txt") == 0
    assert "goes on" in capsys.readouterr().out


def test_adding_the_commands_loads_nothing_heavy() -> None:
    code = (
        "import sys, rag.commands.evaluation; print([m for m in ('numpy', 'rich', 'rag.config') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
