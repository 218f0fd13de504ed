"""What Streamlit has no element for: text of others with citations and marks in it, pages of documents, a clipboard.

Streamlit's Markdown has no button inside of a sentence, and takes foreign text for markup. This component has neither
trouble: `prose.js` makes every piece of text a text node.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from app.views import Piece
from rag.types import Picture

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

_HERE = Path(__file__).parent


def _component(name: str, html: str) -> ComponentRenderer:
    """Of `name.js` and `name.css`; its markup is always the same, and what it shows is handed to it as data."""
    css, js = ((_HERE / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    return st.components.v2.component(f"beluga_{name}", html=html, css=css, js=js)


_PROSE = _component("prose", '<div class="prose"></div>')
_COPY = _component("copy", '<button class="copy" type="button">Copy</button>')
_PAGE = _component("page", '<div class="page"><img /><div class="here"></div></div>')


def prose(
    pieces: Sequence[Piece],
    key: str,
    opened: Callable[[int], None] | None = None,
    *,
    live: bool = False,
    quoted: bool = False,
) -> None:
    """`opened` is called with the number of the source that somebody clicked. `live` text is read out while it grows;
    `quoted` text is set off as a quotation."""

    def clicked() -> None:
        source = st.session_state[key].get("opened")
        if opened and isinstance(source, int):
            opened(source)

    shown = [[piece.kind, piece.text, piece.source, piece.name] for piece in pieces]
    _PROSE(key=key, data={"pieces": shown, "live": live, "quoted": quoted}, on_opened_change=clicked)


def copy_button(text: str, key: str) -> None:
    """Puts a text on the clipboard of whoever clicks it."""
    _COPY(key=key, data=text, width="content")


def page(drawn: Picture, alt: str, key: str) -> None:
    """A page as a picture, with what is marked on it in view. `alt` says what it shows to whoever cannot see it."""
    top = drawn.lines[0].top / drawn.height if drawn.lines else None
    png = base64.b64encode(drawn.png).decode("ascii")
    data = {"png": png, "alt": alt, "top": top, "width": drawn.width, "height": drawn.height}
    _PAGE(key=key, data=data)
