from __future__ import annotations

import datetime
import io
import re
import zipfile
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest

from rag.sources import formats, office
from rag.sources.folder import Folder
from rag.sources.parts import Facts, Part, RefusedError, State
from rag.types import Status


def _saved(document: object) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)  # type: ignore[attr-defined]
    return buffer.getvalue()


def _read(data: bytes, format_: str) -> tuple[Facts, list[Part]]:
    facts, *parts = office.read(data, format_)
    assert isinstance(facts, Facts)
    return facts, [part for part in parts if isinstance(part, Part)]


def _zip(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def test_docx_in_its_order_with_tables_and_sections() -> None:
    document = docx.Document()
    document.core_properties.title = "Acme Handbook"
    document.add_paragraph("Welcome.")
    document.add_heading("Holidays", 1)
    document.add_paragraph("You get 25 days.")
    table = document.add_table(2, 2)
    for cell, text in zip(
        (cell for row in table.rows for cell in row.cells), ("Year", "Days", "2024", "25"), strict=True
    ):
        cell.text = text
    document.add_heading("Carry-over", 2)
    document.add_paragraph("Five\tdays.")
    facts, parts = _read(_saved(document), formats.DOCX)
    assert facts == Facts("Acme Handbook")
    assert parts == [
        Part("Welcome."),
        Part("Holidays\n\nYou get 25 days.\n\nYear | Days\n2024 | 25", "Holidays", headings=((0, "Holidays"),)),
        Part("Carry-over\n\nFive\tdays.", "Carry-over", headings=((0, "Holidays > Carry-over"),)),
    ]


def test_docx_insertions_and_content_controls_are_read_deletions_are_not() -> None:
    data = _saved(docx.Document())
    namespace = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    body = (
        b"<w:body><w:p><w:r><w:t>kept </w:t></w:r><w:ins><w:r><w:t>inserted</w:t></w:r></w:ins>"
        b"<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del></w:p>"
        b"<w:sdt><w:sdtContent><w:p><w:r><w:t>controlled</w:t></w:r></w:p></w:sdtContent></w:sdt></w:body>"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        for member in old.infolist():
            whole = b"<w:document %s>%s</w:document>" % (namespace, body)
            new.writestr(member, whole if member.filename == "word/document.xml" else old.read(member))
    _, parts = _read(buffer.getvalue(), formats.DOCX)
    assert parts == [Part("kept inserted\n\ncontrolled")]


def test_slides_are_pages() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Results"
    slide.placeholders[1].text = "Up 5 %\nGood"
    slide.notes_slide.notes_text_frame.text = "Say thanks"
    table = slide.shapes.add_table(1, 2, 0, 0, 9, 9).table
    table.cell(0, 0).text, table.cell(0, 1).text = "2024", "48.3"
    deck.slides.add_slide(deck.slide_layouts[6])
    facts, (first, second) = _read(_saved(deck), formats.PPTX)
    assert facts.pages == 2
    assert first == Part(
        "Results\n\nUp 5 %\nGood\n\n2024 | 48.3\n\nNotes: Say thanks", "slide 1", 1, headings=((0, "Results"),)
    )
    assert (second.text, second.page, second.state) == ("", 2, State.BLANK)


def test_sheets_are_sections_and_rows_are_lines() -> None:
    book = openpyxl.Workbook()
    prices = book.active
    prices.title = "Prices"
    prices.append(["Item", "Price", "Since", "Share", "Sold"])
    prices.append(["Bolt", 0.1 + 0.2, datetime.date(2024, 1, 2), 0.125, True])
    prices["D2"].number_format = "0.0%"
    prices.append([None, 7])
    book.create_sheet("Empty")
    _, parts = _read(_saved(book), formats.XLSX)
    assert parts == [
        Part(
            "Prices\n\nItem | Price | Since | Share | Sold\nBolt | 0.3 | 2024-01-02 | 12.5% | TRUE\n | 7",
            "Prices",
            headings=((0, "Prices"),),
        )
    ]


@pytest.mark.fault(15, 16)
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", Status.DAMAGED),
        (b"<html>", Status.DAMAGED),
        (b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"), Status.PASSWORD),
        (b"\xd0\xcf\x11\xe0" + b"WordDocument", Status.UNSUPPORTED),
        (_zip(**{"[Content_Types].xml": b"", "word__document": b"\0" * (64 << 20)}), Status.LIMIT),
        (_zip(**{"notes.txt": b"words"}), Status.UNSUPPORTED),
    ],
)
def test_what_is_no_office_file_or_a_bomb_is_refused(data: bytes, status: Status) -> None:
    with pytest.raises(RefusedError) as refused:
        _read(data, formats.DOCX)
    assert refused.value.outcome.status is status
    assert refused.value.outcome.reason
    assert refused.value.outcome.remedy


@pytest.mark.fault(14)
def test_whatever_a_library_raises_is_a_verdict_on_the_file(tmp_path: Path) -> None:
    """Three libraries, three kinds of exceptions, none of which they announce."""
    types = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"></Types>'
    broken = {
        "a.docx": {"[Content_Types].xml": types},
        "b.docx": {"[Content_Types].xml": "<a", "word/document.xml": "<w"},
        "c.xlsx": {"[Content_Types].xml": types, "xl/workbook.xml": "<workbook"},
    }
    for name, members in broken.items():
        (tmp_path / name).write_bytes(_zip(**{part: content.encode() for part, content in members.items()}))
    folder = Folder(tmp_path)
    for reading in folder.read(list(folder.scan())):
        assert reading.outcome.status is Status.DAMAGED
        assert re.fullmatch(r"Broken: it cannot be read \(\w+\)", reading.outcome.reason), reading.entry.name


def test_a_workbook_under_the_name_of_a_document_is_read_as_what_it_is() -> None:
    book = openpyxl.Workbook()
    book.active.append(["Alpha", 20])
    _, [sheet] = _read(_saved(book), formats.DOCX)
    assert "Alpha | 20" in sheet.text


@pytest.mark.parametrize("format_", [formats.DOCX, formats.PPTX, formats.XLSX])
def test_a_zip_archive_under_another_name_is_called_one(format_: str) -> None:
    with pytest.raises(RefusedError, match=f"^It is a zip archive, not a {format_.upper()}$"):
        _read(_zip(**{"notes.txt": b"words"}), format_)


def test_an_archive_that_lies_about_its_sizes_unpacks_to_no_more_than_it_says() -> None:
    """The premise of the check: zipfile stops at the size that a member declares."""
    data = bytearray(_zip(**{"bomb.xml": b"\0" * (64 << 20)}))
    real = (64 << 20).to_bytes(4, "little")
    while (at := data.find(real)) >= 0:
        data[at : at + 4] = (1000).to_bytes(4, "little")
    with zipfile.ZipFile(io.BytesIO(data)) as archive, pytest.raises(zipfile.BadZipFile):
        archive.read("bomb.xml")
