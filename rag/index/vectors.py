"""Nearest neighbours among unit vectors, by FAISS: inner product is cosine, and higher is better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag.types import Vectors

FLAT_UP_TO = 200_000  # vectors are searched exactly up to here; beyond, in the nearest of 4·√n cells


class VectorIndex:
    """Passage ids and their vectors. `build` makes one, `load` reads one that `save` wrote."""

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def build(cls, ids: Sequence[int], vectors: Vectors) -> VectorIndex:
        """From n ids and float32 vectors of shape (n, d)."""
        import faiss
        import numpy as np

        count, dimension = vectors.shape
        if not np.isfinite(vectors).all():
            raise ValueError("vectors must be finite")  # FAISS would take them and never return them
        index = faiss.index_factory(dimension, _kind(count), faiss.METRIC_INNER_PRODUCT)
        if not index.is_trained:
            index.train(vectors)
        index.add_with_ids(vectors, np.asarray(ids, dtype=np.int64))
        return cls(index)

    @classmethod
    def load(cls, path: Path) -> VectorIndex:
        """Reads what `save` wrote. Verify its checksum first: FAISS loads many damaged files without a word."""
        import faiss

        return cls(faiss.read_index(str(path)))

    def save(self, path: Path) -> None:
        import faiss

        faiss.write_index(self._index, str(path))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(self, vector: Vectors, k: int, only: Sequence[int] | None = None) -> list[tuple[int, float]]:
        """The k nearest (passage id, cosine) to one vector of shape (d,), best first; only among `only` if given."""
        import faiss
        import numpy as np

        if k < 1 or len(self) == 0 or (only is not None and not len(only)):
            return []
        selector = None if only is None else faiss.IDSelectorBatch(np.asarray(only, dtype=np.int64))
        with _one_thread(faiss, len(self) <= FLAT_UP_TO):
            scores, ids = self._index.search(
                vector[None, :], min(k, len(self)), params=self._parameters(faiss, selector)
            )
        # FAISS fills up with -1 where it finds fewer than k.
        return [(int(i), float(s)) for i, s in zip(ids[0], scores[0], strict=True) if i >= 0]

    def _parameters(self, faiss: Any, selector: Any) -> Any:
        inverted = faiss.try_extract_index_ivf(self._index)
        if inverted is None:
            return faiss.SearchParameters(sel=selector)
        return faiss.SearchParametersIVF(sel=selector, nprobe=max(16, inverted.nlist // 16))


@contextmanager
def _one_thread(faiss: Any, wanted: bool) -> Iterator[None]:
    """Without FAISS's threads where `wanted`: a search of so few vectors takes a millisecond, and waiting for threads
    on a busy machine was measured to take 28. The setting is the calling thread's own."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1 if wanted else threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def _kind(count: int) -> str:
    if count <= FLAT_UP_TO:
        return "IDMap2,Flat"
    return f"IVF{int(4 * sqrt(count))},SQfp16"


class Delta:
    """Vectors that came after the index was built, searched exactly."""

    def __init__(self, ids: Sequence[int], vectors: Vectors) -> None:
        import numpy as np

        self._ids = np.asarray(ids, dtype=np.int64)
        self._vectors = vectors

    def __len__(self) -> int:
        return len(self._ids)

    def search(self, vector: Vectors, k: int, only: Sequence[int] | None = None) -> list[tuple[int, float]]:
        import numpy as np

        if not len(self):
            return []
        ids, vectors = self._ids, self._vectors
        if only is not None:
            chosen = np.isin(ids, np.asarray(only, dtype=np.int64))
            ids, vectors = ids[chosen], vectors[chosen]
        scores = vectors @ vector
        best = np.argsort(-scores, kind="stable")[:k]
        return [(int(ids[i]), float(scores[i])) for i in best]
