"""What is searched and what a filter lets through are of one moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import Shelf, WordEmbedder

from rag.index import generation
from rag.index.collection import Collection


def test_a_document_that_is_replaced_while_the_index_is_opened_is_found(
    tmp_path: Path, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sync(text: str) -> None:
        collection = Collection(tmp_path, "prices")
        collection.sync(Shelf({"a.txt": text}), embedder)
        collection.close()

    sync("Beta costs 20 euros.")
    load = generation.load

    def overtaken(*given: Any) -> generation.Snapshot:
        snapshot = load(*given)
        monkeypatch.setattr(generation, "load", load)
        sync("Beta costs 25 euros.")
        return snapshot

    monkeypatch.setattr(generation, "load", overtaken)
    collection = Collection(tmp_path, "prices")
    hits = collection.index("a*").dense(embedder.embed_questions(["Beta costs"])[0], 5)
    assert [hit.passage.text for hit in hits] == ["Beta costs 25 euros."]
    collection.close()
