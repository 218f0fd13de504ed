"""A collection on a Milvus server against the same in files: do their hits agree, and what does it cost?

    python tests/benchmarks/bench_stores.py --store milvus://127.0.0.1:19530 [--indexes DIR] [--of COLLECTION]

The documents, their passages and vectors are taken from the collection in files (of SQuAD's articles, which is made
where it is not there), so that both hold the same and nothing is embedded twice. Prints the passages written a second,
and for questions of the practice set the shares of hits at 1 and 5 and how long a search takes, of either store.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from bench_retrieval import rank_of_passage

from rag import compose
from rag.config import NONE, Config
from rag.encoder.embed import TextEmbedder
from rag.index.ledger import Ledger
from rag.index.milvus.server import Server
from rag.index.rows import digest, float16
from rag.index.seams import Store
from rag.types import Entry, Fingerprint, Outcome, Reading, Status

ROOT = Path(__file__).resolve().parents[2]


class Kept:
    """An embedder that remembers what a ledger holds."""

    def __init__(self, real: TextEmbedder, ledger: Ledger) -> None:
        self._real = real
        self._ledger = ledger
        self.count, self.embed_questions = real.count, real.embed_questions

    @property
    def fingerprint(self) -> Fingerprint:
        return self._real.fingerprint

    def embed_passages(self, texts: Sequence[str]) -> np.ndarray:
        keys = [digest(text) for text in texts]
        known = self._ledger.embedded(keys)
        return float16([known[key] for key in keys])


class Copied:
    """A source of all that a ledger holds."""

    reader = "copied"
    skipped: Sequence[str] = ()
    unread: Sequence[str] = ()

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def scan(self) -> Iterator[Entry]:
        for row in self._ledger.files():
            yield Entry(row.key, row.name, row.uri, row.version, row.size)

    def covers(self, key: bytes) -> bool:
        return True

    def excludes(self, key: bytes) -> bool:
        return False

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]:
        held = {row.key: row.document for row in self._ledger.files()}
        for entry in entries:
            document = held[entry.key]
            if document is None:
                yield Reading(entry, Outcome(Status.NO_TEXT))
            else:
                yield Reading(entry, Outcome(Status.INDEXED), next(self._ledger.documents(only=document))[1])


class Clock:
    """Seconds that a server took for each thing that was asked of it."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        real = Server.call

        def call(server: Server, method: str, *arguments: object, **named: object) -> object:
            began = time.perf_counter()
            try:
                return real(server, method, *arguments, **named)
            finally:
                self.seconds.setdefault(method, []).append(time.perf_counter() - began)

        Server.call = call  # type: ignore[method-assign]


def asked(store: Store, by: TextEmbedder, questions: Sequence[dict], config: Config) -> dict[str, float]:
    """Shares of hits, and milliseconds, of fused search and of each of its two."""
    found = compose.retriever(config, store, by)
    found.retrieve("warm up", 5)
    ranks, took = [], []
    for question in questions:
        began = time.perf_counter()
        hits = found.retrieve(question["question"], 20)
        took.append(time.perf_counter() - began)
        ranks.append(rank_of_passage(hits, question))
    view = store.index()
    vectors = by.embed_questions([question["question"] for question in questions])
    dense = [rank_of_passage(view.dense(v, 20), q) for v, q in zip(vectors, questions, strict=True)]
    words = [rank_of_passage(view.keyword(q["question"], 20), q) for q in questions]
    result = {f"{name}@{k}": float(np.mean([rank <= k for rank in those]))
              for name, those in (("fused", ranks), ("dense", dense), ("keyword", words)) for k in (1, 5)}  # fmt: skip
    cuts = statistics.quantiles(took, n=20)
    return result | {"p50 ms": 1000 * cuts[9], "p95 ms": 1000 * cuts[18]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", required=True)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("RAG_PRACTICE_DATA", ROOT.parent / "shared/data"))
    )
    parser.add_argument("--indexes", type=Path, default=ROOT / "tests/benchmarks/results/indexes")
    parser.add_argument("--of", default="squad")
    parser.add_argument("--every", type=int, default=1, help="of the questions")
    options = parser.parse_args()
    config = Config.from_environment(indexes=options.indexes, collection=options.of, rerank=NONE)
    by = compose.embedder(config)
    files = compose.collection(config)
    if options.of == "squad":
        source = compose.source(config, options.data / "squad" / "articles")
        files.sync(source, by, root=source.root)
    lines = (options.data / "squad" / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [q for q in map(json.loads, lines) if q["answerable"]][:: options.every]
    there = Config.from_environment(indexes=options.indexes, collection=options.of, store=options.store, rerank=NONE)
    clock = Clock()
    with closing(Ledger.read(options.indexes / options.of / "ledger.sqlite")) as ledger:
        server = compose.collection(there)
        if server.exists():
            server.remove()
        report = server.sync(Copied(ledger), Kept(by, ledger))
    writing = {method: sum(took) for method, took in clock.seconds.items()}
    calls = {method: len(took) for method, took in clock.seconds.items()}
    print(f"{report.passages} passages in {report.seconds:.1f} s, nothing embedded; the server took (s) "
          f"{ {method: round(took, 2) for method, took in writing.items()} } in {calls} calls")  # fmt: skip
    print(f"{report.passages / sum(writing.get(m, 0) for m in ('upsert', 'delete')):.0f} passages a second written")
    for name, store in (("files", files), ("server", server)):
        clock.seconds.clear()
        figures = asked(store, by, questions, config)
        print(name, {key: round(value, 3) for key, value in figures.items()})
    took = sorted(clock.seconds["search"])
    middle, late = 1000 * took[len(took) // 2], 1000 * took[len(took) * 19 // 20]
    print(f"one search of the server: p50 {middle:.1f} ms, p95 {late:.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
