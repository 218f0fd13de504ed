"""DOCX, PPTX and XLSX → Parts, inside a child process."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from rag.sources import formats
from rag.sources.clean import normalize
from rag.sources.parts import Facts, Part, RefusedError, State, is_empty, needs_password
from rag.sources.sections import Line, row, sections
from rag.types import Status

MAX_UNPACKED = 400 << 20  # bytes of all members together, as declared: zipfile reads no more than is declared
MAX_XML = 160 << 20  # bytes of a single XML member
MAX_RATIO = 200  # of a member's size to its packed size, above a size that could hurt
HARMLESS = 8 << 20
MAX_MEMBERS = 20_000

ROWS = 5_000  # of a sheet that are sent at a time: what was sent is kept if the time runs out

_OLE = b"\xd0\xcf\x11\xe0"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FOLDERS = {formats.DOCX: "word", formats.PPTX: "ppt", formats.XLSX: "xl"}  # of an archive, by what it is
_SAVE_AGAIN = "Open it and save it again."


def read(data: bytes, format_: str) -> Iterator[Part | Facts]:
    """Raises RefusedError for what is no such file, is encrypted, or unpacks to more than a file may hold."""
    names = _checked_names(data, format_)
    readers: dict[str, Callable[[bytes], Iterator[Part | Facts]]] = {
        formats.DOCX: _docx,
        formats.PPTX: _pptx,
        formats.XLSX: _xlsx,
    }
    return readers[_by_content(names, format_)](data)


def _by_content(names: Sequence[str], format_: str) -> str:
    """What the file is, whatever it is called: a workbook may have been renamed to .docx."""
    folders = {name.partition("/")[0] for name in names}
    if _FOLDERS[format_] in folders:
        return format_
    return next((other for other, folder in _FOLDERS.items() if folder in folders), format_)


def _checked_names(data: bytes, format_: str) -> list[str]:
    """What is in the archive. Looks at what it declares before anything is unpacked."""
    if not data:
        raise is_empty()
    if data.startswith(_OLE):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise needs_password()
        raise RefusedError(Status.UNSUPPORTED, "Office file from before 2007", "Save it as DOCX, PPTX, XLSX or PDF.")
    try:
        members = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except zipfile.BadZipFile:
        start = ascii(data[:16].decode("latin-1"))
        raise RefusedError(Status.DAMAGED, f"Not an Office file (starts with {start})", _SAVE_AGAIN) from None
    if all(member.filename != "[Content_Types].xml" for member in members):
        reason = f"It is a zip archive, not a {format_.upper()}"
        raise RefusedError(Status.UNSUPPORTED, reason, "Unpack it, and index what is in it.")
    if (
        len(members) > MAX_MEMBERS
        or sum(member.file_size for member in members) > MAX_UNPACKED
        or any(_is_bomb(member) for member in members)
    ):
        reason = "Unpacks to more than a file may hold: skipped as unsafe"
        raise RefusedError(Status.LIMIT, reason, "Split the file if you trust it.")
    return [member.filename for member in members]


def _is_bomb(member: zipfile.ZipInfo) -> bool:
    if member.filename.endswith((".xml", ".rels")) and member.file_size > MAX_XML:
        return True
    return member.file_size > HARMLESS and member.file_size > MAX_RATIO * max(member.compress_size, 1)


# ------------------------------------------------------------------------------------------------- DOCX


def _docx(data: bytes) -> Iterator[Part | Facts]:
    import docx

    document = docx.Document(io.BytesIO(data))
    yield Facts(title=document.core_properties.title or "")
    levels = {style.style_id: _level(style.name or "") for style in document.styles if style.type == 1}  # paragraphs
    yield from sections(_docx_lines(document.element.body, levels))


def _level(style: str) -> int:
    """Of a heading style: "Title" and "Heading 1" are 1."""
    name, _, number = style.rpartition(" ")
    if name.lower() == "heading" and number.isdigit():
        return min(int(number), 9)
    return int(style == "Title")


def _docx_lines(parent: Any, levels: dict[str, int]) -> Iterator[Line]:
    """Paragraphs and tables of an element, in order, also from inside content controls and tracked insertions."""
    for child in parent:
        if child.tag == f"{_W}p":
            yield _docx_text(child), levels.get(child.style or "", 0)
            yield "", 0
        elif child.tag == f"{_W}tbl":
            for table_row in child.iter(f"{_W}tr"):
                cells = (cell for cell in table_row.iter(f"{_W}tc"))
                yield row(" ".join(_docx_text(p) for p in cell.iter(f"{_W}p")) for cell in cells), 0
            yield "", 0
        elif child.tag in (f"{_W}sdt", f"{_W}sdtContent", f"{_W}ins", f"{_W}customXml"):
            yield from _docx_lines(child, levels)


def _docx_text(paragraph: Any) -> str:
    pieces = []
    for node in paragraph.iter(f"{_W}t", f"{_W}tab", f"{_W}br", f"{_W}cr", f"{_W}noBreakHyphen"):
        if node.tag == f"{_W}t":
            pieces.append(node.text or "")
        elif node.getparent().tag == f"{_W}r":  # a <w:tab> elsewhere is a tab stop
            pieces.append("-" if node.tag == f"{_W}noBreakHyphen" else "\t" if node.tag == f"{_W}tab" else "\n")
    return "".join(pieces)


# ------------------------------------------------------------------------------------------------- PPTX


def _pptx(data: bytes) -> Iterator[Part | Facts]:
    import pptx

    presentation = pptx.Presentation(io.BytesIO(data))
    slides = list(presentation.slides)
    yield Facts(title=presentation.core_properties.title or "", pages=len(slides))
    for number, slide in enumerate(slides, 1):
        title_shape = slide.shapes.title
        title = " ".join(normalize(title_shape.text_frame.text).split()) if title_shape is not None else ""
        lines = list(_shape_lines(slide.shapes))
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            notes = slide.notes_slide.notes_text_frame.text.strip()
            lines += ["", f"Notes: {notes}"] if notes else []
        text = normalize("\n".join(lines)).strip("\n")
        state = State.TEXT if text.strip() else _slide_state(slide.shapes)
        yield Part(text, f"slide {number}", number, state, ((0, title),) if title and text else ())


def _slide_state(shapes: Any) -> State:
    return State.PICTURE if any(shape.shape_type == 13 for shape in shapes) else State.BLANK  # MSO_SHAPE_TYPE.PICTURE


def _shape_lines(shapes: Any) -> Iterator[str]:
    for shape in shapes:
        if shape.shape_type == 6:  # MSO_SHAPE_TYPE.GROUP
            yield from _shape_lines(shape.shapes)
        elif shape.has_text_frame and shape.text_frame.text.strip():
            yield shape.text_frame.text
            yield ""
        elif getattr(shape, "has_table", False):
            for table_row in shape.table.rows:
                yield row(cell.text for cell in table_row.cells)
            yield ""


# ------------------------------------------------------------------------------------------------- XLSX


def _xlsx(data: bytes) -> Iterator[Part | Facts]:
    import openpyxl

    workbook = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    yield Facts(title=workbook.properties.title or "")
    for sheet in workbook.worksheets:
        sheet.reset_dimensions()  # what a sheet declares may be a billion empty cells
        name = " ".join(normalize(sheet.title).split())
        rows = (row(_cell(cell) for cell in cells) for cells in sheet.iter_rows())
        headings: tuple[tuple[int, str], ...] = ((0, name),)
        while batch := list(islice(rows, ROWS)):
            text = normalize("\n".join(batch)).strip("\n")
            if text.strip():
                yield Part(f"{name}\n\n{text}" if headings else text, name, headings=headings)
                headings = ()


def _cell(cell: Any) -> str:
    """The value as the sheet shows it, near enough: percentages as such, dates without a midnight."""
    import datetime

    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        if "%" in (cell.number_format or ""):
            return f"{value * 100:.10g}%"
        return f"{value:.15g}"
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return str(value)
