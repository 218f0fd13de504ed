"""A run from questions to figures; killed anywhere, it goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from oracle import EXAMPLES, HITS, Oracle, one_second

from rag.errors import DamagedError, LockedError, ModelError, StorageError, UsageError
from rag.evaluation.folder import LOCK
from rag.evaluation.predictions import Prediction, read_predictions
from rag.evaluation.run import evaluate, evaluate_retrieval
from rag.index.lock import writing
from rag.types import Answer, Example, Hit, Message, Span


def ticking() -> Callable[[], float]:
    """A clock that goes on by a second each time it is read: every question takes one."""
    times = iter(range(10_000))
    return lambda: float(next(times))


def values(folder: Path) -> dict[str, float]:
    figures = json.loads((folder / "metrics.json").read_text())["figures"]
    return {name: figure["value"] for name, figure in figures.items()}


def test_every_figure_by_hand(tmp_path: Path) -> None:
    report = evaluate(EXAMPLES, Oracle().ask, tmp_path / "run", clock=ticking())
    assert (report.questions, report.answerable, report.failed, report.skipped) == (4, 3, 0, ())
    found = values(tmp_path / "run")
    assert {name: found[name] for name in ("hit@1", "hit@3", "hit@4", "recall@4", "mrr")} == pytest.approx(
        {"hit@1": 0, "hit@3": 1 / 3, "hit@4": 2 / 3, "recall@4": (1 + 1 / 2 + 0) / 3, "mrr": (1 / 2 + 1 / 4 + 0) / 3}
    )
    assert found["page_hit@3"] == pytest.approx(1 / 3)
    assert found["document_hit@1"] == pytest.approx(1 / 3)  # a.pdf, then b.pdf
    assert found["document_mrr"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert found["correct"] == found["containment"] == found["numeric_match"] == pytest.approx(1 / 3)
    assert found["exact_match"] == 0
    assert found["citation_precision"] == 0.5  # of "right" and "wrong"
    assert found["citation_recall"] == 0.5
    assert found["citation_support"] == pytest.approx(1 / 3)  # the unanswerable one cites as well
    assert (found["answerable_refused"], found["unanswerable_answered"]) == (pytest.approx(1 / 3), 1.0)
    assert (found["accuracy"], found["exact_match_all"]) == (0.25, 0.0)
    assert found["aurc"] == pytest.approx((2 / 3 + 2 / 3 + 2 / 3 + 3 / 4) / 4)  # three equally sure, then the refusal
    assert (found["latency_p50"], found["latency_p95"], found["retrieve_p50"]) == (1.0, 1.0, 0.25)
    assert "tokens_per_second" not in found


def test_surer_answers_come_first_and_tokens_are_counted_outside_of_the_time(tmp_path: Path) -> None:
    class Words:
        def count(self, texts: Sequence[str]) -> list[int]:
            return [len(text.split()) for text in texts]

    def by_length(question: str) -> Answer:
        answer = Oracle().ask(question)
        spans = (Span(1, 0, 4),) if "ant" in question else ()
        return replace(answer, confidence=len(answer.text) / 100, spans=spans)

    report = evaluate(EXAMPLES, by_length, tmp_path, clock=ticking(), tokens=Words())
    assert report.figures["tokens_per_second"].value == pytest.approx((6 + 5 + 5) / 1.5)
    # longest answer first: right, then the two others, then the refusal
    area = (0 + 1 / 2 + 2 / 3 + 3 / 4) / 4
    assert report.figures["aurc"].value == pytest.approx(area)
    assert report.figures["aurc_gain"].value == pytest.approx(report.figures["aurc_best_score"].value - area)
    assert (report.figures["span_f1"].value, report.figures["span_f1"].count) == (0.0, 1)
    kept = list(read_predictions(tmp_path / "predictions.jsonl").values())
    assert [p.spans for p in kept] == [("Some",), (), (), ()]
    assert [p.confidence for p in kept] == [0.22, 0.18, 0.25, 0.18]


def test_the_stage_that_lost_the_evidence_is_counted(tmp_path: Path) -> None:
    asked: list[str] = []

    def lost_by(example: Example) -> str:
        asked.append(example.id)
        return "fused"

    report = evaluate(EXAMPLES, Oracle().ask, tmp_path, clock=ticking(), lost_by=lost_by)
    assert asked == ["refused"]  # the others were found, or there is nothing to find
    assert report.lost_by == {"fused": 1}
    assert "by the stage that lost it: fused 1." in (tmp_path / "report.html").read_text()


def test_retrieval_only(tmp_path: Path) -> None:
    class Shelf:
        def retrieve(self, question: str, k: int) -> list[Hit]:
            return list(HITS[:k])

    report = evaluate_retrieval(EXAMPLES, Shelf(), tmp_path, k=3, clock=ticking())
    assert report.figures["hit@3"].value == pytest.approx(1 / 3)
    assert report.figures["latency_p50"].value == 1.0
    assert not {"correct", "aurc", "answerable_refused"} & report.figures.keys()


def test_a_judge_decides_what_is_correct_and_its_failures_are_counted(tmp_path: Path) -> None:
    class Judge:
        name, window = "judge", 4096

        def prompt_tokens(self, messages: Sequence[Message]) -> int:
            return 1

        def stream(self, messages: Sequence[Message], max_new_tokens: int) -> Iterator[str]:
            yield "no" if "ant" in messages[1].content else "perhaps"

    report = evaluate(EXAMPLES, Oracle().ask, tmp_path, judge=Judge(), clock=ticking())
    assert report.judge_failures == 1  # of "wrong"; a refusal and the unanswerable one are not judged
    assert (report.figures["judged_correct"].value, report.figures["judged_correct"].count) == (0.0, 1)
    assert report.figures["correct"].value == 0.0


@pytest.mark.fault(30)
def test_a_failed_question_counts_as_wrong_and_is_asked_again(tmp_path: Path) -> None:
    oracle = Oracle(fails=["What does an ant cost?"])
    report = evaluate(EXAMPLES, oracle.ask, tmp_path, clock=ticking())
    assert report.failed == 1
    assert report.figures["correct"].value == 0.0
    assert report.figures["hit@4"].value == pytest.approx(1 / 3)
    assert "no memory for What does an ant cost?" in (tmp_path / "report.html").read_text()
    oracle.fails.clear()
    oracle.asked.clear()
    again = evaluate(EXAMPLES, oracle.ask, tmp_path, clock=ticking())
    assert oracle.asked == ["What does an ant cost?"]
    assert (again.failed, again.figures["correct"].value) == (0, pytest.approx(1 / 3))


def test_three_failures_in_a_row_end_the_run(tmp_path: Path) -> None:
    oracle = Oracle(fails=[example.question for example in EXAMPLES])
    with pytest.raises(ModelError, match="cow"):
        evaluate(EXAMPLES, oracle.ask, tmp_path, clock=ticking())
    assert not (tmp_path / "metrics.json").exists()
    assert evaluate(EXAMPLES, Oracle().ask, tmp_path, clock=ticking()).failed == 0


# ------------------------------------------------------------------------------------------------ resuming


def same(one: Path, other: Path) -> bool:
    names = ("predictions.jsonl", "metrics.json", "config.json")
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def test_a_run_that_is_done_asks_nothing_and_changes_nothing(tmp_path: Path) -> None:
    evaluate(EXAMPLES, Oracle().ask, tmp_path / "a", clock=one_second)
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir() if path.name != LOCK}
    oracle = Oracle()
    evaluate(EXAMPLES, oracle.ask, tmp_path / "a", clock=one_second)
    assert oracle.asked == []
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir() if path.name != LOCK}


KILLED = """
import os, signal, sys
sys.path[:0] = {paths!r}
from pathlib import Path
from oracle import EXAMPLES, Oracle, one_second
from rag.evaluation.run import evaluate

class Dying(Oracle):
    def ask(self, question):
        if len(self.asked) == {after}:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().ask(question)

evaluate(EXAMPLES, Dying().ask, Path({out!r}), clock=one_second)
"""


@pytest.mark.fault(30)
@pytest.mark.parametrize("after", [0, 2, 3])
def test_killed_and_gone_on_with_it_gives_the_same(tmp_path: Path, after: int) -> None:
    evaluate(EXAMPLES, Oracle().ask, tmp_path / "whole", clock=one_second)
    out = tmp_path / "killed"
    paths = [str(Path(__file__).parent), os.getcwd()]
    code = KILLED.format(paths=paths, after=after, out=str(out))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(read_predictions(out / "predictions.jsonl")) == after
    oracle = Oracle()
    evaluate(EXAMPLES, oracle.ask, out, clock=one_second)
    assert len(oracle.asked) == len(EXAMPLES) - after
    assert same(out, tmp_path / "whole")


@pytest.mark.fault(30)
@pytest.mark.parametrize("cut", [1, 40, 400])
def test_a_line_cut_short_is_asked_again(tmp_path: Path, cut: int) -> None:
    evaluate(EXAMPLES, Oracle().ask, tmp_path / "whole", clock=one_second)
    out = tmp_path / "torn"
    evaluate(EXAMPLES, Oracle().ask, out, clock=one_second)
    content = (out / "predictions.jsonl").read_bytes()
    (out / "predictions.jsonl").write_bytes(content[:-cut])
    oracle = Oracle()
    evaluate(EXAMPLES, oracle.ask, out, clock=one_second)
    assert oracle.asked == [EXAMPLES[-1].question]
    assert same(out, tmp_path / "whole")


def test_a_damaged_line_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    evaluate(EXAMPLES, Oracle().ask, tmp_path, clock=one_second)
    path = tmp_path / "predictions.jsonl"
    content = path.read_bytes().replace(b'"answer"', b'"answr"', 1)
    path.write_bytes(content)
    with pytest.raises(DamagedError, match=r"line 1 is not what a run writes"):
        evaluate(EXAMPLES, Oracle().ask, tmp_path, clock=one_second)
    assert path.read_bytes() == content


def test_another_run_is_never_mixed_in(tmp_path: Path) -> None:
    evaluate(EXAMPLES, Oracle().ask, tmp_path, settings={"model": "a", "k": 8})
    with pytest.raises(UsageError, match=r"something else \(other k\)"):
        evaluate(EXAMPLES, Oracle().ask, tmp_path, settings={"model": "a", "k": 9})
    with pytest.raises(UsageError, match=r"something else \(other questions\)"):
        evaluate(EXAMPLES[:2], Oracle().ask, tmp_path, settings={"model": "a", "k": 8})


def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"holds no run \(thesis.tex\)"):
        evaluate(EXAMPLES, Oracle().ask, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_two_at_once_do_not_mix(tmp_path: Path) -> None:
    with writing(tmp_path / LOCK), pytest.raises(LockedError):
        evaluate(EXAMPLES, Oracle().ask, tmp_path)


@pytest.mark.fault(30)
def test_a_full_disk_keeps_what_was_answered(tmp_path: Path) -> None:
    code = f"""
import resource, signal, sys
sys.path[:0] = {[str(Path(__file__).parent), os.getcwd()]!r}
from pathlib import Path
from oracle import EXAMPLES, Oracle, one_second
from rag.errors import StorageError
from rag.evaluation.run import evaluate
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3500, 3500))
try:
    evaluate(EXAMPLES, Oracle().ask, Path({str(tmp_path)!r}), clock=one_second)
except StorageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, text=True, check=True)
    assert "questions asked so far are safe" in done.stdout
    kept = read_predictions(tmp_path / "predictions.jsonl")
    assert 0 < len(kept) < len(EXAMPLES)
    oracle = Oracle()
    evaluate(EXAMPLES, oracle.ask, tmp_path, clock=one_second)
    assert len(oracle.asked) == len(EXAMPLES) - len(kept)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="Nothing was changed"):
        evaluate(EXAMPLES, Oracle().ask, tmp_path / "file" / "run")


@pytest.mark.parametrize(
    ("examples", "message"),
    [([], "There are no questions to ask\\. "), ([EXAMPLES[0]] * 2, f"Two questions have the id {EXAMPLES[0].id!r}")],
)
def test_no_questions_or_two_of_one_id(tmp_path: Path, examples: list[Example], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        evaluate(examples, Oracle().ask, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_prediction_survives_its_line() -> None:
    from rag.evaluation.predictions import Cited, Found

    prediction = Prediction(
        example=EXAMPLES[1],
        answer="It is “7” — euros\nor so.",
        hits=(Found("a.pdf", "p. 1", 1, 0, 4, 0.1 + 0.2, "Some", False),),
        cited=(Cited(1, "a.pdf", "p. 1", True, (0, 1)),),
        ranks={"passage": (1, None)},
        grades={"passage": (1, 2)},
        judged=True,
        confidence=1 / 3,
        tokens=7,
        seconds=0.1,
        timings={"write": 0.05},
    )
    line = prediction.as_line()
    assert line.count(b"\n") == 1
    assert Prediction.from_json(json.loads(line)) == prediction
