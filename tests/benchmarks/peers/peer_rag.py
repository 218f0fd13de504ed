"""This project, as its README says: `rag index`, and the retriever that `rag ask` asks."""

from __future__ import annotations

import sys
from pathlib import Path

from rag import compose
from rag.cli import main
from rag.config import Config

VERSIONS = ("beluga-rag",)


class Peer:
    def __init__(self, model: Path, store: Path, tuned: bool) -> None:
        self._indexes = store / "indexes"

    def build(self, folder: Path) -> None:
        self._index(folder)

    def open(self) -> None:
        config = Config.from_environment(indexes=self._indexes)
        self._retriever = compose.retriever(config, compose.collection(config), compose.embedder(config))

    def query(self, question: str, k: int) -> list[tuple[str, int | None]]:
        return [(hit.passage.document, hit.passage.page) for hit in self._retriever.retrieve(question, k)]

    def resync(self, folder: Path, changed: Path) -> None:
        self._index(folder)  # the whole folder: it finds out for itself what changed

    def _index(self, folder: Path) -> None:
        code = main(["index", str(folder), "--indexes", str(self._indexes)])
        if code not in {0, 3}:
            sys.exit(code)
