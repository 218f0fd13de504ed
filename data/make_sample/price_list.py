"""The price list: tables with units and captions, the first of which runs over a page."""

from __future__ import annotations

from pathlib import Path

from layout import TEXT, Pages, Style, flowables
from reportlab.platypus import NextPageTemplate


def build(folder: Path) -> None:
    style = Style(size=10)
    pages = Pages(folder / "price-list-2026.pdf", "Price list 2026", "Prices in GBP, excluding VAT", cover=False)
    markup = (TEXT / "price-list.txt").read_text(encoding="utf-8")
    pages.build([NextPageTemplate("body"), *flowables(markup, style, {})])
