"""The sample in data/ says what its questions claim, and its accounts tie. Read without rag/: an independent check."""

from __future__ import annotations

import csv
import email
import email.policy
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pypdfium2
import pytest

DATA = Path(__file__).parents[1] / "data"
SAMPLE = DATA / "sample"
CONTRACT = "framework-agreement-lune-valley-water.pdf"
SCANNED = 8  # page of the contract
QUESTIONS: list[dict[str, Any]] = [
    json.loads(line) for line in (DATA / "questions.jsonl").read_text("utf-8").splitlines()
]
ANSWERABLE = [question for question in QUESTIONS if question["answerable"]]
UNANSWERABLE = [question for question in QUESTIONS if not question["answerable"]]


def by_id(question: dict[str, Any]) -> str:
    return str(question["id"])


def plain(text: str) -> str:
    """The words alone: hyphenation joined, curly quotes straight, table and Markdown signs gone, one space between."""
    text = re.sub(r"[\x02\u00ad\ufffe](\r?\n)?", "", text).replace("\u2019", "'")
    return " ".join(re.sub(r"\||<[^>]+>", " ", text.replace("*", "")).split())


def pdf_pages(path: Path) -> list[str]:
    pdf = pypdfium2.PdfDocument(path)
    try:
        return [page.get_textpage().get_text_bounded() for page in pdf]
    finally:
        pdf.close()


def docx_pages(path: Path) -> list[str]:
    import docx

    document = docx.Document(str(path))
    cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    return ["\n".join([*(paragraph.text for paragraph in document.paragraphs), *cells])]


def pptx_pages(path: Path) -> list[str]:
    import pptx

    texts = []
    for slide in pptx.Presentation(str(path)).slides:
        texts += [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]
        texts += [
            cell.text for shape in slide.shapes if shape.has_table for row in shape.table.rows for cell in row.cells
        ]
        texts += [slide.notes_slide.notes_text_frame.text] if slide.has_notes_slide else []
    return ["\n".join(texts)]


def xlsx_pages(path: Path) -> list[str]:
    import openpyxl

    book = openpyxl.load_workbook(path)
    rows = [row for sheet in book for row in sheet.iter_rows(values_only=True)]
    return ["\n".join(" ".join(str(value) for value in row if value is not None) for row in rows)]


def eml_pages(path: Path) -> list[str]:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    return [f"{message['Subject']}\n{message.get_content()}"]


def csv_pages(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return ["\n".join(" ".join(row) for row in csv.reader(file))]


READERS = {
    ".pdf": pdf_pages,
    ".docx": docx_pages,
    ".pptx": pptx_pages,
    ".xlsx": xlsx_pages,
    ".eml": eml_pages,
    ".csv": csv_pages,
}


@cache
def pages(path: Path) -> tuple[str, ...]:
    """The plain text of each page; files without pages have one."""
    read = READERS.get(path.suffix, lambda path: [path.read_text(encoding="utf-8")])
    return tuple(plain(page) for page in read(path))


def figures(year: int, page: int) -> dict[str, tuple[float, ...]]:
    """The rows of figures on an annual report's page, by their label. Brackets mean minus, a dash nought."""
    rows = {}
    for line in pdf_pages(SAMPLE / f"annual-report-{year}.pdf")[page - 1].splitlines():
        row = re.sub(r" \(note \d\)", "", line.strip())
        if found := re.fullmatch(r"(.+?)((?: \(?\d[\d,.]*\)?| \u2013)+)", row):
            rows[found[1]] = tuple(map(amount, found[2].split()))
    return rows


def amount(cell: str) -> float:
    digits = float(cell.strip("()").replace(",", "").replace("\u2013", "0"))
    return -digits if cell.startswith("(") else digits


def sums(rows: dict[str, tuple[float, ...]], labels: Sequence[str]) -> tuple[float, ...]:
    return tuple(map(sum, zip(*(rows[label] for label in labels), strict=True)))


def test_the_sample_is_small_and_the_questions_are_twenty_and_ten() -> None:
    assert sum(file.stat().st_size for file in SAMPLE.iterdir()) < 1_500_000
    assert len({question["id"] for question in QUESTIONS}) == 30
    assert (len(ANSWERABLE), len(UNANSWERABLE)) == (20, 10)
    asked_of = {evidence["document"] for question in ANSWERABLE for evidence in question["evidence"]}
    assert asked_of == {file.name for file in SAMPLE.iterdir()}


@pytest.mark.parametrize("question", ANSWERABLE, ids=by_id)
def test_the_evidence_stands_on_its_page(question: dict[str, Any]) -> None:
    for evidence in question["evidence"]:
        texts = pages(SAMPLE / evidence["document"])
        assert (evidence["page"] is not None) == evidence["document"].endswith(".pdf")
        if question.get("needs_ocr"):
            assert texts[evidence["page"] - 1] == ""
        else:
            assert plain(evidence["text"]) in texts[(evidence["page"] or 1) - 1]


@pytest.mark.parametrize("question", ANSWERABLE, ids=by_id)
def test_an_answer_is_in_the_evidence_or_follows_from_it(question: dict[str, Any]) -> None:
    evidence = " ".join(plain(evidence["text"]) for evidence in question["evidence"])
    if "arithmetic" in question:
        first, second, result = (int(number) for number in re.findall(r"\d+", question["arithmetic"].replace(",", "")))
        assert f"{first:,}" in evidence
        assert f"{second:,}" in evidence
        assert first - second == result
        assert question["answers"] == [f"{result:,}"]
    else:
        assert any(answer in evidence for answer in question["answers"])


@pytest.mark.parametrize("question", UNANSWERABLE, ids=by_id)
def test_no_page_could_answer_the_unanswerable(question: dict[str, Any]) -> None:
    assert question["answers"] == question["evidence"] == []
    for file in SAMPLE.iterdir():
        for number, text in enumerate(pages(file), 1):
            together = all(word.lower() in text.lower() for word in question["absent"])
            assert not together, f"{file.name}, page {number}"


def test_the_scanned_page_is_a_picture_whose_content_stands_nowhere_else() -> None:
    pdf = pypdfium2.PdfDocument(SAMPLE / CONTRACT)
    page = pdf[SCANNED - 1]
    kinds = [item.type for item in page.get_objects()]
    width, height = page.get_size()
    image = next(iter(page.get_objects()))
    pixels = image.get_bitmap().width
    pdf.close()
    assert kinds == [pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]
    assert height > width
    assert round(pixels / (width / 72)) == 150  # dots per inch
    amendment = (DATA / "make_sample/text/amendment.txt").read_text("utf-8")
    assert "Quernmore" in amendment
    assert not [file.name for file in SAMPLE.iterdir() if any("Quernmore" in text for text in pages(file))]


def test_the_contract_has_roman_page_labels_for_its_front_matter() -> None:
    pdf = pypdfium2.PdfDocument(SAMPLE / CONTRACT)
    labels = [pdf.get_page_label(number) for number in range(len(pdf))]
    pdf.close()
    assert labels == ["i", "ii", "1", "2", "3", "4", "5", "6"]


def test_the_outlines_lead_to_the_headings() -> None:
    for name, least in (("employee-handbook.pdf", 40), (CONTRACT, 18), ("annual-report-2025.pdf", 40)):
        pdf = pypdfium2.PdfDocument(SAMPLE / name)
        outline = [(item.get_title(), item.get_dest().get_index()) for item in pdf.get_toc()]
        pdf.close()
        assert len(outline) >= least
        assert [title for title, page in outline if title not in pages(SAMPLE / name)[page]] == []


def test_the_handbook_breaks_words_at_line_ends() -> None:
    broken = [re.findall(r"\w+\x02\w+", page) for page in pdf_pages(SAMPLE / "employee-handbook.pdf")]
    assert sum(map(len, broken)) >= 5


def test_the_first_table_of_the_price_list_runs_over_a_page() -> None:
    first, second, *_ = pages(SAMPLE / "price-list-2026.pdf")
    caption = "Table 1. BeckFlow flow meters (list price in GBP, excluding VAT)"
    heads = "Article Model and nominal size"
    assert f"{caption} {heads}" in first
    assert f"{caption} (continued) {heads}" in second


@pytest.mark.parametrize("year", [2024, 2025])
def test_the_balance_sheet_balances(year: int) -> None:
    rows = figures(year, page=12)
    fixed = ("Goodwill", "Other intangible assets", "Property, plant and equipment")
    current = ("Inventories", "Trade and other receivables", "Cash and cash equivalents")
    soon = ("Trade and other payables", "Borrowings due within one year", "Current tax", "Provisions")
    later = ("Borrowings due after one year", "Lease liabilities", "Deferred tax")
    capital = ("Share capital", "Share premium", "Translation reserve", "Retained earnings")
    assert sums(rows, fixed) == rows["Non-current assets"]
    assert sums(rows, current) == rows["Current assets"]
    assert sums(rows, fixed + current) == rows["Total assets"]
    assert sums(rows, soon) == rows["Current liabilities"]
    assert sums(rows, soon + later) == rows["Total liabilities"]
    assert sums(rows, capital) == rows["Total equity"]
    assert sums(rows, soon + later + capital) == rows["Total equity and liabilities"] == rows["Total assets"]


@pytest.mark.parametrize("year", [2024, 2025])
def test_the_income_statement_adds_up(year: int) -> None:
    rows = figures(year, page=11)
    operating = ("Selling and distribution costs", "Research and development", "Administrative expenses")
    rest = ("Operating profit", "Finance income", "Finance costs", "Income tax")
    assert sums(rows, ("Revenue", "Cost of sales")) == rows["Gross profit"]
    assert sums(rows, ("Gross profit", *operating, "Exceptional items")) == rows["Operating profit"]
    assert sums(rows, rest) == rows["Profit for the year"]
    assert rows["Earnings per share (pence)"] == tuple(round(profit / 240, 1) for profit in rows["Profit for the year"])


@pytest.mark.parametrize("year", [2024, 2025])
def test_segments_regions_and_employees_add_up(year: int) -> None:
    review, people, income = figures(year, page=6), figures(year, page=8), figures(year, page=11)
    segments = ("Flow Measurement", "Water Quality", "Software and Services", "Central costs")
    regions = ("United Kingdom", "Rest of Europe", "North America", "Asia-Pacific")
    places = (
        "Kendal",
        "\u00dast\u00ed nad Labem",
        "Delft",
        "Preston (until 2024 Leeds)",
        "Halifax, Nova Scotia",
        "Singapore",
    )
    teams = (
        "Production",
        "Research and development",
        "Sales and marketing",
        "Service and calibration",
        "Administration",
    )
    total = income["Revenue"] + income["Operating profit before exceptional items"]
    assert sums(review, segments) == review["Total before exceptional items"] == total
    assert sums(review, regions)[:2] == review["Total"][:2] == income["Revenue"]
    assert sums(people, places) == sums(people, teams) == people["Total"]


@pytest.mark.parametrize("year", [2024, 2025])
def test_the_cash_flow_leads_from_one_balance_sheet_to_the_next(year: int) -> None:
    cash, balance = figures(year, page=13), figures(year, page=12)
    assert cash["Operating profit"] == figures(year, page=11)["Operating profit"]
    net = [label for label in cash if label.startswith("Net cash")]
    assert len(net) == 3
    assert sums(cash, net) == cash["Change in cash"]
    moved = ("Cash on 1 January", "Change in cash", "Effect of exchange rates")
    assert sums(cash, moved) == cash["Cash on 31 December"] == balance["Cash and cash equivalents"]
    assert cash["Cash on 1 January"][0] == balance["Cash and cash equivalents"][1]


@pytest.mark.parametrize(("page", "widths"), [(6, {3, 4}), (8, {2}), (11, {2}), (12, {2}), (13, {2}), (15, {2})])
def test_last_year_stands_in_both_reports_alike(page: int, widths: set[int]) -> None:
    """Columns go by twos, this year before last; on page 6 a third is the change, a third and fourth are profit."""
    earlier, later = figures(2024, page), figures(2025, page)
    shared = [label for label in earlier if label in later and len(earlier[label]) in widths]
    columns = [(label, column) for label in shared for column in range(0, len(earlier[label]) - 1, 2)]
    assert len(columns) >= 4
    assert [(label, column) for label, column in columns if earlier[label][column] != later[label][column + 1]] == []


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What two runs of the script made, in places, under hash seeds and in time zones of their own."""
    pytest.importorskip("reportlab", reason="the sample is made with reportlab, of the extra dev")
    folders = [tmp_path_factory.mktemp("made") / name for name in ("first", "second")]
    for folder, seed, zone in zip(folders, ("1", "2"), ("UTC", "Asia/Tokyo"), strict=True):
        command = [sys.executable, str(DATA / "make_sample"), str(folder)]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PYTHONHASHSEED": seed, "TZ": zone})
    return folders


def test_the_script_makes_the_same_bytes_each_time(made: list[Path]) -> None:
    first, second = ({file.name: file.read_bytes() for file in folder.iterdir()} for folder in made)
    assert len(first) == 8
    assert [name for name in first if first[name] != second[name]] == []


def test_the_committed_files_are_what_the_script_makes(made: list[Path]) -> None:
    """Compared as text: other versions of the libraries compress otherwise."""
    assert [file.name for file in made[0].iterdir() if pages(file) != pages(SAMPLE / file.name)] == []
