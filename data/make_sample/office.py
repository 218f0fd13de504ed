"""Notes in Word, PowerPoint and Excel, zipped with fixed dates so that runs agree byte for byte."""

from __future__ import annotations

import re
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

from docx import Document
from docx.shared import Pt
from figures import EMPLOYEES_BY_SITE
from layout import COMPANY, TEXT
from openpyxl import Workbook
from openpyxl.styles import Font, PatternFill
from pptx import Presentation
from pptx.util import Inches
from pptx.util import Pt as Points

WRITTEN = {"minutes": datetime(2025, 10, 16, 9), "strategy": datetime(2026, 1, 12, 9), "sites": datetime(2026, 2, 2, 9)}

ACTIONS = [
    ("No.", "Action", "Owner", "Due"),
    ("1", "Second calibration shift from 20 October for six weeks", "Graham Postlethwaite", "20 Oct 2025"),
    ("2", "Sign the lease of the store at Milnthorpe", "Nikhil Rao", "24 Oct 2025"),
    ("3", "List of all Q7 with the old shaft seal, by customer", "Marieke de Wit", "31 Oct 2025"),
    ("4", "Raise the switch cabinets in hall A by two metres", "Siân Rhydderch", "12 Dec 2025"),
    ("5", "Trial assembly of BeckFlow 600 at Ústí nad Labem", "Jana Malá", "30 Jan 2026"),
]

TARGETS = [
    ("Target", "2025", "2028"),
    ("Revenue (£ million)", "95.0", "115"),
    ("Operating margin before exceptional items (%)", "12.7", "14"),
    ("Recurring revenue of Catchment (£ million)", "7.7", "16"),
    ("Sites that use Catchment", "3,060", "6,500"),
    ("Deliveries on the agreed day (%)", "94.6", "97"),
    ("Emissions, scopes 1 and 2 (t CO2e)", "1,702", "1,250"),
]

SLIDES = {
    "Where we stand": [
        "Best year in our history: revenue of £95.0 million, in spite of eleven days under water",
        "Water Quality has grown by more than a quarter in two years; Tarn Q7 is the reason",
        "61 per cent of Catchment customers renew after the first year; the best in our field reach 80",
        "We depend on one calibration laboratory, on one assembly hall and on one regulator's calendar",
    ],
    "What we shall do": [
        "Second calibration rig at Preston, in service by March 2027, £1.6 million",
        "Flood wall at Kendal finished by autumn 2026, £2.1 million still to be spent",
        "Sensor for microplastics: field trials on the Scheldt from May 2026, decision in June 2027",
        "Sales office in Gothenburg with four people from September 2026; no other new countries before 2028",
        "We stop: development of portable meters, and the resale of other makers' pumps",
    ],
}
SPOKEN = (
    "If asked why not Germany: we looked at it twice. Margins with municipal utilities there are about five points "
    "lower, and our dealer in Kassel covers the country well enough until 2028."
)

SITES = [
    ("Site", "Country", "Use", "Floor area (m²)", "Tenure", "Lease ends", "Site manager", "Employees on 31 Dec 2025"),
    ("Kendal, Canal Head Works", "United Kingdom", "Head office, assembly", 14_200, "freehold", "", "Siân Rhydderch"),
    ("Ústí nad Labem", "Czechia", "Sensors, electronics", 7_350, "freehold", "", "Jana Malá"),
    ("Delft", "Netherlands", "Sales in Europe, software", 1_480, "leased", "2029-06-30", "Marieke de Wit"),
    ("Preston", "United Kingdom", "Service depot, spare parts", 3_100, "leased", "2034-04-30", "Lee Hargreaves"),
    ("Halifax, Nova Scotia", "Canada", "Sales and service", 890, "leased", "2027-12-31", "Colette Thibodeau"),
    ("Singapore", "Singapore", "Sales in Asia-Pacific", 420, "leased", "2026-10-31", "Tan Wei Ling"),
]

STOCK = [
    ("Part", "Description", "Site", "On hand", "Reorder level", "Unit cost (GBP)"),
    ("EL-316", "Electrode, stainless steel 316L", "Kendal", 4_120, 1_500, 3.15),
    ("EL-HC", "Electrode, Hastelloy C", "Kendal", 1_860, 900, 11.80),
    ("EL-TI", "Electrode, titanium", "Kendal", 240, 250, 19.40),
    ("LN-EP080", "Liner EPDM, DN 80", "Kendal", 310, 120, 14.60),
    ("LN-EP150", "Liner EPDM, DN 150", "Kendal", 145, 100, 26.20),
    ("LN-HR200", "Liner hard rubber, DN 200", "Kendal", 38, 40, 61.75),
    ("CO-600", "Coil set BeckFlow 600", "Ústí nad Labem", 720, 300, 33.90),
    ("PC-BF4", "Circuit board BeckFlow 400", "Ústí nad Labem", 1_050, 400, 41.25),
    ("PC-BF6", "Circuit board BeckFlow 600", "Ústí nad Labem", 635, 400, 47.10),
    ("PC-DL2", "Circuit board Skerry DL2", "Ústí nad Labem", 980, 350, 38.55),
    ("SE-NH", "Ammonium sensor head", "Ústí nad Labem", 410, 150, 172.00),
    ("SE-DO", "Oxygen sensor cap", "Ústí nad Labem", 1_330, 500, 28.90),
    ("WM-Q7", "Wiper motor Tarn Q7, FKM seal", "Kendal", 265, 200, 57.30),
    ("WB-Q7", "Wiper blade Tarn Q7", "Preston", 2_480, 800, 2.95),
    ("CG-Q7", "Copper guard Tarn Q7", "Preston", 190, 60, 84.00),
    ("BP-DL2", "Battery pack Skerry DL2", "Preston", 742, 300, 31.20),
    ("BP-BF6", "Battery pack BeckFlow 600", "Preston", 118, 150, 96.50),
    ("EX-BF4080", "Exchange meter BeckFlow 400, DN 80", "Preston", 10, 10, 705.00),
    ("EX-BF4100", "Exchange meter BeckFlow 400, DN 100", "Preston", 9, 10, 781.00),
    ("EX-BF4150", "Exchange meter BeckFlow 400, DN 150", "Preston", 10, 10, 1_004.00),
]


def minutes(folder: Path) -> None:
    document = Document()
    document.styles["Normal"].font.name, document.styles["Normal"].font.size = "Calibri", Pt(11)
    for block in (TEXT / "minutes.txt").read_text(encoding="utf-8").strip().split("\n\n"):
        line = " ".join(block.split())
        if line.startswith("# "):
            document.add_heading(line[2:], 0)
        elif line.startswith("## "):
            document.add_heading(line[3:], 1)
        elif line == "@actions":
            grid = document.add_table(rows=0, cols=4, style="Light Grid Accent 1")
            for row in ACTIONS:
                for cell, text in zip(grid.add_row().cells, row, strict=True):
                    cell.text = text
        else:
            document.add_paragraph(line)
    stamp(document.core_properties, "Minutes of the Operations Committee, 14 October 2025", WRITTEN["minutes"])
    document.save(str(folder / "minutes-operations-2025-10-14.docx"))
    freeze(folder / "minutes-operations-2025-10-14.docx", WRITTEN["minutes"])


def strategy(folder: Path) -> None:
    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[0])
    slide.shapes.title.text = "Strategy 2026 to 2028"
    slide.placeholders[1].text = f"{COMPANY}\nPresented to the Board on 19 January 2026 by Ruth Airey"
    for title, points in SLIDES.items():
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        body = slide.placeholders[1].text_frame
        body.text = points[0]
        for point in points[1:]:
            body.add_paragraph().text = point
        for paragraph in body.paragraphs:
            paragraph.font.size, paragraph.space_after = Points(22), Points(8)
    slide.notes_slide.notes_text_frame.text = SPOKEN
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "How we shall know that it works"
    place = (Inches(0.6), Inches(1.6), Inches(8.8), Inches(4.2))
    grid = slide.shapes.add_table(len(TARGETS), 3, *place).table
    grid.columns[0].width, grid.columns[1].width, grid.columns[2].width = Inches(5.6), Inches(1.6), Inches(1.6)
    for number, row in enumerate(TARGETS):
        for column, text in enumerate(row):
            grid.cell(number, column).text = text
    stamp(deck.core_properties, "Strategy 2026 to 2028", WRITTEN["strategy"])
    deck.save(str(folder / "strategy-2026-2028.pptx"))
    freeze(folder / "strategy-2026-2028.pptx", WRITTEN["strategy"])


def sites(folder: Path) -> None:
    book = Workbook()
    first = book.active
    first.title = "Sites"
    first.append(SITES[0])
    for row, people in zip(SITES[1:], EMPLOYEES_BY_SITE[2025], strict=True):  # both in the order of figures.SITES
        first.append([*row, people])
    second = book.create_sheet("Spare stock 2026-01-31")
    for part in STOCK:
        second.append(part)
    for sheet, widths in ((first, (27, 16, 34, 16, 11, 13, 20, 25)), (second, (13, 38, 16, 10, 14, 16))):
        for cell, width in zip(sheet[1], widths, strict=True):
            cell.font, cell.fill = Font(bold=True, color="FFFFFF"), PatternFill("solid", fgColor="12355B")
            sheet.column_dimensions[cell.column_letter].width = width
        sheet.freeze_panes = "A2"
    book.properties.title, book.properties.creator = "Sites and spare stock", COMPANY
    book.properties.created = WRITTEN["sites"]
    book.save(folder / "sites-and-stock.xlsx")
    freeze(folder / "sites-and-stock.xlsx", WRITTEN["sites"])


def stamp(properties: Any, title: str, when: datetime) -> None:
    for name, value in {"title": title, "author": COMPANY, "last_modified_by": COMPANY, "created": when}.items():
        setattr(properties, name, value)


def freeze(path: Path, when: datetime) -> None:
    """Rewrites an Office file with one date for all its parts: the libraries write the time of day."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    modified = rb"\g<1>" + when.strftime("%Y-%m-%dT%H:%M:%SZ").encode() + rb"\2"
    core = "docProps/core.xml"
    parts[core] = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*(</dcterms:modified>)", modified, parts[core])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, when.timetuple()[:6]), content, zipfile.ZIP_DEFLATED)


def build(folder: Path) -> None:
    minutes(folder)
    strategy(folder)
    sites(folder)
