"""Question sets measured, runs compared, a lost page explained."""

from __future__ import annotations

import streamlit as st


def show() -> None:
    st.header("Evaluate")
