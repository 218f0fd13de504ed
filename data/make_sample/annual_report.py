"""Two annual reports of the same wording and other figures: the classic trap is the right table of the wrong year."""

from __future__ import annotations

import re
from pathlib import Path

import statements
from annual_facts import SEGMENTS, facts
from figures import YEARS
from layout import NAVY, TEAL, TEXT, Pages, Style, contents, flowables, table
from reportlab.graphics.charts.barcharts import VerticalBarChart
from reportlab.graphics.charts.legends import Legend
from reportlab.graphics.shapes import Drawing
from reportlab.lib import colors
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, NextPageTemplate, PageBreak, Paragraph, Spacer


def chart(style: Style, number: int) -> list[Flowable]:
    """Revenue by segment, this year beside last year."""
    drawing = Drawing(166 * mm, 58 * mm)
    bars = VerticalBarChart()
    bars.x, bars.y, bars.width, bars.height = 12 * mm, 8 * mm, 112 * mm, 46 * mm
    bars.data = [[amount / 1000 for amount in YEARS[year].segment_revenue] for year in (number - 1, number)]
    bars.categoryAxis.categoryNames = list(SEGMENTS)
    bars.valueAxis.valueMin, bars.valueAxis.valueMax, bars.valueAxis.valueStep = 0, 50, 10
    fills = [colors.HexColor("#9FC7C4"), TEAL]
    for series, fill in enumerate(fills):
        bars.bars[series].fillColor, bars.bars[series].strokeColor = fill, None
    for labels in (bars.categoryAxis.labels, bars.valueAxis.labels):
        labels.fontName, labels.fontSize, labels.fillColor = "Helvetica", 7.5, NAVY
    legend = Legend()
    legend.x, legend.y, legend.alignment = 132 * mm, 40 * mm, "right"
    legend.fontName, legend.fontSize = "Helvetica", 8
    legend.colorNamePairs = [(fills[0], str(number - 1)), (fills[1], str(number))]
    drawing.add(bars)
    drawing.add(legend)
    return [Paragraph("Revenue by segment (£ million)", style.caption), Spacer(0, 2 * mm), drawing]


def words(number: int, values: dict[str, str]) -> dict[str, str]:
    """The passages that differ between the years, by name, their figures filled in."""
    parts = re.split(r"^\[(\w+)\]\n", (TEXT / f"annual-{number}.txt").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: text.strip().format_map(values) for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def tables(style: Style, number: int, attendance: str) -> dict[str, list[Flowable]]:
    calendar = [
        ("Event", "Date"),
        ("Register closes for the final dividend", facts(number)["record"]),
        ("Annual General Meeting, Town Hall, Kendal, 11.00", facts(number)["agm"]),
        ("Payment of the final dividend", facts(number)["payment"]),
        ("Half-year results", facts(number)["half_year"]),
    ]
    made = {
        "highlights": statements.highlights(style, number),
        "indicators": statements.indicators(style, number),
        "segments": statements.segment_table(style, number),
        "regions": statements.region_table(style, number),
        "employees": statements.headcount(style, number, by_site=True),
        "teams": statements.headcount(style, number, by_site=False),
        "income": statements.income(style, number),
        "comprehensive": statements.comprehensive(style, number),
        "balance": statements.balance(style, number),
        "cash": statements.cash(style, number),
        "equity": statements.equity(style, number),
        "assets": statements.asset_table(style, number),
        "inventories": statements.stock_table(style, number),
        "shareholders": table(style, "Calendar for shareholders", "106l 60r", calendar),
    }
    inserts: dict[str, list[Flowable]] = {name: [one, Spacer(0, 4 * mm)] for name, one in made.items()}
    caption = f"^ Directors and their attendance in {number} :: 66l 66l 34r\n"
    return inserts | {
        "attendance": flowables(caption + attendance, style, {}),
        "chart": chart(style, number),
        "pagebreak": [PageBreak()],
    }


def build(folder: Path) -> None:
    for number in (2024, 2025):
        values = facts(number)
        texts = words(number, values)
        style = Style(size=10)
        markup = (TEXT / "annual-report.txt").read_text(encoding="utf-8").format_map(values | texts)
        story = [
            NextPageTemplate("body"),
            Spacer(0, 88 * mm),
            Paragraph(f"Annual Report {number}", style.title),
            Spacer(0, 4 * mm),
            Paragraph(f"Report and accounts for the year ended 31 December {number}", style.subtitle),
            PageBreak(),
            Paragraph("Contents", style.title),
            Spacer(0, 4 * mm),
            contents(style),
            PageBreak(),
            *flowables(markup, style, tables(style, number, texts["attendance"])),
        ]
        title = f"Annual Report {number}"
        Pages(folder / f"annual-report-{number}.pdf", title, f"Year ended 31 December {number}").multiBuild(story)
