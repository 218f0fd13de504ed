"""Fills a side: every document is cut into passages for another embedder, and they are embedded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rag.index.chunk import chunk
from rag.index.embedding import vectors_of
from rag.index.fingerprints import only_recut
from rag.index.ledger import Ledger
from rag.index.rows import digest
from rag.index.side import Side
from rag.index.sync import FIRST_WINDOW, PATIENCE, WINDOW, Progress
from rag.types import Embedder, Passage

SLICE = 512  # documents that are looked up together


class Filler:
    """Works a window of passages at a time. `embedded` counts the texts that were embedded."""

    def __init__(self, ledger: Ledger, side: Side, embedder: Callable[[], Embedder], progress: Progress | None) -> None:
        self._ledger = ledger
        self._side = side
        self._embedder = embedder
        self._progress = progress
        self.embedded = 0

    def catch_up(self) -> None:
        """Every document that lacks passages gets them; the embedder is asked for only where there is one."""
        documents, size = self._side.still_to_do()
        if not documents:
            return
        embedder, done = self._embedder(), 0
        if self._progress:
            self._progress.plan(size, documents)
        for window in _windows(self._chunked(embedder)):
            self._write(window, embedder)
            for made in window:
                done += made.size
                if self._progress:
                    self._progress.documents(done, size, made.name)

    def _chunked(self, embedder: Embedder) -> Iterator[Filled]:
        """Few at a time, and never inside a transaction: a sync writes meanwhile."""
        after = 0
        while lacking := self._side.lacking(after, SLICE):
            for id_, size in lacking:
                for _, document in list(self._ledger.documents(only=id_)):  # none, where a sync has just removed it
                    passages = chunk(document, embedder, embedder.fingerprint.max_tokens)
                    yield Filled(id_, document.name, size, passages)
            after = lacking[-1][0]

    def _write(self, window: Sequence[Filled], embedder: Embedder) -> None:
        passages = [passage for made in window for passage in made.passages]
        vectors, computed = vectors_of(passages, self._known, embedder)
        self.embedded += computed
        with self._ledger.transaction():
            held = self._side.still_held([made.document for made in window])
            for made in window:
                if made.document in held:
                    stored = [vectors[digest(passage.headed)] for passage in made.passages]
                    self._side.put(made.document, made.passages, stored)

    def _known(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """Vectors that the side has already; and those that are searched now, if the same model made them."""
        found = self._side.embedded(digests)
        if only_recut(self._ledger.fingerprint, self._side.fingerprint):
            found = {**self._ledger.embedded([key for key in digests if key not in found]), **found}
        return found


@dataclass(frozen=True, slots=True)
class Filled:
    """What a document has come to; `size` is that of its text as it is stored."""

    document: int
    name: str
    size: int
    passages: Sequence[Passage]


def _windows(items: Iterator[Filled]) -> Iterator[list[Filled]]:
    """As many passages as are embedded in seconds, so that a slow model loses little when it is stopped."""
    window: list[Filled] = []
    size, limit, began = 0, FIRST_WINDOW, time.monotonic()
    for made in items:
        window.append(made)
        size += max(1, len(made.passages))
        if size >= limit:
            yield window
            took = time.monotonic() - began
            limit = min(2 * limit, WINDOW) if took < PATIENCE else max(limit // 2, FIRST_WINDOW)
            window, size, began = [], 0, time.monotonic()
    if window:
        yield window
