"""A ledger of schema 1, from before there were articles: read as it is, upgraded by the first writer."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
from conftest import Shelf, WordEmbedder, document

from rag.index.collection import Collection
from rag.index.database import SCHEMA_VERSION
from rag.types import Article, Origin, Reading


class Encyclopedia(Shelf):
    """A shelf whose texts are articles."""

    article = Article(
        "en", 7, 11, "2026-01-02T03:04:05Z", "https://en.wikipedia.org/w/index.php?oldid=11", "CC BY-SA 4.0"
    )

    def read(self, entries):
        for reading in super().read(entries):
            assert reading.document is not None
            yield Reading(reading.entry, reading.outcome, replace(reading.document, article=self.article))


@pytest.fixture
def old(collection: Collection, embedder: WordEmbedder) -> Collection:
    collection.sync(Shelf({"ant.txt": "ants are small"}), embedder)
    collection.close()
    with sqlite3.connect(collection.home / "ledger.sqlite") as db:
        db.execute("DROP TABLE articles")
        db.execute("PRAGMA user_version=1")
    db.close()
    return collection


def schema(collection: Collection) -> int:
    with sqlite3.connect(collection.home / "ledger.sqlite") as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def test_a_reader_reads_it_and_changes_nothing(old: Collection) -> None:
    passage = old.index().keyword("ants", 1)[0].passage
    assert (passage.text, passage.article) == ("ants are small", None)
    assert [card.origin for card in old.index().cards()] == [Origin.PRIVATE]
    assert (old.info()["documents"], old.info()["articles"]) == (1, 0)
    assert old.verify() == []
    assert schema(old) == 1


def test_a_writer_upgrades_it_under_an_open_reader(old: Collection, embedder: WordEmbedder) -> None:
    reader = Collection(old.home.parent, "default")
    assert len(reader.index().keyword("ants", 9)) == 1
    report = Collection(old.home.parent, "default").sync(Encyclopedia({"Ant": "ants bite"}, prefix=b"wiki:"), embedder)
    assert (report.added, report.removed, schema(old)) == (1, 0, SCHEMA_VERSION)
    found = {hit.passage.document: hit.passage.origin for hit in reader.index().keyword("ants", 9)}
    assert found == {"ant.txt": Origin.PRIVATE, "Ant": Origin.WIKIPEDIA}
    assert reader.index(only=Origin.WIKIPEDIA).keyword("ants", 9)[0].passage.article == Encyclopedia.article
    assert reader.verify() == []
    reader.close()


def test_an_article_goes_with_its_document(collection: Collection, embedder: WordEmbedder) -> None:
    collection.sync(Encyclopedia({"Ant": "ants bite"}, prefix=b"wiki:"), embedder)
    collection.sync(Encyclopedia({}, prefix=b"wiki:"), embedder, prune=True)
    assert (collection.info()["documents"], collection.info()["articles"]) == (0, 0)
    assert document("a.txt", "x").article is None
