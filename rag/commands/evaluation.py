"""`rag eval`, `rag compare` and `rag explain`: parse and call. A face like `rag.cli`, which takes them in."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from rag import terminal
from rag.commands import Command, add_progress_option
from rag.commands.models import add_model_options, model_options
from rag.progress import question_progress

if TYPE_CHECKING:
    from rag.config import Config
    from rag.encoder.embed import TextEmbedder
    from rag.evaluation.questions import BadRow
    from rag.evaluation.record import LostBy
    from rag.evaluation.run import Progress, Report
    from rag.index.seams import Store
    from rag.types import Example, Exchange, Hit, Writer, Writing

BELOW, INCOMPLETE = 1, 3  # exit codes: a figure is worse than asked for; rows or questions to look at

_OF_WRITERS = ("model", "passages", "precision", "adapter", "merge", "seed", "temperature", "format")  # settings


def add(command: Command) -> None:
    """Adds the three; `command` makes a parser that has --collection, --indexes and --json already."""
    evaluate = command("eval", _eval, "measure retrieval and answers on a question set")
    evaluate.add_argument(
        "questions", type=Path, metavar="QUESTIONS", help=".jsonl, .csv, SQuAD .json or a BEIR folder"
    )
    evaluate.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run's folder; begun runs go on")
    evaluate.add_argument("--retrieval-only", action="store_true", help="write no answers")
    evaluate.add_argument("-k", default=20, metavar="N", help="hits to measure (default: 20)")
    evaluate.add_argument("--limit", metavar="N", help="only the first N questions")
    add_model_options(evaluate)
    evaluate.add_argument("--judge", metavar="NAME", help="a chat model that judges the answers")
    evaluate.add_argument(
        "--fail-under",
        action="append",
        default=[],
        metavar="METRIC=VALUE",
        help="exit with 1 when a figure is worse (higher, where lower is better); may be repeated",
    )
    add_progress_option(evaluate)
    compare = command("compare", _compare, "what changed between two runs, and how surely")
    compare.add_argument("before", type=Path, metavar="A")
    compare.add_argument("after", type=Path, metavar="B")
    compare.add_argument("--html", type=Path, metavar="FILE", help="also write a page with every question that flipped")
    explain = command("explain", _explain, "which stage of retrieval lost a page")
    explain.add_argument("question", metavar="QUESTION")
    explain.add_argument("--document", required=True, metavar="D", help="the document that should have been found")
    explain.add_argument("--page", metavar="P", help="the page in it")


# --------------------------------------------------------------------------------------------------- eval


def _eval(options: argparse.Namespace) -> int:
    from rag.config import whole_number
    from rag.evaluation import show
    from rag.evaluation.questions import read_questions
    from rag.evaluation.threshold import Threshold

    asked_for = [Threshold.parse(text) for text in options.fail_under]
    options.k = whole_number("-k", options.k)
    limit = options.limit and whole_number("--limit", options.limit, most=None)
    skipped: list[BadRow] = []
    examples = list(read_questions(options.questions, skipped.append))[:limit]
    for row in skipped:
        terminal.say(f"rag: {options.questions}, {row.where}: {row.reason}; skipped")
    report = _measured(options, examples, skipped)
    if options.json:
        terminal.show_json({"folder": str(report.folder), **report.as_json()}, sys.stdout)
    else:
        show.report(report)
    worse = [line for threshold in asked_for if (line := threshold.shortfall(report.figures))]
    for line in worse:
        terminal.say(f"rag: {line}")
    return BELOW if worse else INCOMPLETE if report.failed or report.skipped else 0


def _measured(options: argparse.Namespace, examples: Sequence[Example], skipped: Sequence[BadRow]) -> Report:
    from rag import compose
    from rag.answer import Asker
    from rag.evaluation.explain import losses, tracer
    from rag.evaluation.run import evaluate, evaluate_retrieval

    config = _config(options, **model_options(options))
    collection = compose.collection(config)
    by = compose.embedder(config)
    retriever = compose.retriever(config, collection, by)
    for note in (*collection.notes, *_warnings(examples, collection)):
        terminal.say(f"rag: {note}")
    settings = _settings(config, collection, by, options)
    if examples:
        retriever.retrieve(examples[0].question, 1)  # engines are loaded outside of the measured time
    with question_progress(options.progress) as progress:
        how: _How = {
            "settings": settings,
            "lost_by": losses(tracer(config, collection, by, options.k)),
            "skipped": skipped,
            "progress": progress,
        }
        if options.retrieval_only:
            return evaluate_retrieval(examples, retriever, options.out, k=options.k, **how)
        writer = compose.writer(config, by, tell=terminal.say, batch=True)
        asker = Asker(retriever, _Leading(writer, config.passages), alike=compose.similarity(by))
        return evaluate(
            examples,
            lambda question: asker.ask(question, max(options.k, config.passages)),
            options.out,
            judge=compose.generator(config, options.judge, terminal.say, batch=True) if options.judge else None,
            tokens=by,
            **how,
        )


class _How(TypedDict):
    """What both kinds of evaluation take."""

    settings: dict[str, Any]
    lost_by: LostBy
    skipped: Sequence[BadRow]
    progress: Progress


def _warnings(examples: Sequence[Example], collection: Store) -> Iterator[str]:
    from rag.evaluation.matching import unknown_documents

    wanted = [evidence.document for example in examples for evidence in example.evidence]
    if unknown := unknown_documents(wanted, [file.document for file in collection.files()]):
        yield (
            f"{len(unknown)} documents that evidence names are not in collection {collection.name!r} "
            f"({', '.join(unknown[:3])}): what they hold cannot be found"
        )


@dataclass(frozen=True, slots=True)
class _Leading:
    """A writer that gets the first hits only, as when people ask, while more are retrieved to be measured."""

    inner: Writer
    passages: int

    @property
    def name(self) -> str:
        return self.inner.name

    def recall(self, question: str, history: Sequence[Exchange]) -> list[Exchange]:
        return self.inner.recall(question, history)

    def fit(self, question: str, hits: Sequence[Hit], history: Sequence[Exchange] = ()) -> list[Hit]:
        return self.inner.fit(question, hits[: self.passages], history)

    def write(self, question: str, hits: Sequence[Hit], history: Sequence[Exchange] = ()) -> Writing:
        return self.inner.write(question, hits, history)


def _settings(config: Config, collection: Store, by: TextEmbedder, options: argparse.Namespace) -> dict[str, Any]:
    """What makes the run what it is: the collection as it stands, what made it, and all that can be chosen."""
    from rag import compose

    info = collection.info()
    held = {name: info[name] for name in ("collection", "documents", "passages", "generation")}
    left_out = {"indexes", "collection", *(_OF_WRITERS if options.retrieval_only else ())}
    chosen = {name: value for name, value in asdict(config).items() if name not in left_out}
    chosen["rerank"] = compose.reranked_by(config)
    return {"collection": held, "fingerprint": asdict(by.fingerprint), "chosen": chosen, "k": options.k}


# ---------------------------------------------------------------------------------------- compare, explain


def _compare(options: argparse.Namespace) -> int:
    from rag.evaluation import show
    from rag.evaluation.compare import compare
    from rag.evaluation.compare_page import comparison_page
    from rag.evaluation.folder import write_whole

    comparison = compare(options.before, options.after)
    if options.html:
        write_whole(options.html, comparison_page(comparison))
    if options.json:
        terminal.show_json(comparison.as_json(), sys.stdout)
    else:
        show.comparison(comparison)
    return 0


def _explain(options: argparse.Namespace) -> int:
    from rag import compose
    from rag.answer import clean_question
    from rag.config import whole_number
    from rag.evaluation import show
    from rag.evaluation.explain import explain, missing_from, tracer
    from rag.types import Evidence

    page = options.page and whole_number("--page", options.page, most=None)
    config = _config(options)
    question = clean_question(options.question)
    collection = compose.collection(config)
    through = tracer(config, collection, compose.embedder(config), config.passages)(question)
    explanation = explain(question, Evidence(options.document, page), through)
    if not explanation.passages:
        explanation = replace(explanation, verdict=missing_from(collection.files(), options.document, page))
    if options.json:
        terminal.show_json(explanation.as_json(), sys.stdout)
    else:
        show.explanation(explanation)
    return 0


def _config(options: argparse.Namespace, **given: object) -> Config:
    from rag.config import Config

    return Config.from_environment(indexes=options.indexes, collection=options.collection, store=options.store, **given)
