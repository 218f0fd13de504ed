"""Text of others on the page, with the citations and marks that our own code puts into it.

Streamlit's Markdown has no button inside of a sentence, and takes foreign text for markup. This component has neither
trouble: `prose.js` makes every piece of text a text node.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from app.views import Piece

_HERE = Path(__file__).parent
_PROSE = st.components.v2.component(
    "beluga_prose",
    html='<div class="prose"></div>',
    css=(_HERE / "prose.css").read_text(encoding="utf-8"),
    js=(_HERE / "prose.js").read_text(encoding="utf-8"),
)


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


_COPY = st.components.v2.component(
    "beluga_copy",
    html='<button class="copy" type="button">Copy</button>',
    css=(_HERE / "copy.css").read_text(encoding="utf-8"),
    js=(_HERE / "copy.js").read_text(encoding="utf-8"),
)


def copy_button(text: str, key: str) -> None:
    """Puts a text on the clipboard of whoever clicks it."""
    _COPY(key=key, data=text, width="content")
