"""What each step of retrieval gains on the practice sets, on each half of the questions and on all.

    python tests/benchmarks/ablation.py [--data DIR] [--indexes DIR] [--only SET] [--every N]

Steps are added one after the other, by the settings that the program itself takes. A gain is the difference to the
step before (of the last three rows: to all of fusion), over the same questions, with a 95 % paired bootstrap interval.
Halves are drawn by a hash of the question's id. FinanceBench counts gold pages among the first k different pages,
SQuAD gold paragraphs among the first k passages (see bench_retrieval.py, which also fills --indexes).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from bench_retrieval import ROOT, SETS, rank_of_page, rank_of_passage

from rag import compose
from rag.config import Config
from rag.encoder.embed import TextEmbedder
from rag.retrieval.fuse import Hybrid, Weights
from rag.retrieval.rerank import LateInteraction
from rag.types import Index, Retriever

DEPTH = 50
KS = (1, 5, 10, 20)
BARE = Weights(keyword=0, name=0, likeness=0, title=0, neighbour=0)
ADDED = {
    "+ keyword search": ("keyword",),
    "+ named documents": ("name",),
    "+ the section that is asked for": ("likeness", "title"),
    "+ a share of a neighbour's lead": ("neighbour",),
}


def steps(index: Index, embedder: TextEmbedder, config: Config) -> Iterator[tuple[str, Retriever, str]]:
    """A step's name, what retrieves with it, and the step that it is compared with."""
    weights, before = BARE, "dense search alone"
    yield before, Hybrid(index, embedder, weights), ""
    for step, names in ADDED.items():
        weights = replace(weights, **{name: getattr(Weights(), name) for name in names})
        yield step, Hybrid(index, embedder, weights), before
        before = step
    yield "+ late interaction", LateInteraction(Hybrid(index, embedder), embedder), before
    yield "+ the reader instead", compose.reranker(config, Hybrid(index, embedder), embedder), before
    without = replace(weights, likeness=0)
    yield "the section by its title only", Hybrid(index, embedder, without), before


def half(question: dict) -> int:
    return hashlib.sha256(question["id"].encode()).digest()[0] % 2


def gain(after: np.ndarray, before: np.ndarray, seed: int = 0) -> str:
    """The mean difference of paired outcomes, with its 95 % bootstrap interval."""
    differences = after.astype(float) - before
    draws = np.random.default_rng(seed).choice(differences, (2000, len(differences))).mean(axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return f"{differences.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def ranks(name: str, retriever: Retriever, questions: list[dict]) -> tuple[np.ndarray, float]:
    """The rank of each question's evidence, and the median milliseconds a question."""
    rank = rank_of_page if name == "financebench" else rank_of_passage
    found, seconds = [], []
    retriever.retrieve("warm up", 1)
    for question in questions:
        began = time.perf_counter()
        hits = retriever.retrieve(question["question"], DEPTH)
        seconds.append(time.perf_counter() - began)
        found.append(rank(hits, question))
    return np.asarray(found), 1000 * float(np.median(seconds))


def ablate(name: str, data: Path, indexes: Path, every: int) -> None:
    config = Config.from_environment(indexes=indexes, collection=name)
    collection, embedder = compose.collection(config), compose.embedder(config)
    lines = (data / name / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [question for question in map(json.loads, lines) if question["answerable"]][::every]
    halves = np.asarray([half(question) for question in questions])
    print(f"\n{name}: {len(questions)} questions, {int((halves == 0).sum())} of them in half 0")
    found: dict[str, np.ndarray] = {}
    for step, retriever, before in steps(collection.index(), embedder, config):
        found[step], milliseconds = ranks(name, retriever, questions)
        shares = " ".join(f"@{k} {(found[step] <= k).mean():.3f}" for k in KS)
        print(f"{step:38} {shares}  {milliseconds:5.0f} ms", flush=True)
        for which, chosen in (("half 0", halves == 0), ("half 1", halves == 1), ("both", halves >= 0)):
            if before and chosen.any():
                gains = (f"@{k} {gain((found[step] <= k)[chosen], (found[before] <= k)[chosen])}" for k in KS[:3])
                print(f"    {which:34} {'  '.join(gains)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    beside = ROOT.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RAG_PRACTICE_DATA", beside)))
    parser.add_argument("--indexes", type=Path, default=ROOT / "tests/benchmarks/results/indexes")
    parser.add_argument("--only", choices=SETS)
    parser.add_argument("--every", type=int, default=1, help="take only every n-th question")
    options = parser.parse_args()
    for name in [options.only] if options.only else SETS:
        if (options.data / name).is_dir():
            ablate(name, options.data, options.indexes, options.every)
        else:
            print(f"skipped {name}: no practice data at {options.data}; set RAG_PRACTICE_DATA")
    return 0


if __name__ == "__main__":
    sys.exit(main())
