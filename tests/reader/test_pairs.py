"""What the network sees of a lesson."""

from __future__ import annotations

import random

import pytest

from rag.encoder.hub import find
from rag.reader.lessons import Lesson
from rag.reader.pairs import LONGEST, SHORTEST, Pairs, Row

FILLER = " ".join(f"Filler sentence number {n} says nothing of note." for n in range(80))
CONTEXT = f"{FILLER} Acme was founded by Ada Smith in Leeds. {FILLER}"
SPAN = (CONTEXT.index("Ada"), CONTEXT.index("Ada") + len("Ada Smith"))


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return Pairs.of(find("all-MiniLM-L6-v2"))


def words(pairs: Pairs, ids: list[int]) -> str:
    return str(pairs._tokenizer.decode(ids))


def answer(pairs: Pairs, row: Row) -> str:
    assert row.span is not None
    return words(pairs, row.ids[row.span[0] : row.span[1] + 1])


@pytest.mark.parametrize("seed", range(8))
def test_the_answer_stays_in_the_piece_that_is_cut(pairs: Pairs, seed: int) -> None:
    row = pairs.row("Who founded Acme?", "Acme", CONTEXT, SPAN, 40, random.Random(seed))
    assert answer(pairs, row) == "ada smith"
    assert len(row.ids) - row.text_start - 1 == 40
    assert words(pairs, row.ids[: row.text_start]).split() == "who founded acme? acme".split()
    assert row.kinds == [0] * (row.ids.index(102) + 1) + [1] * (len(row.ids) - row.ids.index(102) - 1)


def test_a_piece_begins_with_a_sentence_if_it_can(pairs: Pairs) -> None:
    row = pairs.row("Who?", "", CONTEXT, SPAN, 60, random.Random(1))
    assert words(pairs, row.ids[row.text_start :]).startswith(("filler", "acme"))


def test_a_pair_of_a_right_and_a_wrong_passage(pairs: Pairs) -> None:
    lesson = Lesson("Who founded Acme first?", CONTEXT, "", (SPAN,), "a")
    wrong = "Bolt was founded by Karl Braun. " * 3
    drawn = [next(pairs.draw([lesson], [(wrong,)], seed)) for seed in range(40)]
    assert all(pair.answering and answer(pairs, pair.answering) == "ada smith" for pair in drawn)
    elsewhere = [pair for pair in drawn if pair.elsewhere]
    assert 10 < len(elsewhere) < 40, "some are other passages, some the same one without the answer"
    assert all("bolt" in words(pairs, pair.lacking.ids) for pair in elsewhere)
    assert all(pair.lacking.span is None for pair in drawn)
    asked = {words(pairs, pair.lacking.ids[: pair.lacking.ids.index(102)]) for pair in drawn if not pair.elsewhere}
    gone = [pair for pair in drawn if not pair.elsewhere and "acme first?" in words(pairs, pair.lacking.ids[:8])]
    assert len(asked) > 1, "questions are changed"
    assert all("ada smith" not in words(pairs, pair.lacking.ids) for pair in gone), (
        "or the answer's sentence is left out"
    )
    assert all(SHORTEST <= len(p.answering.ids) - p.answering.text_start - 1 <= LONGEST for p in drawn if p.answering)


def test_the_same_for_the_same_seed(pairs: Pairs) -> None:
    lessons = [Lesson("Who founded Acme?", CONTEXT, "", (SPAN,), "a")] * 3
    negatives = [("Bolt.",)] * 3
    assert list(pairs.draw(lessons, negatives, 7)) == list(pairs.draw(lessons, negatives, 7))
    assert list(pairs.draw(lessons, negatives, 7)) != list(pairs.draw(lessons, negatives, 8))


def test_a_lesson_without_an_answer_only_lacks(pairs: Pairs) -> None:
    [pair] = pairs.draw([Lesson("Who?", "Nobody knows.", "", (), "a")], [()], 0)
    assert pair.answering is None
    assert pair.lacking.span is None
