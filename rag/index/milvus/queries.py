"""What a collection on a server can be asked. Changes nothing."""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import DamagedError
from rag.index.milvus import rows
from rag.index.milvus.rows import FILE, HEADER, PASSAGE, Filed, Header, hashed, key_of
from rag.index.milvus.schema import REMEDY, Layout, table
from rag.index.milvus.server import BOUNDED, STRONG, Server, among
from rag.index.rows import FileRow
from rag.types import Mark, Outcome, Passage, Status

if TYPE_CHECKING:
    from rag.types import Vectors

ALL = 'id != ""'  # a filter that leaves everything: some servers want one
STATE, ROOTS = "state", "roots"
DIGESTS = 512  # that one look for vectors asks for


Body = tuple[str, tuple[Mark, ...], tuple[Mark, ...]]


class Queries:
    """Over a server. `consistency` is what reads are asked with: whoever serves is content with what is some seconds
    old (Bounded); who writes wants to see what was written (Session), and at first what others wrote (Strong)."""

    def __init__(self, server: Server, layout: Layout, consistency: str = BOUNDED) -> None:
        self.server = server
        self.layout = layout
        self._consistency = consistency
        name = server.address.name
        self.passages_, self.documents_, self.files_, self.settings_ = (
            table(name, kind) for kind in ("passages", "documents", "files", "settings")
        )

    @property
    def consistency(self) -> str:
        return self._consistency

    # -------------------------------------------------------------------------------------------- files

    def filed(self, where: str = ALL, consistency: str = "") -> Iterator[Filed]:
        """Files with their documents' titles, in the order of their hashes."""
        found = self.server.rows(self.files_, where, FILE, consistency or self._consistency)
        return map(self._filed, found)

    def filed_under(self, prefix: bytes) -> Iterator[Filed]:
        return self.filed(under(prefix))

    def filed_of(self, documents: Sequence[int], consistency: str = "") -> dict[int, list[Filed]]:
        """The files that hold each of these documents, by their keys."""
        found: dict[int, list[Filed]] = defaultdict(list)
        level = consistency or self._consistency
        for row in self.server.lookup(self.files_, "document", list(documents), FILE, level):
            filed = self._filed(row)
            if filed.row.document is not None:
                found[filed.row.document].append(filed)
        for held in found.values():
            held.sort(key=lambda filed: filed.row.key)
        return found

    def filed_with(self, versions: Sequence[str]) -> Iterator[Filed]:
        """All files of one of these contents."""
        contents = [hashed(version) for version in versions]
        return map(self._filed, self.server.lookup(self.files_, "content", contents, FILE, self._consistency))

    def filed_called(self, name: str) -> list[Filed]:
        return list(
            map(self._filed, self.server.lookup(self.files_, "called", [hashed(name)], FILE, self._consistency))
        )

    def filed_at(self, keys: Sequence[bytes]) -> list[Filed]:
        ids = [hashed(key) for key in keys]
        return list(map(self._filed, self.server.lookup(self.files_, "id", ids, FILE, self._consistency)))

    def _filed(self, row: dict[str, Any]) -> Filed:
        with self._decoded():
            return rows.filed_of(row)

    # ---------------------------------------------------------------------------------------- documents

    def headers(self, where: str, consistency: str = "") -> Iterator[Header]:
        where = f"part == 0 and {where}"
        for row in self.server.rows(self.documents_, where, HEADER, consistency or self._consistency):
            with self._decoded():
                yield rows.header_of(row)

    def headers_of(self, documents: Sequence[int]) -> dict[int, Header]:
        keys = [key_of(document, 0) for document in documents]
        found: dict[int, Header] = {}
        for row in self.server.lookup(self.documents_, "id", keys, HEADER, self._consistency):
            with self._decoded():
                header = rows.header_of(row)
            found[header.document] = header
        return found

    def body(self, document: int) -> tuple[str, tuple[Mark, ...]]:
        """A document's text and its marks; nothing of one that is gone."""
        text, marks, _ = self.bodies([document]).get(document, ("", (), ()))
        return text, marks

    def bodies(self, documents: Sequence[int]) -> dict[int, Body]:
        """Text, marks and headings of each of these documents that is there."""
        parts: dict[int, list[tuple[int, str]]] = defaultdict(list)
        fields = ["document", "part", "body"]
        for row in self.server.lookup(self.documents_, "document", list(documents), fields, self._consistency):
            if row["part"]:
                parts[int(row["document"])].append((int(row["part"]), row["body"]))
        with self._decoded():
            return {id_: rows.read_body([body for _, body in sorted(found)]) for id_, found in parts.items()}

    # ----------------------------------------------------------------------------------------- passages

    def openings(self, documents: Sequence[int]) -> dict[int, str]:
        """The text of the first passage of each of these documents."""
        keys = [key_of(document, 0) for document in documents]
        found = self.server.lookup(self.passages_, "id", keys, ["document", "text"], self._consistency)
        return {int(row["document"]): row["text"] for row in found}

    def passages_of(self, documents: Sequence[int]) -> dict[int, list[tuple[str, bytes, Passage]]]:
        """(key, digest of what was embedded, passage) of each document's passages, as they are stored."""
        found: dict[int, list[tuple[str, bytes, Passage]]] = defaultdict(list)
        nobody = Filed(FileRow(b"", "", "", "", 0, "", Outcome(Status.INDEXED), None), "", None)
        fields = [*PASSAGE, "digest"]
        for row in self.server.lookup(self.passages_, "document", list(documents), fields, self._consistency):
            passage = self.passage(row, "", nobody)
            found[int(row["document"])].append((row["id"], bytes.fromhex(row["digest"]), passage))
        return found

    def passage(self, row: Mapping[str, Any], name: str, filed: Filed) -> Passage:
        """From the columns PASSAGE, under a name to be shown."""
        with self._decoded():
            passage = rows.passage_of(row, name, filed)
        if not passage.text and passage.end > passage.start:  # it was too long for its field
            passage = replace(passage, text=self.body(int(row["document"]))[0][passage.start : passage.end])
        return passage

    def embedded(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """The stored vectors of texts that were embedded before, by their digest. One that many passages share is
        found once: no more than a page is fetched for each look."""
        found: dict[bytes, bytes] = {}
        missing = list(digests)
        while missing:
            some, missing = missing[:DIGESTS], missing[DIGESTS:]
            where = among("digest", [digest.hex() for digest in some])
            fields = ["digest", "vector"]
            there = self.server.query(self.passages_, where, fields, self._consistency, most=8 * DIGESTS)
            for row in there:
                found.setdefault(bytes.fromhex(row["digest"]), rows.vector_of(row["vector"]))
            if len(there) == 8 * DIGESTS:  # some were crowded out by others' copies
                missing += [digest for digest in some if digest not in found]
        return found

    def vector_blocks(self) -> Iterator[tuple[list[str], Vectors]]:
        """(keys, vectors as float32) of all passages, block by block."""
        block: list[dict[str, Any]] = []
        for row in self._rows(self.passages_, ALL, ["vector"]):
            block.append(row)
            if len(block) == 4 * DIGESTS:
                yield [one["id"] for one in block], rows.vectors_of(block)
                block = []
        if block:
            yield [one["id"] for one in block], rows.vectors_of(block)

    def counts(self) -> dict[str, int]:
        def count(kind: str, where: str) -> int:
            return self.server.count(kind, where, STRONG)

        return {
            "files": count(self.files_, ALL),
            "documents": count(self.documents_, "part == 0"),
            "articles": count(self.documents_, 'part == 0 and article != ""'),
            "passages": count(self.passages_, ALL),
        }

    def statuses(self) -> dict[str, int]:
        """How many files ended so."""
        found = {s.value: self.server.count(self.files_, f'status == "{s.value}"', self._consistency) for s in Status}
        return {status: count for status, count in found.items() if count}

    # ----------------------------------------------------------------------------------------- settings

    def setting(self, key: str, consistency: str = "") -> str:
        level = consistency or self._consistency
        found = self.server.query(self.settings_, among("id", [key]), ["value"], level, most=1)
        return str(found[0]["value"]) if found else ""

    def roots(self) -> list[Path]:
        with self._decoded():
            return [Path(root) for root in json.loads(self.setting(ROOTS) or "[]")]

    # ---------------------------------------------------------------------------------------- internals

    def _rows(self, collection: str, where: str, fields: Sequence[str]) -> Iterator[dict[str, Any]]:
        return self.server.rows(collection, where, fields, self._consistency)

    @contextmanager
    def _decoded(self) -> Iterator[None]:
        """What was stored could be read, and makes no sense."""
        try:
            yield
        except (ValueError, TypeError, KeyError, zlib.error) as error:
            raise DamagedError(f"The store {self.server.address} is damaged ({error}). {REMEDY}") from error


def under(prefix: bytes) -> str:
    """A filter: keys that begin so are from the first to before the second."""
    after = prefix[:-1] + bytes([prefix[-1] + 1])
    return f'key >= "{prefix.hex()}" and key < "{after.hex()}"'
