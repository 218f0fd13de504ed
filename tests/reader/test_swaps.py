"""Questions that only seem answerable."""

from __future__ import annotations

import random

import pytest

from rag.reader.swaps import ANTONYMS, unanswerable

CONTEXT = (
    "In 1910 the inventor Ada Smith left Leeds for Berlin. By 1935 she had sold Acme to Karl Braun for 200 pounds."
)


def changes(question: str, answers: list[str], context: str = CONTEXT) -> set[str]:
    drawn = (unanswerable(question, context, answers, random.Random(seed)) for seed in range(60))
    return {changed for changed in drawn if changed}


def test_a_name_against_another_of_the_passage() -> None:
    assert changes("What did Ada Smith do in Leeds?", ["the inventor"]) >= {
        "What did Karl Braun do in Leeds?",
        "What did Ada Smith do in Berlin?",
    }


def test_never_against_the_answer_itself() -> None:
    assert not any("Karl Braun" in changed for changed in changes("To whom did Ada Smith sell Acme?", ["Karl Braun"]))


def test_a_number_against_one_as_long() -> None:
    found = changes("What happened in 1910?", ["Ada Smith left Leeds"])
    assert "What happened in 1935?" in found
    assert "What happened in 200?" not in found


def test_an_antonym() -> None:
    assert changes("who left first?", ["x"], "nothing.") >= {"who left last?"}
    assert all(word in ANTONYMS[other] for word, others in ANTONYMS.items() for other in others)


def test_a_negation() -> None:
    assert changes("why is it so?", ["x"], "nothing.") == {
        "why isn't it so?",
        "why is not it so?",
        "why is never it so?",
    }
    assert changes("why is it not so?", ["x"], "nothing.") == set()


def test_none_where_no_change_is_at_hand() -> None:
    assert unanswerable("what", "nothing.", [], random.Random(0)) is None


@pytest.mark.parametrize("seed", range(5))
def test_the_same_for_the_same_seed(seed: int) -> None:
    one, other = (unanswerable("What did Ada Smith do in 1910?", CONTEXT, [], random.Random(seed)) for _ in "12")
    assert one == other
