from __future__ import annotations

import pytest

from rag.sources.formats import recognise
from rag.types import Outcome, Status


@pytest.mark.parametrize(
    ("name", "head", "format_"),
    [
        ("a.pdf", b"%PDF-1.7", "pdf"),
        ("a.PDF", b"junk" * 100 + b"%PDF-1.7", "pdf"),
        ("a.pdf", b"<html>", "pdf"),
        ("a.bin", b"\0\0%PDF-1.4", "pdf"),
        ("a.docx", b"%PDF-1.4", "pdf"),
        ("notes.txt", b"see %PDF-1.4", "plain"),
        ("a.docx", b"PK\x03\x04", "docx"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "docx"),
        ("a.xlsm", b"PK\x03\x04", "xlsx"),
        ("x/y.z/a.pptx", b"PK\x03\x04", "pptx"),
        ("a.htm", b"<p>", "html"),
        ("a.md", b"# x", "markdown"),
        ("a.tsv", b"a\tb", "csv"),
        ("a.eml", b"From: a", "email"),
        ("README", b"read me", "plain"),
        ("LICENSE", "é".encode() * 511 + b"\xc3", "plain"),
    ],
)
def test_formats_are_known_by_content_and_by_name(name: str, head: bytes, format_: str) -> None:
    assert recognise(name, head) == format_


@pytest.mark.parametrize(
    ("name", "head", "reason"),
    [
        ("a.png", b"\x89PNG", ".png"),
        ("a.doc", b"\xd0\xcf\x11\xe0", "DOC"),
        ("core", b"\x7fELF\0", "no extension"),
        ("empty", b"", "no extension"),
        ("blob", b"\xff\xfe\xfd", "no extension"),
    ],
)
def test_what_has_no_reader_says_so(name: str, head: bytes, reason: str) -> None:
    outcome = recognise(name, head)
    assert isinstance(outcome, Outcome)
    assert outcome.status is Status.UNSUPPORTED
    assert reason in outcome.reason
    assert outcome.remedy
