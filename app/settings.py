"""What can be set, and what a change costs."""

from __future__ import annotations

import streamlit as st


def show() -> None:
    st.header("Settings")
