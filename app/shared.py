"""What is loaded once in a process, whoever asks: settings, collections, models."""

from __future__ import annotations

import streamlit as st

from rag.config import Config


@st.cache_resource
def config() -> Config:
    """As the environment says when the process begins."""
    return Config.from_environment()
