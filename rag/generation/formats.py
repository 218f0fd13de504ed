"""How a chat model is spoken to, as text: Stable Beluga's turns, and those of older fine-tunes. Pure.

A model's text ends where it starts to write the next turn by itself; how that looks differs by format, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from rag.types import Message


class Format(Enum):
    """The value is the name that settings know it by."""

    STABLE_BELUGA = "stable-beluga"
    CHAT_TEMPLATE = "chat-template"  # of the tokenizer
    ALPACA = "alpaca"
    VICUNA = "vicuna"
    OPEN_ORCA = "open-orca"

    @property
    def has_control_tokens(self) -> bool:
        """Whether what `rendered` returns spells control tokens of the tokenizer (</s>, <|end_of_turn|>)."""
        return self in (Format.VICUNA, Format.OPEN_ORCA)


def rendered(form: Format, turns: Sequence[Message]) -> str:
    """The prompt, up to where the assistant's text begins. The first turn may be the system's; CHAT_TEMPLATE is the
    tokenizer's business."""
    return _RENDERERS[form](turns)


def stable_beluga(turns: Sequence[Message]) -> str:
    """As on Stable Beluga's model card."""
    heads = {"system": "### System:", "user": "### User:", "assistant": "### Assistant:"}
    return "".join(f"{heads[turn.role]}\n{turn.content}\n\n" for turn in turns) + "### Assistant:\n"


def alpaca(turns: Sequence[Message]) -> str:
    """As tatsu-lab/stanford_alpaca trained; a system turn takes the place of its preamble."""
    preamble = (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request."
    )
    first, rest = _parted(turns, preamble)
    heads = {"user": "### Instruction:", "assistant": "### Response:"}
    return f"{first}\n\n" + "".join(f"{heads[t.role]}\n{t.content}\n\n" for t in rest) + "### Response:"


def vicuna(turns: Sequence[Message]) -> str:
    """Version 1.1 and later, as in FastChat's vicuna_v1.1."""
    preamble = (
        "A chat between a curious user and an artificial intelligence assistant. "
        "The assistant gives helpful, detailed, and polite answers to the user's questions."
    )
    first, rest = _parted(turns, preamble)
    said = {"user": "USER: {} ", "assistant": "ASSISTANT: {}</s>"}
    return f"{first} " + "".join(said[turn.role].format(turn.content) for turn in rest) + "ASSISTANT:"


def open_orca(turns: Sequence[Message]) -> str:
    """Of OpenOrcaxOpenChat-Preview2-13B, as in FastChat's open-orca."""
    first, rest = _parted(turns, "You are a helpful assistant.")
    heads = {"user": "User", "assistant": "Assistant"}
    said = "".join(f"{heads[turn.role]}: {turn.content}<|end_of_turn|>\n" for turn in rest)
    return f"{first}<|end_of_turn|>\n{said}Assistant: "


def _parted(turns: Sequence[Message], preamble: str) -> tuple[str, Sequence[Message]]:
    """The system's text, or the format's own, and the other turns."""
    if turns and turns[0].role == "system":
        return turns[0].content, turns[1:]
    return preamble, turns


_RENDERERS = {
    Format.STABLE_BELUGA: stable_beluga,
    Format.ALPACA: alpaca,
    Format.VICUNA: vicuna,
    Format.OPEN_ORCA: open_orca,
}


# -------------------------------------------------------------------------------------------------- stops


@dataclass(frozen=True, slots=True)
class _Turns:
    """How a next turn begins: `whole` finds it with the white space before it; `markers` are the same without white
    space, in lower case where case does not matter, so that a beginning of one can be recognised."""

    whole: re.Pattern[str]
    markers: tuple[str, ...]
    folded: bool = True


_HASHED = _Turns(
    re.compile(r"\s*###\s*(?:system|user|assistant)\s*:", re.IGNORECASE), ("###system:", "###user:", "###assistant:")
)
_NEXT = {
    Format.STABLE_BELUGA: _HASHED,
    Format.CHAT_TEMPLATE: _HASHED,
    Format.ALPACA: _Turns(
        re.compile(r"\s*###\s*(?:instruction|input|response)\s*:", re.IGNORECASE),
        ("###instruction:", "###input:", "###response:"),
    ),
    Format.VICUNA: _Turns(
        re.compile(r"(?:^|\s+)(?:USER|ASSISTANT)\s*:|\s*</s>"), ("USER:", "ASSISTANT:", "</s>"), folded=False
    ),
    Format.OPEN_ORCA: _Turns(
        re.compile(r"(?:^|\s*\n)(?:User|Assistant)\s*:|\s*<\|end_of_turn\|>"),
        ("User:", "Assistant:", "<|end_of_turn|>"),
        folded=False,
    ),
}
_LONGEST = max(len(marker) for turns in _NEXT.values() for marker in turns.markers)


def until_turn(pieces: Iterator[str], form: Format = Format.STABLE_BELUGA) -> Iterator[str]:
    """A model's text up to where it starts to write the next turn by itself; white space at the end is dropped."""
    turns, pending, before = _NEXT[form], "", ""
    for piece in pieces:
        pending += piece
        # One character of what was passed on shows whether a line or a word begins here.
        if end := turns.whole.search(before + pending, 0):
            if text := pending[: max(0, end.start() - len(before))]:
                yield text
            return
        if keep := _decided(pending, turns):
            yield pending[:keep]
            before, pending = pending[keep - 1 : keep], pending[keep:]
    if rest := pending.rstrip():
        yield rest


def _decided(text: str, turns: _Turns) -> int:
    """How much of the text can be passed on: the rest may yet turn out to be a marker, or white space before one."""
    start, letters = len(text), ""
    for position in range(len(text) - 1, -1, -1):
        if text[position].isspace():
            continue
        letters = text[position] + letters
        if len(letters) > _LONGEST:
            break
        tail = letters.casefold() if turns.folded else letters
        if any(marker.startswith(tail) for marker in turns.markers):
            start = position
    return len(text[:start].rstrip())
