"""`rag wikipedia --remove`: articles are let go of by name, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Shelf, WordEmbedder

from rag import compose
from rag.cli import main
from rag.index.collection import Collection

WIKI = b"wiki:https://en.wikipedia.org/w/api.php#"


@pytest.fixture
def indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAG_INDEXES", str(tmp_path / "indexes"))
    monkeypatch.setattr(compose, "embedder", lambda config: WordEmbedder())
    collection = Collection(tmp_path / "indexes", "default")
    collection.sync(Shelf({"Heron": "The heron is a bird.", "Owl": "The owl is a bird."}, prefix=WIKI), WordEmbedder())
    collection.sync(Shelf({"Heron": "A file of people's own."}), WordEmbedder())
    collection.close()
    return tmp_path / "indexes"


def keys(indexes: Path) -> list[bytes]:
    return [one.key for one in Collection(indexes, "default").held()]


def test_an_article_goes_and_a_file_of_its_name_stays(indexes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wikipedia", "Heron", "--remove", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"] == 1
    assert sorted(keys(indexes)) == [b"shelf/Heron", WIKI + b"Owl"]


@pytest.mark.parametrize("arguments", [["Heron", "Nobody"], [], ["Heron", "--refresh"], ["Heron", "--search", "birds"]])
def test_what_is_not_clear_removes_nothing(
    indexes: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = keys(indexes)
    assert main(["wikipedia", *arguments, "--remove"]) == 2
    assert "Nothing was changed." in capsys.readouterr().err
    assert keys(indexes) == before
