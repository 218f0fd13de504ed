"""Nearest neighbours among unit vectors, by FAISS: inner product is cosine, and higher is better.

A small collection is searched exactly. A large one is divided into cells around centroids that k-means finds, of which
a search looks into the nearest ones; vectors are held in a byte a dimension there, which is enough to find them, and
whoever searches scores the best of what was found by the ledger's own vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rag.types import Vectors

    Ids = NDArray[np.int64]

PER_CELL = 40  # vectors that a centroid is learned from: what FAISS asks for at least
SCORED = 64  # of what a search finds by bytes, so many are to be scored exactly: bytes put near ones into a wrong order


@dataclass(frozen=True, slots=True)
class Kind:
    """How a collection of at least `since` vectors is indexed: in so many `cells` (0: in none), of which a search looks
    into the `probed` nearest."""

    since: int
    cells: int = 0
    probed: int = 0

    @property
    def file(self) -> str:
        return f"vectors-ivf{self.cells}.faiss" if self.cells else "vectors.faiss"

    def __str__(self) -> str:
        if not self.cells:
            return "exact (every vector is compared)"
        return f"IVF (the {self.probed} nearest of {self.cells:,} cells are compared, then scored exactly)"


EXACT = Kind(since=0)
# Measured on MiniLM's vectors of the practice sets' text, asked by their questions, one thread: up to here an exact
# search takes a few milliseconds; then recall@10 against it is .987 at 100,000 and .990 at 200,000 in 1,024 cells, and
# .985 at 1,000,000 in 2,048 (.989 with 160 probed, .981 with 96). Twice the cells would halve what is compared, lose
# .005, and take four times as long to learn.
KINDS = (
    EXACT,
    Kind(since=100_000, cells=1024, probed=128),
    Kind(since=400_000, cells=2048, probed=128),
    Kind(since=1_600_000, cells=4096, probed=256),
)


def kind_for(count: int) -> Kind:
    return max((kind for kind in KINDS if kind.since <= count), key=lambda kind: kind.since)


def kind_of(file: str) -> Kind:
    """The kind whose file is named so; one that another version of this table had is searched like the next smaller."""
    cells = int("".join(filter(str.isdigit, file)) or 0)
    return replace(max((kind for kind in KINDS if kind.cells <= cells), key=lambda kind: kind.cells), cells=cells)


class VectorIndex:
    """Passage ids and their vectors. `empty` makes one, `load` reads one that `save` wrote."""

    def __init__(self, kind: Kind, index: Any) -> None:
        self._kind = kind
        self._index = index

    @classmethod
    def empty(cls, kind: Kind, dimension: int) -> VectorIndex:
        """To be filled with `add`, after `learn` where the kind has cells."""
        import faiss
        import numpy as np

        # The ledger's vectors are float16: nothing is lost, and half the memory is read in less than half the time.
        factory = f"IVF{kind.cells},SQ8" if kind.cells else "IDMap2,SQfp16"
        index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
        if not kind.cells:
            index.train(np.zeros((1, dimension), np.float32))  # float16 has nothing to learn, but wants to be asked
        return cls(kind, index)

    @classmethod
    def load(cls, path: Path) -> VectorIndex:
        """Reads what `save` wrote. Verify its checksum first: FAISS loads many damaged files without a word."""
        import faiss

        return cls(kind_of(path.name), faiss.read_index(str(path)))

    def save(self, folder: Path) -> Path:
        """Writes a file that is named after its kind."""
        import faiss

        path = folder / self._kind.file
        faiss.write_index(self._index, str(path))
        return path

    def learn(self, sample: Vectors) -> None:
        """Finds the cells, and the range of each dimension's bytes; the same from the same sample."""
        self._index.train(_finite(sample))

    def add(self, ids: Ids, vectors: Vectors) -> None:
        self._index.add_with_ids(_finite(vectors), ids)

    def remove(self, ids: Sequence[int]) -> None:
        """Those of them that there are."""
        import numpy as np

        self._index.remove_ids(np.asarray(ids, dtype=np.int64))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def exact(self) -> bool:
        """Whether what `search` finds are the nearest ones, and its scores their cosines."""
        return not self._kind.cells

    def search(
        self, vector: Vectors, k: int, only: Sequence[int] | None = None, loosely: bool = False
    ) -> list[tuple[int, float]]:
        """The k nearest (passage id, cosine) to one vector of shape (d,), best first; only among `only` if given, of
        which `loosely` may miss some that are far away. Where
        it is not `exact`, `SCORED` at least, of which the first are to be scored."""
        import faiss

        if k < 1 or len(self) == 0 or (only is not None and not len(only)):
            return []
        wanted = k if self.exact else max(k, SCORED)
        with _one_thread(faiss):
            scores, ids = self._index.search(
                vector[None, :], min(wanted, len(self)), params=self._parameters(faiss, only, loosely)
            )
        # FAISS fills up with -1 where it finds fewer than k.
        return [(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]

    def _parameters(self, faiss: Any, only: Sequence[int] | None, loosely: bool) -> Any:
        selector = None if only is None else _selector(faiss, only)
        if not self._kind.cells:
            return faiss.SearchParameters(sel=selector)
        # What a filter leaves can be in any cell, and there is little of it: all of them are looked into. By the nearer
        # half, 99.5 of 100 of the first eight fused hits were the same at a million passages.
        probed = self._kind.probed if only is None else self._kind.cells // (2 if loosely else 1)
        return faiss.SearchParametersIVF(sel=selector, nprobe=probed)


def _finite(vectors: Vectors) -> Vectors:
    import numpy as np

    if not np.isfinite(vectors).all():
        raise ValueError("vectors must be finite")  # FAISS would take them and never return them
    return vectors


def _selector(faiss: Any, ids: Sequence[int]) -> Any:
    """A bit for each vector: it is asked of every one that could be found, and nothing answers faster."""
    import numpy as np

    chosen = np.asarray(ids, dtype=np.int64)
    bits = np.zeros(int(chosen.max()) + 1, dtype=bool)
    bits[chosen] = True
    return faiss.IDSelectorBitmap(np.packbits(bits, bitorder="little"))


@contextmanager
def _one_thread(faiss: Any) -> Iterator[None]:
    """Without FAISS's threads: a search takes a few milliseconds, and waiting for threads on a busy machine was
    measured to take 28. The setting is the calling thread's own."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)
