"""Makes generations: written beside the old one, synced, renamed, and only then named in the ledger.

Files that did not change are hard links to the old generation's, so a small change never rewrites a large file. The
kind of the vectors' index changes as the collection grows (`vectors.KINDS`).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import StorageError
from rag.index import database
from rag.index.generation import WORDS, damages, folder_of, sha256, vectors_file
from rag.index.ledger import Ledger
from rag.index.queries import Queries
from rag.index.rows import GenerationRow
from rag.index.vectors import PER_CELL, VectorIndex, kind_for
from rag.index.words import WordIndex

if TYPE_CHECKING:
    from rag.types import Vectors

SMALL = 20_000  # below this many vectors a rewrite takes milliseconds, and nothing deleted lingers in the file
FEW_WORDS = 2_000  # passages, below which their words are written anew in tenths of a second
BEHIND = 25_000  # passages that vectors may be behind: a search compares them beside the others in 2 ms


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
        draft.rename(folder_of(home, number))
        database.sync_folder(home)
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
        for source in (folder_of(home, old.number) / WORDS).iterdir():
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
    held = folder_of(home, old.number) / vectors_file(old) if old and old.vectors_count else None
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


def _synced(draft: Path) -> dict[str, tuple[int, str]]:
    """Puts every file of a draft on disk for good; their sizes and checksums."""
    files = {}
    for path in sorted(p for p in draft.rglob("*") if p.is_file()):
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
        path.chmod(0o600)
        files[str(path.relative_to(draft))] = (path.stat().st_size, sha256(path))
    for folder in (draft / WORDS, draft):
        database.sync_folder(folder)
    return files


def move(home: Path, number: int, into: Path, as_number: int) -> None:
    """To another collection's folder, for good; it is not read there before it is published."""
    folder_of(home, number).rename(folder_of(into, as_number))
    database.sync_folder(into)


def _number(path: Path) -> int:
    digits = path.name.rpartition("-")[2]
    return int(digits) if digits.isdigit() else 0
