"""`rag eval`, `rag compare` and `rag explain`: parse, call, print. A face like `rag.cli`, which takes them in."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rag.errors import UsageError

if TYPE_CHECKING:
    from rag.config import Config
    from rag.evaluation.run import Progress, Report
    from rag.index.embed import TextEmbedder
    from rag.types import Answer, Example, Generator, Hit, Writer

BELOW, INCOMPLETE = 1, 3  # exit codes: a figure is worse than asked for; rows or questions to look at

Run = Callable[[argparse.Namespace], int]


class Command(Protocol):
    def __call__(self, name: str, run: Run, text: str) -> argparse.ArgumentParser: ...


def add_commands(command: Command) -> None:
    """Adds the three; `command` makes a parser that has --collection, --indexes and --json already."""
    evaluate = command("eval", _eval, "measure retrieval and answers on a question set")
    evaluate.add_argument(
        "questions", type=Path, metavar="QUESTIONS", help=".jsonl, .csv, SQuAD .json or a BEIR folder"
    )
    evaluate.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run's folder; begun runs go on")
    evaluate.add_argument("--retrieval-only", action="store_true", help="write no answers")
    evaluate.add_argument("-k", type=int, default=20, metavar="N", help="hits to measure (default: 20)")
    evaluate.add_argument("--limit", type=int, metavar="N", help="only the first N questions")
    evaluate.add_argument("--model", metavar="NAME", help="who writes: extractive (default), or a chat model")
    evaluate.add_argument("--judge", metavar="NAME", help="a chat model that judges the answers")
    evaluate.add_argument(
        "--fail-under",
        action="append",
        default=[],
        metavar="METRIC=VALUE",
        help="exit with 1 when a figure is worse (higher, where lower is better); may be repeated",
    )
    compare = command("compare", _compare, "what changed between two runs, and how surely")
    compare.add_argument("before", type=Path, metavar="A")
    compare.add_argument("after", type=Path, metavar="B")
    compare.add_argument("--html", type=Path, metavar="FILE", help="also write a page with every question that flipped")
    explain = command("explain", _explain, "which stage of retrieval lost a page")
    explain.add_argument("question", metavar="QUESTION")
    explain.add_argument("--document", required=True, metavar="D", help="the document that should have been found")
    explain.add_argument("--page", type=int, metavar="P", help="the page in it")


# --------------------------------------------------------------------------------------------------- eval


def _eval(options: argparse.Namespace) -> int:
    from rag.evaluation.questions import BadRow, read_questions

    asked_for = [_threshold(text) for text in options.fail_under]
    for name, number in (("-k", options.k), ("--limit", options.limit or 1)):
        if number < 1:
            raise UsageError(f"{name} is {number}; it takes a whole number from 1.")
    skipped: list[BadRow] = []
    examples = list(read_questions(options.questions, skipped.append))[: options.limit]
    for row in skipped:
        _say(f"{options.questions}, {row.where}: {row.reason}; skipped")
    report = _measured(options, examples, skipped)
    if options.json:
        _print_json({"folder": str(report.folder), **report.as_json()})
    else:
        _show_report(report)
    worse = [line for line in (_shortfall(report, *threshold) for threshold in asked_for) if line]
    for line in worse:
        _say(line)
    return BELOW if worse else INCOMPLETE if report.failed or report.skipped else 0


def _measured(options: argparse.Namespace, examples: Sequence[Example], skipped: Sequence[Any]) -> Report:
    from rag import config as compose
    from rag.answer import Asker
    from rag.evaluation.run import best_score, evaluate, evaluate_retrieval

    config = _config(options, model=options.model)
    by = compose.embedder(config)
    retriever = compose.retriever(config, by)
    settings = _settings(config, by, options)
    if examples:
        retriever.retrieve(examples[0].question, 1)  # engines are loaded outside of the measured time
    with _progress("questions") as progress:
        if options.retrieval_only:
            return evaluate_retrieval(
                examples, retriever, options.out, k=options.k, settings=settings, skipped=skipped, progress=progress
            )
        writer = compose.writer(config, by)
        asker = Asker(retriever, _Leading(writer, config.passages))
        return evaluate(
            examples,
            lambda question: asker.ask(question, max(options.k, config.passages)),
            options.out,
            settings=settings,
            judge=_judge(options.judge) if options.judge else None,
            confidence=_confidence(writer) or best_score,
            tokens=by,
            skipped=skipped,
            progress=progress,
        )


@dataclass(frozen=True, slots=True)
class _Leading:
    """A writer that gets the first hits only, as when people ask, while more are retrieved to be measured."""

    inner: Writer
    passages: int

    @property
    def name(self) -> str:
        return self.inner.name

    def fit(self, question: str, hits: Sequence[Hit]) -> list[Hit]:
        return self.inner.fit(question, hits[: self.passages])

    def write(self, question: str, hits: Sequence[Hit]) -> Iterator[str]:
        return self.inner.write(question, hits)


def _confidence(writer: Writer) -> Callable[[Answer], float | None] | None:
    """How sure the extractive writer is of its best sentence; None for a writer that does not say."""
    from rag.generation.extractive import ExtractiveWriter

    if not isinstance(writer, ExtractiveWriter):
        return None

    def probability(answer: Answer) -> float | None:
        scored = writer.score(answer.question, answer.hits[: answer.offered])
        return scored[0][1] if scored else None

    return probability


def _judge(name: str) -> Generator:
    from rag.generation.local import LocalGenerator
    from rag.generation.models import find

    return LocalGenerator(find(name))


def _settings(config: Config, by: TextEmbedder, options: argparse.Namespace) -> dict[str, Any]:
    """What makes the run what it is: the collection as it stands, what made it, and all that can be chosen."""
    from rag import config as compose

    info = compose.collection(config).info()
    held = {name: info[name] for name in ("collection", "documents", "passages", "generation")}
    chosen = {name: value for name, value in asdict(config).items() if name not in ("indexes", "collection")}
    if options.retrieval_only:
        chosen = {name: value for name, value in chosen.items() if name not in ("model", "passages")}
    return {"collection": held, "fingerprint": asdict(by.fingerprint), "chosen": chosen, "k": options.k}


def _threshold(text: str) -> tuple[str, float]:
    from rag.evaluation.catalogue import metric

    name, _, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"--fail-under {text!r}: it takes a metric and a number, like hit@5=0.8.")
    return metric(name).name, number


def _shortfall(report: Report, name: str, value: float) -> str:
    from rag.evaluation.catalogue import metric

    if name not in report.figures:
        raise UsageError(f"--fail-under: {name} was not measured. There are: {', '.join(report.figures)}.")
    figure = report.figures[name].value
    which = metric(name)
    if not which.is_worse(figure, value):
        return ""
    return f"{name} is {figure:.4f}, {'under' if which.higher_is_better else 'over'} {value:g}"


def _show_report(report: Report) -> None:
    from rag.evaluation.catalogue import metric
    from rag.evaluation.report import shown

    rows = []
    for name, figure in report.figures.items():
        if "recall@" not in name:
            which = metric(name)
            ends = f"{shown(which, figure.low)} – {shown(which, figure.high)}"
            rows.append((name, shown(which, figure.value), ends, f"{figure.count:,}"))
    _print_table(("figure", "value", "95 % interval", "n"), rows, right=(1, 2, 3))
    failed = f", {report.failed} failed" if report.failed else ""
    unjudged = f", {report.judge_failures} judgements failed" if report.judge_failures else ""
    _print(f"{report.questions} questions{failed}{unjudged}. Look at {report.folder / 'report.html'}")


# ---------------------------------------------------------------------------------------- compare, explain


def _compare(options: argparse.Namespace) -> int:
    from rag.evaluation.compare import compare
    from rag.evaluation.compare_page import comparison_page, verdict
    from rag.evaluation.folder import write_whole

    comparison = compare(options.before, options.after)
    if options.html:
        write_whole(options.html, comparison_page(comparison))
    if options.json:
        _print_json(comparison.as_json())
        return 0
    rows = []
    for d in comparison.differences:
        ends = "" if d.low is None or d.high is None else f"{d.low:+.3f} to {d.high:+.3f}"
        p = "" if d.p is None else f"{d.p:.4f}"
        rows.append((d.name, f"{d.before:.3f}", f"{d.after:.3f}", f"{d.change:+.3f}", ends, p, verdict(d)))
    names = (comparison.before.name, comparison.after.name)
    _print_table(("figure", *names, "change", "95 % interval", "p", ""), rows, right=range(1, 6))
    for name, flips in comparison.flips.items():
        _print(f"{name}: {len(flips.gained)} questions gained, {len(flips.lost)} lost")
        for word, ids in (("gained", flips.gained), ("lost", flips.lost)):
            for id_ in ids:
                _print(f"  {word:6} {id_}  {comparison.pair(id_)[0].example.question}")
    return 0


def _explain(options: argparse.Namespace) -> int:
    from rag import config as compose
    from rag.answer import clean_question
    from rag.evaluation.explain import explain, missing_from, stages

    config = _config(options)
    question = clean_question(options.question)
    collection = compose.collection(config)
    index = collection.index()
    by = compose.embedder(config)
    fused = compose.retriever(replace(config, rerank="none"), by)
    reranked = compose.retriever(config, by) if config.rerank != "none" else None
    through = stages(question, index, by, fused, reranked, config.passages)
    explanation = explain(question, options.document, options.page, through)
    if not explanation.passages:
        explanation = replace(explanation, verdict=missing_from(collection.files(), options.document, options.page))
    if options.json:
        _print_json(explanation.as_json())
        return 0
    _print(explanation.verdict)
    rows = [
        (s.stage, str(s.rank or "–"), _score(s.score), _score(s.needed), "yes" if s.kept else "no", s.why)
        for s in explanation.standings
    ]
    if explanation.passages:
        _print_table(("stage", "rank", "score", "needed", "goes on", "why"), rows, right=(1, 2, 3))
    return 0


def _score(score: float | None) -> str:
    return "–" if score is None else f"{score:.3f}"


# ------------------------------------------------------------------------------------------------ terminal


def _config(options: argparse.Namespace, **given: object) -> Config:
    from rag.config import Config

    return Config.from_environment(indexes=options.indexes, collection=options.collection, **given)


def _print_json(value: object) -> None:
    _print(json.dumps(value, ensure_ascii=False, indent=2), as_is=True)


def _print(text: str, as_is: bool = False) -> None:
    from rag.terminal import plain

    stream = sys.stdout
    print(text if as_is else plain(text), file=stream)


def _say(text: str) -> None:
    from rag.terminal import plain

    stream = sys.stderr
    print(f"rag: {plain(text)}", file=stream)


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from rag.terminal import plain

    table = Table()
    for number, title in enumerate(head):
        table.add_column(escape(plain(title)), justify="right" if number in right else "left")
    for row in rows:
        table.add_row(*(escape(plain(cell)) for cell in row))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160).print(table)


@contextmanager
def _progress(what: str) -> Iterator[Progress]:
    """A bar with time left on a terminal; nothing elsewhere, so that logs stay readable."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn(what), TimeRemainingColumn())
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield advance
