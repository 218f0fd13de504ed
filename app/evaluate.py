"""Question sets measured, runs compared, a lost page explained."""

from __future__ import annotations

import streamlit as st

from app import comparing, explaining, following, measuring, reports, shared, work
from app.runs import fitting
from rag.config import Config
from rag.jobs.job import Job, State

VIEWS = {
    "Measure": measuring.show,
    "Report": reports.show,
    "Compare": comparing.show,
    "Explain": explaining.show,
}


def show() -> None:
    shared.follow_address()
    config, own = _over(), shared.own()  # a common collection is measured by many: each at home
    with st.container():
        following.show(own, work.MEASURING, lambda job: _ended(own, job))
    st.session_state.setdefault("evaluate view", "Measure")
    view = st.segmented_control("View", list(VIEWS), key="evaluate view", required=True, label_visibility="collapsed")
    VIEWS[view or "Measure"](config, own)
    shared.show_address()


def _over() -> Config:
    """The settings over the collection that is measured, which can be chosen here."""
    there = shared.collections(shared.environment())
    chosen = shared.address().collection
    if len(there) > 1:
        names = sorted({*there, chosen})
        name = st.selectbox("Collection", names, index=names.index(chosen), width=280)
        if name != chosen:
            shared.go(collection=name)
    return shared.settings()


def _ended(own: Config, job: Job) -> None:
    """What can be done when a run has ended: read it, or let it go on."""
    following.said(job)
    name = next((part.rpartition("/")[2] for part in job.work.arguments if part.startswith("--out=")), "")
    with st.container(horizontal=True):
        if job.result() and fitting(name):
            st.button("Read the report", icon=":material/insights:", on_click=_read, args=(job, name))
        elif job.state in (State.STOPPED, State.DIED) and st.button("Go on", icon=":material/play_arrow:"):
            following.start(own, job.work)


def _read(job: Job, name: str) -> None:
    following.dismiss(job)
    st.session_state.update({"evaluate view": "Report", "run": name})
