"""Negatives: what comes up for a question and does not answer it."""

from __future__ import annotations

from conftest import WordEmbedder

from rag.reader.lessons import Lesson
from rag.reader.mining import mine

PUMPS = "Acme sells pumps in Leeds for 20 pounds."
VALVES = "Acme sells valves in Leeds for 30 pounds."
RIVAL = "Bolt sells pumps in Leeds for 20 pounds too."
ELSEWHERE = "Pumps of another corpus."


def lesson(question: str, context: str, answer: str, group: str = "a") -> Lesson:
    start = context.index(answer)
    return Lesson(question, context, "", ((start, start + len(answer)),), group)


def test_neighbours_without_the_answer() -> None:
    lessons = [
        lesson("What does Acme sell pumps in Leeds for?", PUMPS, "20 pounds"),
        lesson("What does Acme sell valves for?", VALVES, "30 pounds"),
        lesson("Who sells pumps too?", RIVAL, "Bolt"),
        lesson("Which corpus?", ELSEWHERE, "another", group="b"),
    ]
    found = mine(lessons, WordEmbedder())
    assert found[0] == (VALVES,), "the rival's passage holds the answer, and the other corpus is another's"
    assert set(found[1]) == {PUMPS, RIVAL}
    assert found[3] == ()


def test_a_question_that_does_not_bring_up_its_own_passage_has_none() -> None:
    crowd = [
        lesson(f"Which pump is number {n} of the year?", f"This pump is number {n} of the year.", str(n))
        for n in range(60)
    ]
    odd = lesson("Which pump is number of the year?", "Blue.", "Blue")
    assert mine([*crowd, odd], WordEmbedder())[-1] == ()
