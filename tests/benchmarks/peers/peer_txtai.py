"""txtai, as its pages on "Embeddings" say; tuned: hybrid search, batches of 64, PDFs read by two processes.

txtai's own Textractor needs Java or models from the hub for a PDF and knows no pages, so pypdf reads them, and passages
are cut by words. It does not look for what changed: it is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing import Pool
from pathlib import Path

from pypdf import PdfReader
from txtai import Embeddings

VERSIONS = ("txtai", "pypdf")
WORDS = 180
Row = tuple[str, dict[str, str]]


class Peer:
    def __init__(self, model: Path, store: Path, tuned: bool) -> None:
        self._path = str(store / "index")
        self._tuned = tuned
        settings = {"hybrid": True, "encodebatch": 64} if tuned else {}
        self._embeddings = Embeddings(path=str(model), content=True, gpu=False, **settings)

    def build(self, folder: Path) -> None:
        self._embeddings.index(self._rows(sorted(folder.glob("*.pdf"))))
        self._embeddings.save(self._path)

    def open(self) -> None:
        self._embeddings.load(self._path)

    def query(self, question: str, k: int) -> list[tuple[str, int]]:
        places = (hit["id"].split("|") for hit in self._embeddings.search(question, k))
        return [(name, int(page)) for name, page, _ in places]

    def resync(self, folder: Path, changed: Path) -> None:
        self._embeddings.load(self._path)
        held = self._embeddings.search(
            "SELECT id FROM txtai WHERE file = :file", 100_000, parameters={"file": changed.name}
        )
        self._embeddings.delete([row["id"] for row in held])
        self._embeddings.upsert(self._rows([changed]))
        self._embeddings.save(self._path)

    def _rows(self, paths: Sequence[Path]) -> list[Row]:
        if not self._tuned:
            return [row for path in paths for row in _read(path)]
        with Pool(2) as workers:
            return [row for rows in workers.map(_read, paths) for row in rows]


def _read(path: Path) -> list[Row]:
    rows = []
    for number, page in enumerate(PdfReader(path).pages, 1):
        words = page.extract_text().split()
        for start in range(0, len(words), WORDS):
            text = " ".join(words[start : start + WORDS])
            rows.append((f"{path.name}|{number}|{start}", {"text": text, "file": path.name}))
    return rows
