"""A collection as one file: a ZIP archive that anything can open.

    documents.jsonl   a document a line: its text, marks, headings, and its passages by their offsets
    vectors.npy       a row a passage, in the order of the documents, as float16
    files.jsonl       a file or article a line: where it was, what it holds, how reading it ended
    pages.jsonl       a page a line that OCR has read
    manifest.json     what all that is, and the size, rows and SHA-256 of each; written last

Nothing of it is unpacked or run. Members are read by their names, as streams, up to the sizes that the manifest gives,
and what they add up to is known before the first byte is read: a small file that says it is an enormous one is told by
the room that it would take. Checksums find damage; they do not prove who made the file.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

from rag.types import Fingerprint

T = TypeVar("T")
FORMAT, VERSION = "beluga-rag collection", 1
ABOUT = "The whole text of all documents, the paths that they had, and vectors of them. Not encrypted."
DOCUMENTS, VECTORS, FILES, PAGES, MANIFEST = (
    "documents.jsonl",
    "vectors.npy",
    "files.jsonl",
    "pages.jsonl",
    "manifest.json",
)
MEMBERS = (DOCUMENTS, VECTORS, FILES, PAGES)
LONGEST_LINE = 1 << 29  # bytes; no document is so long, and no more is held at once
LONGEST_MANIFEST = 16 << 20
WIDEST = 1 << 16  # dimensions of a vector


@dataclass(frozen=True, slots=True)
class Member:
    bytes: int
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`counts` are the ledger's, `roots` the folders that were indexed, by their paths where that was done."""

    collection: str
    program: str
    exported: str
    fingerprint: Fingerprint
    counts: Mapping[str, int]
    roots: tuple[str, ...]
    members: Mapping[str, Member]

    def packed(self) -> bytes:
        head = {"format": FORMAT, "version": VERSION, "about": ABOUT}
        return json.dumps({**head, **asdict(self)}, indent=1).encode()  # in ASCII: paths need not be Unicode


def vectors_head(rows: int, dimension: int) -> bytes:
    """What stands before the vectors in a .npy file."""
    from numpy.lib import format as npy

    head = io.BytesIO()
    npy.write_array_header_1_0(head, {"descr": "<f2", "fortran_order": False, "shape": (rows, dimension)})
    return head.getvalue()


def typed(kind: type[T], stored: Any) -> T:
    """A dataclass of texts, whole numbers and truths, each of which is one. Raises TypeError or ValueError."""
    made = kind(**stored)
    for field in fields(made):  # type: ignore[arg-type]
        value = getattr(made, field.name)
        if type(value).__name__ != field.type:
            raise ValueError(f"{field.name} is no {field.type}")
        sound(value)
    return made


def sound(value: Any) -> Any:
    """A text or number that can be stored. Raises ValueError for another."""
    if isinstance(value, str):
        value.encode()  # lone surrogates cannot be
    elif isinstance(value, int) and not 0 <= value < 1 << 53:
        raise ValueError("a number is too large, or negative")
    return value


def manifest_of(stored: Mapping[str, Any]) -> Manifest:
    """Raises ValueError, TypeError or KeyError for what makes no sense."""
    fingerprint = typed(Fingerprint, stored["fingerprint"])
    texts = [stored[name] for name in ("collection", "program", "exported")] + stored["roots"]
    if not all(isinstance(text, str) for text in texts) or not 0 < fingerprint.dimension <= WIDEST:
        raise ValueError("names or sizes that are none")
    return Manifest(
        collection=stored["collection"],
        program=stored["program"],
        exported=stored["exported"],
        fingerprint=fingerprint,
        counts={str(name): int(count) for name, count in stored["counts"].items()},
        roots=tuple(stored["roots"]),
        members={name: typed(Member, stored["members"][name]) for name in MEMBERS},
    )
