"""A chat model as a Writer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from rag.generation.prompted import LEAST_BEARING, PromptedWriter, without_refusal
from rag.types import Exchange, Hit, Message, Passage


def hit(text: str) -> Hit:
    return Hit(Passage("a.pdf", "file:///a.pdf", "A", "", "p. 1", 1, 0, len(text), text), 1.0)


class Scripted:
    """Says what it was given, and remembers what it was asked."""

    name = "scripted"
    window = 10_000

    def __init__(self, pieces: Sequence[str]) -> None:
        self._pieces = pieces
        self.asked: list[tuple[Sequence[Message], int]] = []

    def prompt_tokens(self, turns: Sequence[Message]) -> int:
        return sum(len(turn.content) for turn in turns)

    def stream(self, turns: Sequence[Message], max_new_tokens: int) -> Iterator[str]:
        self.asked.append((turns, max_new_tokens))
        yield from self._pieces


def test_writes_what_the_model_says_over_the_hits_given() -> None:
    model = Scripted(["Alpha costs ", "20 [1]."])
    writer = PromptedWriter(model, reserve=77)
    hits = [hit("Alpha: 20"), hit("Beta: 30")]
    assert writer.name == "scripted"
    assert writer.fit("What does Alpha cost?", hits) == hits
    assert list(writer.write("What does Alpha cost?", hits)) == ["Alpha costs ", "20 [1]."]
    [(turns, limit)] = model.asked
    assert limit == 77
    assert "Alpha: 20" in turns[-1].content
    assert "Beta: 30" in turns[-1].content


def test_history_goes_into_the_prompt_as_far_as_there_is_room() -> None:
    model = Scripted(["Alpha costs 20 [1]."])
    writer = PromptedWriter(model, reserve=77)
    history = [Exchange(f"Question {n}?", f"Answer {n} [1].") for n in range(5)]
    assert writer.recall("And Alpha?", history) == history[-3:]
    list(writer.write("What does Alpha cost?", [hit("Alpha: 20")], history[-3:]))
    [(turns, _)] = model.asked
    assert [turn.role for turn in turns] == ["system", *["user", "assistant"] * 3, "user"]
    assert (turns[1].content, turns[2].content) == ("Question 2?", "Answer 2 .")


@pytest.mark.parametrize(
    ("bearing", "asked"), [(None, 1), (LEAST_BEARING, 1), (0.9, 1), (LEAST_BEARING - 0.001, 0), (0.0, 0)]
)
def test_where_nothing_bears_on_the_question_the_model_is_not_asked(bearing: float | None, asked: int) -> None:
    model = Scripted(["Alpha costs 20 [1]."])
    writing = PromptedWriter(model, bearing=lambda question, hits: bearing).write("Why?", [hit("Alpha: 20")])
    pieces, written = [], None
    while written is None:
        try:
            pieces.append(next(writing))
        except StopIteration as end:
            written = end.value
    assert written.confidence == bearing
    assert len(model.asked) == len(pieces) == asked


@pytest.mark.parametrize(
    "text",
    [
        "The documents do not say.",
        "the documents do not say",
        " The documents do not say. [1][2]",
        "The documents do not say what Alpha costs.",
        "",
        "  \n",
    ],
)
@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_refusal_becomes_an_empty_text(text: str, size: int) -> None:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert "".join(without_refusal(iter(pieces))).strip() == ""


@pytest.mark.parametrize(
    "text",
    ["The documents do.", "The documents do not say. But Alpha costs 20 [1].", "Alpha costs 20 [1].", "The 20 [1]"],
)
@pytest.mark.parametrize("size", [1, 4, 100])
def test_anything_else_is_kept_whole(text: str, size: int) -> None:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert "".join(without_refusal(iter(pieces))) == text


def test_only_what_may_become_a_refusal_is_held_back() -> None:
    seen: list[str] = []

    def pieces() -> Iterator[str]:
        yield "The doc"
        assert seen == []
        yield "tor"
        assert seen == ["The doctor"]
        yield " says"

    for piece in without_refusal(pieces()):
        seen.append(piece)
    assert seen == ["The doctor", " says"]
