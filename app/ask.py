"""Ask a question and see the evidence."""

from __future__ import annotations

import streamlit as st


def show() -> None:
    st.header("Ask")
