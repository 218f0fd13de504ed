"""How well rag/generation/check.py tells what passages say from what they do not, on the practice SQuAD.

    python tests/benchmarks/bench_check.py [--data ../shared/data] [--out bench_check.json]

SQuAD's questions are people's paraphrases of a paragraph, so "question: answer" is a claim in other words than its
source. Each answerable question gives one true claim and three planted ones: the answer replaced by one of the same
kind from elsewhere in the article, the citation swapped to another paragraph that was offered, and both words and
citation right but a number or name added. Halves are articles: constants are chosen on the even ones.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fit_extractive import paragraphs

from rag.encoder.embed import load_embedder
from rag.generation import check as checking
from rag.generation.check import check
from rag.generation.similarity import Similarity
from rag.generation.terms import terms
from rag.types import Passage

OFFERED = 8


@dataclass
class Claim:
    article: str
    text: str  # with its marker
    kind: str  # "true", or how it was made false
    passages: list[Passage]
    right: int  # the number of the paragraph that it should cite


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RAG_PRACTICE_DATA", "../shared/data")))
    parser.add_argument("--out", type=Path, help="write the report here as JSON as well")
    arguments = parser.parse_args()
    embedder = load_embedder()
    claims = list(made(arguments.data / "squad", embedder))
    articles = sorted({claim.article for claim in claims})
    report = {
        name: {
            "words only": measured(half, None),
            "words and similarity": measured(half, Similarity(embedder)),
        }
        for name, half in (
            ("chosen on", [c for c in claims if articles.index(c.article) % 2 == 0]),
            ("held out", [c for c in claims if articles.index(c.article) % 2 == 1]),
        )
    }
    constants = ("WORDS_NEEDED", "WORDS_WITH_SIMILARITY", "SIMILAR", "REPAIR_WORDS")
    report["constants"] = {name: getattr(checking, name) for name in constants}
    print(json.dumps(report, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def made(folder: Path, embedder: Any) -> Iterator[Claim]:
    """True and planted claims over the paragraph that answers and the seven of its article that are most alike."""
    rng = random.Random(0)
    lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [q for q in map(json.loads, lines) if q["answerable"]]
    by_article = {path.name: paragraphs(path) for path in sorted((folder.resolve() / "articles").glob("*.md"))}
    vectors = {name: embedder.embed_passages([p.headed for p in found]) for name, found in by_article.items()}
    asked = embedder.embed_questions([q["question"] for q in questions])
    for question, vector in zip(questions, asked, strict=True):
        article, source = question["evidence"][0]["document"], " ".join(question["evidence"][0]["text"].split())
        found = by_article[article]
        gold = next(i for i, p in enumerate(found) if " ".join(p.text.split()) == source)
        ranked = [int(i) for i in np.argsort(-(vectors[article] @ vector)) if i != gold][: OFFERED - 1]
        place = rng.randrange(len(ranked) + 1)
        offered = [*ranked[:place], gold, *ranked[place:]]
        passages, right = [found[i] for i in offered], place + 1
        words, answer = question["question"].rstrip("? "), question["answers"][0]
        yield Claim(article, f"{words}: {answer} [{right}].", "true", passages, right)
        other = 1 + offered.index(ranked[0])
        yield Claim(article, f"{words}: {answer} [{other}].", "citation swapped", passages, right)
        if wrong := _another(answer, questions, article, found[gold].text, rng):
            yield Claim(article, f"{words}: {wrong} [{right}].", "answer swapped", passages, right)
        added = rng.choice(("in 1743", "by 17.3 per cent", "with Zofia Kettleborough", "in Ouagadougou"))
        yield Claim(article, f"{words}, {added}: {answer} [{right}].", "detail added", passages, right)


def _another(answer: str, questions: Sequence[dict[str, Any]], article: str, text: str, rng: random.Random) -> str:
    """An answer of the same kind to another question of the article, which the paragraph does not hold."""
    kind = bool(re.search(r"\d", answer))
    others = [
        other
        for q in questions
        if q["evidence"][0]["document"] == article
        for other in q["answers"][:1]
        if bool(re.search(r"\d", other)) == kind and not terms(other).all <= terms(text).all
    ]
    return rng.choice(others) if others else ""


def measured(claims: Sequence[Claim], similarity: Any) -> dict[str, Any]:
    """Shares of claims of each kind that are marked as unsupported, or whose citation is set right or wrong."""
    report: dict[str, Any] = {}
    for kind in dict.fromkeys(claim.kind for claim in claims):
        group = [claim for claim in claims if claim.kind == kind]
        results = [(claim, check(claim.text, claim.passages, similarity)) for claim in group]
        kept = [(claim, [c.number for c in checked.citations]) for claim, checked in results if not checked.unsupported]
        report[kind] = {
            "claims": len(group),
            "marked": round(1 - len(kept) / len(group), 3),
            "cites the right one, unmarked": round(sum(n == [c.right] for c, n in kept) / len(group), 3),
            "cites a wrong one, unmarked": round(sum(n != [c.right] for c, n in kept) / len(group), 3),
            "repaired": round(sum(bool(checked.repaired) for _, checked in results) / len(group), 3),
        }
    return report


if __name__ == "__main__":
    main()
