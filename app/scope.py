"""What is asked: which collection, and which part of it."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from app import conversations, shared
from app.address import LONGEST
from app.views import literal
from rag.types import Origin

_KINDS = {"Everything": None, "Private documents": Origin.PRIVATE, "Wikipedia": Origin.WIKIPEDIA}
_SAID = {kind: said for said, kind in _KINDS.items()}


def show() -> None:
    """A row that says what is asked, and changes it."""
    address = shared.address()
    there = shared.collections(shared.environment())
    if not there:
        return
    names = sorted({*there, address.collection})
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.session_state["collection"] = address.collection
        st.selectbox("Collection", names, key="collection", width=240, on_change=_choose)
        is_narrowed = bool(address.pattern or address.only)
        kind: Literal["secondary", "tertiary"] = "secondary" if is_narrowed else "tertiary"
        with st.popover("Filtered" if is_narrowed else "Filter", icon=":material/filter_alt:", type=kind, key="filter"):
            narrow()
        conversations.menu()
    if is_narrowed:
        parts = [literal(address.pattern)] * bool(address.pattern)
        parts += [_SAID[address.only]] * bool(address.only)
        st.caption(f":material/filter_alt: Only {' · '.join(parts)} is asked.")


def _choose() -> None:
    """A conversation is about one collection: another one begins a new conversation."""
    conversations.new()
    shared.go(collection=st.session_state["collection"], pattern="")


def narrow() -> None:
    """What narrows it: a kind of knowledge, and names of documents."""
    address = shared.address()
    st.session_state["kind"], st.session_state["documents"] = _SAID[address.only], address.pattern
    st.radio("Kind", list(_KINDS), key="kind", on_change=_narrow)
    st.text_input(
        "Documents",
        key="documents",
        placeholder="reports/* or *.pdf",
        help="Part of the collection, by name: a folder, or a pattern with * and ?. Empty for all.",
        max_chars=LONGEST,
        on_change=_narrow,
    )
    if address.pattern or address.only:
        st.button("Ask everything", key="unfiltered", type="tertiary", on_click=shared.go, kwargs=_EVERYTHING)


_EVERYTHING = {"pattern": "", "only": None}


def _narrow() -> None:
    said = st.session_state
    pattern = "".join(char for char in said["documents"] if char.isprintable()).strip()
    shared.go(only=_KINDS[said["kind"]], pattern=pattern)
