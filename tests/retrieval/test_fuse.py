"""Fusion and reranking over a real collection with the embedder of words."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Shelf, WordEmbedder

from rag.index.collection import Collection
from rag.retrieval.fuse import Hybrid, Weights, _beside
from rag.retrieval.rerank import LateInteraction, prose, rarity
from rag.types import Hit, Passage

REPORTS = {
    f"{company}_{year}.txt": f"Revenue of {company} was {n} million."
    for n, (company, year) in enumerate([("Alba", 2022), ("Alba", 2023), ("Bora", 2022), ("Bora", 2023)])
}


@pytest.fixture
def filled(collection: Collection, embedder: WordEmbedder) -> Collection:
    collection.sync(Shelf(dict(REPORTS)), embedder)
    return collection


def test_the_named_document_comes_first_and_the_rest_is_not_hidden(filled: Collection, embedder: WordEmbedder) -> None:
    hits = Hybrid(filled.index(), embedder).retrieve("What was Bora's revenue in 2022?", 10)
    assert hits[0].passage.document == "Bora_2022.txt"
    assert {hit.passage.document for hit in hits} == set(REPORTS)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_filter_hides(filled: Collection, embedder: WordEmbedder) -> None:
    hits = Hybrid(filled.index("Alba*"), embedder).retrieve("What was Bora's revenue in 2022?", 10)
    assert {hit.passage.document for hit in hits} == {"Alba_2022.txt", "Alba_2023.txt"}


def test_the_same_question_gives_the_same_order(filled: Collection, embedder: WordEmbedder) -> None:
    retriever = Hybrid(filled.index(), embedder)
    assert len({tuple(retriever.retrieve("revenue million", 4)) for _ in range(5)}) == 1


def test_k_is_respected_and_nothing_matches_nothing(filled: Collection, embedder: WordEmbedder) -> None:
    retriever = Hybrid(filled.index(), embedder)
    assert len(retriever.retrieve("revenue", 2)) == 2
    assert Hybrid(filled.index("nothing"), embedder).retrieve("revenue", 2) == []


class Fixed:
    """A Retriever with a given order, and a TokenEncoder whose tokens are words on axes of their own."""

    def __init__(self, *texts: str) -> None:
        self.hits = [
            Hit(Passage(f"{i}", "", "", "", "", None, 0, len(text), text), 1.0 - i / 100)
            for i, text in enumerate(texts)
        ]
        self.axes: dict[str, int] = {}

    def retrieve(self, question: str, k: int) -> list[Hit]:
        return self.hits[:k]

    def token_ids(self, texts: list[str]) -> list[list[int]]:
        return [[self.axes.setdefault(word, len(self.axes)) for word in text.lower().split()] for text in texts]

    def embed_tokens(self, texts: list[str]) -> list[np.ndarray]:
        return [np.eye(50, dtype=np.float32)[ids] for ids in self.token_ids(texts)]


def order(hits: list[Hit]) -> list[str]:
    return [hit.passage.document for hit in hits]


def test_late_interaction_prefers_the_passage_with_the_questions_words() -> None:
    fixed = Fixed("nothing of it here", "the red fox sleeps at noon")
    assert order(LateInteraction(fixed, fixed).retrieve("when sleeps the fox", 2)) == ["1", "0"]


def test_a_table_stays_where_it_was() -> None:
    fixed = Fixed("no word", "fox 1 2 3 4 5", "also nothing")
    hits = LateInteraction(fixed, fixed).retrieve("fox", 3)
    assert {hit.passage.document: hit.score for hit in hits}["1"] == fixed.hits[1].score


def test_what_is_not_read_again_stays_behind() -> None:
    fixed = Fixed("a b", "c d", "fox fox", "e f")
    hits = LateInteraction(fixed, fixed, depth=2).retrieve("fox", 4)
    assert order(hits)[2:] == ["2", "3"]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_table_is_not_read() -> None:
    fixed = Fixed("when the fox sleeps", "fox 1 2 3 4 5", "the fox runs")
    LateInteraction(fixed, fixed).retrieve("fox", 3)
    assert "1" not in fixed.axes


def test_rare_tokens_count_more() -> None:
    common, rare = rarity([1, 2], [[1], [1], [1, 2]])
    assert rare > common >= 0.5
    assert rare == pytest.approx(np.log(4 / 1.5) + 0.5)


def test_prose_is_told_from_tables() -> None:
    assert prose("Some words and no figure at all") == 1
    assert prose("Net sales 1,577 1,402 (35)") == 0
    assert 0 < prose("In 2023 the company opened twenty new shops in the north of England and in Wales") < 1


NO_BONUS = Weights(likeness=0, title=0, neighbour=0)


def test_the_statement_that_is_asked_for_comes_first(collection: Collection, embedder: WordEmbedder) -> None:
    statement = "Consolidated Balance Sheets\nMerchandise 1,577 1,402\nTotal current assets 16,525 15,887"
    files: dict[str, str | None] = {
        "report.txt": f"A quick word of thanks to all who made this report what it is.\f{statement}"
    }
    collection.sync(Shelf(files), embedder)
    question = "What is the quick ratio?"
    assert Hybrid(collection.index(), embedder, NO_BONUS).retrieve(question, 2)[0].passage.page == 1
    hybrid = Hybrid(collection.index(), embedder)
    assert hybrid.retrieve(question, 2)[0].passage.page == 2
    assert [section.title for section in hybrid.parts(question).sections] == ["Consolidated balance sheets"]


def test_without_statements_none_is_looked_for(filled: Collection, embedder: WordEmbedder) -> None:
    found = Hybrid(filled.index(), embedder).parts("What was the revenue?")
    assert (found.sections, found.likeness) == ((), [])


def test_a_neighbour_gains_a_share_of_the_lead() -> None:
    places = {"before": 0, "best": 100, "behind": 200, "far": 900}
    before, best, behind, far = (Passage("a", "", "", "", "", None, n, n + 99, name) for name, n in places.items())
    elsewhere = Passage("b", "", "", "", "", None, 200, 299, "elsewhere")
    scores = {before: 0.0, best: 1.0, behind: 0.5, far: 0.2, elsewhere: 0.1}
    assert _beside(scores, 0.5) == {before: 0.5, best: 1.0, behind: 0.75, far: 0.2, elsewhere: 0.1}
    assert _beside(scores, 0) == scores
