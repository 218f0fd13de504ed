"""PDFs that are broken in ways of their own, or locked: one status each, and nobody else is harmed."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from pdf_writer import show, write_pdf
from pypdf import PdfReader, PdfWriter

from rag.sources.folder import Folder
from rag.types import Reading, Status

WHOLE = write_pdf([show(f"Words of page {n}") for n in range(1, 4)], info="Report")


def flipped(seed: int) -> bytes:
    rng, content = random.Random(seed), bytearray(WHOLE)
    for _ in range(20):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


BROKEN = {
    **{f"cut-{percent}": WHOLE[: len(WHOLE) * percent // 100] for percent in (1, 30, 60, 90, 99)},
    **{f"flipped-{seed}": flipped(seed) for seed in range(8)},
    "empty": b"",
    "html": b"<html><body>Please log in</body></html>",
    "header-only": b"%PDF-1.7\n",
    "no-xref": WHOLE[: WHOLE.index(b"xref")],
    "xref-nowhere": WHOLE.replace(b"startxref\n", b"startxref\n9"),
    "kids-of-itself": WHOLE.replace(b"/Kids[4 0 R", b"/Kids[2 0 R"),
    "a-billion-pages": WHOLE.replace(b"/Count 3", b"/Count 999999999"),
    "pages-of-nothing": WHOLE.replace(b"/Kids[", b"/Kids[99 0 R "),
    "length-of-a-lie": WHOLE.replace(b"/Length ", b"/Length 99999"),
    "root-of-nothing": WHOLE.replace(b"/Root 1 0 R", b"/Root 77 0 R"),
    "nested": b"%PDF-1.4\n1 0 obj\n" + b"[" * 100_000,
}


def read(folder: Path, files: dict[str, bytes]) -> dict[str, Reading]:
    for name, content in files.items():
        (folder / f"{name}.pdf").write_bytes(content)
    source = Folder(folder)
    return {reading.entry.name.removesuffix(".pdf"): reading for reading in source.read(list(source.scan()))}


DAMAGED = {
    "empty": "The file is empty (0 bytes)",
    "html": "Not a PDF (starts with '<html><body>Plea')",
    "header-only": "Broken: no engine can open it (PdfStreamError)",
    "cut-1": "Broken: no engine can open it (PdfStreamError)",
    "nested": "Broken: no engine can open it (PdfStreamError)",
}


@pytest.mark.fault(14)
def test_every_broken_file_ends_in_one_status_and_takes_nobody_along(tmp_path: Path) -> None:
    readings = read(tmp_path, {**BROKEN, "whole": WHOLE})
    assert set(readings) == {*BROKEN, "whole"}
    assert readings["whole"].outcome.status is Status.INDEXED
    for name, reading in readings.items():
        outcome = reading.outcome
        assert (reading.document is not None) == (outcome.status in (Status.INDEXED, Status.PARTLY)), name
        assert (outcome.status is Status.INDEXED) == (not outcome.reason) == (not outcome.remedy), name
        assert "Traceback" not in outcome.reason
    for name, reason in DAMAGED.items():
        assert (readings[name].outcome.status, readings[name].outcome.reason) == (Status.DAMAGED, reason)
    for name in ("xref-nowhere", "a-billion-pages", "length-of-a-lie"):  # which a second look mends
        document = readings[name].document
        assert document is not None, name
        assert "Words of page 3" in document.text


def locked(password: str, algorithm: str) -> bytes:
    writer, made = PdfWriter(PdfReader(io.BytesIO(WHOLE))), io.BytesIO()
    writer.encrypt(user_password=password, owner_password="owner", algorithm=algorithm)
    writer.write(made)
    return made.getvalue()


@pytest.mark.fault(16)
def test_what_needs_a_password_is_named_and_what_needs_none_is_read(tmp_path: Path) -> None:
    kinds = ("RC4-40", "RC4-128", "AES-128", "AES-256")
    files = {
        f"{who}-{kind}": locked(password, kind) for who, password in (("user", "x"), ("owner", "")) for kind in kinds
    }
    for name, reading in read(tmp_path, files).items():
        if name.startswith("user"):
            assert (reading.outcome.status, reading.document) == (Status.PASSWORD, None)
            assert reading.outcome.reason == "Protected by a password"
            assert reading.outcome.remedy == "Save it without one and index again."
        else:
            assert reading.outcome.status is Status.INDEXED, name
            assert reading.document is not None
            assert "Words of page 2" in reading.document.text


@pytest.mark.parametrize("make", [lambda: locked("", "AES-256")])
def test_the_locks_are_real(make: Callable[[], bytes]) -> None:
    assert b"/Encrypt" in make()
    assert b"Words of page" not in make()
