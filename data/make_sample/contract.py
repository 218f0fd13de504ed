"""The framework agreement: numbered clauses, roman page labels for its front matter, and a scanned amendment."""

from __future__ import annotations

import io
from pathlib import Path

from layout import TEXT, Pages, Style, contents, flowables
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.platypus import Image, NextPageTemplate, PageBreak, Paragraph, Spacer
from scan import scanned

SUBTITLE = "for the supply, installation and calibration of flow meters<br/>Number LVW-2025-017"
PARTIES = """
This agreement is made on 3 March 2025 between Tarnbeck Instruments plc, Canal Head Works, Kendal ("Supplier"), and
Lune Valley Water Limited, Bridge House, Lancaster ("Customer").

The Customer replaces the district and billing meters of its network. After a tender, notice LVW/T/2024/088, it has
chosen the Supplier to deliver, install and look after them. The parties agree as follows.
"""


def build(folder: Path) -> None:
    style = Style(serif=True, size=10.8)
    style.chapter.fontSize, style.chapter.leading, style.chapter.spaceBefore = 13, 16, 8
    pages = Pages(
        folder / "framework-agreement-lune-valley-water.pdf",
        "Framework Agreement LVW-2025-017",
        "Confidential between the parties",
        front=2,
    )
    front = [
        NextPageTemplate("body"),
        Spacer(0, 82 * mm),
        Paragraph("Framework Agreement", style.title),
        Spacer(0, 3 * mm),
        Paragraph(SUBTITLE, style.subtitle),
        Spacer(0, 22 * mm),
        *flowables(PARTIES, style, {}),
        PageBreak(),
        Paragraph("Contents", style.title),
        Spacer(0, 4 * mm),
        contents(style),
        PageBreak(),
    ]
    body = flowables((TEXT / "contract.txt").read_text(encoding="utf-8"), style, {"pagebreak": [PageBreak()]})
    picture = io.BytesIO(scanned((TEXT / "amendment.txt").read_text(encoding="utf-8")))
    pages.multiBuild([*front, *body, NextPageTemplate("bare"), PageBreak(), Image(picture, *A4)])
