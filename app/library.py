"""What can be asked, and how it came there."""

from __future__ import annotations

import streamlit as st


def show() -> None:
    st.header("Library")
