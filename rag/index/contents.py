"""All that a ledger holds and files stand for, in an order that depends on nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from rag.index.queries import Queries
from rag.types import Document

_HELD = "EXISTS (SELECT 1 FROM files WHERE document = p.document)"


class Contents(Queries):
    """Documents that no file holds, which a stopped sync may have left, are passed over."""

    def count(self) -> dict[str, int]:
        """How many there are."""
        documents, articles = (
            f"SELECT count(DISTINCT document) FROM files WHERE document IS NOT NULL{more}"
            for more in ("", f" AND document IN (SELECT document FROM {self._articles})")
        )
        return {
            "files": self._one("SELECT count(*) FROM files"),
            "documents": self._one(documents),
            "articles": self._one(articles),
            "passages": self._one(f"SELECT count(*) FROM passages p WHERE {_HELD}"),
        }

    def size(self) -> int:
        """Bytes of all documents as they are stored."""
        return int(self._one("SELECT coalesce(sum(length(text)), 0) FROM documents"))

    def whole(self) -> Iterator[tuple[int, str, int, Document]]:
        """(id, version, bytes as it is stored, document) of each document."""
        sql = "SELECT version, length(text) FROM documents WHERE id = ? AND id IN (SELECT document FROM files)"
        for id_, document in self.documents():
            for version, size in self._rows(sql, [id_]):
                yield id_, version, size, document

    def cut(self, document: int) -> Iterator[tuple[int, int, str, str, int | None, str]]:
        """(start, end, heading, place, page, text) of a document's passages."""
        sql = 'SELECT start, "end", heading, place, page, text FROM passages WHERE document = ? ORDER BY id'
        yield from self._rows(sql, [document])

    def vectors_in_order(self) -> Iterator[bytes]:
        """float16, a passage each, in the order of `whole` and `cut`."""
        sql = f"SELECT vector FROM passages p WHERE {_HELD} ORDER BY document, id"
        for (vector,) in self._rows(sql):
            yield vector

    def pages(self) -> Iterator[tuple[str, int, str, str]]:
        """(version, page, engine, text) of each page that OCR has read."""
        yield from self._rows("SELECT version, page, engine, text FROM page_cache ORDER BY version, page, engine")
