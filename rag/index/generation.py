"""Generations: the FAISS and tantivy indexes of a ledger at one moment, in one folder that appears whole or not at all.

    generation-7/vectors.faiss      may be some passages behind: they are searched exactly, as a delta
    generation-7/words/…            tantivy's own segments

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
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import StorageError
from rag.index import database
from rag.index.ledger import Ledger
from rag.index.rows import GenerationRow
from rag.index.vectors import Delta, VectorIndex
from rag.index.words import WordIndex

if TYPE_CHECKING:
    from rag.types import Vectors

VECTORS = "vectors.faiss"
WORDS = "words"
SMALL = 20_000  # below this many vectors a rewrite takes milliseconds, and nothing deleted lingers in the file


class Snapshot:
    """What is searched: a generation, what the ledger gained since, and `notes` on anything unusual."""

    def __init__(self, ledger: Ledger, row: GenerationRow | None, home: Path, notes: Sequence[str]) -> None:
        self.number = row.number if row else 0
        self.notes = tuple(notes)
        folder = _folder(home, self.number)
        self._words = [WordIndex.open(folder / WORDS)] if row else []
        self._vectors: list[VectorIndex | Delta] = []
        if row and row.vectors_count:
            self._vectors.append(VectorIndex.load(folder / VECTORS))
        if ledger.newest_passage() > (row.through if row else 0):
            fresh = WordIndex()
            fresh.update(ledger.headed(row.through if row else 0))
            self._words.append(fresh)
        ids, vectors = ledger.vectors(row.vectors_through if row else 0)
        if ids:
            self._vectors.append(Delta(ids, vectors))

    def __len__(self) -> int:
        """Passages held, those that are gone from the ledger included."""
        return sum(map(len, self._vectors))

    def dense(self, vector: Vectors, k: int, only: Sequence[int] | None = None) -> list[tuple[int, float]]:
        return _best([hit for part in self._vectors for hit in part.search(vector, k, only)], k)

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
    folder = _folder(home, row.number)
    problems = []
    for name, (size, sha256) in row.files.items():
        path = folder / name
        try:
            if path.stat().st_size != size:
                problems.append(f"{path} has {path.stat().st_size} bytes instead of {size}")
            elif _sha256(path) != sha256:
                problems.append(f"{path} fails its checksum")
        except OSError as error:
            problems.append(f"{path}: {error.strerror}")
    return problems


def publish(ledger: Ledger, home: Path, rebuild: bool = False) -> bool:
    """Brings the published generation up to the ledger; False when it already was. Call under the writer's lock.

    Raises StorageError when the disk is full: the ledger and the old generation are untouched then.
    """
    old = ledger.generation()
    if old and (rebuild or damages(home, old)):
        old = None
    newest = ledger.newest_passage()
    if old and old.through == newest and not ledger.removed(in_words=True):
        return False
    number = 1 + max((_number(path) for path in home.glob("generation-*")), default=old.number if old else 0)
    draft = home / f".generation-{number}"
    try:
        sweep(home, keep=old.number if old else None)
        draft.mkdir(mode=0o700)
        _write_words(ledger, draft / WORDS, home, old)
        rebuilt, through, count = _write_vectors(ledger, draft / VECTORS, home, old, newest)
        row = GenerationRow(number, newest, through, count, _synced(draft))
        draft.rename(_folder(home, number))
        database.sync_folder(home)
    except (OSError, RuntimeError, ValueError) as error:  # tantivy and FAISS raise the latter two for a failed write
        shutil.rmtree(draft, ignore_errors=True)
        raise StorageError(
            f"Cannot write the index in {home} ({error}; {database.room(home)}). All documents indexed so far are safe "
            "in the ledger, and are searched from there. Free space and run `rag repair`."
        ) from error
    with ledger.transaction():
        ledger.publish(row, rebuilt)
    sweep(home, keep=number)
    return True


def sweep(home: Path, keep: int | None) -> None:
    """Removes what an interrupted or superseded generation left."""
    for path in [*home.glob(".generation-*"), *home.glob("generation-*")]:
        if path.name.startswith(".") or _number(path) != keep:
            shutil.rmtree(path, ignore_errors=True)


def _write_words(ledger: Ledger, folder: Path, home: Path, old: GenerationRow | None) -> None:
    folder.mkdir(mode=0o700)
    if old:
        for source in (_folder(home, old.number) / WORDS).iterdir():
            if source.suffix == ".json":  # the only files that tantivy rewrites
                shutil.copyfile(source, folder / source.name)
            elif source.suffix != ".lock":
                os.link(source, folder / source.name)
    words = WordIndex(folder)
    words.update(ledger.headed(old.through if old else 0), ledger.removed(in_words=True) if old else ())
    for lock in folder.glob(".*.lock"):
        lock.unlink()


def _write_vectors(
    ledger: Ledger, path: Path, home: Path, old: GenerationRow | None, newest: int
) -> tuple[bool, int, int]:
    """(whether the file is new, the last passage in it, how many vectors it holds). The file is kept from the old
    generation until a tenth of it has changed; there is none while there is nothing to hold."""
    if old and old.vectors_count >= SMALL:
        changed = len(ledger.vectors(old.vectors_through)[0]) + len(ledger.removed())
        if changed <= old.vectors_count // 10:
            os.link(_folder(home, old.number) / VECTORS, path)
            return False, old.vectors_through, old.vectors_count
    ids, vectors = ledger.vectors()
    if ids:
        VectorIndex.build(ids, vectors).save(path)
    return True, newest, len(ids)


def _synced(draft: Path) -> dict[str, tuple[int, str]]:
    """Puts every file of a draft on disk for good; their sizes and checksums."""
    files = {}
    for path in sorted(p for p in draft.rglob("*") if p.is_file()):
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
        path.chmod(0o600)
        files[str(path.relative_to(draft))] = (path.stat().st_size, _sha256(path))
    for folder in (draft / WORDS, draft):
        database.sync_folder(folder)
    return files


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
