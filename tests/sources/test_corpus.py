"""The corpora of published question sets, named as their questions name them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag.sources.corpus import Corpus, is_corpus
from rag.types import Status

SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "Oil_crisis",
            "paragraphs": [{"context": "It began in 1973."}, {"context": "It ended."}, {"qas": []}],
        },
        {"title": "Empty", "paragraphs": []},
    ],
}


def beir(folder: Path, *rows: object) -> Path:
    path = folder / "corpus.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def read(path: Path) -> dict[str, tuple[str, str]]:
    corpus = Corpus(path)
    readings = list(corpus.read(list(corpus.scan())))
    assert all(reading.outcome.status is Status.INDEXED for reading in readings)
    return {r.document.name: (r.document.title, r.document.text) for r in readings if r.document}


def test_beir_a_document_a_line(tmp_path: Path) -> None:
    path = beir(
        tmp_path,
        {"_id": "MED-1", "title": "Statins", "text": "Statins lower cholesterol."},
        {"_id": "7", "title": "", "text": "Statins lower cholesterol."},  # the same text is another document
        "{not json",
        {"_id": "MED-1", "title": "Again", "text": "used before"},
        {"title": "no id", "text": "x"},
    )
    assert is_corpus(path)
    assert read(path) == {
        "MED-1": ("Statins", "Statins lower cholesterol."),
        "7": ("", "Statins lower cholesterol."),
    }
    corpus = Corpus(path)
    entries = list(corpus.scan())
    assert corpus.skipped == ["3 rows without an id or text, or with an id used before"]
    assert len({entry.version for entry in entries}) == 2
    assert all(corpus.covers(entry.key) for entry in entries)
    assert not Corpus(tmp_path / "other" / "corpus.jsonl").covers(entries[0].key)


def test_squad_a_document_an_article(tmp_path: Path) -> None:
    path = tmp_path / "dev-v2.0.json"
    path.write_text(json.dumps(SQUAD))
    assert is_corpus(path)
    assert read(path) == {"Oil_crisis": ("Oil crisis", "It began in 1973.\n\nIt ended.")}


def test_what_is_gone_between_scan_and_read_is_said(tmp_path: Path) -> None:
    path = beir(tmp_path, {"_id": "1", "title": "", "text": "One."})
    corpus = Corpus(path)
    entries = list(corpus.scan())
    path.write_text("")
    assert [r.outcome.status for r in corpus.read(entries)] == [Status.UNREADABLE]


@pytest.mark.parametrize(("name", "content"), [("a.json", "[1, 2]"), ("a.jsonl", "{}"), ("corpus.txt", "x")])
def test_other_files_are_none(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert not is_corpus(tmp_path / name)
    assert not is_corpus(tmp_path / "missing.json")
