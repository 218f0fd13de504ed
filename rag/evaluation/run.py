"""Questions → a folder with every answer and every figure: a batch evaluation that may be killed and gone on with.

As a library: anything that answers (a callable) or retrieves (a `Retriever`) can be measured.

    report = evaluate(examples, asker.ask, Path("runs/a"))
    report = evaluate_retrieval(examples, retriever, Path("runs/b"), k=20)
    print(report.figures["page_hit@5"])
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rag import __version__
from rag.errors import RagError, UsageError
from rag.evaluation.figures import Figure, figures
from rag.evaluation.folder import LOCK, METRICS, PREDICTIONS, REPORT, claim, make_folder, write_whole
from rag.evaluation.judge import Judge
from rag.evaluation.predictions import Log, Prediction, read_predictions
from rag.evaluation.questions import BadRow
from rag.evaluation.record import LostBy, cited, with_hits
from rag.evaluation.report import report_page
from rag.index.lock import writing
from rag.types import Answer, Example, Generator, Retriever, Tokens

Ask = Callable[[str], Answer]
Predict = Callable[[Example], Prediction]
Progress = Callable[[int, int], None]  # questions done, questions in all

DEPTH = 20  # hits a question, where only retrieval is measured
STOP_AFTER = 3  # questions in a row that failed: it is not the questions


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run. `lost_by` counts questions without any evidence found by the stage that lost it, where that
    was asked for; `failed` questions raised an error and count as wrong; `judge_failures` are verdicts that the judge
    did not give; `skipped` are rows of the question set that could not be read."""

    folder: Path
    figures: Mapping[str, Figure]
    questions: int
    answerable: int
    lost_by: Mapping[str, int]
    failed: int
    judge_failures: int
    skipped: tuple[BadRow, ...]

    def as_json(self) -> dict[str, Any]:
        """All but the folder: equal runs are equal wherever they lie."""
        return {name: value for name, value in asdict(self).items() if name != "folder"}


def evaluate(
    examples: Iterable[Example],
    ask: Ask,
    out: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    judge: Generator | None = None,
    tokens: Tokens | None = None,
    lost_by: LostBy | None = None,
    skipped: Sequence[BadRow] = (),
    progress: Progress | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Report:
    """Asks every question, and measures retrieval, answers, citations, abstention and speed.

    `settings` are whatever makes this run what it is (names, fingerprints, weights; JSON values): with the questions
    they tell whether a folder is this run's, to be gone on with. `tokens` counts what was written, and `lost_by`
    names the stage of retrieval that lost a question's evidence; both are called outside the measured time.

    A question whose answer raises a RagError counts as failed, and is asked again when the run is repeated; three
    of them in a row end the run with that error. Raises UsageError for a folder that holds another run.
    """
    referee = Judge(judge) if judge else None

    def predict(example: Example) -> Prediction:
        began = clock()
        answer = ask(example.question)
        seconds = clock() - began
        prediction = with_hits(example, answer.hits, lost_by)
        text = "" if answer.abstained else answer.text
        judged = bool(referee and text and example.answerable and example.answers)
        return replace(
            prediction,
            answer=text,
            abstained=answer.abstained,
            cited=cited(answer, example),
            judged=judged,
            verdict=referee.verdict(example.question, example.answers, text) if referee and judged else None,
            confidence=_finite(answer.confidence),
            spans=tuple(answer.hits[span.number - 1].passage.text[span.start : span.end] for span in answer.spans),
            tokens=tokens.count([text])[0] if tokens and text else None,
            seconds=seconds,
            timings=dict(answer.timings),
        )

    config = {"mode": "answers", "judge": referee.name if referee else None, **(settings or {})}
    return _run(list(examples), predict, "", out, config, skipped, progress)


def evaluate_retrieval(
    examples: Iterable[Example],
    retriever: Retriever,
    out: Path,
    *,
    k: int = DEPTH,
    settings: Mapping[str, Any] | None = None,
    lost_by: LostBy | None = None,
    skipped: Sequence[BadRow] = (),
    progress: Progress | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Report:
    """Retrieves the first `k` hits for every question, and measures them and the time. Else as `evaluate`."""

    def predict(example: Example) -> Prediction:
        began = clock()
        hits = retriever.retrieve(example.question, k)
        seconds = clock() - began
        return replace(with_hits(example, hits, lost_by), seconds=seconds, timings={"retrieve": seconds})

    config = {"mode": "retrieval only", "k": k, **(settings or {})}
    return _run(list(examples), predict, None, out, config, skipped, progress)


def _run(
    examples: list[Example],
    predict: Predict,
    unanswered: str | None,
    out: Path,
    settings: Mapping[str, Any],
    skipped: Sequence[BadRow],
    progress: Progress | None,
) -> Report:
    if not examples:
        unusable = f": {len(skipped)} rows were read, and none can be used" if skipped else ""
        raise UsageError(f"There are no questions to ask{unusable}. Nothing was changed.")
    twice = [id_ for id_, times in Counter(example.id for example in examples).items() if times > 1]
    if twice:
        raise UsageError(f"Two questions have the id {twice[0]!r}. Nothing was changed; give each its own.")
    config = {"program": f"rag {__version__}", "questions": _fingerprint(examples), **settings}
    make_folder(out)
    with writing(out / LOCK):
        claim(out, config)
        done = read_predictions(out / PREDICTIONS)
        answered = {id_ for id_, prediction in done.items() if not prediction.error}
        _ask_rest(examples, _safely(predict, unanswered), out, answered, progress)
        found = read_predictions(out / PREDICTIONS)
        predictions = [found[example.id] for example in examples]
        report = Report(
            folder=out,
            figures=figures(predictions),
            questions=len(predictions),
            answerable=sum(p.example.answerable for p in predictions),
            lost_by=dict(Counter(p.lost_by for p in predictions if p.lost_by)),
            failed=sum(bool(p.error) for p in predictions),
            judge_failures=sum(p.judged and p.verdict is None for p in predictions),
            skipped=tuple(skipped),
        )
        write_whole(out / METRICS, json.dumps(report.as_json(), ensure_ascii=False, indent=2) + "\n")
        write_whole(out / REPORT, report_page(out.resolve().name, config, predictions, report.figures, skipped))
    return report


def _ask_rest(
    examples: Sequence[Example], predict: Predict, out: Path, done: set[str], progress: Progress | None
) -> None:
    log = Log(out / PREDICTIONS)
    try:
        for number, example in enumerate(examples, 1):
            if example.id not in done:
                log.append(predict(example))
            if progress:
                progress(number, len(examples))
    finally:
        log.close()


def _safely(predict: Predict, unanswered: str | None) -> Predict:
    """An error becomes a failed prediction: it is of this question, as far as we know, until it comes thrice."""
    failures = 0

    def safe(example: Example) -> Prediction:
        nonlocal failures
        try:
            prediction = predict(example)
        except RagError as error:
            failures += 1
            if failures == STOP_AFTER:
                raise
            return replace(with_hits(example, ()), answer=unanswered, error=str(error) or error.__class__.__name__)
        failures = 0
        return prediction

    return safe


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _fingerprint(examples: Sequence[Example]) -> dict[str, Any]:
    digest = hashlib.sha256()
    for example in examples:
        digest.update(json.dumps(asdict(example), sort_keys=True).encode() + b"\n")
    return {"count": len(examples), "sha256": digest.hexdigest()}
