"""Hits put into order by a reader, and by any scorer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rag.retrieval.rerank import Rescored
from rag.retrieval.reread import FEATURES, ReaderRanking, features
from rag.types import Extract, Hit, Passage

TEXTS = ["Alpha is sold in Leeds.", "Beta is sold in Oslo.", "1 2 3 4 5 6 7 8 9", "Delta is sold in Rome."]


def hit(text: str, score: float) -> Hit:
    return Hit(Passage("a.pdf", "file:///a.pdf", "", "", "p. 1", 1, 0, len(text), text), score)


class Found:
    def retrieve(self, question: str, k: int) -> list[Hit]:
        return [hit(text, 1.0 - rank / 10) for rank, text in enumerate(TEXTS)][:k]


class Reads:
    """Holds that the passages with the question's word answer."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def read(self, question: str, passages: Sequence[Passage]) -> list[Extract]:
        self.asked.append(len(passages))
        return [Extract(0, 5, -1.0, 2.0 if question in p.text else -2.0, len(p.text) / 10) for p in passages]


def test_the_one_that_answers_comes_first_and_hits_carry_what_was_read() -> None:
    reads = Reads()
    found = ReaderRanking(Found(), reads, {"found": 1.0, "answers": 1.0}, depth=3).retrieve("Beta", 4)
    assert [each.passage.text for each in found] == [TEXTS[1], TEXTS[2], TEXTS[0], TEXTS[3]]
    assert reads.asked == [3], "only the first ones are read"
    assert [each.extract is not None for each in found] == [True, True, True, False]
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)


def test_tables_heed_only_what_is_learned_for_tables() -> None:
    ranking = {"found": 1.0, "answers": 5.0}
    found = ReaderRanking(Found(), Reads(), ranking).retrieve("1 2", 4)
    assert [each.passage.text for each in found][:2] == [TEXTS[2], TEXTS[0]], "the others are prose and do not answer"
    assert ReaderRanking(Found(), Reads(), {"found": 1.0}).retrieve("1 2", 1)[0].passage.text == TEXTS[0]


def test_features() -> None:
    read = ReaderRanking(Found(), Reads(), {}).read("Beta", Found().retrieve("", 3))
    rows = features(read)
    mean = sum(len(text) for text in TEXTS[:3]) / 30
    assert dict(zip(FEATURES, rows[1].tolist(), strict=True)) == pytest.approx(
        {"found": 0.9, "prose": 1.0, "relevance": len(TEXTS[1]) / 10 - mean, "answers": 2.0, "likely": -1.0}
    )
    assert rows[2].tolist() == pytest.approx([0.8, 0, 0, 0, 0]), "of a table the reader's word counts for nothing"
    with pytest.raises(ValueError, match="not read"):
        features(Found().retrieve("", 3))


def test_nothing_found() -> None:
    class Nothing:
        def retrieve(self, question: str, k: int) -> list[Hit]:
            return []

    assert ReaderRanking(Nothing(), Reads(), {}).retrieve("Beta", 4) == []
    assert Rescored(Nothing(), Lengths()).retrieve("Beta", 4) == []


class Lengths:
    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        return [float(len(text)) for text in texts]


def test_any_scorer_puts_the_first_hits_into_its_order() -> None:
    found = Rescored(Found(), Lengths(), depth=3).retrieve("Beta", 4)
    assert [each.passage.text for each in found] == [TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[3]]
    assert [each.score for each in found] == [23.0, 21.0, 17.0, 0.7]
