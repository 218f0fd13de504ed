"""A collection as something to search: rag.types.Index over a ledger and its snapshot, or over what a glob leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from rag.index.generation import Snapshot
from rag.index.ledger import Ledger
from rag.types import Card, Hit

if TYPE_CHECKING:
    from rag.types import Vectors


class View:
    """`cards` are all documents; with a `pattern`, only those whose name it matches are found."""

    def __init__(self, ledger: Ledger, snapshot: Snapshot, cards: Sequence[Card], pattern: str | None) -> None:
        self._ledger = ledger
        self._snapshot = snapshot
        self._cards = [card for card in cards if pattern is None or _matches(card.name, pattern)]
        self._names: dict[int, str] = {}
        for card in self._cards:
            self._names.setdefault(card.id, card.name)
        self._among = None if pattern is None else frozenset(self._names)

    def cards(self) -> Sequence[Card]:
        return self._cards

    def dense(self, vector: Vectors, k: int, among: Sequence[int] | None = None) -> list[Hit]:
        allowed = self._allowed(among)
        if allowed == []:
            return []
        only = None if allowed is None else self._ledger.passage_ids_of(allowed)
        return self._found(lambda n: self._snapshot.dense(vector, n, only), k)

    def keyword(self, question: str, k: int, among: Sequence[int] | None = None) -> list[Hit]:
        allowed = self._allowed(among)
        if allowed == []:
            return []
        return self._found(lambda n: self._snapshot.keyword(question, n, allowed), k)

    def _allowed(self, among: Sequence[int] | None) -> list[int] | None:
        if among is None:
            return None if self._among is None else sorted(self._among)
        return [id_ for id_ in among if self._among is None or id_ in self._among]

    def _found(self, search: Callable[[int], list[tuple[int, float]]], k: int) -> list[Hit]:
        """The k best that the ledger still holds: an index may lag behind what was removed, so ask for more until
        there are enough."""
        most = len(self._snapshot)
        wanted = min(k, most)
        while True:
            found = search(wanted)
            passages = self._ledger.passages([id_ for id_, _ in found], self._names)
            hits = [Hit(passages[id_], score) for id_, score in found if id_ in passages]
            if len(hits) >= k or len(found) < wanted or wanted >= most:
                return hits[:k]
            wanted = min(2 * wanted, most)


def _matches(name: str, pattern: str) -> bool:
    """A glob over the name, over one of its folders, or over its last part."""
    pattern = pattern.rstrip("/")
    parts = name.split("/")
    folders = ("/".join(parts[:i]) for i in range(1, len(parts) + 1))
    return any(fnmatchcase(folder, pattern) for folder in folders) or fnmatchcase(parts[-1], pattern)
