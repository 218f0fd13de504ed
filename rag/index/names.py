"""What a collection may be called, and names under which documents are told apart. Pure.

A file's name is its path below the folder that was indexed: two folders can hold a report.pdf each. Where that is so,
as much of the folders' own paths goes in front as it takes: "2024/report.pdf" and "2025/report.pdf".
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rag.errors import UsageError
from rag.types import Card

_COLLECTION = re.compile(r"[^\W_][\w.-]{0,63}")


def is_collection(name: str) -> bool:
    return _COLLECTION.fullmatch(name) is not None


def require_collection(name: str) -> None:
    """Raises UsageError for a name that no collection can have."""
    if not is_collection(name):
        raise UsageError(
            f"{name!r} is no name for a collection: use up to 64 letters, digits, dots, dashes and underscores, "
            "beginning with a letter or digit."
        )


def told_apart(cards: Sequence[Card], places: Iterable[tuple[int | None, str, bytes]]) -> list[Card]:
    """The cards, of which those with equal names get longer ones. `places` are (card's id, name, path) of every file;
    they are only looked at where there are equal names."""
    counts = Counter(name for _, name in {(card.id, card.name) for card in cards})
    if max(counts.values(), default=0) < 2:
        return list(cards)
    named: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for id_, name, path in places:
        if id_ is not None and counts[name] > 1:
            named[name].append((id_, os.fsdecode(path)))
    longer: dict[tuple[int, str], str] = {}
    for name, held in named.items():
        for id_, place in held:
            longer.setdefault((id_, name), _distinct(place, name, [other for it, other in held if it != id_]))
    return [replace(card, name=longer.get((card.id, card.name), card.name)) for card in cards]


def _distinct(path: str, name: str, others: Sequence[str]) -> str:
    """The shortest end of the path that holds the name and that no other path ends in; the name where it is no path."""
    if not path.endswith(f"/{name}"):
        return name
    parts, count = path.split("/"), name.count("/") + 1
    for taken in range(count + 1, len(parts)):
        end = "/".join(parts[-taken:])
        if not any(other.endswith(f"/{end}") for other in others):
            return end
    return path
