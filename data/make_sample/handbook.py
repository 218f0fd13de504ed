"""The employee handbook: many short sections, so that a citation must find the right one."""

from __future__ import annotations

from pathlib import Path

from layout import TEXT, Pages, Style, contents, flowables
from reportlab.lib.units import mm
from reportlab.platypus import NextPageTemplate, PageBreak, Paragraph, Spacer

SUBTITLE = "Ninth edition, in force from 1 January 2026<br/>For everyone employed in the United Kingdom"


def build(folder: Path) -> None:
    style = Style(serif=True, size=10.6)
    pages = Pages(folder / "employee-handbook.pdf", "Employee Handbook, 9th edition", "In force from 1 January 2026")
    cover = [
        NextPageTemplate("body"),
        Spacer(0, 88 * mm),
        Paragraph("Employee Handbook", style.title),
        Spacer(0, 4 * mm),
        Paragraph(SUBTITLE, style.subtitle),
        Spacer(0, 40 * mm),
        Paragraph("Issued by Human Resources, Tarnbeck Instruments plc<br/>Canal Head Works, Kendal", style.body),
        PageBreak(),
        Paragraph("Contents", style.title),
        Spacer(0, 4 * mm),
        contents(style),
        PageBreak(),
    ]
    pages.multiBuild(cover + flowables((TEXT / "handbook.txt").read_text(encoding="utf-8"), style, {}))
