"""How models are spoken to, and where their text ends."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.generation.formats import Format, rendered, stable_beluga, until_turn
from rag.types import Message

TURNS = [
    Message("system", "Be brief."),
    Message("user", "Hi?"),
    Message("assistant", "Hi."),
    Message("user", "Bye?"),
]


def test_stable_beluga_format() -> None:
    turns = [
        Message("system", "Be brief."),
        Message("user", "Hi?"),
        Message("assistant", "Hi."),
        Message("user", "Bye?"),
    ]
    assert stable_beluga(turns) == (
        "### System:\nBe brief.\n\n### User:\nHi?\n\n### Assistant:\nHi.\n\n### User:\nBye?\n\n### Assistant:\n"
    )


# What FastChat and the model cards print for the same turns.
@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (
            Format.ALPACA,
            "Be brief.\n\n### Instruction:\nHi?\n\n### Response:\nHi.\n\n### Instruction:\nBye?\n\n### Response:",
        ),
        (Format.VICUNA, "Be brief. USER: Hi? ASSISTANT: Hi.</s>USER: Bye? ASSISTANT:"),
        (
            Format.OPEN_ORCA,
            "Be brief.<|end_of_turn|>\nUser: Hi?<|end_of_turn|>\nAssistant: Hi.<|end_of_turn|>\n"
            "User: Bye?<|end_of_turn|>\nAssistant: ",
        ),
    ],
)
def test_formats_of_older_fine_tunes(form: Format, expected: str) -> None:
    assert rendered(form, TURNS) == expected


def test_without_a_system_turn_their_own_preamble_stands_there() -> None:
    assert rendered(Format.ALPACA, TURNS[1:2]).startswith("Below is an instruction that describes a task.")
    assert rendered(Format.VICUNA, TURNS[1:2]).startswith("A chat between a curious user and an artificial")
    assert rendered(Format.VICUNA, TURNS[1:2]).endswith("questions. USER: Hi? ASSISTANT:")


# ---------------------------------------------------------------------------------------------- stop


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is 20 [1].\n\n### User:\nAnd then?", "It is 20 [1]."),
        ("It is 20.### assistant : more", "It is 20."),
        ("### System:\nx", ""),
        ("Use # and ### freely. ### Useful: yes", "Use # and ### freely. ### Useful: yes"),
        ("Ends in ###", "Ends in ###"),
        ("Ends in ### Us", "Ends in ### Us"),
        ("Trailing space \n\n", "Trailing space"),
        ("", ""),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_until_turn_however_the_text_is_cut(text: str, expected: str, size: int) -> None:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert "".join(until_turn(iter(pieces))) == expected


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        (Format.ALPACA, "It is 20.\n\n### Instruction:\nAnd then?", "It is 20."),
        (Format.ALPACA, "It is 20. ### User: x", "It is 20. ### User: x"),
        (Format.VICUNA, "It is 20. USER: And then?", "It is 20."),
        (Format.VICUNA, "USER: And then?", ""),
        (Format.VICUNA, "It is 20.</s>USER: And then?", "It is 20."),
        (Format.VICUNA, "SUPERUSER: root. The user: me.", "SUPERUSER: root. The user: me."),
        (Format.OPEN_ORCA, "It is 20.<|end_of_turn|>\nUser: And", "It is 20."),
        (Format.OPEN_ORCA, "It is 20.\nUser: And", "It is 20."),
        (Format.OPEN_ORCA, "Ask the User: he knows.", "Ask the User: he knows."),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_every_format_stops_at_its_own_next_turn(form: Format, text: str, expected: str, size: int) -> None:
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    assert "".join(until_turn(iter(pieces), form)) == expected


@given(st.lists(st.text(alphabet="USER: \nuserx</s>", max_size=6), max_size=12))
def test_how_the_text_is_cut_changes_nothing(pieces: list[str]) -> None:
    whole = "".join(pieces)
    expected = "".join(until_turn(iter([whole]), Format.VICUNA))
    assert "".join(until_turn(iter(pieces), Format.VICUNA)) == expected


@given(st.lists(st.text(alphabet="#User: \nab", max_size=6), max_size=12))
def test_until_turn_cuts_at_the_first_marker_only(pieces: list[str]) -> None:
    whole = "".join(pieces)
    expected = re.split(r"\s*###\s*user\s*:", whole, maxsplit=1, flags=re.IGNORECASE)
    assert "".join(until_turn(iter(pieces))).rstrip() == expected[0].rstrip()


def test_until_turn_holds_back_no_more_than_it_must() -> None:
    seen: list[str] = []

    def pieces() -> Iterator[str]:
        yield "It is"
        assert seen == ["It is"]
        yield " 20"
        assert seen == ["It is", " 20"]
        yield " #"
        assert seen == ["It is", " 20"]
        yield "3"

    for piece in until_turn(pieces()):
        seen.append(piece)
    assert seen == ["It is", " 20", " #3"]
