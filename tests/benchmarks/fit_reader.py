"""Fits how the reader is put to use, on half of the practice questions, and reports on the other half.

    python tests/benchmarks/fit_reader.py --reader DIR [--data ../shared/data] [--indexes DIR] [--write]

Halves are articles and companies, not questions, so that no passage is on both sides. Hits are the 20 best of the
fusion, read by the reader. Ranking: a softmax over the hits of each question, likelihood of those that hold its
evidence; every question weighs the same. Judgement: as tests/benchmarks/fit_extractive.py does it, over the 8 best
hits in their new order, with what the reader found among the features. `--write` puts the result into the reader's
file.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench_retrieval import covers
from fit_extractive import auroc, listwise, logistic, mean, plain

from rag import compose
from rag.config import Config
from rag.encoder.hub import find
from rag.generation import evidence, extractive
from rag.reader import weights as files
from rag.reader.read import Reader
from rag.retrieval import reread
from rag.retrieval.fuse import Hybrid
from rag.types import Hit

FOLDERS = {"financebench": "pdfs", "squad": "articles"}
OFFERED = 8
QUOTED = ("words", "before", "around", "names", "there", "missing", "rank", "answers", "words of it", "surely")
BY_HAND = {"other row": -1.5}  # there are no tables in SQuAD
DECIDED = ("named", "numbered", "answers")
SECOND = 0.1  # of the first sentence's odds: from there on a second one is quoted, too
REFUSED = 0.09  # the share of answerable questions that the threshold refuses


@dataclass
class Case:
    """A question, the hits that were read for it in the order of the fusion, and which of them hold its evidence."""

    question: dict[str, Any]
    hits: list[Hit]
    gold: np.ndarray
    half: int  # fitted on 0, reported on 1


def cases(name: str, data: Path, indexes: Path, reader: Reader) -> Iterator[Case]:
    config = Config.from_environment(indexes=indexes, collection=name)
    embedder, collection = compose.embedder(config), compose.collection(config)
    source = compose.source(config, data / name / FOLDERS[name])
    collection.sync(source, embedder, root=source.root)
    found = Hybrid(collection.index(), embedder)
    ranking = reread.ReaderRanking(found, reader, {})
    lines = (data / name / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    for question, half in halves([json.loads(line) for line in lines]):
        hits = ranking.read(question["question"], found.retrieve(question["question"], reread.DEPTH))
        yield Case(question, hits, held(question, hits), half)


def halves(questions: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], int]]:
    """Each question with its half. SQuAD's unanswerable ones have no evidence, but stand with their article's."""
    names: list[str] = []
    document = ""
    for question in questions:
        document = question["evidence"][0]["document"] if question["evidence"] else document
        names.append(document.partition("_")[0])  # FinanceBench's documents begin with the company
    order = sorted(set(names))
    return ((question, order.index(name) % 2) for question, name in zip(questions, names, strict=True))


def held(question: dict[str, Any], hits: Sequence[Hit]) -> np.ndarray:
    sought = question["evidence"] if question["answerable"] else []
    return np.array([any(covers(hit.passage, each) for each in sought) for hit in hits])


# --------------------------------------------------------------------------------------------- ranking


def fit_ranking(sets: Sequence[Sequence[Case]]) -> dict[str, float]:
    x: list[np.ndarray] = []
    gold: list[np.ndarray] = []
    for each in sets:
        usable = [case for case in each if case.half == 0 and case.gold.any()]
        x += [reread.features(case.hits).astype(np.float64) for case in usable]
        gold += [case.gold for case in usable]
    fitted = listwise(x, gold, np.ones(len(x)))
    return dict(zip(reread.FEATURES, (fitted / fitted[0]).round(4).tolist(), strict=True))


def ordered(case: Case, ranking: dict[str, float] | None) -> list[int]:
    if ranking is None:
        return list(range(len(case.hits)))
    return np.argsort(-(reread.features(case.hits) @ reread.weights(ranking)), kind="stable").tolist()


def hit_at(cases: Sequence[Case], ranking: dict[str, float] | None, ks: Sequence[int], pages: bool) -> dict[int, float]:
    ranks = []
    for case in cases:
        if not case.question["answerable"]:
            continue
        order = ordered(case, ranking)
        places = [(case.hits[i].passage.document, case.hits[i].passage.page if pages else i) for i in order]
        rank = {place: number for number, place in enumerate(dict.fromkeys(places), 1)}
        ranks.append(
            min((rank[place] for i, place in zip(order, places, strict=True) if case.gold[i]), default=math.inf)
        )
    return {k: mean([rank <= k for rank in ranks]) for k in ks}


# ------------------------------------------------------------------------------------------- judgement


@dataclass
class Sentences:
    """What can be quoted for a case. `x`: features; `contains`: an answer; `gold`: and stands in its evidence."""

    case: Case
    x: np.ndarray
    contains: np.ndarray
    gold: np.ndarray


def sentences(case: Case, ranking: dict[str, float]) -> Sentences:
    order = ordered(case, ranking)[:OFFERED]
    hits = [case.hits[i] for i in order]
    found = evidence.candidates([hit.passage for hit in hits])
    answers = [f" {plain(answer)} " for answer in case.question["answers"]]
    contains = np.array([any(answer in f" {plain(c.quote)} " for answer in answers) for c in found], bool)
    held = np.array([case.gold[order[c.passage]] for c in found], bool)
    x = evidence.features(case.question["question"], found, hits, [0.0] * len(found))
    return Sentences(case, x.astype(np.float64), contains, contains & held)


def columns(names: Sequence[str]) -> list[int]:
    return [evidence.FEATURES.index(name) for name in names]


def fit_judgement(all_sentences: Sequence[Sentences]) -> dict[str, Any]:
    fitted = [each for each in all_sentences if each.case.half == 0 and len(each.x)]
    listed = [each for each in fitted if each.gold.any()]
    ranking = listwise(
        [each.x[:, columns(QUOTED)] for each in listed], [each.gold for each in listed], np.ones(len(listed))
    )
    judged = [each for each in fitted if not each.case.question["answerable"] or each.case.gold.any()]
    there = np.array([float(each.case.question["answerable"]) for each in judged])
    by_name = {**dict(zip(QUOTED, ranking.tolist(), strict=True)), **BY_HAND}
    rows = np.array([best(each, by_name) for each in judged])
    scale, *decided, bias = logistic(rows, there)
    judgement = {
        "ranking": {name: round(weight, 4) for name, weight in by_name.items()},
        "decision": {
            n: round(w, 4) for n, w in zip(("evidence", *DECIDED, "bias"), (scale, *decided, bias), strict=True)
        },
        "threshold": 0.0,
        "second": SECOND,
    }
    asked = [each for each in judged if each.case.question["answerable"]]
    judgement["threshold"] = round(float(np.quantile(probabilities(asked, judgement), REFUSED)), 3)
    return judgement


def best(each: Sentences, ranking: dict[str, float]) -> np.ndarray:
    scores = each.x @ extractive.weights(ranking)
    first = int(np.argmax(scores))
    return np.array([scores[first], *each.x[first, columns(DECIDED)]])


def probabilities(several: Sequence[Sentences], judgement: dict[str, Any]) -> np.ndarray:
    odds = []
    for each in several:
        scores = each.x @ extractive.weights(judgement["ranking"])
        first = int(np.argmax(scores))
        decided = each.x[first] @ extractive.weights(judgement["decision"])
        odds.append(judgement["decision"]["evidence"] * scores[first] + decided)
    return np.asarray(1 / (1 + np.exp(-(np.array(odds) + judgement["decision"]["bias"]))))


def quoted(each: Sentences, judgement: dict[str, Any]) -> list[int]:
    scores = each.x @ extractive.weights(judgement["ranking"])
    order = np.argsort(-scores, kind="stable")[: extractive.SENTENCES].tolist()
    return [i for i in order if scores[i] >= scores[order[0]] + math.log(judgement["second"])]


def report(several: Sequence[Sentences], judgement: dict[str, Any]) -> dict[str, Any]:
    several = [each for each in several if len(each.x)]
    asked = [each for each in several if each.case.question["answerable"]]
    absent = [each for each in several if not each.case.question["answerable"]]
    there, gone = probabilities(asked, judgement), probabilities(absent, judgement)
    said = [each.contains[quoted(each, judgement)].any() for each in asked]
    return {
        "answerable": len(asked),
        "unanswerable": len(absent),
        "containment, nothing refused": mean(said),
        "containment, as written": mean(np.array(said) & (there >= judgement["threshold"])),
        "sentences in an answer": mean([len(quoted(each, judgement)) for each in asked]),
        "answerable refused": mean(there < judgement["threshold"]),
        "unanswerable answered": mean(gone >= judgement["threshold"]),
        "AUROC": auroc(there, gone),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", type=Path, default=files.SHIPPED)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RAG_PRACTICE_DATA", "../shared/data")))
    parser.add_argument("--indexes", type=Path, default=Path(tempfile.gettempdir()) / "beluga-rag-bench")
    parser.add_argument("--write", action="store_true", help="put the result into the reader's file")
    arguments = parser.parse_args()
    encoder, trained = find(compose.READERS_ENCODER), files.read(arguments.reader)
    reader = Reader(encoder, trained)
    by_name = {name: list(cases(name, arguments.data, arguments.indexes, reader)) for name in FOLDERS}
    fit = fitted(by_name)
    print(json.dumps({"fit": dataclasses.asdict(fit), **figures(by_name, fit)}, indent=2))
    if arguments.write:
        tensors = {name: trained.tensor(name) for name in sorted(trained.names)}
        files.write(arguments.reader, tensors, encoder.sha256, fit)


def fitted(by_name: dict[str, list[Case]]) -> files.Fit:
    ranking = fit_ranking(list(by_name.values()))
    return files.Fit(ranking, fit_judgement([sentences(case, ranking) for case in by_name["squad"]]))


def figures(by_name: dict[str, list[Case]], fit: files.Fit) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for half, called in ((1, "held out"), (0, "fitted on")):
        for name, several in by_name.items():
            own = [case for case in several if case.half == half]
            pages = name == "financebench"
            shown[f"{name}, {called}"] = {
                "found": hit_at(own, None, (1, 5, 10, 20), pages),
                "read": hit_at(own, dict(fit.ranking), (1, 5, 10, 20), pages),
            }
        own = [case for case in by_name["squad"] if case.half == half]
        shown[f"answers, {called}"] = report([sentences(case, dict(fit.ranking)) for case in own], dict(fit.judgement))
    return shown


if __name__ == "__main__":
    main()
