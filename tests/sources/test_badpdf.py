"""Awkward files, each of which must end in the status that it deserves, and take nobody else along."""

from __future__ import annotations

import csv
import io
import os
import resource
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import docx
import pytest

from rag.sources.folder import Folder
from rag.sources.isolate import MOST_PATIENCE, Limits
from rag.types import Reading, Status

PRACTICE = Path(os.environ.get("RAG_PRACTICE_DATA", Path(__file__).parents[3] / "shared/data")) / "badpdf"
SECONDS = 9.0

INDEXED = """
gen__attachment-exe gen__double-printed-bold gen__enc-aes256-owner-only gen__hyphenation gen__inject-markdown-exfil
gen__inject-metadata-annot gen__inject-visible gen__ligatures gen__many-tiny-words gen__no-spaces-kerned gen__plain-4p
gen__table-numbers gen__tounicode-lone-surrogate pdfjs__160F-2019 pdfjs__ArabicCIDTrueType
pdfjs__ZapfDingbats pdfjs__arial_unicode_ab_cidfont pdfjs__arial_unicode_en_cidfont pdfjs__bug1019475_2
pdfjs__german-umlaut-r pdfjs__helloworld-bad pdfjs__issue11045 pdfjs__issue16316 pdfjs__issue2840 pdfjs__issue4800
pdfjs__issue9105_reduced pdfjs__outlines_se pdfjs__poppler-91414-0-54 pdfjs__rotated_ink pdfjs__structure_simple
pdfplumber__cupertino_usd_4-6-16 pdfplumber__table-curves-example qpdf__V4-aes-clearmeta
qpdf__append-page-content-damaged qpdf__bad16 qpdf__bad27 qpdf__bad37 qpdf__direct-pages qpdf__enc-R3_V2
qpdf__to-rotate sample-files__habibi sample-files__multicolumn sample-files__with-attachment
""".split()
NO_TEXT = """
gen__blank-page gen__scan-invoice gen__whitespace-only pdfjs__ccitt_EndOfBlock_false pdfjs__doc_actions
pdfjs__empty_protected pdfjs__mesh_shading_empty pdfjs__multiline pdfjs__poppler-85140-0 pdfjs__rc_annotation
pdfjs__two_pages pdfjs__xobject-image vera__veraPDF_test_suite_6-7-2-t09-pass-b
""".split()
EXPECTED: dict[str, Status] = {
    **dict.fromkeys(INDEXED, Status.INDEXED),
    **dict.fromkeys(NO_TEXT, Status.NO_TEXT),
    "gen__scan-mixed-text-and-image": Status.PARTLY,
    "pdfminersix__issue-791-non-unicode-cmap": Status.GARBLED,
    "gen__enc-aes256-user": Status.PASSWORD,
    "qpdf__bad-encryption-length": Status.PASSWORD,
    "gen__html-as-pdf": Status.DAMAGED,
    "gen__kids-cycle": Status.DAMAGED,
    "gen__predictor-columns-1e9": Status.DAMAGED,
    "gen__truncated-90": Status.PARTLY,
    "gen__zero-byte": Status.DAMAGED,
    "gen__text-bomb-8MB": Status.LIMIT,
    "gen__xobject-billion-laughs": Status.LIMIT,
}


@pytest.fixture(scope="module")
def readings() -> dict[str, Reading]:
    if not PRACTICE.is_dir():
        pytest.skip(f"there is no {PRACTICE}: name the practice data by RAG_PRACTICE_DATA")
    folder = Folder(PRACTICE, include=["*.pdf"], limits=Limits(seconds=SECONDS))
    return {reading.entry.name.removesuffix(".pdf"): reading for reading in folder.read(list(folder.scan()))}


def _text(readings: dict[str, Reading], name: str) -> str:
    document = readings[name].document
    assert document is not None
    return document.text


def test_every_file_is_in_the_table_and_read(readings: dict[str, Reading]) -> None:
    assert len(EXPECTED) == 67
    assert sorted(readings) == sorted(EXPECTED)


# Where the table above departs from what an engine by itself says: a bomb that pypdf gives the beginning of, a text
# layer of glyph numbers, a page that neither can unpack, a file that was cut off, of which a part is read.
UNLIKE_AN_ENGINE = {
    "gen__xobject-billion-laughs": Status.LIMIT,
    "gen__text-bomb-8MB": Status.LIMIT,
    "pdfminersix__issue-791-non-unicode-cmap": Status.GARBLED,
    "gen__predictor-columns-1e9": Status.DAMAGED,
    "gen__truncated-90": Status.PARTLY,
    "gen__scan-mixed-text-and-image": Status.PARTLY,
}


def _as_an_engine_says(row: dict[str, str]) -> Status:
    said = {row["pypdf_status"], row["pdfium_status"]}
    for status, means in {
        "ok-text": Status.INDEXED,
        "password-needed": Status.PASSWORD,
        "ok-empty": Status.NO_TEXT,
    }.items():
        if status in said:
            return means
    return Status.DAMAGED


def test_the_table_is_that_of_the_manifest(readings: dict[str, Reading]) -> None:
    """What either engine can read is read, and what the manifest expects is expected."""
    with (PRACTICE / "MANIFEST.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["file"].removesuffix(".pdf"): row for row in csv.DictReader(file)}
    assert sorted(rows) == sorted(EXPECTED)
    assert {name: _as_an_engine_says(row) for name, row in rows.items()} | UNLIKE_AN_ENGINE == EXPECTED
    for name, row in rows.items():
        assert readings[name].entry.version == f"sha256:{row['sha256']}"
        assert readings[name].entry.size == int(row["size"])
        if row["expect"].startswith(("error", "clear error")) and name != "gen__truncated-90":
            assert EXPECTED[name] is Status.DAMAGED
        if row["expect"].startswith("reported: no text"):
            assert readings[name].outcome.reason.startswith("No text")
    assert not list(PRACTICE.glob("**/*.exe"))  # attachments stay where they are


@pytest.mark.fault(14)
@pytest.mark.parametrize("name", EXPECTED)
def test_each_file_ends_in_the_status_it_deserves(readings: dict[str, Reading], name: str) -> None:
    reading = readings[name]
    status = reading.outcome.status
    assert status is EXPECTED[name]
    assert (reading.document is not None) == (status in (Status.INDEXED, Status.PARTLY))
    assert (status is Status.INDEXED) == (not reading.outcome.reason) == (not reading.outcome.remedy)
    if reading.document is not None:
        reading.document.text.encode()  # no lone surrogates
        assert reading.document.marks[0].label.startswith("p. ")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gen__hyphenation", "The information security policy covers non-profit"),
        ("gen__ligatures", "final ffi"),
        ("gen__no-spaces-kerned", "The refund period is thirty days"),
        ("gen__table-numbers", "2023 48.3 4.0 212"),
        ("gen__enc-aes256-owner-only", "48.3 million euro"),
        ("pdfjs__issue16316", "Trace-based Just-in-Time Type Specialization"),
        ("qpdf__bad27", "Potato"),
        ("pdfjs__issue2840", "Номер полиса"),
    ],
)
def test_words_are_whole_and_rows_on_a_line(readings: dict[str, Reading], name: str, words: str) -> None:
    assert words in _text(readings, name)


def test_bold_print_is_read_once(readings: dict[str, Reading]) -> None:
    assert _text(readings, "gen__double-printed-bold").count("4711") == 1


def test_repeated_pages_are_all_kept(readings: dict[str, Reading]) -> None:
    assert _text(readings, "gen__plain-4p").count("48.3 million euro") == 4
    document = readings["qpdf__to-rotate"].document
    assert document is not None
    assert [mark.page for mark in document.marks] == list(range(1, 21))


def test_pages_and_reasons_are_named(readings: dict[str, Reading]) -> None:
    mixed = readings["gen__scan-mixed-text-and-image"].outcome
    assert (mixed.pages, mixed.pages_without_text) == (3, (2,))
    assert readings["gen__html-as-pdf"].outcome.reason.startswith("Not a PDF (starts with '<html>")
    assert readings["gen__zero-byte"].outcome.reason == "The file is empty (0 bytes)"
    for bomb in ("gen__text-bomb-8MB", "gen__xobject-billion-laughs"):
        assert "time or memory" in readings[bomb].outcome.reason
        assert readings[bomb].outcome.remedy.startswith("Left out as unsafe to read")
    for form in ("pdfjs__doc_actions", "pdfjs__multiline", "pdfjs__rc_annotation"):
        assert "only annotations or form fields" in readings[form].outcome.reason
    assert readings["gen__blank-page"].outcome.reason == "No text: its pages are blank"


# ------------------------------------------------------------------------------------------- made-up bombs


def _one(folder: Path) -> Reading:
    begun = time.monotonic()
    source = Folder(folder, limits=Limits(seconds=3))
    (reading,) = source.read(list(source.scan()))
    assert time.monotonic() - begun < 3 * MOST_PATIENCE + 5
    return reading


def _docx_with(document_xml: bytes) -> bytes:
    buffer, whole = io.BytesIO(), io.BytesIO()
    docx.Document().save(buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member, document_xml if member.filename == "word/document.xml" else old.read(member))
    return whole.getvalue()


def _entities() -> bytes:
    """A billion laughs."""
    levels = [b'<!ENTITY l0 "lol">'] + [b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10)]
    return b'<?xml version="1.0"?><!DOCTYPE x [%s]>' % b"".join(levels)


W = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def _bombs() -> Iterator[tuple[str, bytes, tuple[Status, ...]]]:
    """Name, content, and the statuses that are fair."""
    unpacked = b"<w:document>" + b" " * (300 << 20)
    yield "zip.docx", _docx_with(unpacked), (Status.LIMIT,)
    laughs = _entities() + b"<w:document %s><w:body><w:p><w:r><w:t>&l9;</w:t></w:r></w:p></w:body></w:document>" % W
    yield "laughs.docx", _docx_with(laughs), (Status.DAMAGED, Status.LIMIT, Status.NO_TEXT)
    yield "laughs.html", _entities() + b"<html><body>&l9;</body></html>", (Status.INDEXED, Status.NO_TEXT)
    nested = b"<w:sdt><w:sdtContent>" * 50_000
    yield "nested.docx", _docx_with(b"<w:document %s><w:body>%s" % (W, nested)), (Status.DAMAGED, Status.LIMIT)
    yield "deep.html", b"<div><b>" * 100_000 + b"deep", (Status.LIMIT,)
    yield "wide.csv", b"a," * 5_000_000, (Status.INDEXED, Status.LIMIT)
    yield "quote.csv", b'"' + b"x" * (20 << 20), (Status.INDEXED, Status.DAMAGED)
    yield "line.txt", b"x" * (20 << 20), (Status.INDEXED,)
    yield "parts.eml", b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\n" * 200_000, tuple(Status)


@pytest.mark.fault(15)
@pytest.mark.parametrize(
    ("name", "data", "statuses"), list(_bombs()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_bombs_end_in_time_and_within_memory(
    tmp_path: Path, name: str, data: bytes, statuses: tuple[Status, ...]
) -> None:
    (tmp_path / name).write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reading = _one(tmp_path)
    assert reading.outcome.status in statuses
    assert reading.outcome.status is Status.INDEXED or reading.outcome.remedy
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 800 << 10  # kB, of the parent
