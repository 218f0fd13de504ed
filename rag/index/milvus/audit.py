"""Is what is stored on the server what was written? All findings, and none for a collection that is whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rag.errors import DamagedError
from rag.index.audit import lengths_off, unfaithful_passages
from rag.index.milvus.queries import Queries
from rag.index.milvus.rows import Filed
from rag.types import Document

DOCUMENTS = 100  # that are looked at together


def damages(queries: Queries) -> list[str]:
    """A document that no file holds and that is not live is none: an interrupted sync leaves one, and the next removes
    it."""
    try:
        return list(_findings(queries))
    except DamagedError as error:
        return [str(error)]


def _findings(queries: Queries) -> Iterator[str]:
    held: dict[int, Filed] = {}
    for filed in queries.filed():
        if filed.row.document is not None:
            held.setdefault(filed.row.document, filed)
    queries.roots()
    live = {header.document for header in queries.headers("live == true")}
    waiting = {header.document for header in queries.headers("live == false")}
    for document in sorted(live - held.keys()):
        yield f"document {document:016x} is held by no file"
    for some in _batches(sorted(held)):
        bodies, passages = queries.bodies(some), queries.passages_of(some)
        for document in some:
            filed = held[document]
            if document not in live | waiting or document not in bodies:
                yield f"the document of {filed.row.name} is missing"
            elif document not in passages:
                yield f"{filed.row.name} has no passages"
            else:
                text, marks, headings = bodies[document]
                whole = Document(filed.row.name, filed.row.uri, filed.title, text, marks, headings, filed.article)
                yield from unfaithful_passages(whole, passages[document])
    for keys, vectors in queries.vector_blocks():
        yield from (f"the vector of passage {keys[i]} is not of unit length" for i in lengths_off(vectors))
        lost = {key for key in keys if int(key.partition("-")[0], 16) not in live | waiting}
        yield from (f"passage {key} belongs to no document" for key in sorted(lost))


def _batches(documents: Sequence[int]) -> Iterator[Sequence[int]]:
    for i in range(0, len(documents), DOCUMENTS):
        yield documents[i : i + DOCUMENTS]
