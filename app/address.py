"""Which view the page shows, as the address bar says it: a link to it shows the same view again. Pure.

What a link names is looked up when it is opened, with the rights of whoever opens it: a conversation is found among
that person's own only. Settings that cost something, such as the model, are never in a link.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from rag.types import Origin

LONGEST = 1_000  # characters of a document's name, or of a pattern
LARGEST = 1_000_000  # of a number

_COLLECTION = re.compile(r"[^\W_][\w.-]{0,63}")
_CONVERSATION = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True)
class Address:
    """`pattern` and `only` narrow what is asked. `answer` and `source` open the evidence that source [n] of an answer
    names, both from 1; `document` and `page` open a document at a page. Empty and 0 are nothing."""

    collection: str = ""
    pattern: str = ""
    only: Origin | None = None
    conversation: str = ""
    answer: int = 0
    source: int = 0
    document: str = ""
    page: int = 0


# How the address bar calls a field, where that is not its own name.
_CALLED = {"pattern": "documents", "conversation": "chat"}


def read(query: Mapping[str, str]) -> Address:
    """The view that query parameters name. What makes no sense counts as not given: a link that was cut off in an
    e-mail still opens the page."""
    said = {field.name: query.get(_CALLED.get(field.name, field.name), "") for field in fields(Address)}
    return Address(
        collection=said["collection"] if _COLLECTION.fullmatch(said["collection"]) else "",
        pattern=_line(said["pattern"]),
        only=next((origin for origin in Origin if origin.value == said["only"]), None),
        conversation=said["conversation"] if _CONVERSATION.fullmatch(said["conversation"]) else "",
        answer=_number(said["answer"]),
        source=_number(said["source"]),
        document=_line(said["document"]),
        page=_number(said["page"]),
    )


def written(address: Address) -> dict[str, str]:
    """As query parameters; what is empty is left out."""
    named = {_CALLED.get(field.name, field.name): getattr(address, field.name) for field in fields(Address)}
    return {name: str(value) for name, value in named.items() if value}


def _line(text: str) -> str:
    return text if len(text) <= LONGEST and text.isprintable() else ""


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 7 and int(text) <= LARGEST else 0
