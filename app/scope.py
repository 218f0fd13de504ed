"""What is asked: which collection, and which part of it."""

from __future__ import annotations

import streamlit as st

from app import shared
from rag.types import Origin

_ALL = {"Everything": None, "Private documents": Origin.PRIVATE, "Wikipedia": Origin.WIKIPEDIA}


def show() -> None:
    """A row that says what is asked, and changes it."""
    address = shared.address()
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        there = shared.collections(shared.environment())
        name = st.selectbox("Collection", there, index=there.index(address.collection), width=220)
        if name != address.collection:
            shared.go(collection=name)
        with st.popover("Filter", icon=":material/filter_alt:"):
            only = st.radio("Kind", list(_ALL), index=list(_ALL.values()).index(address.only))
            pattern = st.text_input("Documents", address.pattern, placeholder="reports/* or *.pdf")
            shared.go(only=_ALL[only], pattern=pattern.strip())
