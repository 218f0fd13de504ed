"""Retrieval on the practice sets: the share of questions whose evidence is among the first k hits.

    python tests/benchmarks/bench_retrieval.py [--data DIR] [--indexes DIR] [--json FILE]

FinanceBench counts pages: a question is hit at k when one of its gold pages is among the first k different pages
(and, stricter, when it is among the pages of the first k passages). SQuAD counts paragraphs: a passage is the gold
paragraph when it covers at least half of its words. Collections are kept in --indexes and brought in step, so that a
second run is quick. The interval is a 95 % bootstrap over questions.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rag import compose
from rag.config import Config
from rag.types import Hit, Passage

ROOT = Path(__file__).resolve().parents[2]
DEPTH = 50
SETS = {"financebench": ("pdfs", (1, 5, 10, 20)), "squad": ("articles", (1, 5, 10, 20))}


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))


def covers(passage: Passage, evidence: dict) -> bool:
    if passage.document != evidence["document"]:
        return False
    if evidence.get("page") is not None:
        return passage.page == evidence.get("page")
    wanted = words(evidence["text"])
    return 2 * (words(passage.text) & wanted).total() >= wanted.total()


def rank_of_passage(hits: list[Hit], question: dict) -> float:
    found = (i for i, hit in enumerate(hits, 1) if any(covers(hit.passage, e) for e in question["evidence"]))
    return next(found, float("inf"))


def rank_of_page(hits: list[Hit], question: dict) -> float:
    """Rank among different pages."""
    pages: list[tuple[str, int | None]] = []
    for hit in hits:
        if (page := (hit.passage.document, hit.passage.page)) not in pages:
            pages.append(page)
        if any(covers(hit.passage, e) for e in question["evidence"]):
            return len(pages)
    return float("inf")


def share(ranks: list[float], k: int, seed: int = 0) -> tuple[float, float, float]:
    """The share of ranks up to k, with its 95 % bootstrap interval."""
    hits = np.asarray([rank <= k for rank in ranks])
    draws = np.random.default_rng(seed).choice(hits, (1000, len(hits))).mean(axis=1)
    return float(hits.mean()), *map(float, np.quantile(draws, (0.025, 0.975)))


def measure(name: str, data: Path, indexes: Path) -> dict:
    folder, ks = SETS[name]
    config = Config.from_environment(indexes=indexes, collection=name)
    source = compose.source(config, data / name / folder)
    embedder = compose.embedder(config)
    collection = compose.collection(config)
    report = collection.sync(source, embedder, root=source.root)
    print(f"{name}: {report.passages} passages, {report.embedded} embedded in {report.seconds:.0f} s", file=sys.stderr)
    retriever = compose.retriever(config, collection, embedder)
    lines = (data / name / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [q for q in map(json.loads, lines) if q["answerable"]]
    retriever.retrieve("warm up", 1)
    found, seconds = [], []
    for question in questions:
        began = time.perf_counter()
        found.append(retriever.retrieve(question["question"], DEPTH))
        seconds.append(time.perf_counter() - began)
    measures: dict[str, Callable] = {"passage": rank_of_passage}
    if name == "financebench":
        measures = {"page": rank_of_page, "page, by passages": rank_of_passage}
    result: dict = {"questions": len(questions), "passages": report.passages}
    result["median_ms"] = round(1000 * statistics.median(seconds), 1)
    for what, rank in measures.items():
        ranks = [rank(hits, q) for hits, q in zip(found, questions, strict=True)]
        for k in ks:
            result[f"{what}@{k}"] = [round(x, 3) for x in share(ranks, k)]
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    beside = ROOT.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RAG_PRACTICE_DATA", beside)))
    parser.add_argument("--indexes", type=Path, default=ROOT / "tests/benchmarks/results/indexes")
    parser.add_argument("--json", type=Path, default=ROOT / "tests/benchmarks/results/retrieval.json")
    parser.add_argument("--only", choices=SETS)
    options = parser.parse_args()
    results = {}
    for name in [options.only] if options.only else SETS:
        if not (options.data / name).is_dir():
            print(f"skipped {name}: no practice data at {options.data}; set RAG_PRACTICE_DATA")
            continue
        results[name] = measure(name, options.data, options.indexes)
        print(f"\n{name}: {results[name]['questions']} questions, median {results[name]['median_ms']} ms a question")
        for measure_name, value in results[name].items():
            if "@" in measure_name:
                print(f"  {measure_name:22} {value[0]:.3f}  [{value[1]:.3f}, {value[2]:.3f}]")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
