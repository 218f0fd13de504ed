"""Choosing what is measured, and beginning to."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import streamlit as st

from app import following, roots, runs, sets, shared, uploads, work
from app.cells import table
from app.sets import QuestionSet
from app.views import literal
from rag import compose
from rag.config import EXTRACTIVE, LATE, NONE, READER, Config
from rag.errors import RagError, UsageError
from rag.evaluation.matching import unknown_documents
from rag.evaluation.run import DEPTH
from rag.history.export import questions
from rag.terminal import counted

PREVIEW = 200  # questions that are shown before they are asked
MOST_BYTES = 64 << 20  # of a set that is handed over
ANSWERS, RETRIEVAL = "Answers, and what was found for them", "Only what is found"
_READ_BY = {
    READER: "the reader (default)",
    LATE: "late interaction",
    NONE: "nothing: the searches alone",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """How a set is measured. Of 0 questions all are meant."""

    config: Config
    retrieval_only: bool
    depth: int
    limit: int


def show(config: Config, own: Config) -> None:
    if not compose.collection(config).exists():
        st.subheader("Nothing to measure yet", anchor=False)
        st.write("Add documents in the Library; then measure how well questions about them are answered.")
        return
    found = _question_set(own)
    if not found:
        return
    _described(config, found)
    chosen = _settings(config)
    name = st.text_input(
        "Name of the run", _proposed(found.path, config.collection, own), max_chars=100, width=420
    ).strip()
    busy = bool(work.desk(own).running(work.MEASURING))
    if st.button("Measure", type="primary", icon=":material/play_arrow:", disabled=busy or not found.examples):
        _begin(chosen, found.path, own, name)


def _begin(chosen: Chosen, path: Path, own: Config, name: str) -> None:
    out = runs.folder(own.indexes) / name
    if not runs.fitting(name):
        st.error("A run's name has letters, digits, spaces and . + ( ) - only, and begins with a letter or digit.")
    elif out.exists():
        st.error("There is a run of that name already. Choose another one.")
    else:
        what = work.measure(chosen.config, path, out, chosen.depth, chosen.limit, retrieval_only=chosen.retrieval_only)
        following.start(own, what)


# ------------------------------------------------------------------------------------------- the questions


def _question_set(own: Config) -> QuestionSet | None:
    """The set that is chosen, read; says what is wrong with one that cannot be."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        known = {**sets.known(own.indexes), **st.session_state.get("sets named", {})}
        wanted = st.session_state.pop("set added", None) or st.session_state.get("question set")
        st.session_state["question set"] = wanted if wanted in known else next(iter(known), None)
        name = st.selectbox("Questions", list(known), width=360, placeholder="No question set yet", key="question set")
        with st.popover("Add questions", icon=":material/add:"):
            _add(own)
    for told in st.session_state.pop("set told", ()):
        st.error(literal(told))
    if name is None:
        st.write("Questions with the answers that are right are handed over as a file, as in the sample's set.")
        return None
    try:
        return _read(known[name], os.stat(known[name]).st_mtime_ns)
    except (RagError, OSError) as error:
        st.error(literal(str(error)))
        return None


@st.cache_resource(show_spinner=False, max_entries=8)
def _read(path: Path, stamp: int) -> QuestionSet:
    return sets.read(path)


def _add(own: Config) -> None:
    turn = st.session_state.setdefault("set turn", 0)
    given = st.file_uploader(
        "JSON lines, CSV, SQuAD's JSON or FinanceBench's lines", type=list(sets.FORMATS), key=f"set {turn}"
    )
    if given:
        st.session_state["set told"] = _keep(own, given.name, given.getvalue())
        st.session_state["set turn"] += 1
        st.rerun()
    keeper = shared.keeper()
    judged = keeper.history.judged(keeper.owner)
    about = "Questions of yours whose answers you gave a thumb, with what should have been said"
    if judged and st.button(f"Take the {counted(len(judged), 'answer')} that you judged", help=about):
        name = f"judged {time.strftime('%Y-%m-%d')}.jsonl"
        st.session_state["set told"] = _keep(own, name, questions(judged).encode())
        st.rerun()
    if allowed := roots.configured():
        path = st.text_input("Or a file, or a folder as BEIR has it", placeholder=str(allowed[0])).strip()
        if path and st.button("Take it"):
            try:
                real = roots.allowed(path, allowed)
            except UsageError as error:
                st.error(literal(str(error)))
            else:
                named = st.session_state.setdefault("sets named", {})
                named[str(real)] = real
                st.session_state["set added"] = str(real)
                st.rerun()


def _keep(own: Config, name: str, data: bytes) -> list[str]:
    """Keeps a set, if it is one. What has to be told."""
    if len(data) > MOST_BYTES:
        return [f"{name} has {len(data) >> 20} MB, and {MOST_BYTES >> 20} are taken here."]
    into = sets.folder(own.indexes)
    try:
        stored = uploads.store(into, name, data)
        if not sets.read(into / stored.name).examples:
            raise UsageError(f"{name} holds no question that can be asked.")
        st.session_state["set added"] = stored.name
    except RagError as error:
        uploads.remove(into, uploads.safe_name(name))
        return [str(error)]
    return []


def _described(config: Config, found: QuestionSet) -> None:
    answerable = sum(example.answerable for example in found.examples)
    st.caption(literal(f"{counted(len(found.examples), 'question')}, {answerable} of them answerable."))
    if missing := _missing(config, found):
        st.warning(
            literal(
                f"{counted(len(missing), 'document')} that the answers stand in are not in collection "
                f"{config.collection}: {', '.join(missing[:3])}. What they hold cannot be found."
            )
        )
    if found.bad:
        with st.expander(f"{counted(len(found.bad), 'row')} cannot be asked"):
            table(
                {"Where": [row.where for row in found.bad], "Why": [row.reason for row in found.bad]}, hide_index=True
            )
    with st.expander("The questions"):
        shown = found.examples[:PREVIEW]
        table(
            {
                "Question": [example.question for example in shown],
                "Answers": [" or ".join(example.answers) for example in shown],
                "Evidence": ["; ".join(_place(e.document, e.page) for e in example.evidence) for example in shown],
            },
            hide_index=True,
        )


def _place(document: str, page: int | None) -> str:
    return f"{document}, p. {page}" if page else document


def _missing(config: Config, found: QuestionSet) -> list[str]:
    wanted = [evidence.document for example in found.examples for evidence in example.evidence]
    collection = compose.collection(config)
    try:
        return unknown_documents(wanted, [file.document for file in collection.files()])
    finally:
        collection.close()


# -------------------------------------------------------------------------------------------- the settings


def _settings(config: Config) -> Chosen:
    left, right = st.columns(2)
    with left:
        what = st.radio("What is measured", [ANSWERS, RETRIEVAL])
        depth = st.number_input("Passages looked at for each question", 1, 200, DEPTH)
        limit = st.number_input("Only the first questions (0: all)", 0, None, 0)
    with right:
        read_by = list(dict.fromkeys([config.rerank, READER, LATE, NONE]))
        rerank = st.selectbox("Who reads the best passages", read_by, format_func=lambda name: _READ_BY.get(name, name))
        writers = list(dict.fromkeys([config.model, EXTRACTIVE]))
        model = st.selectbox("Who writes the answers", writers, disabled=what == RETRIEVAL)
        passages = st.number_input("Passages given to the writer", 1, 100, config.passages, disabled=what == RETRIEVAL)
        if model != EXTRACTIVE:
            st.caption("The model is loaded a second time, in a process of its own.")
    settled = replace(config, rerank=rerank, model=model, passages=int(passages))
    return Chosen(settled, what == RETRIEVAL, int(depth), int(limit))


def _proposed(questions: Path, collection: str, own: Config) -> str:
    """A name that says what it is of."""
    key = f"run of {questions} in {collection}"
    if key not in st.session_state or (runs.folder(own.indexes) / st.session_state[key]).exists():
        stem = uploads.safe_name(questions.stem)[:40]
        st.session_state[key] = f"{stem} {collection} {time.strftime('%m-%d %H.%M.%S')}"
    return cast(str, st.session_state[key])
