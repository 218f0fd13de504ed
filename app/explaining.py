"""Where a page was lost that should have been found."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from app import columns
from app.cells import table
from app.views import line, literal
from rag import compose
from rag.answer import MAX_QUESTION, clean_question
from rag.config import Config
from rag.errors import RagError
from rag.evaluation.explain import Explanation, explain, missing_from, tracer
from rag.types import Evidence


def show(config: Config, own: Config) -> None:
    if not compose.collection(config).exists():
        st.subheader("Nothing to explain yet", anchor=False)
        st.write("Add documents in the Library first.")
        return
    question, document, page = st.session_state.get("explain", ("", "", 0))
    with st.form("explain form"):
        question = st.text_area("Question", question, max_chars=MAX_QUESTION, height=80)
        left, right = st.columns([3, 1])
        document = left.text_input("The document that should have been found", document, placeholder="report.pdf")
        page = right.number_input("Page (0: any)", 0, None, page)
        asked = st.form_submit_button("Explain", type="primary")
    if asked:
        st.session_state["explain"] = (question, document, int(page))
    if not question.strip() or not document.strip():
        st.caption("Which stage of retrieval lost it, and to what, is told here.")
        return
    try:
        with st.spinner("Looking through all stages …"):
            found = explained(config, question, document.strip(), int(page))
    except RagError as error:
        st.error(literal(str(error)))
        return
    _shown(found)


def explained(config: Config, question: str, document: str, page: int) -> Explanation:
    """Raises UsageError for a document that the collection does not hold."""
    question = clean_question(question)
    collection = compose.collection(config)
    try:
        through = tracer(config, collection, compose.embedder(config), config.passages)(question)
        found = explain(question, Evidence(document, page or None), through)
        if not found.passages:
            found = replace(found, verdict=missing_from(collection.files(), document, page or None))
        return found
    finally:
        collection.close()


def _shown(found: Explanation) -> None:
    kind = st.success if found.passages and not found.lost_by else st.warning
    kind(literal(found.verdict))
    if not found.passages:
        return
    table(columns.of_standings(found), hide_index=True, placeholder="")
    if found.passage:
        st.caption(literal(f"What came furthest: {line(found.passage.document)}, {line(found.passage.place)}"))
        st.text(found.passage.text, width="stretch")
