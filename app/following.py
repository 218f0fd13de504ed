"""Jobs as people see them: one that runs, with its progress and a way to stop it; how the last one ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from app import shared, wording, work
from app.views import line, literal
from rag.config import Config
from rag.errors import RagError, UsageError
from rag.jobs.job import Job, State, Work

EVERY = 1.0  # seconds between two looks at a job that runs
NEWS = 3600.0  # seconds for which it is told that something went well
PATIENCE = 8.0  # seconds after which one that was told to stop may be ended at once

_ROW: Any = {"horizontal": True, "horizontal_alignment": "distribute", "vertical_alignment": "center"}

Report = Callable[[Job], None]


def start(config: Config, what: Work) -> None:
    """Begins a job and draws the page again, which tells of it; or says why it does not begin."""
    try:
        if what.kind in work.CHANGES and not shared.may_change(config):
            raise UsageError("This collection is shared with you: it can be asked, not changed.")
        work.desk(config).start(what)
    except RagError as error:
        st.error(literal(str(error)))
    else:
        st.rerun()


def is_busy(config: Config) -> bool:
    """Whether something is writing to the collection already, as far as this page began it."""
    return bool(work.desk(config).running(work.lane(config)))


def show(config: Config, lane: str, report: Report) -> None:
    """The job of a lane that runs, or else the last one that ended, of which `report` shows what came of it."""
    jobs = [job for job in work.desk(config).jobs() if job.work.lane == lane]
    if running := [job for job in jobs if job.state is State.RUNNING]:
        st.fragment(partial(_running, running[0]), run_every=EVERY)()
    elif jobs and _is_news(jobs[0]):
        _ended(jobs[0], report)


def _is_news(job: Job) -> bool:
    """Whether how it ended is shown without being asked for: what went well is old after a while."""
    if st.session_state.get(f"seen {job.work.lane}") == job.id:
        return False
    return job.exit_code != 0 or time.time() - (job.ended or 0) < NEWS


def _running(job: Job) -> None:
    """Looks again by itself; draws the whole page anew when the job has ended."""
    if job.state is not State.RUNNING:
        st.rerun()
    far = job.progress()
    with st.container(border=True):
        now, cancelled = time.time(), job.cancelled
        with st.container(**_ROW):
            st.markdown(f"**{literal(wording.doing(job))}**")
            if not cancelled:
                st.button("Stop", icon=":material/stop_circle:", key=f"stop {job.id}", on_click=job.cancel)
            elif now - cancelled > PATIENCE:
                st.button("End at once", key=f"kill {job.id}", on_click=partial(job.cancel, at_once=True))
        st.progress(wording.share(far))
        st.caption("Stopping …" if cancelled else literal(wording.so_far(far, job.seconds, now)))


def _ended(job: Job, report: Report) -> None:
    with st.container(border=True, gap="xsmall"):
        with st.container(**_ROW):
            st.markdown(f"**{literal(wording.doing(job))}**: {literal(wording.ending(job))}")
            st.button("Dismiss", type="tertiary", key=f"seen {job.id}", on_click=dismiss, args=(job,))
        st.caption(literal(wording.summary(job)))
        report(job)


def dismiss(job: Job) -> None:
    """This tab has seen how it ended."""
    st.session_state[f"seen {job.work.lane}"] = job.id


def said(job: Job) -> None:
    """What a job said beside its result: why it could not begin, say."""
    if log := job.log():
        first = line(log.splitlines()[-1].removeprefix("rag: "))
        if job.result() is None and job.state is State.DONE:
            st.error(literal(first), icon=":material/error:")
        if log.count("\n") or job.result() is not None:
            with st.expander("What it said"):
                st.code(log, language=None, wrap_lines=True)
