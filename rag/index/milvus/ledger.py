"""What a sync reads and changes on a server: rag.index.seams.Holdings. What is changed is gathered, then sent."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rag.index.milvus import rows
from rag.index.milvus.queries import ALL, ROOTS, Queries, under
from rag.index.milvus.rows import Filed, Header
from rag.index.milvus.schema import Layout
from rag.index.milvus.sending import Added, Analyzer, Change, Sender
from rag.index.milvus.server import SESSION, STRONG, Server
from rag.index.rows import FileRow
from rag.types import Article, Document, Entry, Outcome, Passage, Status


class MilvusLedger(Queries):
    """For one writer at a time, who holds the lease; or several, who write different files for whoever holds it.

    `analyze` gives the terms that BM25 counts; `renew` is called with every change that is sent.
    """

    def __init__(
        self,
        server: Server,
        layout: Layout,
        analyze: Analyzer,
        renew: Callable[[], object] = lambda: None,
        consistency: str = STRONG,
    ) -> None:
        super().__init__(server, layout, consistency)
        self._renew = renew
        self._sender = Sender(self, analyze, renew)
        self._change = Change()
        self._depth = 0
        self._with: dict[str, list[Filed]] = {}  # files by content, as far as they were asked for together
        self._called: dict[int, tuple[str, Article | None]] = {}  # title and article of documents that were seen
        self._seen: sqlite3.Connection | None = None

    def settle(self) -> None:
        """Sees what others wrote before us. From then on, to see what we write ourselves is enough."""
        for collection in (self.files_, self.documents_, self.passages_):
            self.server.query(collection, ALL, ["id"], STRONG, most=1)
        self._consistency = SESSION

    def renew(self) -> None:
        """Others write for us: the lease is held although nothing is sent."""
        self._renew()

    # ------------------------------------------------------------------------------------------ reading

    def files(self) -> Iterator[FileRow]:
        return iter(sorted((filed.row for filed in self.filed()), key=lambda row: row.key))

    def files_at(self, keys: Sequence[bytes]) -> dict[bytes, FileRow]:
        there = {filed.row.key: filed.row for filed in self.filed_at([k for k in keys if k not in self._change.files])}
        changed = ((key, self._change.files[key]) for key in keys if key in self._change.files)
        return {**there, **{key: filed.row for key, filed in changed if filed}}

    def files_under(self, prefix: bytes, statuses: Sequence[Status]) -> Iterator[FileRow]:
        listed = ", ".join(f'"{status.value}"' for status in statuses)
        return (filed.row for filed in self.filed(f"{under(prefix)} and status in [{listed}]"))

    def count_at(self, prefix: bytes) -> int:
        return self.server.count(self.files_, under(prefix), self._consistency)

    def file_with(self, version: str, but: bytes = b"") -> FileRow | None:
        for row in self._rows_with(version):
            if row.key != but and row.outcome.status is not Status.UNREADABLE:
                return row
        return None

    def holding(self, versions: Collection[str]) -> set[str]:
        return {
            filed.row.version
            for filed in self.filed_with(list(versions))
            if filed.row.document is not None and filed.row.outcome.status is not Status.UNREADABLE
        }

    def document_of(self, version: str) -> int | None:
        held = [row.document for row in self._rows_with(version) if row.document is not None]
        return max(held, default=None)

    def opened(self, name: str, uri: str) -> Iterator[tuple[Any, ...]]:
        for filed in sorted(self._at(uri) if uri else self._named(name), key=lambda filed: filed.row.key):
            if filed.row.document is None:
                continue
            text, marks = self.body(filed.row.document)
            row = filed.row
            yield row.key, row.name, row.uri, row.version, row.outcome.pages, filed.title, text, marks, filed.article

    def _at(self, uri: str) -> Iterator[Filed]:
        return (filed for filed in self.filed() if filed.row.uri == uri)

    def _named(self, name: str) -> Iterator[Filed]:
        """Files of this name, with folders in front or without."""
        parts = name.split("/")
        for i in range(len(parts)):
            yield from self.filed_called("/".join(parts[i:]))

    def _rows_with(self, version: str) -> list[FileRow]:
        """Files of a content, as they are with what was changed."""
        there = self._with[version] if version in self._with else list(self.filed_with([version]))
        found = {filed.row.key: filed for filed in there if filed.row.key not in self._change.files}
        changed = {key: filed for key, filed in self._change.files.items() if filed and filed.row.version == version}
        return [filed.row for _, filed in sorted({**found, **changed}.items())]

    def _filed(self, row: dict[str, Any]) -> Filed:
        filed = super()._filed(row)
        if filed.row.document is not None:
            self._called[filed.row.document] = (filed.title, filed.article)
        return filed

    # ------------------------------------------------------------------------------------------ writing

    @contextmanager
    def together(self, versions: Iterable[str]) -> Iterator[None]:
        """What is known of these contents is asked for at once, and all that is changed inside is sent at its end."""
        wanted = {version for version in versions if version}
        with self.transaction():
            self._with = {version: [] for version in wanted}
            for filed in self.filed_with(sorted(wanted)):
                self._with[filed.row.version].append(filed)
            yield

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._depth += 1
        try:
            yield
            if self._depth == 1:
                self._sender.send(self._change)
        finally:
            self._depth -= 1
            if not self._depth:  # sent, or given up: nothing of it was acknowledged
                self._change, self._with = Change(), {}

    def add(self, version: str, document: Document, passages: Sequence[Passage], vectors: Sequence[bytes]) -> int:
        id_ = rows.document_id(version, document)
        header = Header(id_, 0, False, version, document.title, document.article)
        self._change.added[id_] = Added(header, document, passages, vectors)
        self._called[id_] = (document.title, document.article)
        return id_

    def put_file(self, entry: Entry, reader: str, outcome: Outcome, document: int | None) -> None:
        title, article = ("", None) if document is None else self._title_of(document)
        row = rows.file_row(entry, reader, outcome, document)
        self._change.files[entry.key] = Filed(row, title, article)

    def drop_file(self, key: bytes) -> None:
        self._change.files[key] = None

    def supersede(self, old: int, new: int | None, reader: str, outcome: Outcome) -> None:
        held = {filed.row.key: filed for filed in self.filed_of([old]).get(old, [])} | self._change.files
        for row in [filed.row for filed in held.values() if filed and filed.row.document == old]:
            entry = Entry(row.key, row.name, row.uri, row.version, row.size)
            kept = row.outcome.status is Status.UNREADABLE
            self.put_file(entry, reader, row.outcome if kept else outcome, new)
        self.forget(None, old)

    def forget(self, version: str | None, document: int | None) -> None:
        """Is decided when it is sent: then it is known what files hold."""
        if document is not None:
            self._change.doubtful.add(document)

    def release(self, document: int | None) -> None:
        if document is not None:
            self._change.released.add(document)

    def drop_orphans(self) -> None:
        self._sender.send(self._change)
        self._change = Change()
        left = {header.document: header for header in self.headers("live == false", STRONG)}
        self._sender.settle(left, consistency=STRONG)

    def add_root(self, root: Path) -> None:
        """Remembers an indexed folder. One that lies in another is a part of it and is not remembered by itself."""
        roots = self.roots()
        if any(root.is_relative_to(other) for other in roots):
            return
        kept = [str(other) for other in roots if not other.is_relative_to(root)]
        self.put_setting(ROOTS, json.dumps([*kept, str(root)]))

    def put_setting(self, key: str, value: str) -> None:
        self._sender.put_setting(key, value)

    def forget_seen(self) -> None:
        """Begins a list of keys on disk, as a database of its own: memory must not depend on the source."""
        self._seen = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._seen.execute("CREATE TABLE seen (key BLOB PRIMARY KEY) WITHOUT ROWID")

    def see(self, keys: Sequence[bytes]) -> None:
        assert self._seen
        self._seen.executemany("INSERT OR IGNORE INTO seen VALUES (?)", ([key] for key in keys))

    def unseen(self, prefix: bytes) -> Iterator[FileRow]:
        assert self._seen
        for filed in self.filed(under(prefix)):
            if not self._seen.execute("SELECT 1 FROM seen WHERE key = ?", [filed.row.key]).fetchone():
                yield filed.row

    # ---------------------------------------------------------------------------------------- internals

    def _title_of(self, document: int) -> tuple[str, Article | None]:
        if document not in self._called:
            header = self.headers_of([document]).get(document)
            self._called[document] = (header.title, header.article) if header else ("", None)
        return self._called[document]
