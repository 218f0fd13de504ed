"""Which stage lost a passage, over rankings that are made by hand and over a real collection."""

from __future__ import annotations

import pytest
from conftest import Shelf, WordEmbedder

from rag.errors import UsageError
from rag.evaluation.explain import Explanation, Stage, explain, lost_by, missing_from, stages
from rag.index.collection import Collection
from rag.retrieval.fuse import Hybrid
from rag.types import Evidence, FileReport, Hit, Outcome, Passage, Status


def passage(document: str, page: int, text: str = "Ants cost one euro.") -> Passage:
    return Passage(document, "", "", "", f"p. {page}", page, 0, len(text), text)


GOLD = passage("gold.pdf", 3)
GOLD_PAGE = Evidence("gold.pdf", 3)
OTHERS = [passage("other.pdf", page) for page in range(1, 400)]


def ranking(name: str, place: int | None, passed_on: int, length: int = 400) -> Stage:
    """A stage in which the gold passage has the given rank; scores fall by one a rank."""
    passages = OTHERS[: length - 1]
    if place is not None:
        passages = [*passages[: place - 1], GOLD, *passages[place - 1 :]]
    hits = [Hit(each, float(1000 - rank)) for rank, each in enumerate(passages, 1)]
    return Stage(name, hits, passed_on)


def through(dense: int | None, keyword: int | None, fused: int | None, reranked: int | None) -> Explanation:
    rankings = [
        ranking("dense", dense, 200),
        ranking("keyword", keyword, 200),
        ranking("fused", fused, 30, 200),
        ranking("reranked", reranked, 8, 200),
    ]
    return explain("What do ants cost?", GOLD_PAGE, rankings)


@pytest.mark.parametrize(
    ("places", "lost_by", "said"),
    [
        ((1, 5, 2, 1), "", "number 1"),
        ((1, 5, 2, 9), "reranked", "Lost when reranked: it is number 9"),
        ((150, None, 31, 31), "fused", "Lost when fused: it is number 31"),
        ((150, None, None, None), "fused", "further down"),
        ((300, 201, None, None), "dense and keyword", "Lost by both searches"),
        ((None, 250, 20, 4), "", "number 4"),  # fusion has it from the documents that the question names
    ],
)
def test_the_stage_that_lost_it(places: tuple[int | None, ...], lost_by: str, said: str) -> None:
    found = through(*places)
    assert found.lost_by == lost_by
    assert said in found.verdict
    assert [standing.rank for standing in found.standings] == list(places)
    assert found.passage == GOLD


def test_scores_say_what_was_missing() -> None:
    reranked = through(1, 5, 2, 9).standings[-1]
    assert (reranked.score, reranked.needed, reranked.kept) == (991.0, 992.0, False)
    assert "first is other.pdf, p. 1" in reranked.why


def test_keyword_search_says_which_words_are_there() -> None:
    question = "What do ants cost in Peru?"
    found = explain(question, Evidence("gold.pdf"), [ranking("keyword", 5, 200), ranking("fused", 5, 8)])
    assert found.standings[0].why == "has ants, cost of the question, lacks Peru"


def test_of_several_evidences_the_one_that_came_furthest_counts() -> None:
    rankings = [ranking("dense", 1, 200), ranking("keyword", 1, 200), ranking("fused", 9, 8, 200)]
    nowhere, far = Evidence("nowhere.pdf", 1), Evidence("other.pdf", 350)
    assert lost_by("?", [nowhere], rankings) == "index"
    assert lost_by("?", [nowhere, far], rankings) == "dense and keyword"
    assert lost_by("?", [nowhere, GOLD_PAGE, far], rankings) == "fused"
    assert lost_by("?", [nowhere, Evidence("other.pdf", 1)], rankings) == ""


def test_a_place_that_no_stage_knows() -> None:
    found = through(None, None, None, None)
    assert (found.passages, found.passage, found.lost_by) == (0, None, "index")


FILES = [
    FileReport("a/gold.pdf", Outcome(Status.PARTLY, "2 of 9 pages have no text", "Use OCR", 9, (2, 4))),
    FileReport("scan.pdf", Outcome(Status.NO_TEXT, "scanned", "Use OCR", 1, (1,))),
]


@pytest.mark.parametrize(
    ("document", "page", "said"),
    [
        ("gold.pdf", 2, "Page 2 gave no text when it was read. 2 of 9 pages have no text. Use OCR."),
        ("gold", 10, "a/gold.pdf has 9 pages."),
        ("scan.pdf", None, "reading scan.pdf ended as “no text: scanned”"),
    ],
)
def test_what_the_index_lacks_was_not_read(document: str, page: int | None, said: str) -> None:
    assert said in missing_from(FILES, document, page)


def test_a_document_that_was_never_seen() -> None:
    with pytest.raises(UsageError, match=r"holds no document 'gold.doc'. Did you mean a/gold.pdf?"):
        missing_from(FILES, "gold.doc", None)


def test_over_a_collection(collection: Collection, embedder: WordEmbedder) -> None:
    files: dict[str, str | None] = {f"{n}.txt": f"number {n} is here.\fback of {n}." for n in ("one", "two", "three")}
    collection.sync(Shelf(files), embedder)
    view = collection.index()
    through = stages("back of two", Hybrid(view, embedder), None, k=1)
    found = explain("back of two", Evidence("two", 2), through)
    assert [standing.stage for standing in found.standings] == ["dense", "keyword", "fused"]
    assert [standing.rank for standing in found.standings] == [1, 1, 1]
    assert found.lost_by == ""
    lost = explain("back of two", Evidence("three", 1), through)
    assert lost.lost_by == "fused"
    assert lost.standings[1].why == "shares no word with the question"


def test_the_section_that_is_asked_for_is_a_search_of_its_own(collection: Collection, embedder: WordEmbedder) -> None:
    sheet = "Consolidated Balance Sheets\nTotal current assets 16,525 15,887\nTotal current liabilities 9,674 9,114"
    collection.sync(Shelf({"report.txt": f"A word of thanks.\f{sheet}"}), embedder)
    through = stages("What is the quick ratio?", Hybrid(collection.index(), embedder), None, k=1)
    found = explain("What is the quick ratio?", Evidence("report", 2), through)
    assert [standing.stage for standing in found.standings] == ["dense", "keyword", "section", "fused"]
    assert (found.standings[1].rank, found.standings[2].rank, found.lost_by) == (None, 1, "")
