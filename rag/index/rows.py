"""Rows of the ledger, and the nouns that they stand for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from rag.types import Article, Mark, Outcome, Status

if TYPE_CHECKING:
    from rag.types import Vectors


@dataclass(frozen=True, slots=True)
class FileRow:
    """What the ledger knows of one file."""

    key: bytes
    name: str
    uri: str
    version: str
    size: int
    reader: str
    outcome: Outcome
    document: int | None


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """A published pair of indexes: words cover passages up to `through`, vectors up to `vectors_through`. `lingering`
    passages are gone and never found, and BM25 still counts them."""

    number: int
    through: int
    vectors_through: int
    vectors_count: int
    files: dict[str, tuple[int, str]]
    lingering: int = 0


def digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()


ARTICLE_COLUMNS = tuple(field.name for field in fields(Article))


def file_row(row: Sequence[Any]) -> FileRow:
    """From all columns of the table of files."""
    (key, name, uri, version, size, reader, status, reason, remedy, pages, without, document) = row
    outcome = Outcome(Status(status), reason, remedy, pages, tuple(json.loads(without)))
    return FileRow(key, name, uri, version, size, reader, outcome, document)


def article_of(row: Sequence[Any]) -> Article | None:
    return None if row[0] is None else Article(*row)


def packed_vectors(vectors: Vectors) -> list[bytes]:
    """float16, one by one."""
    import numpy as np

    if not np.isfinite(vectors).all():
        raise ValueError("the embedder returned a vector that is not finite")
    return [row.tobytes() for row in vectors.astype(np.float16)]


def float16(packed: Sequence[bytes]) -> Vectors:
    """Stored vectors of one length, as float32 of shape (n, d)."""
    import numpy as np

    return np.frombuffer(b"".join(packed), dtype=np.float16).astype(np.float32).reshape(len(packed), -1)


def packed_marks(marks: tuple[Mark, ...]) -> str:
    return json.dumps([[mark.offset, mark.label, mark.page] for mark in marks])


def marks_of(packed: str) -> tuple[Mark, ...]:
    return tuple(Mark(*mark) for mark in json.loads(packed))
