"""A run as people read it: key figures, plots, every figure, every question."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from app import columns, opening, plots, runs, work
from app.cells import table
from app.runs import Summary
from app.views import literal
from rag.config import Config
from rag.errors import RagError
from rag.evaluation.catalogue import metric
from rag.evaluation.folder import REPORT, Run
from rag.evaluation.predictions import Prediction
from rag.evaluation.report import KEY_FIGURES, shown, summary

TILES = 6
ROWS = 10
HEIGHT = 300  # of a plot


def show(config: Config, own: Config) -> None:
    found = runs.summaries(own.indexes)
    if not found:
        st.subheader("No runs yet", anchor=False)
        st.write("Measure a question set; what came of it is read here.")
        return
    one = chosen(found)
    _heading(own, one)
    run = loaded(one.folder)
    if run is None:
        st.write("No question has been answered yet.")
        return
    predictions = list(run.predictions.values())
    st.caption(literal(summary(predictions, one.skipped)))
    if one.figures:
        _tiles(one)
        _plots(predictions)
        with st.expander("Every figure, with its interval"):
            table(columns.of_figures(one.figures), hide_index=True)
        with st.expander("What was measured, and how"):
            st.json(dict(one.config), expanded=True)
    else:
        st.info("The run did not come to its end: its figures are made when it does.")
    questions(predictions, one.name)


def chosen(found: Sequence[Summary]) -> Summary:
    """The run that is looked at; a table to choose another one from."""
    names = [one.name for one in found]
    if st.session_state.get("run") not in names:
        st.session_state["run"] = names[0]
    with st.expander(f"Runs ({len(found)})", key="runs"):
        table(columns.of_runs(found), hide_index=True)
    name = st.selectbox("Run", names, key="run", width=480)
    return found[names.index(name)]


def _heading(own: Config, one: Summary) -> None:
    report = one.folder / REPORT
    with st.container(horizontal=True):
        if report.is_file():
            st.download_button(
                "Report to keep",
                report.read_bytes,
                file_name=f"{one.name}.html",
                mime="text/html",
                icon=":material/download:",
                on_click="ignore",
                help="A page that opens anywhere, offline.",
            )
        with st.popover("Remove", icon=":material/delete:"):
            st.write("The run goes, with all its answers.")
            if st.button("Remove it", type="primary", key="remove run", disabled=_is_running(own, one)):
                shutil.rmtree(one.folder, ignore_errors=True)
                st.rerun()


def _is_running(own: Config, one: Summary) -> bool:
    return any(f"--out={one.folder}" in job.work.arguments for job in work.desk(own).running(work.MEASURING))


def loaded(path: Path) -> Run | None:
    """A run, read once for all who look at it; says what is wrong with one that cannot be."""
    try:
        return _loaded(path, runs.stamp(path))
    except RagError as error:
        st.error(literal(str(error)))
        return None


@st.cache_resource(show_spinner=False, max_entries=6)  # nobody changes it
def _loaded(path: Path, stamp: tuple[float, int]) -> Run | None:
    return runs.load(path)


def _tiles(one: Summary) -> None:
    names = [name for name in KEY_FIGURES if name in one.figures][:TILES]
    with st.container(horizontal=True):  # as many in a row as there is room for
        for name in names:
            which, figure = metric(name), one.figures[name]
            ends = f"{shown(which, figure.low)} – {shown(which, figure.high)}" if figure.count > 1 else ""
            label, value = name.replace("_", " "), shown(which, figure.value)
            st.metric(label, value, help=which.definition, delta_description=ends, width=160)


# -------------------------------------------------------------------------------------------------- plots


def _plots(predictions: Sequence[Prediction]) -> None:
    for start in range(0, len(drawn := list(plots.of_run(predictions))), 2):
        for column, (title, rows, spec) in zip(st.columns(2), drawn[start : start + 2], strict=False):
            with column:
                st.caption(title)
                st.vega_lite_chart(rows, spec, height=HEIGHT)


# ---------------------------------------------------------------------------------------------- questions


def questions(predictions: Sequence[Prediction], name: str) -> None:
    """All questions, of which the poor ones come first to mind; one of them in full."""
    st.subheader("Questions", anchor=False)
    kept = st.segmented_control(
        "Which", list(columns.FILTERS), default="could be better", required=True, label_visibility="collapsed"
    )
    wanted = [prediction for prediction in predictions if columns.FILTERS[kept or "all"](prediction)]
    if not wanted:
        st.caption("There are none.")
        return
    event = table(
        columns.of_questions(wanted),
        hide_index=True,
        placeholder="",
        key=f"questions {name} {kept}",
        on_select="rerun",
        selection_mode="single-row",
        height=35 * min(len(wanted), ROWS) + 38,
    )
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(wanted):
        one(wanted[rows[0]])
    else:
        st.caption("Choose a question to see what was expected and what was found.")


def one(prediction: Prediction) -> None:
    """A question: what was expected beside what was answered and found."""
    example = prediction.example
    with st.container(border=True):
        st.markdown(f"**{literal(example.question)}** · {columns.fate(prediction)}")
        with st.container(horizontal=True):
            if st.button("Ask it", icon=":material/chat:", key=f"ask {example.id}"):
                opening.question(example.question)
            for number, evidence in enumerate(example.evidence[:3]):
                place = f"p. {evidence.page}" if evidence.page else evidence.document
                st.button(
                    f"Explain {literal(place)}",
                    icon=":material/troubleshoot:",
                    key=f"explain {example.id} {number}",
                    on_click=explain,
                    args=(example.question, evidence.document, evidence.page or 0),
                )
        left, right = st.columns(2)
        with left:
            st.caption("Expected")
            st.text(columns.expected(prediction), width="stretch")
            for evidence in example.evidence:
                st.caption(literal(f"{evidence.document}{f', p. {evidence.page}' if evidence.page else ''}"))
                if evidence.text:
                    st.text(evidence.text, width="stretch")
        with right:
            answered(prediction)
        table(columns.of_hits(prediction), hide_index=True)


def answered(prediction: Prediction) -> None:
    st.caption("Answered")
    st.text(columns.said(prediction) or "nothing was to be written", width="stretch")
    if prediction.confidence is not None:
        st.caption(f"confidence {prediction.confidence:.3f}")
    if prediction.lost_by:
        st.caption(literal(f"The evidence was lost by: {prediction.lost_by}"))


def explain(question: str, document: str, page: int) -> None:
    """Goes to where it is explained what became of a page."""
    st.session_state.update({"evaluate view": "Explain", "explain": (question, document, page)})
