"""Evaluation as people use it on the page: a set is handed over, measured by a job, read, compared, explained."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from conftest import Shelf, WordEmbedder
from programs import SLEEPS, WORDS, ended
from streamlit.testing.v1 import AppTest

from app import ask, columns, plots, runs, work
from app.chat import Chat
from rag import compose
from rag.evaluation.compare import Difference, compare
from rag.evaluation.folder import load_run
from rag.evaluation.plots import density
from rag.evaluation.predictions import Found, Prediction
from rag.evaluation.run import evaluate_retrieval
from rag.index.collection import Collection
from rag.jobs.desk import Desk
from rag.jobs.job import State
from rag.types import Evidence, Example, Hit, Passage

OTHERS = {f"note {n}.txt": f"Nothing of the kind, number {n}." for n in range(6)}
DOCUMENTS = {
    "heron.txt": "The grey heron stands by the weir at dawn.",
    "owl.txt": "The barn owl nests in old towers.",
    "![x](http://127.0.0.1:9/x.png).txt": "The kite soars above the hill.",
    **OTHERS,
}
FOREIGN = "<img src=http://127.0.0.1:9/x.png> ![x](http://127.0.0.1:9/y.png)?"
EXAMPLES = [
    Example("q1", "Where does the grey heron stand?", ("by the weir",), True, (Evidence("heron.txt"),)),
    Example("q2", "Where does the barn owl nest?", ("old towers",), True, (Evidence("owl.txt"),)),
    Example("q3", FOREIGN, ("![z](http://127.0.0.1:9/z.png)",), True, (Evidence("nowhere.pdf", 3),)),
]
LINES = "\n".join([*(json.dumps(asdict(example)) for example in EXAMPLES), '{"answers": ["no question"]}']).encode()


def page() -> None:
    from app import evaluate

    evaluate.show()


Open = Callable[[], AppTest]


@pytest.fixture
def indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAG_INDEXES", str(tmp_path / "indexes"))
    monkeypatch.setenv("RAG_RERANK", "none")
    monkeypatch.delenv("RAG_ROOTS", raising=False)
    return tmp_path / "indexes"


@pytest.fixture
def desk(indexes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    made = Desk(indexes / ".jobs", ("-c", WORDS))
    monkeypatch.setattr(work, "desk", lambda config: made)
    monkeypatch.setattr(compose, "embedder", lambda config: WordEmbedder())
    yield made
    for job in made.running():
        job.cancel(at_once=True)
        ended(job)


@pytest.fixture
def tab(desk: Desk) -> Open:
    def opened() -> AppTest:
        import streamlit as st

        st.cache_resource.clear()
        return calm(AppTest.from_function(page, default_timeout=60).run())

    return opened


def filled(indexes: Path) -> None:
    collection = Collection(indexes, "default")
    collection.sync(Shelf(dict(DOCUMENTS)), WordEmbedder())
    collection.close()


def calm(at: AppTest) -> AppTest:
    assert not at.exception, at.exception[0].stack_trace
    return at


def view(at: AppTest, name: str) -> AppTest:
    return calm(at.segmented_control(key="evaluate view").set_value(name).run())


def press(at: AppTest, label: str) -> AppTest:
    button = next(button for button in at.button if button.label.replace("\\", "") == label)
    return calm(button.click().run())


def said(at: AppTest) -> str:
    shown = [*at.markdown, *at.caption, *at.text, *at.error, *at.info, *at.warning, *at.success, *at.subheader]
    return "\n".join(str(element.value) for element in shown).replace("**", "").replace("\\", "")


def table(at: AppTest, column: str) -> Any:
    return next(frame.value for frame in at.dataframe if column in frame.value.columns)


class Fixed:
    """Finds `first` before everything else."""

    def __init__(self, *first: str) -> None:
        self.first = first

    def retrieve(self, question: str, k: int) -> list[Hit]:
        names = [*self.first, *(name for name in DOCUMENTS if name not in self.first)]
        found = [Passage(name, "", "", "", "", None, 0, 9, DOCUMENTS[name]) for name in names]
        return [Hit(passage, 1.0 / rank) for rank, passage in enumerate(found, 1)][:k]


def measured(indexes: Path, name: str, *first: str) -> Path:
    out = indexes / ".runs" / name
    evaluate_retrieval(EXAMPLES, Fixed(*first), out, k=5, settings={"collection": {"collection": "default"}})
    return out


# ------------------------------------------------------------------------------------------------ journeys


def test_a_set_is_handed_over_measured_and_read(tab: Open, desk: Desk, indexes: Path) -> None:
    filled(indexes)
    at = tab()
    calm(at.file_uploader[0].set_value([("../my set.jsonl", LINES, "application/json")]).run())
    at = calm(next(box for box in at.selectbox if box.label == "Questions").set_value("my set.jsonl").run())
    assert "3 questions, 3 of them answerable." in said(at)
    assert "1 document that the answers stand in are not in collection default: nowhere.pdf." in said(at)
    assert list(table(at, "Why")["Where"]) == ["line 4"]
    press(at, "Measure")
    (job,) = desk.jobs()
    assert job.work.lane == work.MEASURING
    ended(job)
    assert job.exit_code == 3, job.log()
    calm(at.run())
    assert "done, with questions to look at" in said(at)
    press(at, "Read the report")
    assert at.segmented_control(key="evaluate view").value == "Report"
    assert {metric.label: metric.value for metric in at.metric}["hit@5"] == "0.667"
    wanted = table(at, "Result")
    assert list(wanted["Id"])[-1] == "q3"
    assert list(wanted["Lost by"])[-1] == "index"
    at.session_state[next(frame.key for frame in at.dataframe if "Result" in frame.value.columns)] = {
        "selection": {"rows": [len(wanted) - 1], "columns": [], "cells": []}
    }
    calm(at.run())
    for element in (*at.markdown, *at.caption, *at.error, *at.warning):
        assert "127.0.0.1:9/x.png> !" not in str(element.value), "foreign text is shown as text"
    assert "Expected" in said(at)
    press(at, "Explain p. 3")
    assert at.segmented_control(key="evaluate view").value == "Explain"
    assert "no document 'nowhere.pdf'" in said(at)


def test_two_runs_side_by_side(tab: Open, indexes: Path) -> None:
    filled(indexes)
    measured(indexes, "before", "heron.txt", "owl.txt")
    measured(indexes, "after", "heron.txt", *OTHERS)
    at = view(tab(), "Compare")
    at.selectbox[0].set_value("before")
    calm(at.selectbox[1].set_value("after").run())
    differences = table(at, "Change")
    assert list(differences.columns[1:3]) == ["A: before", "B: after"]
    row = differences[differences["Figure"] == "hit@1"].iloc[0]
    assert (row["A: before"], row["B: after"], row["Change"]) == ("0.333", "0.333", "+0.000")
    assert "What flipped in hit@5" in said(at)
    flipped = table(at, "Evidence in A at")
    assert list(flipped["Question"]) == ["Where does the barn owl nest?"]
    assert (flipped["What"][0], flipped["Evidence in A at"][0]) == ("lost", 2)
    at.session_state["flipped before after hit@5"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    calm(at.run())
    assert "Expected: old towers" in said(at)


def test_explained(tab: Open, indexes: Path) -> None:
    filled(indexes)
    at = view(tab(), "Explain")
    at.text_area[0].set_value("Where does the barn owl nest?")
    at.text_input[0].set_value("owl.txt")
    press(at, "Explain")
    assert "Found: it is number 1 of those that are read." in said(at)
    assert list(table(at, "Stage")["Stage"]) == ["dense", "keyword", "fused"]
    assert DOCUMENTS["owl.txt"] in said(at)


def test_a_stopped_run_goes_on(tab: Open, desk: Desk, indexes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(indexes)
    at = tab()
    calm(at.file_uploader[0].set_value([("set.jsonl", LINES, "application/json")]).run())
    calm(next(box for box in at.selectbox if box.label == "Questions").set_value("set.jsonl").run())
    monkeypatch.setattr(work, "desk", lambda config: Desk(desk.home, ("-c", SLEEPS)))
    press(at, "Measure")
    (job,) = desk.jobs()
    job.cancel()
    assert ended(job).state is State.STOPPED
    monkeypatch.setattr(work, "desk", lambda config: desk)
    calm(at.run())
    press(at, "Go on")
    again = ended(desk.jobs()[0])
    assert (again.work, again.exit_code) == (job.work, 3), again.log()


def test_a_failed_question_is_asked_by_itself(tab: Open, indexes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(indexes)
    measured(indexes, "mine", *OTHERS)
    asked: list[str] = []
    monkeypatch.setattr(ask, "ask", asked.append)
    at = tab()
    at.session_state["conversation"] = Chat("default")
    view(at, "Report")
    table_key = next(frame.key for frame in at.dataframe if "Result" in frame.value.columns)
    at.session_state[table_key] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    calm(at.run())
    button = next(button for button in at.button if button.label == "Ask it")
    button.click().run()  # the page that it leads to is not there, in a test of this one alone
    assert asked == ["Where does the barn owl nest?"]
    assert "conversation" not in at.session_state, "it follows nothing that was asked before"


def test_what_is_no_set_is_not_kept(tab: Open, indexes: Path) -> None:
    filled(indexes)
    at = tab()
    for name, data in (("a.jsonl", b"\x00\x01"), ("b.csv", b"no,head\n1,2"), ("c.json", b"{}"), ("d.jsonl", b"")):
        calm(at.file_uploader[0].set_value([(name, data, "")]).run())
        assert at.error
        assert name not in next(box for box in at.selectbox if box.label == "Questions").options


def test_names_of_runs_are_no_paths(tab: Open, desk: Desk, indexes: Path) -> None:
    filled(indexes)
    at = tab()
    for name in ("../evil", "/etc/x", "..", "a/b", "a\0b", ".hidden", "-x", " ", "a."):
        next(field for field in at.text_input if field.label == "Name of the run").set_value(name)
        press(at, "Measure")
        assert at.error, name
    assert desk.jobs() == []
    assert not (indexes / ".runs").exists()


def test_runs_are_removed(tab: Open, indexes: Path) -> None:
    filled(indexes)
    out = measured(indexes, "mine")
    at = view(tab(), "Report")
    press(at, "Remove it")
    assert not out.exists()
    assert "No runs yet" in said(at)


def test_empty_states_say_what_to_do(tab: Open, indexes: Path) -> None:
    at = tab()
    assert "Add documents in the Library" in said(at)
    for name, told in (("Report", "No runs yet"), ("Compare", "Two runs are needed"), ("Explain", "Add documents")):
        assert told in said(view(at, name))


def test_unfinished_and_damaged_runs_are_told(tab: Open, indexes: Path) -> None:
    filled(indexes)
    out = measured(indexes, "mine")
    (out / "metrics.json").unlink()
    assert "did not come to its end" in said(view(tab(), "Report"))
    (out / "predictions.jsonl").write_text("{}\n")
    assert "is not what a run writes" in said(view(tab(), "Report"))
    (out / "predictions.jsonl").unlink()
    assert "No question has been answered yet." in said(view(tab(), "Report"))
    (out / "config.json").write_text("[]")
    shutil.copytree(out, out.with_name(".hidden"))
    assert "No runs yet" in said(view(tab(), "Report"))


# ----------------------------------------------------------------------------------------- tables and plots


def test_the_fate_of_a_question() -> None:
    example = Example("q", "Q?", ("yes",), True, (Evidence("a.pdf", 1),))
    none = Example("n", "N?", (), False)
    found = {"passage": (2,)}
    fates = {
        columns.fate(Prediction(example, "yes", ranks=found)): "right",
        columns.fate(Prediction(example, "no", ranks=found)): "wrong",
        columns.fate(Prediction(example, "", abstained=True, ranks=found)): "refused",
        columns.fate(Prediction(example, "", error="broken", ranks=found)): "failed",
        columns.fate(Prediction(example, None, ranks=found)): "found",
        columns.fate(Prediction(example, None, ranks={"passage": (None,)})): "not found",
        columns.fate(Prediction(Example("x", "X?"), None)): "not measured",
    }
    assert all(fate == wanted for fate, wanted in fates.items())
    assert len(fates) == 7
    assert columns.fate(Prediction(none, "", abstained=True)) == "right"
    assert columns.fate(Prediction(none, "something")) == "wrong"


def test_plots_hold_no_foreign_text(tmp_path: Path) -> None:
    out = measured(tmp_path, "mine", "owl.txt")
    predictions = list(load_run(out).predictions.values())
    drawn = list(plots.of_run(predictions))
    assert [title for title, _, _ in drawn] == [
        "Recall over the number retrieved",
        "Time a question takes",
        "Score of the best passage",
    ]
    assert "127.0.0.1" not in json.dumps(drawn)
    times = drawn[1][1]
    assert sum(row["count"] for row in times) == len(predictions)


def test_a_plot_of_times_that_are_all_the_same() -> None:
    predictions = [Prediction(Example(str(n), "Q?"), None, seconds=0.0) for n in range(3)]
    ((_, rows, _),) = plots.of_run(predictions)
    assert [row["count"] for row in rows if row["count"]] == [3]
    assert all(math.isfinite(row["to"]) for row in rows)


def test_a_group_that_lies_outside_of_what_is_drawn_is_flat() -> None:
    assert density([1e9], [0.0, 0.5, 1.0]) == [0.0, 0.0, 0.0]
    assert density([0.5], [0.0, 0.5, 1.0])[1] == 1.0


def test_only_changes_are_drawn() -> None:
    same = Difference("hit@5", 0.5, 0.5, 10, 0.0, 0.0, 1.0)
    moved = Difference("page_hit@5", 0.5, 0.6, 10, -0.1, 0.3, 0.4)
    time = Difference("latency_p50", 0.5, 0.6, 10, -0.1, 0.3, 0.4)
    recall = Difference("recall@5", 0.5, 0.6, 10, -0.1, 0.3, 0.4)
    assert plots.differences([same, time, recall]) is None
    drawn = plots.differences([same, moved, time, recall])
    assert drawn
    assert drawn[0] == [{"figure": "page_hit@5", "change": 0.6 - 0.5, "low": -0.1, "high": 0.3}]


def test_hits_and_settings_as_columns(tmp_path: Path) -> None:
    hit = Found("a.pdf", "p. 3", 3, 0, 5, 0.12345, "text", right=True)
    assert columns.of_hits(Prediction(Example("q", "Q?"), None, hits=(hit,))) == {
        "": ["✓"],
        "Document": ["a.pdf"],
        "Place": ["p. 3"],
        "Score": [0.123],
        "Text": ["text"],
    }
    one, other = measured(tmp_path, "one"), measured(tmp_path, "other", "owl.txt")
    assert columns.of_settings(compare(one, other)) == {"Setting": [], "A": [], "B": []}


@pytest.mark.parametrize("name", ["a", "questions sample 11-21 17.58.03", "Ünïcode (2)", "a+b"])
def test_names_that_runs_may_have(name: str) -> None:
    assert runs.fitting(name)
    assert not runs.fitting(name * 101)
