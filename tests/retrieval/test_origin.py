"""Private documents before Wikipedia's, where both come near."""

from __future__ import annotations

from dataclasses import replace

from rag.retrieval.origin import PrivateFirst
from rag.types import Article, Extract, Hit, Passage

ARTICLE = Article("en", 1, 2, "2026-01-01T00:00:00Z", "https://en.wikipedia.org/w/index.php?oldid=2", "CC BY-SA 4.0")


def hit(name: str, score: float) -> Hit:
    article = ARTICLE if name.startswith("wiki") else None
    return Hit(Passage(name, name, name, "", "", None, 0, 1, name, article), score)


class Ranked:
    def __init__(self, *hits: Hit) -> None:
        self._hits = list(hits)

    def retrieve(self, question: str, k: int) -> list[Hit]:
        return self._hits[:k]


def order(k: int, *hits: Hit) -> list[str]:
    found = PrivateFirst(Ranked(*hits)).retrieve("?", k)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    return [h.passage.document for h in found]


FAR = tuple(hit(f"wiki far {i}", 0.2) for i in range(9))


def test_a_private_passage_near_the_best_comes_first() -> None:
    assert order(3, hit("wiki a", 1.0), hit("wiki b", 0.95), hit("own", 0.9), *FAR) == ["own", "wiki a", "wiki b"]


def test_one_that_is_far_from_the_best_stays_where_it_is() -> None:
    assert order(3, hit("wiki a", 1.0), hit("wiki b", 0.9), hit("own", 0.5), *FAR) == ["wiki a", "wiki b", "own"]


def test_one_that_answers_comes_first_wherever_it_is() -> None:
    answering = replace(hit("own", 0.5), extract=Extract(0, 1, -0.1, 2.0, 0.0))
    found = PrivateFirst(Ranked(hit("wiki a", 1.0), answering, *FAR)).retrieve("?", 2)
    assert [h.passage.document for h in found] == ["own", "wiki a"]
    assert found[0].extract == answering.extract


def test_a_near_one_is_found_below_the_first_k() -> None:
    hits = [hit(f"wiki {i}", 1.0 - i / 100) for i in range(10)]
    assert order(2, *hits, hit("own", 0.9), *FAR, *FAR) == ["own", "wiki 0"]


def test_a_place_is_kept_for_the_other_kind() -> None:
    hits = [hit("wiki", 1.0), *(hit(f"own {i}", 0.99 - i / 1000) for i in range(9))]
    assert order(4, *hits, *FAR, *FAR) == ["own 0", "own 1", "own 2", "wiki"]


def test_one_kind_alone_and_nothing_at_all() -> None:
    assert order(2, hit("own a", 0.4), hit("own b", 0.3), hit("own c", 0.2)) == ["own a", "own b"]
    assert order(2) == []
