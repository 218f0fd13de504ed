"""Ways from one page to another: links that anybody can share."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

from app import shared


def document(name: str, page: int) -> NoReturn:
    """Shows a document in Ask, at a page; 0 where it has none."""
    shared.go(document=name, page=page, answer=0, source=0)
    _ask()


def ask_about(name: str) -> NoReturn:
    """Ask, of this document alone."""
    shared.go(pattern=name, document="", page=0, answer=0, source=0)
    _ask()


def question(text: str) -> NoReturn:
    """Asks a question in Ask, in a conversation of its own: it is not a follow-up of anything."""
    from app import ask, conversations

    conversations.new()
    shared.go(pattern="", only=None)
    ask.ask(text)
    _ask()


def _ask() -> NoReturn:
    st.switch_page(shared.page("ask"))
