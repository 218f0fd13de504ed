"""Files that are nearly right: valid ones of every format, damaged as disks, mail and attackers damage them."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path
from tempfile import TemporaryDirectory

import docx
import openpyxl
import pptx
from archives import write_zim
from hypothesis import strategies as st
from kinds import Kind
from kinds_fonts import garbled, letters
from kinds_misc import all_of_misc
from kinds_pictures import blanks
from kinds_structure import LINES, all_of_structure

PDF_TOKENS = [
    b"obj", b"endobj", b"stream", b"endstream", b"/Kids[1 0 R]", b"/Count 99999999", b"/Length 0", b"/Length 9 0 R",
    b"/Filter/FlateDecode", b"/Filter/Unknown", b"1 0 R", b"4 0 R", b"6 0 R", b"<<", b">>", b"[", b"]", b"(", b")",
    b"%", b"\0\0\0\0", b"/Type/Pages", b"/Type/Page", b"/Type/ObjStm/N 9/First 9", b"/Encrypt 4 0 R", b"xref\n0 1\n",
    b"trailer<</Root 5 0 R>>", b"startxref\n0\n%%EOF", b"/Parent 6 0 R", b"/Rotate 45", b"/MediaBox[0 0 0 0]", b"BT",
    b"Tj", b"/F1 1e9 Tf", b"q ", b"Do", b"BI /W 9999 /H 9999 ID ", b"2147483648", b"-1", b"1e309", b"\xff\xfe",
]  # fmt: skip
XML_TOKENS = [
    b"<!DOCTYPE x [<!ENTITY a 'aaaa'>]>", b"&a;", b"&#0;", b"&#xD800;", b"&#x10FFFF;", b"<![CDATA[", b"]]>", b"<!--",
    b"<!ENTITY % p SYSTEM 'file:///'>", b"-->", b"<?xml version='1.1' encoding='utf-7'?>", b"<w:p>", b"</w:p>",
    b"<w:tbl>", b"<w:tr>", b"<w:sdt>", b"<row r='99999999'>", b"<c r='XFD1048576' t='s'><v>99</v></c>", b"<a:t>",
    b"xmlns:w='x'", b"<b>", b"</body>", b"<table>", b"<td colspan=1000000000>", b"<script>", b"<svg>", b"\0",
    b"<base href='//x/'>", b"\xff\xfe",
]  # fmt: skip
MAIL_TOKENS = [
    b"Content-Type: multipart/mixed; boundary=x\n\n", b"--x\n", b"--x--\n", b"Content-Transfer-Encoding: base64\n",
    b"Content-Transfer-Encoding: uuencode\n", b"charset=utf-7", b'charset="no\0such"', b"=?utf-8?b?////?=", b"\0",
    b"Subject: =?a?q?=00?=\n", b"Content-Type: message/rfc822\n\n", b"From: <<<>>>\n", b"Date: 99\n", b"\r", b"\n\n",
]  # fmt: skip
WORDS = st.sampled_from([
    *LINES, "", "a", "Ünïcödé", "\u202egnp.exe", "\x1b[31m", "<script>alert(1)</script>", "=cmd|' /C x'!A0", "𝕊𝕡𝕖𝕔",
    "سنة", "通知期", "\ufdd0", "x" * 5000, "### System:", "{{7*7}}", "\\u0000",
])  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, whole: bytes, tokens: Sequence[bytes]) -> bytes:
    """Up to four damages, each at a place drawn as a share of the file."""
    data = bytearray(whole)
    places = st.floats(0, 1, width=32)
    for _ in range(draw(st.integers(0, 4))):
        at, to = sorted(int(draw(places) * len(data)) for _ in range(2))
        match draw(st.sampled_from(["cut", "flip", "drop", "repeat", "zero", "token", "token", "number", "swap"])):
            case "cut":
                del data[to:]
            case "flip" if at < len(data):
                data[at] ^= draw(st.integers(1, 255))
            case "drop":
                del data[at : min(to, at + 200)]
            case "repeat":
                data[to:to] = data[at : min(to, at + 5000)] * draw(st.integers(1, 3))
            case "zero":
                data[at : min(to, at + 512)] = bytes(min(to, at + 512) - at)
            case "token":
                token = draw(st.sampled_from(tokens))
                data[at : at + draw(st.sampled_from([0, len(token)]))] = token
            case "number" if numbers := list(re.finditer(rb"\d+", data)):
                found = draw(st.sampled_from(numbers))
                value = draw(st.sampled_from([0, 1, 7, -1, 65536, 2**31, 10**12, int(found.group()[:9]) + 1]))
                data[found.start() : found.end()] = b"%d" % value
            case "swap":
                middle = (at + to) // 2
                data[at:to] = data[middle:to] + data[at:middle]
    return bytes(data)


SKELETONS = [
    kind
    for kinds in (all_of_structure(), all_of_misc(), letters(), garbled(), blanks())
    for kind in kinds
    if len(kind.data) < 20_000
]


@st.composite
def pdfs(draw: st.DrawFn) -> bytes:
    kind: Kind = draw(st.sampled_from(SKELETONS))
    return draw(damaged(kind.data, PDF_TOKENS))


# ------------------------------------------------------------------------------------------------ Office


def _saved(document: object) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)  # type: ignore[attr-defined]
    return buffer.getvalue()


def _docx() -> bytes:
    document = docx.Document()
    document.add_heading("Terms", 1)
    for line in LINES:
        document.add_paragraph(line)
    table = document.add_table(2, 2)
    table.cell(0, 0).text, table.cell(1, 1).text = "Year", "2025"
    return _saved(document)


def _pptx() -> bytes:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text, slide.placeholders[1].text = "Terms", "\n".join(LINES)
    return _saved(deck)


def _xlsx() -> bytes:
    book = openpyxl.Workbook()
    for line in LINES:
        book.active.append([line, 42, 0.5])
    return _saved(book)


OFFICE = {"docx": _docx(), "pptx": _pptx(), "xlsx": _xlsx()}


@st.composite
def office_files(draw: st.DrawFn) -> tuple[str, bytes]:
    """(extension, content): members damaged, left out, renamed and added; then the archive itself."""
    ending = draw(st.sampled_from(sorted(OFFICE)))
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(OFFICE[ending])) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        chosen = set(draw(st.lists(st.sampled_from(old.namelist()), max_size=3)))
        for name in old.namelist():
            content = old.read(name)
            if name in chosen:
                content = draw(damaged(content, XML_TOKENS))
            if name not in chosen or draw(st.integers(0, 9)):
                new.writestr(draw(st.sampled_from([name] * 20 + ["../../../evil", "/etc/x", name.upper()])), content)
        if draw(st.booleans()):
            new.writestr("word/embeddings/nested.zip", OFFICE["docx"])
    return ending, draw(damaged(buffer.getvalue(), [b"PK\3\4", b"PK\1\2", b"PK\5\6", b"\0" * 22, b"\xff" * 8]))


# -------------------------------------------------------------------------------------- HTML, mail, text

TAGS = "p div b i a table tr td th ul li h1 h2 pre script style svg math noscript template select form br img".split()


def _element(tag: str, attributes: str, inside: str, closes: bool) -> str:
    return f"<{tag}{attributes}>{inside}" + (f"</{tag}>" if closes else "")


ATTRIBUTES = st.sampled_from(
    ["", " hidden", " style='display:none'", " a='", ' b="<"', " href=javascript:x", " =x", " \0"]
)
HTML = st.recursive(
    WORDS,
    lambda inner: st.builds(
        _element, st.sampled_from(TAGS), ATTRIBUTES, st.lists(inner, max_size=4).map("".join), st.booleans()
    ),
    max_leaves=30,
)
ENCODINGS = [
    "utf-8",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-32",
    "cp1252",
    "latin-1",
    "cp437",
    "utf-7",
    "gb18030",
    "koi8-r",
]
DECLARED = ["", "utf-8", "utf-16", "latin-1", "x-none", "utf-7", "\udcff", "idna", "rot13", "base64"]


@st.composite
def html_pages(draw: st.DrawFn) -> bytes:
    declared = draw(st.sampled_from(DECLARED))
    head = f"<html><head><meta charset='{declared}'><title>{draw(WORDS)}</title></head><body>"
    text = (
        draw(st.sampled_from(["", "<!DOCTYPE html>", f"<?xml version='1.0' encoding='{declared}'?>"]))
        + head
        + draw(HTML)
    )
    return draw(damaged(text.encode(draw(st.sampled_from(ENCODINGS)), "ignore"), XML_TOKENS))


@st.composite
def mails(draw: st.DrawFn) -> bytes:
    mail = EmailMessage()
    mail["Subject"] = "".join(c for c in draw(WORDS) if c.isprintable())
    mail["From"], mail["To"] = "ada@example.org", "Charles <charles@example.org>"
    mail.set_content(draw(WORDS).encode("utf-8", "ignore").decode())
    if draw(st.booleans()):
        mail.add_alternative(f"<p>{LINES[0]}</p>{draw(WORDS)}", subtype="html")
    for _ in range(draw(st.integers(0, 2))):
        mail.add_attachment(b"MZ\0\0", "application", "octet-stream", filename="../../evil.exe")
    return draw(damaged(mail.as_bytes(), MAIL_TOKENS))


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, bytes]:
    """(extension, content) of text, Markdown and CSV, in any encoding."""
    ending = draw(st.sampled_from(["txt", "md", "csv", "tsv", "rst"]))
    marks = st.sampled_from(
        ["\n", "\r", ",", ";", "\t", '"', '""', "|", "# ", "---\n", "```", "[a](b", "![", "<!--", "\0", "\f"]
    )
    text = "".join(draw(st.lists(WORDS | marks, max_size=30)))
    return ending, draw(
        damaged(text.encode(draw(st.sampled_from(ENCODINGS)), "ignore"), [b"\0", b"\xff", b"\xef\xbb\xbf", b'"'])
    )


# --------------------------------------------------------------------------------------------------- ZIM


def _zim() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "whole.zim")
        write_zim(path, [(f"Article {n}", f"<html><body><p>{line}</p></body></html>") for n, line in enumerate(LINES)])
        return path.read_bytes()


@st.composite
def zims(draw: st.DrawFn) -> bytes:
    return draw(damaged(_ZIM or _made(), [b"ZIM\4", b"\xff" * 8, b"\0" * 8, b"\x28\xb5\x2f\xfd"]))


_ZIM = b""


def _made() -> bytes:
    global _ZIM
    _ZIM = _zim()
    return _ZIM
