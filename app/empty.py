"""What stands where there is nothing yet, and what to do next."""

from __future__ import annotations

from contextlib import closing

import streamlit as st

from app import shared
from app.views import counted, literal
from rag import compose
from rag.config import EXTRACTIVE
from rag.errors import RagError


def nothing_to_ask() -> bool:
    """Whether there is nothing that could be asked, or nobody to answer; says so."""
    config = shared.settings()
    there = shared.collections(config)
    if not there:
        st.subheader("No documents yet", anchor=False)
        st.write("Add PDFs or other files in the Library. Then ask here, and check every claim against its page.")
        _link("library", "Go to the Library", ":material/library_books:")
    elif config.collection not in there:
        st.subheader("This collection is not here", anchor=False)
        st.write("It may have been removed, or it is not yours to read. Choose another one above.")
        _link("library", "Go to the Library", ":material/library_books:")
    elif missing := shared.missing_model(config.model):
        st.subheader("The model is not on this machine yet", anchor=False)
        st.write(literal(missing))
        _link("settings", "Go to Settings", ":material/settings:")
    else:
        return False
    return True


def first_question() -> None:
    config = shared.settings()
    try:
        with closing(compose.collection(config)) as collection:
            facts = collection.info()
    except RagError as error:
        st.warning(literal(str(error)), icon=":material/error:")
        return
    st.space("medium")
    st.subheader("What would you like to know?", anchor=False)
    if not facts["passages"]:
        st.write("Nothing can be asked in this collection yet: the Library says what became of its documents.")
        _link("library", "Go to the Library", ":material/library_books:")
        return
    documents = counted(facts["documents"], "document")
    writes = "quoted from" if config.model == EXTRACTIVE else f"written by {literal(config.model)} from"
    st.write(
        f"Answers are {writes} {documents}, and every one cites its page. "
        "Choose a citation to see the page with the passage marked."
    )


def _link(page: str, label: str, icon: str) -> None:
    st.page_link(shared.page(page), label=label, icon=icon)
