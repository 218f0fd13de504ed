"""Which reader a file is for: by its first bytes where they tell, else by its name. Pure."""

from __future__ import annotations

from rag.types import Outcome, Status

HEAD = 1024  # bytes that `recognise` wants to see; a PDF's header may stand anywhere in them

PDF, DOCX, PPTX, XLSX = "pdf", "docx", "pptx", "xlsx"
HTML, MARKDOWN, PLAIN, CSV, EMAIL = "html", "markdown", "plain", "csv", "email"
PICTURES = "pictures"  # of a PDF's pages, for OCR
DRAWING = "drawing"  # of a PDF's page, for people

_BY_EXTENSION = {
    "pdf": PDF,
    "docx": DOCX,
    "pptx": PPTX,
    "xlsx": XLSX,
    "xlsm": XLSX,
    "html": HTML,
    "htm": HTML,
    "xhtml": HTML,
    "md": MARKDOWN,
    "markdown": MARKDOWN,
    "txt": PLAIN,
    "text": PLAIN,
    "rst": PLAIN,
    "log": PLAIN,
    "csv": CSV,
    "tsv": CSV,
    "eml": EMAIL,
}
_OLD_OFFICE = {"doc": "DOCX", "dot": "DOCX", "xls": "XLSX", "ppt": "PPTX", "rtf": "DOCX", "odt": "DOCX", "ods": "XLSX",
               "odp": "PPTX"}  # fmt: skip
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SUPPORTED = "PDF, DOCX, PPTX, XLSX, HTML, Markdown, text, CSV and e-mail (.eml) are read."


def extension(name: str) -> str:
    """Of a file name, lower case, without its dot: "" for "README" and ".profile"."""
    stem, dot, ending = name.rpartition(".")
    return ending.lower() if stem and dot else ""


def recognise(name: str, head: bytes) -> str | Outcome:
    """The format of a file called `name` that begins with `head`, or the outcome if it has no reader.

    A PDF is known by its header whatever it is called, save where the name promises text, which may quote one. A
    broken header is left for the engines to judge.
    """
    ending = extension(name)
    format_ = _BY_EXTENSION.get(ending)
    if head.startswith(b"%PDF-") or (format_ in (None, PDF) and b"%PDF-" in head):
        return PDF
    if head.startswith(_OLE) and format_ in (DOCX, PPTX, XLSX):
        return format_  # encrypted, or an old file under a new name: the reader tells which
    if format_ is not None:
        return format_
    if ending == "" and head and _is_text(head):
        return PLAIN
    if ending in _OLD_OFFICE:
        reason = f"{ending.upper()} files are not read"
        return Outcome(Status.UNSUPPORTED, reason, f"Save it as {_OLD_OFFICE[ending]} or PDF.")
    if ending in {"zim", "bz2"}:
        return Outcome(Status.UNSUPPORTED, "An archive is not read with its folder", "Name it: rag index FILE.")
    kind = f"Files ending in .{ending[:20]} are not read" if ending else "Not text, and no extension says what it is"
    return Outcome(Status.UNSUPPORTED, kind, _SUPPORTED)


def _is_text(head: bytes) -> bool:
    """True if `head`, which may end inside a character, is UTF-8 without control characters."""
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data":
            return False
        text = head[: error.start].decode()
    return not any(ord(c) < 32 and c not in "\t\n\r\f" for c in text)
