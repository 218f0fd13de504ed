"""A document's page as it is printed, with what is marked in it brought into sight.

Streamlit's own image begins at its top, where a passage at the foot of a page is not seen; and on a narrow screen it is
too small to be read.
"""

from __future__ import annotations

import base64
from pathlib import Path

import streamlit as st

from rag.types import Picture

_HERE = Path(__file__).parent
_PRINTED = st.components.v2.component(
    "beluga_printed",
    html='<div class="sheet" role="region" tabindex="0"><img alt=""></div><button type="button"></button>',
    css=(_HERE / "printed.css").read_text(encoding="utf-8"),
    js=(_HERE / "printed.js").read_text(encoding="utf-8"),
)


def printed(picture: Picture, name: str, key: str) -> None:
    """`name` says what is seen, to those who cannot see it."""
    marked = picture.lines or picture.span
    data = {
        "picture": f"data:image/png;base64,{base64.b64encode(picture.png).decode('ascii')}",
        "name": name,
        "width": picture.width,
        "left": min((box.left for box in marked), default=0),
        "top": min((box.top for box in marked), default=0),
    }
    _PRINTED(key=key, data=data)
