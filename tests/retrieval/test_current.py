"""A retriever that is made anew when something has changed."""

from __future__ import annotations

import pytest

from rag.errors import DamagedError, FingerprintError
from rag.retrieval.current import Current
from rag.types import Hit, Passage


class Fixed:
    def __init__(self, name: str) -> None:
        self._hit = Hit(Passage(name, "", name, "", "", None, 0, 1, "x"), 1.0)

    def retrieve(self, question: str, k: int) -> list[Hit]:
        return [self._hit]


@pytest.mark.fault(29)
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


def test_what_is_embedded_anew_under_a_search_is_searched_once_more() -> None:
    """And what was embedded by another model all along is refused, and not for ever tried."""
    state, made = ["a"], []

    class Swept(Fixed):
        """Its collection is embedded anew while it searches."""

        def retrieve(self, question: str, k: int) -> list[Hit]:
            state[0] = "b"
            raise FingerprintError("embedded anew")

    def make() -> Fixed:
        made.append(state[0])
        if state[0] == "c":
            raise FingerprintError("another model")
        return Swept("a") if state[0] == "a" else Fixed("b")

    current = Current(lambda: state[0], make)
    assert current.retrieve("?", 1)[0].passage.document == "b"
    assert made == ["a", "b"]
    state[0] = "c"
    with pytest.raises(FingerprintError, match="another model"):
        current.retrieve("?", 1)
    assert made == ["a", "b", "c"]
