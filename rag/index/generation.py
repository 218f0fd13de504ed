"""Generations: the FAISS and tantivy indexes of a ledger at one moment, in one folder that appears whole or not at all.

    generation-7/vectors.faiss      may be some passages behind: they are searched exactly, as a delta
    generation-7/words/…            tantivy's own segments

The vectors' file is named after its kind, which changes as the collection grows (`vectors.KINDS`).

A generation is written beside the old one, synced, renamed, and only then named in the ledger with the size and
SHA-256 of each of its files. Files that did not change are hard links to the old generation's, so a small change
never rewrites a large file. What the ledger gained since is a delta, held in memory by whoever searches; what it
lost is filtered out when hits are looked up. A generation that fails its checksums is not loaded at all: the
delta is then simply everything.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import StorageError
from rag.index import database
from rag.index.ledger import Ledger
from rag.index.names import told_apart
from rag.index.queries import Queries
from rag.index.rows import GenerationRow
from rag.index.vectors import PER_CELL, Delta, Kind, VectorIndex, kind_for, kind_of
from rag.index.words import WordIndex
from rag.types import Card

if TYPE_CHECKING:
    from rag.types import Vectors

WORDS = "words"
SMALL = 20_000  # below this many vectors a rewrite takes milliseconds, and nothing deleted lingers in the file
BEHIND = 20_000  # passages that vectors may be behind: what a search compares beside them in 2 ms
FEW_WORDS = 2_000  # passages, below which their words are written anew in tenths of a second


class Snapshot:
    """What is searched: a generation, what the ledger gained since, and `notes` on anything unusual. `cards` are all
    documents at that same moment: a filter by later ones would leave nothing of what is searched."""

    def __init__(self, ledger: Ledger, row: GenerationRow | None, home: Path, notes: Sequence[str]) -> None:
        self.number = row.number if row else 0
        self.fingerprint = ledger.fingerprint
        self.notes = tuple(notes)
        folder = _folder(home, self.number)
        self._words = [WordIndex.open(folder / WORDS)] if row else []
        self._ledger = ledger
        self._vectors: list[VectorIndex | Delta] = []
        if row and row.vectors_count:
            self._vectors.append(VectorIndex.load(folder / _vectors_file(row)))
        if ledger.newest_passage() > (row.through if row else 0):
            fresh = WordIndex()
            fresh.update(ledger.headed(row.through if row else 0))
            self._words.append(fresh)
        ids, vectors = ledger.vectors(row.vectors_through if row else 0)
        if len(ids):
            self._vectors.append(Delta(ids, vectors))
        places = ((file.document, file.name, file.key) for file in ledger.files())
        self.cards = told_apart([Card(*card) for card in ledger.cards()], places)

    def __len__(self) -> int:
        """Passages held, those that are gone from the ledger included."""
        return sum(map(len, self._vectors))

    def dense(self, vector: Vectors, k: int, only: Sequence[int] | None = None) -> list[tuple[int, float]]:
        hits = []
        for part in self._vectors:
            found = part.search(vector, k, only)
            hits += found if part.exact else self._scored(found, vector)
        return _best(hits, k)

    def _scored(self, found: list[tuple[int, float]], vector: Vectors) -> list[tuple[int, float]]:
        """By the ledger's own vectors. What the ledger holds no more keeps its score: it is filtered out by others."""
        ids, vectors = self._ledger.vectors_of([id_ for id_, _ in found])
        return list((dict(found) | dict(zip(ids.tolist(), (vectors @ vector).tolist(), strict=True))).items())

    def keyword(self, question: str, k: int, documents: Sequence[int] | None = None) -> list[tuple[int, float]]:
        return _best([hit for part in self._words for hit in part.search(question, k, documents)], k)


def load(ledger: Ledger, home: Path) -> Snapshot:
    """The newest generation, verified, with its delta. Never blocks, changes nothing, and always searches everything
    that the ledger holds, if need be without any generation."""
    while True:
        with ledger.snapshot():
            row = ledger.generation()
            problems = damages(home, row) if row else []
            if not problems:
                try:
                    return Snapshot(ledger, row, home, ())
                except (OSError, ValueError, RuntimeError) as error:  # a writer replaced it since it was verified
                    problems = [str(error)]
        later = ledger.generation()
        if later == row:  # not replaced by a writer while we looked: it is damaged
            note = f"Index damaged ({problems[0]}): searching the ledger instead. `rag repair` rebuilds the index."
            with ledger.snapshot():
                return Snapshot(ledger, None, home, [note])


def damages(home: Path, row: GenerationRow) -> list[str]:
    """What is wrong with a generation's files: missing, of another size, or of other content."""
    with ThreadPoolExecutor() as threads:  # hashing lets go of Python's lock
        found = threads.map(_damage, [_folder(home, row.number) / name for name in row.files], row.files.values())
        return [problem for problem in found if problem]


def _damage(path: Path, written: tuple[int, str]) -> str:
    size, sha256 = written
    try:
        if path.stat().st_size != size:
            return f"{path} has {path.stat().st_size} bytes instead of {size}"
        return "" if _sha256(path) == sha256 else f"{path} fails its checksum"
    except OSError as error:
        return f"{path}: {error.strerror}"


def kind(ledger: Ledger) -> Kind:
    """How the published vectors are indexed; while there are none, how the first will be."""
    row = ledger.generation()
    return kind_of(_vectors_file(row)) if row and row.vectors_count else kind_for(0)


def publish(ledger: Ledger, home: Path, rebuild: bool = False) -> bool:
    """Brings the published generation up to the ledger; False when it already was. Call under the writer's lock.

    Raises StorageError when the disk is full: the ledger and the old generation are untouched then.
    """
    old = ledger.generation()
    if old and (rebuild or damages(home, old)):
        old = None
    if old and old.through == ledger.newest_passage() and not ledger.removed(in_words=True):
        return False
    number = next_number(ledger, home)
    sweep(home, keep=old.number if old else None)
    row, rebuilt = build(ledger, home, number, old)
    with ledger.transaction():
        ledger.publish(row, rebuilt)
    sweep(home, keep=number)
    return True


def as_new(ledger: Ledger) -> bool:
    """Whether keyword search counts the same as if the index had been built from nothing."""
    row = ledger.generation()
    up_to_date = row is not None and row.through == ledger.newest_passage() and not ledger.removed(in_words=True)
    return up_to_date and row is not None and not row.lingering


def next_number(ledger: Ledger, home: Path) -> int:
    published = ledger.generation()
    return 1 + max((_number(path) for path in home.glob("generation-*")), default=published.number if published else 0)


def build(passages: Queries, home: Path, number: int, old: GenerationRow | None = None) -> tuple[GenerationRow, bool]:
    """A generation of a ledger's passages, or of its side's, on disk for good, and whether all of its vectors were
    written anew; publish it, so that it is read. What did not change is taken from the `old` one. Raises StorageError
    when the disk is full: nothing has changed then."""
    draft = home / f".generation-{number}"
    newest = passages.newest_passage()
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        lingering = _write_words(passages, draft / WORDS, home, old)
        rebuilt, through, count = _write_vectors(passages, draft, home, old, newest)
        row = GenerationRow(number, newest, through, count, _synced(draft), lingering)
        draft.rename(_folder(home, number))
        sync_folder(home)
    except (OSError, RuntimeError, ValueError) as error:  # tantivy and FAISS raise the latter two for a failed write
        shutil.rmtree(draft, ignore_errors=True)
        raise StorageError(
            f"Cannot write the index in {home} ({error}; {database.room(home)}). All documents indexed so far are safe "
            "in the ledger, and are searched from there. Free space and run the same command again, or `rag repair`."
        ) from error
    return row, rebuilt


def sweep(home: Path, keep: int | None) -> None:
    """Removes what an interrupted or superseded generation left."""
    for path in [*home.glob(".generation-*"), *home.glob("generation-*")]:
        if path.name.startswith(".") or _number(path) != keep:
            shutil.rmtree(path, ignore_errors=True)


def _write_words(ledger: Queries, folder: Path, home: Path, old: GenerationRow | None) -> int:
    """How many passages that are gone BM25 counts all the same: tantivy forgets them when it merges segments, and that
    is not ours to say. They are never a tenth, and none where all words are soon written anew."""
    removed = ledger.removed(in_words=True) if old else []
    lingering = old.lingering + len(removed) if old else 0
    held = ledger.counts()["passages"]
    if lingering and (held <= FEW_WORDS or lingering > held // 10):
        old, removed, lingering = None, [], 0
    folder.mkdir(mode=0o700)
    if old:
        for source in (_folder(home, old.number) / WORDS).iterdir():
            if source.suffix == ".json":  # the only files that tantivy rewrites
                shutil.copyfile(source, folder / source.name)
            elif source.suffix != ".lock":
                os.link(source, folder / source.name)
    words = WordIndex(folder)
    words.update(ledger.headed(old.through if old else 0), removed)
    for lock in folder.glob(".*.lock"):
        lock.unlink()
    return lingering


def _write_vectors(
    ledger: Queries, draft: Path, home: Path, old: GenerationRow | None, newest: int
) -> tuple[bool, int, int]:
    """(whether the file is new, the last passage in it, how many vectors it holds). The file is kept from the old
    generation until enough has changed; there is none while there is nothing to hold."""
    held = _folder(home, old.number) / _vectors_file(old) if old and old.vectors_count else None
    if old and held and old.vectors_count >= SMALL:
        changed = ledger.count_after(old.vectors_through) + len(ledger.removed())
        if changed <= min(old.vectors_count // 10, BEHIND):
            os.link(held, draft / held.name)
            return False, old.vectors_through, old.vectors_count
    count = ledger.counts()["passages"]
    wanted = kind_for(count)
    if old and held and held.name == wanted.file and wanted.cells:
        index = VectorIndex.load(held)  # its cells are still right: learning them again would take minutes
        index.remove(ledger.removed())
        for ids, vectors in ledger.vector_blocks(old.vectors_through):
            index.add(ids, vectors)
    else:
        index = VectorIndex.empty(wanted, ledger.fingerprint.dimension)
        if wanted.cells:
            index.learn(_sample(ledger, every=max(1, count // (PER_CELL * wanted.cells))))
        for ids, vectors in ledger.vector_blocks():
            index.add(ids, vectors)
    if len(index):
        index.save(draft)
    return True, newest, len(index)


def _sample(ledger: Queries, every: int) -> Vectors:
    import numpy as np

    return np.concatenate([vectors for _, vectors in ledger.vector_blocks(every=every)])


def _vectors_file(row: GenerationRow) -> str:
    return next(name for name in row.files if name.startswith("vectors"))


def _synced(draft: Path) -> dict[str, tuple[int, str]]:
    """Puts every file of a draft on disk for good; their sizes and checksums."""
    files = {}
    for path in sorted(p for p in draft.rglob("*") if p.is_file()):
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
        path.chmod(0o600)
        files[str(path.relative_to(draft))] = (path.stat().st_size, _sha256(path))
    for folder in (draft / WORDS, draft):
        sync_folder(folder)
    return files


def move(home: Path, number: int, into: Path, as_number: int) -> None:
    """To another collection's folder, for good; it is not read there before it is published."""
    _folder(home, number).rename(_folder(into, as_number))
    sync_folder(into)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _folder(home: Path, number: int) -> Path:
    return home / f"generation-{number}"


def _number(path: Path) -> int:
    digits = path.name.rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0


def _best(hits: list[tuple[int, float]], k: int) -> list[tuple[int, float]]:
    return sorted(hits, key=lambda hit: (-hit[1], hit[0]))[:k]
