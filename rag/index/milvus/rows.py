"""Rows of the four Milvus collections, and the nouns that they stand for. Pure."""

from __future__ import annotations

import json
import zlib
from base64 import b85decode, b85encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from rag.index.milvus.schema import TEXT
from rag.index.rows import FileRow, digest, float16, marks_of, packed_marks
from rag.types import Article, Document, Entry, Mark, Origin, Outcome, Passage, Status

if TYPE_CHECKING:
    from rag.types import Vectors

Row = dict[str, Any]
NOTHING = -1  # the document of a file that nothing could be read of
PART = 60_000  # characters of a body that one row holds
_PACKED = "\x01"  # begins a text that is too long for its field as it is
_ORIGINS = (Origin.PRIVATE, Origin.WIKIPEDIA)
_NO_VECTOR = (0.0, 0.0)

FILE = ("key", "document", "name", "uri", "version", "size", "reader", "status", "outcome", "title", "article")
HEADER = ("document", "parts", "live", "version", "title", "article")
PASSAGE = ("document", "start", "end", "page", "place", "heading", "text")


@dataclass(frozen=True, slots=True)
class Filed:
    """A file, with what its document is called and whose article it is."""

    row: FileRow
    title: str
    article: Article | None

    @property
    def origin(self) -> Origin:
        return Origin.WIKIPEDIA if self.article else Origin.PRIVATE


@dataclass(frozen=True, slots=True)
class Header:
    """What stands for a document: `live` once a file holds it; until then, it is what an interrupted sync left."""

    document: int
    parts: int
    live: bool
    version: str
    title: str
    article: Article | None


def hashed(text: str | bytes) -> str:
    """Thirty-two hexadecimal digits, which are sought in place of the text: nothing in them needs quoting."""
    return blake2b(text.encode() if isinstance(text, str) else text, digest_size=16).hexdigest()


def document_id(version: str, document: Document) -> int:
    """63 bits of a hash of the content and of all that was read of it. Equal readings are one document, whoever writes
    them; another reading of the same content is another one, which can stand beside it until it takes its place."""
    article = astuple(document.article) if document.article else None
    marks = packed_marks(document.marks), packed_marks(document.headings)
    told = json.dumps([version, document.title, document.text, *marks, article])
    return int.from_bytes(blake2b(told.encode(), digest_size=8).digest()) >> 1


def key_of(document: int, part: int) -> str:
    """Of a passage, or of a document's header (0) or part: in order, as they stand in it."""
    return f"{document:016x}-{part:06d}"


# ------------------------------------------------------------------------------------------------- files


def file_as_row(filed: Filed) -> Row:
    row, outcome = filed.row, filed.row.outcome
    told = json.dumps([outcome.reason, outcome.remedy, outcome.pages, outcome.pages_without_text])
    return {
        "id": hashed(row.key),
        "key": row.key.hex(),
        "content": hashed(row.version),
        "called": hashed(row.name),
        "document": NOTHING if row.document is None else row.document,
        "name": fitted(row.name),
        "uri": fitted(row.uri),
        "version": fitted(row.version),
        "size": row.size,
        "reader": fitted(row.reader),
        "status": row.outcome.status.value,
        "outcome": fitted(told),
        "title": fitted(filed.title),
        "article": _article(filed.article),
        "vector": _NO_VECTOR,
    }


def filed_of(row: Mapping[str, Any]) -> Filed:
    """From the columns FILE."""
    reason, remedy, pages, without = json.loads(whole(row["outcome"]))
    outcome = Outcome(Status(row["status"]), reason, remedy, pages, tuple(without))
    document = None if row["document"] == NOTHING else int(row["document"])
    texts = (whole(row["name"]), whole(row["uri"]), whole(row["version"]))
    held = FileRow(bytes.fromhex(row["key"]), *texts, int(row["size"]), whole(row["reader"]), outcome, document)
    return Filed(held, whole(row["title"]), _article_of(row["article"]))


def file_row(entry: Entry, reader: str, outcome: Outcome, document: int | None) -> FileRow:
    return FileRow(entry.key, entry.name, entry.uri, entry.version, entry.size, reader, outcome, document)


# --------------------------------------------------------------------------------------------- documents


def header_as_row(header: Header) -> Row:
    return {
        "id": key_of(header.document, 0),
        "document": header.document,
        "part": 0,
        "parts": header.parts,
        "live": header.live,
        "version": fitted(header.version),
        "title": fitted(header.title),
        "article": _article(header.article),
        "body": "",
        "vector": _NO_VECTOR,
    }


def header_of(row: Mapping[str, Any]) -> Header:
    """From the columns HEADER."""
    title, article = whole(row["title"]), _article_of(row["article"])
    return Header(int(row["document"]), int(row["parts"]), bool(row["live"]), whole(row["version"]), title, article)


def body_of(document: Document) -> list[str]:
    """A document's text, marks and headings, compressed, in parts that fit into a field."""
    told = json.dumps([document.text, packed_marks(document.marks), packed_marks(document.headings)])
    packed = b85encode(zlib.compress(told.encode(), 1)).decode()
    return [packed[i : i + PART] for i in range(0, len(packed), PART)]


def read_body(parts: Sequence[str]) -> tuple[str, tuple[Mark, ...], tuple[Mark, ...]]:
    text, marks, headings = json.loads(zlib.decompress(b85decode("".join(parts))))
    return text, marks_of(marks), marks_of(headings)


def parts_as_rows(document: int, parts: Sequence[str]) -> Iterator[Row]:
    nothing = {"parts": 0, "live": True, "version": "", "title": "", "article": "", "vector": _NO_VECTOR}
    for number, part in enumerate(parts, 1):
        yield {"id": key_of(document, number), "document": document, "part": number, "body": part, **nothing}


# ---------------------------------------------------------------------------------------------- passages


def passages_as_rows(
    document: int, passages: Sequence[Passage], vectors: Sequence[bytes], half: bool, words: Mapping[str, str] | None
) -> Iterator[Row]:
    """`words` are what BM25 counts, by the text that stands under its headings; None where nobody does."""
    for number, (passage, packed) in enumerate(zip(passages, vectors, strict=True)):
        row: Row = {
            "id": key_of(document, number),
            "document": document,
            "origin": _ORIGINS.index(passage.origin),
            "digest": digest(passage.headed).hex(),
            "start": passage.start,
            "end": passage.end,
            "page": passage.page or 0,
            "place": fitted(passage.place),
            "heading": fitted(passage.heading),
            # What is longer than any field is read from the document.
            "text": passage.text if len(passage.text.encode()) <= TEXT else "",
            "vector": vector_as(packed, half),
        }
        if words is not None:
            row["words"] = words[passage.headed]
        yield row


def passage_of(row: Mapping[str, Any], name: str, filed: Filed) -> Passage:
    """From the columns PASSAGE."""
    place, heading = whole(row["place"]), whole(row["heading"])
    where = (place, int(row["page"]) or None, int(row["start"]), int(row["end"]))
    return Passage(name, filed.row.uri, filed.title, heading, *where, row["text"], filed.article)


def vector_as(packed: bytes, half: bool) -> Any:
    """A stored vector, as a server takes it."""
    import numpy as np

    stored = np.frombuffer(packed, dtype=np.float16)
    return stored if half else stored.astype(np.float32)


def vector_of(value: Any) -> bytes:
    """A server's vector as it was stored: float16."""
    import numpy as np

    if isinstance(value, list) and value and isinstance(value[0], bytes):
        value = value[0]
    if isinstance(value, bytes):
        return value
    return np.asarray(value, dtype=np.float32).astype(np.float16).tobytes()


def asked(vector: Vectors, half: bool) -> Any:
    """A question's vector, as a server takes it."""
    import numpy as np

    return vector.astype(np.float16) if half else vector.astype(np.float32)


def vectors_of(rows: Sequence[Mapping[str, Any]]) -> Vectors:
    return float16([vector_of(row["vector"]) for row in rows])


def origin_filter(only: Origin) -> str:
    return f"origin == {_ORIGINS.index(only)}"


# ------------------------------------------------------------------------------------------------- texts


def fitted(text: str) -> str:
    """A text as a field takes it: what is too long for it is compressed."""
    if len(text.encode()) <= TEXT and not text.startswith(_PACKED):
        return text
    return _PACKED + b85encode(zlib.compress(text.encode(), 9)).decode()


def whole(text: str) -> str:
    return zlib.decompress(b85decode(text[1:])).decode() if text.startswith(_PACKED) else text


def clipped(words: Sequence[str]) -> str:
    """As many words as a field takes."""
    text = " ".join(words)
    if len(text.encode()) <= TEXT:
        return text
    return text.encode()[:TEXT].decode(errors="ignore").rpartition(" ")[0]


def _article(article: Article | None) -> str:
    return fitted(json.dumps(astuple(article))) if article else ""


def _article_of(text: str) -> Article | None:
    return Article(*json.loads(whole(text))) if text else None
