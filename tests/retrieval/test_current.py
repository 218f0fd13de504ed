"""A retriever that is made anew when something has changed."""

from __future__ import annotations

import pytest

from rag.errors import DamagedError
from rag.retrieval.current import Current
from rag.types import Hit, Passage


class Fixed:
    def __init__(self, name: str) -> None:
        self._hit = Hit(Passage(name, "", name, "", "", None, 0, 1, "x"), 1.0)

    def retrieve(self, question: str, k: int) -> list[Hit]:
        return [self._hit]


def test_made_anew_only_when_the_state_changes() -> None:
    state, made = ["a"], []

    def make() -> Fixed:
        made.append(state[0])
        return Fixed(state[0])

    current = Current(lambda: state[0], make)
    assert [current.retrieve("?", 1)[0].passage.document for _ in range(2)] == ["a", "a"]
    state[0] = "b"
    assert [current.retrieve("?", 1)[0].passage.document for _ in range(2)] == ["b", "b"]
    assert made == ["a", "b"]


def test_what_cannot_be_made_now_is_tried_again() -> None:
    state, broken = ["a"], [False]

    def make() -> Fixed:
        if broken[0]:
            raise DamagedError("half written")
        return Fixed(state[0])

    current = Current(lambda: state[0], make)
    state[0], broken[0] = "b", True
    with pytest.raises(DamagedError):
        current.retrieve("?", 1)
    broken[0] = False
    assert current.retrieve("?", 1)[0].passage.document == "b"
