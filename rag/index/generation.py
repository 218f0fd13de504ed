"""Generations: the FAISS and tantivy indexes of a ledger at one moment, in one folder that appears whole or not at all.

    generation-7/vectors.faiss      may be some passages behind: they are searched exactly, as a delta
    generation-7/words/…            tantivy's own segments

A generation is named in the ledger with the size and SHA-256 of each of its files, and none of them is loaded that
fails its checksum: what it held is then read from the ledger. What the ledger gained since is a delta, held in memory
by whoever searches; what it lost is filtered out when hits are looked up. `publishing` makes generations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from rag.index.ledger import Ledger
from rag.index.names import told_apart
from rag.index.rows import GenerationRow
from rag.index.vectors import EXACT, SCORED, Kind, VectorIndex, kind_of
from rag.index.words import WordIndex
from rag.types import Card

if TYPE_CHECKING:
    from rag.types import Vectors

WORDS = "words"


class Snapshot:
    """What is searched: a generation without its `damaged` files, and what the ledger holds beside it. `cards` are all
    documents at that same moment: a filter by later ones would leave nothing of what is searched."""

    def __init__(
        self, ledger: Ledger, row: GenerationRow | None, home: Path, damaged: Collection[str] = (), note: str = ""
    ) -> None:
        self._ledger = ledger
        self.number = row.number if row else 0
        self.fingerprint = ledger.fingerprint
        self.notes = (note,) if note else ()
        self._words: list[WordIndex] = []
        self._vectors: list[VectorIndex] = []
        through = vectors_through = 0
        if row and not any(name.startswith(f"{WORDS}/") for name in damaged):
            self._words.append(WordIndex.open(folder_of(home, row.number) / WORDS))
            through = row.through
        if row and row.vectors_count and vectors_file(row) not in damaged:
            self._vectors.append(VectorIndex.load(folder_of(home, row.number) / vectors_file(row)))
            vectors_through = row.vectors_through
        if (newest := ledger.newest_passage()) > through:
            self._words.append(words := WordIndex())
            words.update(ledger.headed(through))
        if newest > vectors_through:
            self._vectors.append(vectors := VectorIndex.empty(EXACT, ledger.fingerprint.dimension))
            for ids, block in ledger.vector_blocks(vectors_through):
                vectors.add(ids, block)
        places = ((file.document, file.name, file.key) for file in ledger.files())
        self.cards = told_apart([Card(*card) for card in ledger.cards()], places)

    def __len__(self) -> int:
        """Passages held, those that are gone from the ledger included."""
        return sum(map(len, self._vectors))

    def dense(
        self, vector: Vectors, k: int, only: Sequence[int] | None = None, loosely: bool = False
    ) -> list[tuple[int, float]]:
        hits = []
        for part in self._vectors:
            found = part.search(vector, k, only, loosely)
            hits += found if part.exact else self._scored(found, vector)
        return _best(hits, k)

    def _scored(self, found: list[tuple[int, float]], vector: Vectors) -> list[tuple[int, float]]:
        """The first of them by the ledger's own vectors: bytes are right to three decimals, which will do for the rest.
        What the ledger holds no more keeps its score, too: it will be filtered out."""
        with self._ledger.snapshot():
            if self._ledger.fingerprint != self.fingerprint:  # embedded anew since: it holds none of them
                return found
            ids, vectors = self._ledger.vectors_of([id_ for id_, _ in found[:SCORED]])
        return list((dict(found) | dict(zip(ids.tolist(), (vectors @ vector).tolist(), strict=True))).items())

    def keyword(self, question: str, k: int, documents: Sequence[int] | None = None) -> list[tuple[int, float]]:
        return _best([hit for part in self._words for hit in part.search(question, k, documents)], k)


def load(ledger: Ledger, home: Path) -> Snapshot:
    """The newest generation, verified, with its delta. Never blocks, changes nothing, and always searches everything
    that the ledger holds, if need be without any generation."""
    while True:
        with ledger.snapshot():
            row = ledger.generation()
            damaged = _damaged(home, row) if row else {}
            if not damaged:
                try:
                    return Snapshot(ledger, row, home)
                except (OSError, ValueError, RuntimeError) as error:  # a writer replaced it since it was verified
                    damaged = dict.fromkeys(row.files if row else (), str(error))
        if ledger.generation() == row:  # not replaced by a writer while we looked: it is damaged
            why = next(iter(damaged.values()))
            note = f"Index damaged ({why}): searching the ledger instead. `rag repair` rebuilds the index."
            with ledger.snapshot():
                return Snapshot(ledger, row, home, damaged, note)


def damages(home: Path, row: GenerationRow) -> list[str]:
    """What is wrong with a generation's files: missing, of another size, or of other content."""
    return list(_damaged(home, row).values())


def _damaged(home: Path, row: GenerationRow) -> dict[str, str]:
    """File → what is wrong with it."""
    with ThreadPoolExecutor() as threads:  # hashing lets go of Python's lock
        problems = threads.map(_damage, [folder_of(home, row.number) / name for name in row.files], row.files.values())
        return {name: problem for name, problem in zip(row.files, problems, strict=True) if problem}


def _damage(path: Path, written: tuple[int, str]) -> str:
    size, checksum = written
    try:
        if path.stat().st_size != size:
            return f"{path} has {path.stat().st_size} bytes instead of {size}"
        return "" if sha256(path) == checksum else f"{path} fails its checksum"
    except OSError as error:
        return f"{path}: {error.strerror}"


def kind(ledger: Ledger) -> Kind:
    """How the published vectors are indexed; while there are none, how the first will be."""
    row = ledger.generation()
    return kind_of(vectors_file(row)) if row and row.vectors_count else EXACT


def vectors_file(row: GenerationRow) -> str:
    """The name of a generation's vectors, which tells their kind."""
    return next(name for name in row.files if name.startswith("vectors"))


def folder_of(home: Path, number: int) -> Path:
    return home / f"generation-{number}"


def sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _best(hits: list[tuple[int, float]], k: int) -> list[tuple[int, float]]:
    return sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]
