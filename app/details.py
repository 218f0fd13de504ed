"""How an answer came about: what was found and what of it was read, what a model was sent, and what took how long."""

from __future__ import annotations

from contextlib import closing

import streamlit as st

from app import shared, tables, views
from app.cells import table
from app.chat import Chat
from app.views import literal
from rag import compose
from rag.config import EXTRACTIVE
from rag.errors import RagError
from rag.evaluation.explain import tracer
from rag.types import Answer

_OPEN = "details"


def show(chat: Chat) -> None:
    """Opens the drawer of the answer that was asked about, once."""
    answer = chat.answered(st.session_state.pop(_OPEN, 0))
    if answer:
        _drawer(answer)


@st.dialog("How it was answered", width="large", position="right")
def _drawer(answer: Answer) -> None:
    st.caption(literal(tables.summary(answer)))
    found, sent, took = st.tabs(["Passages", "Prompt", "Timings"])
    with found:
        _found(answer)
    with sent:
        _sent(answer)
    with took:
        table(tables.timing_rows(answer), hide_index=True, width="content")


def _found(answer: Answer) -> None:
    if not answer.hits:
        st.write("Nothing was found.")
        return
    table(tables.hit_rows(answer), hide_index=True)
    st.caption(
        "A higher score is better, and means nothing between two questions. “Answers” is how sure the reader is that "
        "the passage answers, where one has read it."
    )
    _searched(answer)


def _searched(answer: Answer) -> None:
    """What each search found for the question, worked out once more when somebody asks."""
    if not st.button("Show what each search found, and what was dropped", icon=":material/account_tree:"):
        return
    config, address = shared.settings(), shared.address()
    try:
        with st.spinner("Searching once more"), closing(compose.collection(config)) as collection:
            by = compose.embedder(config)
            trace = tracer(config, collection, by, len(answer.hits), address.pattern or None, address.only)
            through = trace(answer.understood or answer.question)
    except RagError as error:
        st.warning(literal(str(error)))
        return
    table(tables.stage_rows(through, len(answer.hits)), hide_index=True)
    st.caption("Places in each list, best first; empty where a search did not come to it. As the collection is now.")


def _sent(answer: Answer) -> None:
    if not answer.prompt:
        quoted = answer.model == EXTRACTIVE
        st.write(
            "No model was asked: the answer is quoted from the passages, word for word."
            if quoted
            else "The model was not asked: nothing that was found has to do with the question."
        )
        return
    st.caption("Word for word, before the model's own turn markers are put around it.")
    for message in answer.prompt:
        st.caption(f"**{literal(message.role)}**")
        st.code(views.plain(message.content), language=None, wrap_lines=True)
