"""What is quotable, and the features by which it is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from rag.generation.evidence import FEATURES, Asked, asked, candidates, features, shortlist
from rag.types import Extract, Hit, Passage


def passage(text: str, heading: str = "", title: str = "Handbook", document: str = "handbook.pdf") -> Passage:
    return Passage(document, f"file:///{document}", title, heading, "p. 1", 1, 0, len(text), text)


def hits(passages: list[Passage]) -> list[Hit]:
    return [Hit(each, 0.0) for each in passages]


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("How many days of leave are there?", Asked.NUMBER),
        ("What is the price of Alpha?", Asked.NUMBER),
        ("When was Acme founded?", Asked.DATE),
        ("In what year was Acme founded?", Asked.DATE),
        ("Who leads Acme?", Asked.NAME),
        ("Where is Acme?", Asked.NAME),
        ("Which company makes Alpha?", Asked.NAME),
        ("Why is there a fee?", Asked.OTHER),
        ("Which country has the highest price?", Asked.NAME),
        ("What price did the king pay?", Asked.NUMBER),
        ("How did the population change?", Asked.OTHER),
        ("What does Acme make?", Asked.OTHER),
    ],
)
def test_what_is_asked_for(question: str, kind: Asked) -> None:
    assert asked(question) is kind


def test_candidates_are_word_for_word_and_rows_stand_behind_their_head() -> None:
    table = passage("Prices in euros\nModel Price Weight\nAlpha 20 1,577\nBeta 30 2,100")
    prose = passage("Notice periods\nThe notice period\nis three months. See [12].")
    assert [c.quote for c in candidates([table, prose])] == [
        "Prices in euros Model Price Weight … Alpha 20 1,577",
        "Prices in euros Model Price Weight … Beta 30 2,100",
        "The notice period is three months.",
        "See (12).",
    ]
    assert [(c.passage, c.is_row) for c in candidates([table, prose])] == [(0, True), (0, True), (1, False), (1, False)]


def test_the_head_of_a_table_that_began_before_its_passage_comes_from_the_heading() -> None:
    rest = passage("Gamma 40 3,200\nDelta 50 4,100", heading="Pumps > Model Price Weight")
    assert [c.quote for c in candidates([rest])] == [
        "Model Price Weight … Gamma 40 3,200",
        "Model Price Weight … Delta 50 4,100",
    ]


def test_features_by_hand() -> None:
    passages = [passage("Managers give three months' notice. It starts in January."), passage("Lunch is at noon.")]
    found = candidates(passages)
    rows = features("How many months' notice do managers give?", found, hits(passages), [0.8, 0.5, 0.1])
    by_name = [dict(zip(FEATURES, row, strict=True)) for row in rows.tolist()]
    first, second, third = by_name
    assert [row["similarity"] for row in by_name] == pytest.approx([0.8, 0.5, 0.1])
    assert [row["passage"] for row in by_name] == pytest.approx([0.8, 0.8, 0.1])
    assert [row["words"] for row in by_name] == [1, 0, 0]  # month, notice, manager: all in the first sentence
    assert [row["before"] for row in by_name] == [1, 1, 0]  # the second follows it, the third opens its passage
    assert [row["around"] for row in by_name] == [1, 1, 0]
    assert [row["names"] for row in by_name] == [1, 1, 1]  # the question names nothing
    assert (first["there"], first["missing"]) == (1, 0)  # a number is asked for: "three"
    assert (second["there"], second["missing"]) == (0, 1)
    assert [row["rank"] for row in by_name] == [1, 1, 0.5]
    assert third["missing"] == 1


def test_a_word_that_few_sentences_have_weighs_more() -> None:
    passages = [passage("Alpha pumps. Beta pumps. Gamma pumps.", title="", document="x")]
    rows = features("Alpha pumps?", candidates(passages), hits(passages), [0, 0, 0])
    words = rows[:, FEATURES.index("words")]
    rare, common = 1 / np.log2(3), 1 / np.log2(5)  # in one sentence of three, in all three
    assert words.tolist() == pytest.approx([1, common / (rare + common), common / (rare + common)])


def test_no_sentences_no_rows() -> None:
    assert features("Why?", [], [], []).shape == (0, len(FEATURES))


def test_a_table_row_stands_for_itself() -> None:
    passages = [passage("Model Price Weight\nAlpha 20 1,577\nBeta 30 2,100", title="Prices 2026", document="x")]
    rows = features("What does model Beta cost in 2026?", candidates(passages), hits(passages), [0, 0])
    alpha, beta = (dict(zip(FEATURES, row, strict=True)) for row in rows.tolist())
    assert (alpha["names"], alpha["named"], alpha["numbered"], alpha["other row"]) == (0.5, 0.5, 1, 0.5)  # 2026 alone
    assert (beta["names"], beta["named"], beta["numbered"], beta["other row"]) == (1, 1, 1, 0)


def test_the_shortlist_keeps_what_shares_most_with_the_question_in_order() -> None:
    found = candidates([passage("Lunch is at noon. Notice is three months. Managers give notice in writing.")])
    assert shortlist("What notice do managers give?", found, 2) == [1, 2]
    assert shortlist("What notice do managers give?", found, 1) == [2]
    assert shortlist("What notice do managers give?", found, 9) == [0, 1, 2]


def test_what_a_reader_found_counts_for_the_sentence_that_holds_it() -> None:
    text = "Alpha costs 20. Beta costs 30."
    extract = Extract(start=text.index("30"), end=text.index("30") + 2, likely=-0.5, answers=1.5, relevance=9.0)
    found = candidates([passage(text), passage("Gamma costs 40.")])
    rows = features(
        "What does Beta cost?", found, [Hit(passage(text), 0.0, extract), Hit(passage(text), 0.0)], [0, 0, 0]
    )
    columns = [FEATURES.index(name) for name in ("answers", "words of it", "surely")]
    assert rows[:, columns] == pytest.approx(np.array([[1.5, 0, 0], [1.5, 1, np.exp(-0.5)], [0, 0, 0]]))
