"""How the PDFs look: page furniture, paragraph styles, tables, and a small markup for their prose.

The markup, one block a paragraph (blank lines between them):

    # Chapter          ## Section          - bullet          @name  (flowables made in Python)
    ^ Caption :: 60l 25r 25r      a table's caption, then column widths in mm and alignments,
    | head | head | head          then its rows, the column heads first
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reportlab import rl_config
from reportlab.lib import colors
from reportlab.lib.enums import TA_JUSTIFY
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
    TableStyle,
)
from reportlab.platypus.tableofcontents import TableOfContents

rl_config.useA85 = 0  # binary streams: smaller, and git does not take the files for text

COMPANY = "Tarnbeck Instruments plc"
NAVY = colors.HexColor("#12355B")
TEAL = colors.HexColor("#1B7F79")
PALE = colors.HexColor("#EEF3F6")
RULE = colors.HexColor("#9FB2C0")

LEVELS = {"chapter": 0, "section": 1}  # by the paragraph style, in the outline and the contents
Rows = Sequence[Sequence[str]]
TEXT = Path(__file__).parent / "text"
BREAKABLE = re.compile(
    r"(?<=[a-z]{4})(?=(?:tion|sion|ment|able|ness)s?$)"  # assess-ment
    r"|(?<=[a-z][aeiou][lmnr])(?=[cdgpst][aeiou][a-z]{2,})(?!\w(?:ing|e[dr]))"  # calen-dar, depen-dent
    r"|(?<=[a-z][aeiou]([cfgmprst]))(?=\1[aeilr][a-z]{2,})(?!\w(?:ing|e[dr]))"  # neces-sary, cor-rect
)


def hyphenate(text: str) -> str:
    """Marks where long words may break at a line's end, and curls the quotation marks."""
    marked = re.sub(r"(?<![\w@.])[a-z]{7,}(?![\w@.]\w)", lambda word: BREAKABLE.sub("\u00ad", word.group()), text)
    return curl(marked)


def curl(text: str) -> str:
    return re.sub(r'"([^"]*)"', "\u201c\\1\u201d", text).replace("'", "\u2019")


class Style:
    """The paragraph styles of one document. Only fonts that every PDF reader has, so that no font is embedded."""

    def __init__(self, *, serif: bool = False, size: float = 9.6) -> None:
        roman, bold = ("Times-Roman", "Times-Bold") if serif else ("Helvetica", "Helvetica-Bold")
        self.body = ParagraphStyle(
            "body",
            fontName=roman,
            fontSize=size,
            leading=size * 1.38,
            spaceAfter=size * 0.62,
            alignment=TA_JUSTIFY,
            allowWidows=0,
            allowOrphans=0,
        )
        self.bullet = ParagraphStyle(
            "bullet", self.body, leftIndent=5 * mm, bulletIndent=1.5 * mm, spaceAfter=size * 0.3
        )
        self.chapter = ParagraphStyle(
            "chapter", fontName=bold, fontSize=size * 1.75, leading=size * 2.1, textColor=NAVY, spaceBefore=size * 1.3,
            spaceAfter=size * 0.8, keepWithNext=1,
        )  # fmt: skip
        self.section = ParagraphStyle(
            "section", fontName=bold, fontSize=size * 1.16, leading=size * 1.5, textColor=TEAL, spaceBefore=size * 0.7,
            spaceAfter=size * 0.3, keepWithNext=1,
        )  # fmt: skip
        small = {"fontSize": size * 0.92, "leading": size * 1.25}
        self.caption = ParagraphStyle("caption", fontName=bold, textColor=NAVY, **small)
        self.cell = ParagraphStyle("cell", fontName=roman, fontSize=size * 0.9, leading=size * 1.15)
        self.right = ParagraphStyle("right", self.cell, alignment=2)
        self.head = ParagraphStyle("head", self.cell, fontName=bold, textColor=colors.white)
        self.head_right = ParagraphStyle("head_right", self.head, alignment=2)
        self.title = ParagraphStyle("title", fontName=bold, fontSize=30, leading=36, textColor=NAVY)
        self.subtitle = ParagraphStyle("subtitle", fontName=roman, fontSize=14, leading=20, textColor=TEAL)


class LongTable(Table):
    """A table whose caption is repeated, as continued, on the pages that it runs on to."""

    caption: Paragraph
    splits = 0

    def onSplit(self, part: LongTable, byRow: int = 1) -> None:  # noqa: N802, N803 - reportlab's names
        """Called for the part that stays on the page, then for the part that goes to the next."""
        self.splits += 1
        part.caption = self.caption
        if self.splits % 2 == 0:
            caption = Paragraph(f"{self.caption.text} (continued)", self.caption.style)
            part._cellvalues[0] = [caption, *part._cellvalues[0][1:]]


def table(style: Style, caption: str, columns: str, rows: Rows, strong: Sequence[int] = ()) -> LongTable:
    """`columns` is widths in mm with l or r, "60l 25r"; `rows[0]` are the heads; rows in `strong` are totals."""
    widths = [float(column[:-1]) * mm for column in columns.split()]
    right = [column.endswith("r") for column in columns.split()]

    def cell(text: str, column: int, row: int) -> Paragraph:
        if row == 0:
            return Paragraph(text, style.head_right if right[column] else style.head)
        text = curl(text)
        return Paragraph(f"<b>{text}</b>" if row in strong else text, style.right if right[column] else style.cell)

    body = [[cell(text, column, number) for column, text in enumerate(row)] for number, row in enumerate(rows)]
    caption_row = [Paragraph(curl(caption), style.caption), *[""] * (len(widths) - 1)]
    look = [
        ("SPAN", (0, 0), (-1, 0)),
        ("LEFTPADDING", (0, 0), (-1, 0), 0),
        ("BACKGROUND", (0, 1), (-1, 1), NAVY),
        ("ROWBACKGROUNDS", (0, 2), (-1, -1), [colors.white, PALE]),
        ("LINEBELOW", (0, -1), (-1, -1), 0.8, NAVY),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("TOPPADDING", (0, 0), (-1, -1), 2.2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3.2),
        *[("LINEABOVE", (0, row + 1), (-1, row + 1), 0.6, NAVY) for row in strong],
    ]
    made = LongTable([caption_row, *body], widths, repeatRows=2, style=TableStyle(look), hAlign="LEFT")
    made.caption = caption_row[0]
    return made


def flowables(markup: str, style: Style, inserts: Mapping[str, Sequence[Flowable]]) -> list[Flowable]:
    """The story that the markup tells; `@name` stands for inserts[name]."""
    story: list[Flowable] = []
    for block in re.split(r"\n\s*\n", markup.strip()):
        lines = block.strip().splitlines()
        if lines[0].startswith("@"):
            story += inserts[lines[0][1:]]
        elif lines[0].startswith("^ "):
            caption, columns = lines[0][2:].split(" :: ")
            rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines[1:]]
            spaced = [table(style, caption, columns, rows), Spacer(0, 3.5 * mm)]
            story += spaced if len(rows) > 12 else [KeepTogether(spaced)]
        elif lines[0].startswith("#"):
            hashes, _, title = lines[0].partition(" ")
            story.append(Paragraph(title, style.chapter if hashes == "#" else style.section))
        elif lines[0].startswith("- "):
            items = re.split(r"\n?- ", "\n" + block.strip())[1:]
            story += [Paragraph(hyphenate(" ".join(i.split())), style.bullet, bulletText="\u2022") for i in items]
            story.append(Spacer(0, 1.2 * mm))
        else:
            story.append(Paragraph(hyphenate(" ".join(block.split())), style.body))
    return story


class Pages(BaseDocTemplate):
    """A document with a cover, a running header and footer, an outline, and page labels.

    `front` is the number of pages (cover included) numbered i, ii, iii; the rest is numbered from 1.
    """

    def __init__(self, path: Path, title: str, header: str, *, front: int = 0, cover: bool = True) -> None:
        super().__init__(
            str(path), pagesize=A4, title=title, author=COMPANY, subject=header, creator="data/make_sample",
            leftMargin=22 * mm, rightMargin=22 * mm, topMargin=26 * mm, bottomMargin=23 * mm, invariant=1,
        )  # fmt: skip
        self.header, self.front, self.headings = header, front, 0
        inside = (self.leftMargin, self.bottomMargin, self.width, self.height)
        frame = Frame(*inside, id="body", leftPadding=0, rightPadding=0)
        bare = Frame(0, 0, *A4, id="bare", leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)
        self.addPageTemplates([
            *([PageTemplate("cover", [frame], onPage=self.cover)] if cover else []),
            PageTemplate("body", [frame], onPage=self.furniture),
            PageTemplate("bare", [bare]),
        ])  # fmt: skip

    def beforeDocument(self) -> None:  # noqa: N802 - reportlab's name
        self.headings = 0  # multiBuild goes over the story several times
        if self.front:
            self.canv.addPageLabel(0, "ROMAN_LOWER", 1)
            self.canv.addPageLabel(self.front, "ARABIC", 1)

    def number(self, page: int) -> str:
        return str(page - self.front) if page > self.front else ["i", "ii", "iii", "iv"][page - 1]

    def cover(self, canvas: Canvas, _document: Any) -> None:
        width, height = A4
        canvas.setFillColor(NAVY)
        canvas.rect(0, height - 62 * mm, width, 62 * mm, stroke=0, fill=1)
        canvas.setFillColor(TEAL)
        canvas.rect(0, height - 66 * mm, width, 4 * mm, stroke=0, fill=1)
        canvas.setFillColor(colors.white)
        canvas.setFont("Helvetica-Bold", 19)
        canvas.drawString(22 * mm, height - 38 * mm, "TARNBECK")
        canvas.setFont("Helvetica", 11)
        canvas.drawString(22 * mm, height - 45 * mm, "Instruments for water since 1961")

    def furniture(self, canvas: Canvas, document: Any) -> None:
        width, height = A4
        canvas.setStrokeColor(RULE)
        canvas.setFillColor(NAVY)
        canvas.setLineWidth(0.5)
        canvas.line(22 * mm, height - 19 * mm, width - 22 * mm, height - 19 * mm)
        canvas.line(22 * mm, 16 * mm, width - 22 * mm, 16 * mm)
        canvas.setFont("Helvetica", 8)
        canvas.drawString(22 * mm, height - 16.5 * mm, COMPANY)
        canvas.drawRightString(width - 22 * mm, height - 16.5 * mm, self.header)
        canvas.drawString(22 * mm, 11.5 * mm, document.title)
        canvas.drawRightString(width - 22 * mm, 11.5 * mm, f"Page {self.number(document.page)}")

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802 - reportlab's name
        level = LEVELS.get(flowable.style.name) if isinstance(flowable, Paragraph) else None
        if level is not None:
            title = flowable.getPlainText()
            self.headings += 1
            key = f"heading-{self.headings}"
            self.canv.bookmarkPage(key)
            self.canv.addOutlineEntry(title, key, level, closed=level == 0)
            self.notify("TOCEntry", (level, title, self.page - self.front, key))


def contents(style: Style) -> TableOfContents:
    levels = [
        ParagraphStyle("toc1", style.cell, fontName="Helvetica-Bold", spaceBefore=2.5, leading=13),
        ParagraphStyle("toc2", style.cell, leftIndent=6 * mm, leading=10.8),
    ]
    close = TableStyle([("TOPPADDING", (0, 0), (-1, -1), 0), ("BOTTOMPADDING", (0, 0), (-1, -1), 0.5)])
    return TableOfContents(levelStyles=levels, dotsMinLevel=0, tableStyle=close)
