from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from pdf_writer import picture, show, write_pdf

from rag.sources.folder import Folder
from rag.sources.isolate import Limits
from rag.sources.ocr import Engine, Recogniser, find_engine
from rag.types import Reading, Status

TESSERACT = """#!{python}
import sys
if "--version" in sys.argv:
    print("tesseract 9.8.7\\n leptonica-1.82.0")
elif "--list-langs" in sys.argv:
    print("List of available languages (4):\\nosd\\ndeu\\neng\\nscript/Latin")
else:
    header, rest = sys.stdin.buffer.read().split(b"\\n", 1)
    with open({log!r}, "a") as log:
        print(*sys.argv[1:], header.decode(), len(rest), file=log)
    if {deed!r} == "fail":
        sys.exit(1)
    if {deed!r} == "hang":
        import signal
        signal.pause()
    print({deed!r} and "Words in the picture")
"""


class Cache(dict[tuple[str, int, str], str]):
    def get(self, version: str, page: int, engine: str) -> str | None:  # type: ignore[override]
        return super().get((version, page, engine))

    def put(self, version: str, page: int, engine: str, text: str) -> None:
        self[version, page, engine] = text


class Tesseract:
    """A program that behaves like tesseract, as far as we use it, and notes how it is called."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self.log = folder / "calls"
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def install(self, deed: str = "read") -> Engine:
        program = self._folder / "tesseract"
        program.write_text(TESSERACT.format(python=sys.executable, log=str(self.log), deed=deed))
        program.chmod(0o755)
        engine = find_engine()
        assert engine is not None
        return engine

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def tesseract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tesseract:
    (tmp_path / "bin").mkdir()
    return Tesseract(tmp_path / "bin", monkeypatch)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "mixed.pdf").write_bytes(write_pdf([show("Some words on it"), picture(), picture()]))
    (folder / "plain.pdf").write_bytes(write_pdf([show("Nothing but words")]))
    return folder


def _read(folder: Folder) -> dict[str, Reading]:
    return {reading.entry.name: reading for reading in folder.read(list(folder.scan()))}


def test_tesseract_is_preferred_and_named_with_what_matters(tesseract: Tesseract) -> None:
    engine = tesseract.install()
    assert engine.name == "tesseract 9.8.7 eng+deu"
    assert engine.finds_orientation
    assert Folder(Path("/"), ocr=engine).reader != Folder(Path("/")).reader


def test_pages_without_text_are_read_and_remembered(tesseract: Tesseract, files: Path) -> None:
    engine, cache, told = tesseract.install(), Cache(), []
    folder = Folder(files, ocr=engine, page_cache=cache, on_page=lambda *page: told.append(page))
    readings = _read(folder)
    mixed = readings["mixed.pdf"]
    assert mixed.outcome.status is Status.INDEXED
    assert mixed.document is not None
    assert mixed.document.text == "Some words on it\n\nWords in the picture\n\nWords in the picture"
    assert [mark.page for mark in mixed.document.marks] == [1, 2, 3]
    assert told == [("mixed.pdf", 1, 2), ("mixed.pdf", 2, 2)]
    assert list(readings) == ["plain.pdf", "mixed.pdf"], "what needs no OCR comes first"
    assert tesseract.calls() == ["- - -l eng+deu --psm 1 --dpi 200 P5 1700 2200 255 3740000"] * 2
    assert {page for _, page, _ in cache} == {2, 3}
    assert _read(folder)["mixed.pdf"] == mixed
    assert len(tesseract.calls()) == 2, "nothing is read twice"


def test_reading_goes_on_where_it_stopped(tesseract: Tesseract, files: Path) -> None:
    engine, cache = tesseract.install(), Cache()
    (entry,) = (entry for entry in Folder(files).scan() if entry.name == "mixed.pdf")
    cache.put(entry.version, 2, engine.name, "Known from before")
    recogniser = Recogniser(engine, cache)
    try:
        assert sorted(recogniser.read(entry, [2, 3])) == [(2, "Known from before"), (3, "Words in the picture")]
    finally:
        recogniser.close()
    assert len(tesseract.calls()) == 1


def test_a_page_without_words_is_said_to_have_none(tesseract: Tesseract, files: Path) -> None:
    engine, cache = tesseract.install(deed=""), Cache()
    outcome = _read(Folder(files, ocr=engine, page_cache=cache))["mixed.pdf"].outcome
    assert outcome.status is Status.PARTLY
    assert outcome.pages_without_text == (2, 3)
    assert outcome.reason.endswith("OCR (tesseract 9.8.7 eng+deu) found no words there")
    assert len(cache) == 2


@pytest.mark.parametrize("deed", ["fail", "hang"])
def test_an_engine_that_fails_costs_its_page_and_is_tried_again(tesseract: Tesseract, files: Path, deed: str) -> None:
    engine, cache = tesseract.install(deed), Cache()
    (entry,) = (entry for entry in Folder(files).scan() if entry.name == "mixed.pdf")
    recogniser = Recogniser(engine, cache, Limits(seconds=1.5))
    try:
        assert sorted(recogniser.read(entry, [2, 3])) == [(2, ""), (3, "")]
    finally:
        recogniser.close()
    assert not cache


def test_a_tesseract_without_languages_is_none(tesseract: Tesseract, monkeypatch: pytest.MonkeyPatch) -> None:
    tesseract.install()
    program = Path(os.environ["PATH"].split(os.pathsep)[0]) / "tesseract"
    program.write_text("#!/bin/sh\necho tesseract 5.3.0\n")
    engine = find_engine()
    assert engine is None or engine.name.startswith("rapidocr")


@pytest.mark.slow
@pytest.mark.parametrize("turn", [0, 90])
def test_rapidocr_reads_a_scan_however_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: int) -> None:
    pytest.importorskip("rapidocr")
    import pypdfium2

    words = ("INVOICE 2024-0815", "Customer: Kestrel Logistics BV", "Late payments are charged 1.5 percent per month.")
    page = pypdfium2.PdfDocument(write_pdf([show(*words)]))[0]
    bitmap = page.render(scale=150 / 72, grayscale=True, rotation=turn)
    image = bitmap.to_numpy().reshape(bitmap.height, bitmap.width)
    content = b"q 612 0 0 792 0 0 cm BI /W %d /H %d /CS /G /BPC 8 ID %s EI Q" % (
        bitmap.width,
        bitmap.height,
        image.tobytes(),
    )
    (tmp_path / "scan.pdf").write_bytes(write_pdf([content]))
    monkeypatch.setenv("PATH", "/nonexistent")
    (reading,) = _read(Folder(tmp_path, ocr=find_engine())).values()
    assert reading.document is not None
    found = reading.document.text.replace("\n", " ")
    assert all(word in found for word in ("INVOICE", "Kestrel", "Logistics", "payments", "percent", "month"))
    assert found.index("INVOICE") < found.index("Kestrel") < found.index("payments")
