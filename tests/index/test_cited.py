from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote_from_bytes

import pytest
from conftest import Shelf, WordEmbedder

from rag.index.collection import Collection
from rag.types import Article, Entry, Passage

KEY = "/a folder/café 1%.pdf".encode()
TEXT = "Header\nThe pump was stopped.\fIt ran on after noon.\nThe end."


class Files(Shelf):
    """A shelf whose documents are named as files are."""

    def scan(self) -> Iterator[Entry]:
        for entry in super().scan():
            yield replace(entry, uri="file://" + quote_from_bytes(entry.key))


@pytest.fixture
def held(collection: Collection, embedder: WordEmbedder) -> tuple[Collection, Passage]:
    """A collection of one file of two pages, and a passage of it that goes from one to the other."""
    collection.sync(Files({KEY.decode()[1:]: TEXT}, prefix=b"/"), embedder)
    (hit, *_) = collection.index().keyword("pump", 1)
    start, end = TEXT.index("stopped"), TEXT.index("after")
    return collection, replace(hit.passage, start=start, end=end, text=TEXT[start:end])


def test_a_passage_is_cited_page_by_page(held: tuple[Collection, Passage]) -> None:
    collection, passage = held
    first, second = collection.cited(passage)
    assert (first.page, first.text[first.start : first.end].strip()) == (1, "stopped.")
    assert (second.page, second.text[second.start : second.end]) == (2, "It ran on ")
    assert first.key == second.key == KEY
    assert first.version == second.version != ""


def test_the_words_that_answer_are_cited_on_their_page(held: tuple[Collection, Passage]) -> None:
    collection, passage = held
    at = passage.text.index("ran")
    first, second = collection.cited(passage, (at, at + 3))
    assert first.span is None
    assert second.span is not None
    assert second.text[slice(*second.span)] == "ran"


def test_what_has_changed_is_not_cited(held: tuple[Collection, Passage]) -> None:
    collection, passage = held
    assert collection.cited(replace(passage, text="stopped by hand")) == []
    assert collection.cited(replace(passage, uri="file:///gone.pdf")) == []


def test_an_article_has_no_pages(held: tuple[Collection, Passage]) -> None:
    collection, passage = held
    article = Article("en", 1, 2, "2025-01-01", "https://en.wikipedia.org/w/index.php?oldid=2", "CC BY-SA 4.0")
    assert collection.cited(replace(passage, uri=article.link, article=article)) == []
