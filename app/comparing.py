"""Two runs over the same questions, side by side."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import columns, plots, reports, runs
from app.cells import table
from app.views import literal
from rag.config import Config
from rag.errors import RagError
from rag.evaluation.compare import Comparison, Flips, compare
from rag.evaluation.compare_page import comparison_page
from rag.evaluation.predictions import Prediction
from rag.terminal import counted


def show(config: Config, own: Config) -> None:
    found = {one.name: one for one in runs.summaries(own.indexes) if one.figures}
    if len(found) < 2:
        st.subheader("Two runs are needed", anchor=False)
        st.write("Measure the same questions under two settings; what changed, and how surely, is read here.")
        return
    names = list(found)
    left, right = st.columns(2)
    before = left.selectbox("A", names, index=1)
    after = right.selectbox("B", names, index=0)
    if before == after:
        st.caption("Choose two different runs.")
        return
    try:
        with st.spinner("Comparing …"):
            a, b = found[before].folder, found[after].folder
            comparison = _compared(a, b, runs.stamp(a), runs.stamp(b))
    except RagError as error:
        st.error(literal(str(error)))
        return
    _differences(comparison)
    for name, flips in comparison.flips.items():
        _flipped(comparison, name, flips)


@st.cache_resource(show_spinner=False, max_entries=6)
def _compared(before: Path, after: Path, *stamps: tuple[float, int]) -> Comparison:
    return compare(before, after)


def _differences(comparison: Comparison) -> None:
    left_out = f", {comparison.left_out} left out" if comparison.left_out else ""
    st.caption(
        literal(
            f"{counted(len(comparison.common), 'question')} in common{left_out}. Intervals are 95 % paired bootstrap; "
            "p is of the paired randomisation test, not corrected for the number of figures looked at."
        )
    )
    if drawn := plots.differences(comparison.differences):
        st.vega_lite_chart(*drawn)
    table(columns.of_differences(comparison), hide_index=True)
    st.download_button(
        "Comparison to keep",
        lambda: comparison_page(comparison).encode(),
        file_name=f"{comparison.before.name} and {comparison.after.name}.html",
        mime="text/html",
        icon=":material/download:",
        on_click="ignore",
    )
    settings = columns.of_settings(comparison)
    if settings["Setting"]:
        with st.expander("Settings that differ", expanded=True):
            table(settings, hide_index=True)


def _flipped(comparison: Comparison, name: str, flips: Flips) -> None:
    st.subheader(f"What flipped in {name.replace('_', ' ')}", anchor=False)
    ids = [*flips.lost, *flips.gained]
    if not ids:
        st.caption("Nothing.")
        return
    pairs = [comparison.pair(id_) for id_ in ids]
    event = table(
        {
            "What": ["lost"] * len(flips.lost) + ["gained"] * len(flips.gained),
            "Question": [before.example.question for before, _ in pairs],
            "A": [columns.fate(before) for before, _ in pairs],
            "B": [columns.fate(after) for _, after in pairs],
            "Evidence in A at": [columns.first_right(before) for before, _ in pairs],
            "Evidence in B at": [columns.first_right(after) for _, after in pairs],
        },
        hide_index=True,
        placeholder="",
        key=f"flipped {comparison.before.name} {comparison.after.name} {name}",
        on_select="rerun",
        selection_mode="single-row",
        height=35 * min(len(ids), 8) + 38,
    )
    rows = event["selection"]["rows"]
    if rows and rows[0] < len(pairs):
        _side_by_side(comparison, rows[0], pairs[rows[0]])


def _side_by_side(comparison: Comparison, number: int, pair: tuple[Prediction, Prediction]) -> None:
    names = (comparison.before.name, comparison.after.name)
    with st.container(border=True):
        st.markdown(f"**{literal(pair[0].example.question)}**")
        st.caption(literal(f"Expected: {columns.expected(pair[0])}"))
        for column, name, prediction in zip(st.columns(2), names, pair, strict=True):
            with column:
                st.markdown(f"**{literal(name)}** · {columns.fate(prediction)}")
                reports.answered(prediction)
                table(columns.of_hits(prediction), hide_index=True)
