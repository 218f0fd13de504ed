"""What stands where there is nothing yet, and what to do next."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import shared
from app.views import literal


def nothing_to_ask() -> bool:
    """Whether there is no collection to ask; says so."""
    config = shared.settings()
    there = shared.collections(config)
    if config.collection in there:
        return False
    if not there:
        st.subheader("No documents yet")
        st.write("Add PDFs or other files in the Library; then ask here, and check every claim against its page.")
    else:
        st.subheader("This collection is not here")
        st.write(f"There is no collection {literal(config.collection)}. There are: {literal(', '.join(there))}.")
    return True


def first_question(ask: Callable[[str], None]) -> None:
    st.subheader("What would you like to know?")
    st.caption("Answers quote your documents and cite their page. Click a citation to see it there.")
