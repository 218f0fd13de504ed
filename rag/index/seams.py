"""Where a collection can be held: in files of this machine (`collection`), or on a Milvus server (`milvus`).

`Store` is what everything above asks of a collection, `Holdings` what a sync asks of what is held. Upstream of them
nothing knows which of the two it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rag.types import (
    Cited,
    Document,
    Embedder,
    Entry,
    FileReport,
    Fingerprint,
    Held,
    Index,
    Origin,
    Outcome,
    Passage,
    Source,
    Status,
    SyncReport,
)

if TYPE_CHECKING:
    from rag.index.opened import Opened
    from rag.index.rows import FileRow


class Holdings(Protocol):
    """What is held, as a sync reads and changes it. What is changed is seen by the same Holdings at once, and is
    acknowledged when the outermost `transaction` or `together` has ended."""

    def files(self) -> Iterator[FileRow]: ...

    def files_at(self, keys: Sequence[bytes]) -> dict[bytes, FileRow]:
        """The files with these keys that there are."""
        ...

    def files_under(self, prefix: bytes, statuses: Sequence[Status]) -> Iterator[FileRow]:
        """Files whose key begins so, and that ended so."""
        ...

    def count_at(self, prefix: bytes) -> int: ...

    def file_with(self, version: str, but: bytes = b"") -> FileRow | None:
        """Some file with this content, other than `but`, that could be opened."""
        ...

    def holding(self, versions: Collection[str]) -> set[str]:
        """Which of these contents some file holds, with a document."""
        ...

    def document_of(self, version: str) -> int | None: ...

    def body(self, document: int) -> tuple[str, tuple[Any, ...]]:
        """A document's text and its marks; nothing of one that is gone."""
        ...

    def opened(self, name: str, uri: str) -> Iterator[tuple[Any, ...]]:
        """(key, name, uri, version, pages, title, text, marks, article) of files at `uri`, or else of this name, with
        or without folders in front."""
        ...

    def embedded(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """The stored vectors of texts that were embedded before, by their digest."""
        ...

    def counts(self) -> dict[str, int]: ...

    def transaction(self) -> AbstractContextManager[None]:
        """What is changed inside happens, or none of it does as far as readers see."""
        ...

    def together(self, versions: Iterable[str]) -> AbstractContextManager[None]:
        """Several transactions in a row, about these contents: a store far away is told of all of them at once."""
        ...

    def add(self, version: str, document: Document, passages: Sequence[Passage], vectors: Sequence[bytes]) -> int:
        """Stores a document with its passages and their float16 vectors; gives its id."""
        ...

    def put_file(self, entry: Entry, reader: str, outcome: Outcome, document: int | None) -> None:
        """Records how reading a file ended, and which document it holds."""
        ...

    def supersede(self, old: int, new: int | None, reader: str, outcome: Outcome) -> None:
        """Every file that held document `old` holds `new`, the same content read better."""
        ...

    def forget(self, version: str | None, document: int | None) -> None:
        """Removes a document, and what else is kept of a content, that no file holds any more."""
        ...

    def release(self, document: int | None) -> None:
        """Says of a document that it may have lost its file, and that another one is about to hold it."""
        ...

    def drop_file(self, key: bytes) -> None: ...

    def drop_orphans(self) -> None:
        """Forgets every document that no file holds."""
        ...

    def forget_seen(self) -> None:
        """Begins a list of keys that were seen."""
        ...

    def see(self, keys: Sequence[bytes]) -> None: ...

    def unseen(self, prefix: bytes) -> Iterator[FileRow]:
        """Files whose key begins so and that `see` was not told of."""
        ...


class Pages(Protocol):
    """Where the text of pages that OCR has read is kept, so that it is never done twice."""

    def get(self, version: str, page: int, engine: str) -> str | None: ...

    def put(self, version: str, page: int, engine: str, text: str) -> None: ...


class Searchable(Index, Protocol):
    """A collection as something to search, or what a filter leaves of it."""

    def require(self, made_by: Fingerprint) -> None:
        """Raises FingerprintError unless the vectors that are searched were made by the same model in the same way."""
        ...


class Store(Protocol):
    """A collection, wherever it is held."""

    @property
    def name(self) -> str: ...

    @property
    def home(self) -> Path:
        """The folder on this machine of what belongs to it."""
        ...

    @property
    def turns(self) -> AbstractContextManager[object]:
        """Threads that share it for searching take them."""
        ...

    def sync(
        self, source: Source, embedder: Embedder, *, root: Path | None = None, prune: bool = False, progress: Any = None
    ) -> SyncReport: ...

    def plan(
        self, source: Source, *, root: Path | None = None, prune: bool = False
    ) -> tuple[list[dict[str, str]], SyncReport]: ...

    def repair(self) -> list[str]: ...

    def remove(self) -> None: ...

    def cache(self) -> Pages: ...

    def exists(self) -> bool: ...

    def require(self) -> None: ...

    def index(self, pattern: str | None = None, only: Origin | None = None) -> Searchable: ...

    def check_fingerprint(self, made_by: Fingerprint) -> None: ...

    @property
    def fingerprint(self) -> Fingerprint: ...

    @property
    def called(self) -> str: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    @property
    def state(self) -> object: ...

    def roots(self) -> list[Path]: ...

    def info(self) -> dict[str, Any]: ...

    def titles(self, prefix: bytes) -> Mapping[bytes, str]: ...

    def named(self, name: str, prefix: bytes) -> list[bytes]: ...

    def cited(self, passage: Passage, span: tuple[int, int] | None = None) -> list[Cited]: ...

    def opened(self, name: str, uri: str = "") -> Opened | None: ...

    def files(self) -> list[FileReport]: ...

    def held(self, part: str = "", most: int = 10_000) -> list[Held]: ...

    def verify(self) -> list[str]: ...

    def close(self) -> None: ...
