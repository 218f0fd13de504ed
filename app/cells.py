"""Tables, as every page shows them. Whoever looks at one can save it as CSV by the button that Streamlit puts on it,
and a spreadsheet runs a cell that begins like a formula, whoever's file name, question or passage it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

Rows = Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Any]]  # by columns, or row by row

_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r\n]")  # what Excel and LibreOffice take for the beginning of one
_FIGURE = r"[-+]?[\d.,]+(?: ?(?:%|ms|s))?"
_HARMLESS = re.compile(rf"{_FIGURE}(?: to {_FIGURE})?")


def table(rows: Rows, **how: Any) -> Any:
    """`st.dataframe`, whose cells and heads start nothing."""
    return st.dataframe(safe(rows), **how)


def safe(rows: Rows) -> Rows:
    if isinstance(rows, Mapping):
        return {_text(name): [_text(cell) for cell in column] for name, column in rows.items()}
    return [{_text(name): _text(cell) for name, cell in row.items()} for row in rows]


def _text(cell: Any) -> Any:
    """With an apostrophe in front where a spreadsheet would not take it for text; figures stay figures."""
    if not isinstance(cell, str) or not _FORMULA.match(cell) or _HARMLESS.fullmatch(cell):
        return cell
    return f"'{cell}"
