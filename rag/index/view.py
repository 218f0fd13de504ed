"""A collection as something to search: rag.types.Index over a ledger and its snapshot, or over what a filter leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from rag.errors import FingerprintError
from rag.index.fingerprints import require_same
from rag.index.generation import Snapshot
from rag.index.ledger import Ledger
from rag.types import Card, Fingerprint, Hit, Origin

if TYPE_CHECKING:
    from rag.types import Vectors


class View:
    """With a `pattern`, only documents whose name it matches are found; with `only`, only those of that origin.
    `current` gives what is searched and all documents, anew when a writer has committed since.

    Raises FingerprintError when the collection is embedded anew meanwhile: a question's vector and the vectors that it
    is compared with are of one embedder, or there are no hits.
    """

    def __init__(
        self,
        collection: str,
        ledger: Ledger,
        current: Callable[[], tuple[Snapshot, Sequence[Card]]],
        pattern: str | None = None,
        only: Origin | None = None,
    ) -> None:
        self._collection = collection
        self._ledger = ledger
        self._current = current
        self._pattern = pattern
        self._only = only
        self._take(*current())

    def require(self, made_by: Fingerprint) -> None:
        """Raises FingerprintError unless the vectors that are searched were made by the same model in the same way."""
        require_same(self._snapshot.fingerprint, made_by, self._collection)

    def cards(self) -> Sequence[Card]:
        return self._cards

    def openings(self, documents: Sequence[int]) -> dict[int, str]:
        return self._ledger.openings(documents)

    def dense(self, vector: Vectors, k: int, among: Sequence[int] | None = None) -> list[Hit]:
        def search(allowed: list[int] | None, wanted: int) -> list[tuple[int, float]]:
            return self._snapshot.dense(vector, wanted, None if allowed is None else self._passages_of(allowed))

        return self._found(search, k, among)

    def keyword(self, question: str, k: int, among: Sequence[int] | None = None) -> list[Hit]:
        def search(allowed: list[int] | None, wanted: int) -> list[tuple[int, float]]:
            return self._snapshot.keyword(question, wanted, allowed)

        return self._found(search, k, among)

    def _look(self) -> bool:
        """Takes up the current state; False when it is the one at hand."""
        snapshot, cards = self._current()
        if snapshot is self._snapshot:
            return False
        if snapshot.fingerprint != self._snapshot.fingerprint:
            raise FingerprintError(
                f"Collection {self._collection!r} was embedded anew, by {snapshot.fingerprint.model}, while it was "
                "searched. Nothing is lost; ask again."
            )
        self._take(snapshot, cards)
        return True

    def _take(self, snapshot: Snapshot, cards: Sequence[Card]) -> None:
        self._snapshot = snapshot
        self._cards = [card for card in cards if self._takes(card)]
        self._names: dict[int, str] = {}
        for card in self._cards:
            self._names.setdefault(card.id, card.name)
        self._all = sorted(self._names)
        self._passages_of_all: list[int] | None = None

    def _takes(self, card: Card) -> bool:
        if self._only is not None and card.origin is not self._only:
            return False
        return self._pattern is None or matches(card.name, self._pattern)

    def _allowed(self, among: Sequence[int] | None) -> list[int] | None:
        if self._pattern is None and self._only is None:
            return None if among is None else list(among)
        return self._all if among is None else [id_ for id_ in among if id_ in self._names]

    def _passages_of(self, documents: list[int]) -> Sequence[int]:
        """Kept for all that the filter leaves, which can be hundreds of thousands."""
        if documents is not self._all:
            return self._ledger.passage_ids_of(documents)
        if self._passages_of_all is None:
            self._passages_of_all = self._ledger.passage_ids_of(documents)
        return self._passages_of_all

    def _found(
        self, search: Callable[[list[int] | None, int], list[tuple[int, float]]], k: int, among: Sequence[int] | None
    ) -> list[Hit]:
        """The k best that the ledger still holds. An index may lag behind what was removed, so more are asked for
        until there are enough; when a writer has replaced what was found, or would have been, it is searched for
        again."""
        wanted = min(k, len(self._snapshot))
        while True:
            allowed = self._allowed(among)
            found = search(allowed, wanted) if allowed != [] else []
            passages = self._ledger.passages([id_ for id_, _ in found], self._names)
            if (len(passages) < len(found) or len(found) < wanted) and self._look():
                continue
            hits = [Hit(passages[id_], score) for id_, score in found if id_ in passages]
            if len(hits) >= k or len(found) < wanted or wanted >= len(self._snapshot):
                return hits[:k]
            wanted = min(2 * wanted, len(self._snapshot))


def matches(name: str, pattern: str) -> bool:
    """A glob over the name, over one of its folders, or over its last part."""
    pattern = pattern.rstrip("/")
    parts = name.split("/")
    folders = ("/".join(parts[:i]) for i in range(1, len(parts) + 1))
    return any(fnmatchcase(folder, pattern) for folder in folders) or fnmatchcase(parts[-1], pattern)
