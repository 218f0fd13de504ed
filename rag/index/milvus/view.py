"""A collection on a server as something to search: rag.types.Index, or over what a filter leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rag.index.fingerprints import require_same
from rag.index.milvus import rows
from rag.index.milvus.queries import Queries
from rag.index.milvus.rows import PASSAGE, Filed, Row
from rag.index.milvus.sending import Analyzer
from rag.index.milvus.server import MOST, STRONG, among
from rag.index.names import told_apart
from rag.index.view import matches
from rag.index.words import MAX_TERMS
from rag.types import Card, Fingerprint, Hit, Origin, Passage

if TYPE_CHECKING:
    from rag.types import Vectors

LOOKS = 3  # at what a writer changes meanwhile
Found = list[tuple[float, Row]]
Search = Callable[[str, int, str], Found]


class MilvusView:
    """With a `pattern`, only documents whose name it matches are found; with `only`, only those of that origin.

    What a file does not hold is not found: passages of a document that is only on its way, or on its way out. Where a
    search comes by some, it looks once more, strongly, before it believes that they belong to nobody.
    """

    def __init__(
        self, queries: Queries, analyze: Analyzer, pattern: str | None = None, only: Origin | None = None
    ) -> None:
        self._queries = queries
        self._analyze = analyze
        self._only = only
        self._cards = [card for card in _cards(queries) if _takes(card, pattern, only)]
        self._names: dict[int, str] = {}
        for card in self._cards:
            self._names.setdefault(card.id, card.name)
        self._all = sorted(self._names) if pattern is not None else None
        self._unheld: set[int] = set()

    def require(self, made_by: Fingerprint) -> None:
        require_same(self._queries.layout.fingerprint, made_by, self._queries.server.address.name)

    def cards(self) -> Sequence[Card]:
        return self._cards

    def openings(self, documents: Sequence[int]) -> Mapping[int, str]:
        return self._queries.openings(documents)

    def dense(self, vector: Vectors, k: int, among: Sequence[int] | None = None) -> list[Hit]:
        wanted = rows.asked(vector, self._queries.layout.half)

        def search(where: str, most: int, consistency: str) -> list[tuple[float, Row]]:
            queries = self._queries
            return queries.server.search(queries.passages_, "vector", wanted, most, where, PASSAGE, consistency)

        return self._found(search, k, among)

    def keyword(self, question: str, k: int, among: Sequence[int] | None = None) -> list[Hit]:
        terms = list(dict.fromkeys(self._analyze(question)))[:MAX_TERMS]
        if not (terms and self._queries.layout.words):
            return []

        def search(where: str, most: int, consistency: str) -> list[tuple[float, Row]]:
            queries, text = self._queries, " ".join(terms)
            found = queries.server.search(queries.passages_, "sparse", text, most, where, PASSAGE, consistency)
            return [(score, row) for score, row in found if score > 0]

        return self._found(search, k, among)

    def _found(self, search: Search, k: int, among: Sequence[int] | None) -> list[Hit]:
        where = self._where(among)
        wanted = min(k, MOST)
        if where is None or k < 1:
            return []
        while True:
            found, files = self._looked(search, where, wanted)
            hits = [Hit(passage, score) for score, row in found if (passage := self._passage(row, files))]
            if len(hits) >= k or len(found) < wanted or wanted == MOST:
                return hits[:k]
            wanted = min(2 * wanted, MOST)

    def _looked(self, search: Search, where: str, wanted: int) -> tuple[Found, dict[int, list[Filed]]]:
        """What is found, and the files that hold it."""
        queries, consistency = self._queries, self._queries.consistency
        for _ in range(LOOKS):
            found = search(where, wanted, consistency)
            documents = {int(row["document"]) for _, row in found}
            files = queries.filed_of(sorted(documents), consistency)
            unheld = documents - files.keys() - self._unheld
            if not unheld:
                break
            if consistency == STRONG:
                self._unheld |= unheld
            consistency = STRONG
        return found, files

    def _where(self, among_: Sequence[int] | None) -> str | None:
        """A filter; None where it leaves nothing."""
        allowed = self._all
        if among_ is not None:
            allowed = list(among_) if allowed is None else [id_ for id_ in among_ if id_ in self._names]
        if allowed == []:
            return None
        parts = [] if allowed is None else [among("document", allowed)]
        parts += [] if self._only is None else [rows.origin_filter(self._only)]
        return " and ".join(parts)

    def _passage(self, row: Row, files: Mapping[int, list[Filed]]) -> Passage | None:
        """Under the name of the file that is to be shown, where several hold the document."""
        document = int(row["document"])
        held = files.get(document, [])
        for filed in held:
            shown = self._names.get(document, filed.row.name)
            if shown == filed.row.name or shown.endswith(f"/{filed.row.name}"):
                return self._queries.passage(row, shown, filed)
        if held and self._all is None:  # renamed since the cards were looked at
            return self._queries.passage(row, held[0].row.name, held[0])
        return None


def _cards(queries: Queries) -> list[Card]:
    filed = sorted(queries.filed(consistency=STRONG), key=lambda one: one.row.key)
    cards = [
        Card(one.row.document, one.row.name, one.title, one.origin) for one in filed if one.row.document is not None
    ]
    return told_apart(cards, ((one.row.document, one.row.name, one.row.key) for one in filed))


def _takes(card: Card, pattern: str | None, only: Origin | None) -> bool:
    if only is not None and card.origin is not only:
        return False
    return pattern is None or matches(card.name, pattern)
