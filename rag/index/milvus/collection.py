"""A collection on a Milvus server: rag.index.seams.Store, for what has outgrown the disk or the people of one machine.

Sync and search are those of any collection, over another ledger and another view. What lies on this machine is a lock,
so that of several writers here only one speaks to the server, and the pages that OCR has read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from rag.errors import UsageError
from rag.index.cited import cited
from rag.index.fingerprints import require_same
from rag.index.inventory import missing
from rag.index.lock import make_home, writer, writing
from rag.index.milvus import audit, schema
from rag.index.milvus.address import Address
from rag.index.milvus.lease import described, holder_of, taken
from rag.index.milvus.ledger import MilvusLedger
from rag.index.milvus.pages import PageFile
from rag.index.milvus.queries import STATE, Queries
from rag.index.milvus.schema import Layout
from rag.index.milvus.sending import Analyzer
from rag.index.milvus.server import BOUNDED, STRONG, Server
from rag.index.milvus.view import MilvusView
from rag.index.opened import Opened, opened
from rag.index.seams import Pages
from rag.index.stream import in_step
from rag.index.sync import Progress, planned, require_something, resumed
from rag.index.words import analyzer
from rag.types import (
    Cited,
    Embedder,
    FileReport,
    Fingerprint,
    Held,
    Origin,
    Passage,
    Source,
    SyncReport,
)

STORES = ".stores"  # beside the collections, of which none's name begins with a dot
LOCK = "writer.lock"


class MilvusCollection:
    """Sync, search, verify. Cheap to make; the server is spoken to when needed.

    Errors: UsageError for a bad or unknown name and for a login that is refused, FingerprintError for another embedder,
    LockedError while another process or machine writes, NetworkError where the server does not answer, StorageError
    where it cannot do what it is asked, ModelError without the `scale` extra. `consistency` is what searches are asked
    with: Bounded may miss what was written in the last seconds, and Strong takes a quarter of a second more.
    """

    def __init__(
        self,
        address: Address,
        indexes: Path,
        waiting: Callable[[str], None] | None = None,
        consistency: str = BOUNDED,
    ) -> None:
        self.name = address.name
        self.home = indexes / STORES / address.digest
        self.address = address
        self.turns = threading.RLock()
        self._waiting = waiting
        self._consistency = consistency
        self._server = Server(address)
        self._open: MilvusLedger | None = None

    # ------------------------------------------------------------------------------------------- writing

    def sync(
        self,
        source: Source,
        embedder: Embedder,
        *,
        root: Path | None = None,
        prune: bool = False,
        progress: Progress | None = None,
    ) -> SyncReport:
        """Makes the collection hold what the source holds. `root` is remembered as a folder that the collection
        holds."""
        require_something(source, root, self.covered)
        with self.writing(embedder.fingerprint) as (ledger, finished):
            if root is not None:
                ledger.add_root(root)
            report = in_step(ledger, source, embedder, collection=self.name, prune=prune, progress=progress)
        return report if finished else resumed(report)

    @contextmanager
    def writing(self, fingerprint: Fingerprint) -> Iterator[tuple[MilvusLedger, bool]]:
        """The ledger, for the one who writes; and whether the last one came to its end. The collection is made where
        there is none yet. Raises LockedError while somebody else writes."""
        make_home(self.home)
        with writing(self.home / LOCK, self._waiting) as finished:
            layout = schema.layout_of(self._server) or schema.create(self._server, fingerprint)
            require_same(layout.fingerprint, fingerprint, self.name)
            with taken(Queries(self._server, layout), self._waiting) as lease:
                ledger = MilvusLedger(self._server, layout, self._analyze, lease.renew)
                ledger.settle()
                yield ledger, finished
            self._open = None

    def part(self) -> MilvusLedger:
        """The ledger, for one of several that write different files while somebody else holds the lease."""
        self.require()
        layout = schema.layout_of(self._server)
        assert layout is not None  # it was required
        return self._ledger(layout, STRONG)

    def plan(
        self, source: Source, *, root: Path | None = None, prune: bool = False
    ) -> tuple[list[dict[str, str]], SyncReport]:
        """What `sync` would do; nothing is read but hashes, and nothing is written."""
        require_something(source, root, self.covered)
        ledger = self._reading(STRONG) if self.exists() else None
        return planned(ledger, source, self.name, prune)

    def repair(self) -> list[str]:
        raise UsageError(
            f"{self.address} keeps no second copy that it could be repaired from. Nothing was changed; what an "
            "interrupted sync left is set right by the next `rag index`, the server's own state by milvus-backup, and "
            "anything else by `rag remove` and indexing again."
        )

    def remove(self) -> None:
        """Deletes the collection, all at once as far as readers see."""
        self.require()
        make_home(self.home)
        with writing(self.home / LOCK, self._waiting):
            if layout := schema.layout_of(self._server):
                with taken(Queries(self._server, layout), self._waiting):
                    schema.drop(self._server)
        self.close()

    def cache(self) -> Pages:
        """Where the text of pages that OCR has read is kept: on the machine that read them."""
        return PageFile(self.home / "pages.sqlite")

    # ------------------------------------------------------------------------------------------- reading

    def exists(self) -> bool:
        return schema.layout_of(self._server) is not None

    def index(self, pattern: str | None = None, only: Origin | None = None) -> MilvusView:
        """The collection as something to search; with a glob, only documents whose name it matches; with an origin,
        only those of that kind."""
        return MilvusView(self._reading(), self._analyze, pattern, only)

    def check_fingerprint(self, made_by: Fingerprint) -> None:
        """Raises FingerprintError unless the vectors were made by the same model in the same way."""
        require_same(self.fingerprint, made_by, self.name)

    @property
    def fingerprint(self) -> Fingerprint:
        return self._reading().layout.fingerprint

    @property
    def called(self) -> str:
        """Its embedder's name is its model's: no other is kept."""
        return ""

    @property
    def notes(self) -> tuple[str, ...]:
        """Anything unusual, fit to be shown."""
        if self._open is None or self._open.layout.words:
            return ()
        version = self._server.version()
        return (
            f"{self.address.server} (Milvus {version}) has no full-text search: passages are found by their vectors "
            "alone. Milvus 2.5 and later have it; index again after an upgrade.",
        )

    @property
    def state(self) -> object:
        """Is another one whenever a writer has changed what can be found."""
        return self._reading().setting(STATE)

    def roots(self) -> list[Path]:
        """The folders that were indexed."""
        return self._reading().roots()

    def info(self) -> dict[str, Any]:
        ledger = self._reading()
        fingerprint, roots = ledger.layout.fingerprint, ledger.roots()
        return {
            "collection": self.name,
            "folder": str(self.address),
            **ledger.counts(),
            "statuses": ledger.statuses(),
            "model": fingerprint.model,
            "revision": fingerprint.revision,
            "dimension": fingerprint.dimension,
            "generation": 0,
            "vectors": f"Milvus {self._server.version()}, {'float16' if ledger.layout.half else 'float32'}"
            + ("" if ledger.layout.words else ", no full-text search"),
            "bytes": 0,
            "roots": [str(root) for root in roots],
            "missing_roots": missing(roots),
            "writer": writer(self.home / LOCK) or described(holder_of(ledger)),
            "side": {},
        }

    def titles(self, prefix: bytes) -> dict[bytes, str]:
        """The titles of what is held under keys that begin so."""
        if not self.exists():
            return {}
        return {one.row.key: one.title or one.row.name for one in self._reading().filed_under(prefix)}

    def named(self, name: str, prefix: bytes) -> list[bytes]:
        """The keys that begin so of what is called so."""
        found = self._reading().filed_called(name) if self.exists() else []
        return [one.row.key for one in found if one.row.key.startswith(prefix)]

    def cited(self, passage: Passage, span: tuple[int, int] | None = None) -> list[Cited]:
        """Where to look for a passage of this collection, page by page; empty where it has no pages, or has changed."""
        return cited(self._reading(), passage, span)

    def opened(self, name: str, uri: str = "") -> Opened | None:
        """A document to be read, by what `Passage` calls it, or by its name alone."""
        return opened(self._reading(), name, uri)

    def files(self) -> list[FileReport]:
        return [FileReport(row.name, row.outcome) for row in self._reading().files()]

    def held(self, part: str = "", most: int = 10_000) -> list[Held]:
        """Files and articles by name, with all that people may want to know of them: the first ones of those that have
        a text in their name."""
        sought = part.lower()
        found = [one for one in self._reading().filed() if sought in one.row.name.lower()]
        found.sort(key=lambda one: (one.row.name, one.row.key))
        return [
            Held(
                one.row.key,
                one.row.name,
                one.row.uri,
                one.row.size,
                one.row.outcome,
                one.origin,
                one.article.timestamp if one.article else "",
            )
            for one in found[:most]
        ]

    def verify(self) -> list[str]:
        """Everything that is not as it should be; empty for a collection that is whole."""
        return audit.damages(self._reading(STRONG))

    def close(self) -> None:
        self._server.close()
        self._open = None

    def require(self) -> None:
        """Raises UsageError unless there is such a collection."""
        if not self.exists():
            raise self._unknown()

    # ------------------------------------------------------------------------------------------ internals

    def _unknown(self) -> UsageError:
        known = sorted(filter(None, map(schema.name_of, self._server.call("list_collections"))))
        there = f"There are: {', '.join(known)}." if known else "There are none yet; `rag index FOLDER` makes one."
        return UsageError(f"No collection {self.name!r} at {self.address.server}. {there}")

    @cached_property
    def _analyze(self) -> Analyzer:
        analyze: Analyzer = analyzer().analyze
        return analyze

    def covered(self, source: Source) -> bool:
        """Whether it holds anything that a source would have found."""
        return self.exists() and any(source.covers(row.key) for row in self._reading(STRONG).files())

    def _reading(self, consistency: str = "") -> MilvusLedger:
        if self._open is None:
            if not (layout := schema.layout_of(self._server)):
                raise self._unknown()
            self._open = self._ledger(layout, self._consistency)
        return self._ledger(self._open.layout, consistency) if consistency else self._open

    def _ledger(self, layout: Layout, consistency: str) -> MilvusLedger:
        return MilvusLedger(self._server, layout, self._analyze, consistency=consistency)
