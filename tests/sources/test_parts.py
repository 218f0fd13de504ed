from __future__ import annotations

import json

import pytest

from rag.sources.parts import Bookmark, Facts, Part, RefusedError, State, from_wire, is_empty, needs_password, to_wire
from rag.types import Status


@pytest.mark.parametrize(
    "message",
    [
        Part("text"),
        Part("té\ud800xt\n", "p. 3", 3, State.GARBLED, ((0, "A"), (3, "A > B"))),
        Facts(),
        Facts("Title", 3, (Bookmark("Item 1", "Part I > Item 1", 2),), printed=True),
    ],
)
def test_messages_survive_the_pipe(message: Part | Facts) -> None:
    assert from_wire(json.loads(json.dumps(to_wire(message)))) == message


@pytest.mark.parametrize(
    "line", [{}, {"kind": "part"}, {"kind": "facts", "outline": [{}]}, {"kind": "part", "text": 1}]
)
def test_anything_else_is_refused(line: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_wire(line)


def test_verdicts_say_what_to_do() -> None:
    for verdict, status in ((needs_password(), Status.PASSWORD), (is_empty(), Status.DAMAGED)):
        assert isinstance(verdict, RefusedError)
        assert verdict.outcome.status is status
        assert verdict.outcome.reason
        assert verdict.outcome.remedy
