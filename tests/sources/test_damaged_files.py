"""Whatever is done to a file: one status, sound text, in time, and no word lost that an engine can read."""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import ENGINES
from hypothesis import HealthCheck, Phase, given, settings
from kinds_structure import LINES
from strategies import html_pages, mails, office_files, pdfs, texts, zims

from rag.errors import UsageError
from rag.sources import formats
from rag.sources.assemble import assemble, judge
from rag.sources.isolate import MOST_PATIENCE, Child, ChildError, Limits
from rag.sources.reading import gather
from rag.sources.walk import identify
from rag.sources.wiki.archive import Archive
from rag.types import Outcome, Status

SECONDS = 20.0


@pytest.fixture
def child() -> Iterator[Child]:
    made = Child(Limits(seconds=SECONDS))
    yield made
    made.close()


@pytest.fixture
def engines() -> Iterator[Child]:
    made = Child(Limits(seconds=SECONDS), ENGINES)
    yield made
    made.close()


def quickly(rounds: int) -> settings:
    return settings(
        max_examples=rounds,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )


def read(child: Child, path: Path, data: bytes) -> tuple[Outcome, str]:
    path.write_bytes(data)
    entry = identify(os.fsencode(path), os.fsencode(path.parent))
    assert entry is not None
    format_ = formats.recognise(entry.name, data[: formats.HEAD])
    if isinstance(format_, Outcome):
        return format_, ""
    gathered = gather(child, entry, format_)
    return judge(gathered, None), assemble(gathered).text


def is_sound(outcome: Outcome, text: str) -> None:
    assert outcome.status is not Status.UNREADABLE
    assert (outcome.status is Status.INDEXED) == (not outcome.reason) == (not outcome.remedy)
    assert bool(text) or outcome.status not in (Status.INDEXED, Status.PARTLY)
    assert "Error" not in outcome.reason or outcome.status is Status.DAMAGED  # the name of what a library raised
    assert not {char for char in set(text) if unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t"}


@pytest.mark.fault(14)
@pytest.mark.rounds(40, 4000)
def test_a_damaged_pdf_keeps_the_words_that_an_engine_can_read(
    rounds: int, child: Child, engines: Child, tmp_path: Path
) -> None:
    path = tmp_path / "x.pdf"

    @quickly(rounds)
    @given(pdfs())
    def check(data: bytes) -> None:
        begun = time.monotonic()
        outcome, text = read(child, path, data)
        assert time.monotonic() - begun < SECONDS * (MOST_PATIENCE + 1)
        is_sound(outcome, text)
        ours = " ".join(text.split())
        try:
            theirs = [message["text"] for message in engines.ask({"path": str(path)}) if message["kind"] == "part"]
        except ChildError:
            return
        for line in LINES:
            if any(line in other for other in theirs) and outcome.status is not Status.GARBLED:
                assert line in ours, (line, outcome)

    check()


@pytest.mark.fault(15)
@pytest.mark.rounds(40, 1500)
def test_a_damaged_office_file(rounds: int, child: Child, tmp_path: Path) -> None:
    @quickly(rounds)
    @given(office_files())
    def check(made: tuple[str, bytes]) -> None:
        is_sound(*read(child, tmp_path / f"x.{made[0]}", made[1]))

    check()
    assert {path.name for path in tmp_path.rglob("*")} <= {"x.docx", "x.pptx", "x.xlsx"}


@pytest.mark.rounds(40, 3000)
def test_a_damaged_page(rounds: int, child: Child, tmp_path: Path) -> None:
    @quickly(rounds)
    @given(html_pages())
    def check(data: bytes) -> None:
        is_sound(*read(child, tmp_path / "x.html", data))

    check()


@pytest.mark.rounds(40, 3000)
def test_a_damaged_mail(rounds: int, child: Child, tmp_path: Path) -> None:
    @quickly(rounds)
    @given(mails())
    def check(data: bytes) -> None:
        is_sound(*read(child, tmp_path / "x.eml", data))

    check()


@pytest.mark.rounds(40, 3000)
def test_a_damaged_text(rounds: int, child: Child, tmp_path: Path) -> None:
    @quickly(rounds)
    @given(texts())
    def check(made: tuple[str, bytes]) -> None:
        is_sound(*read(child, tmp_path / f"x.{made[0]}", made[1]))

    check()


@pytest.mark.rounds(12, 800)
def test_a_damaged_archive(rounds: int, tmp_path: Path) -> None:
    path = tmp_path / "x.zim"

    @quickly(rounds)
    @given(zims())
    def check(data: bytes) -> None:
        path.write_bytes(data)
        try:
            archive = Archive(path, workers=1)
        except UsageError:
            return
        try:
            for reading in archive.read(list(archive.scan())):
                is_sound(reading.outcome, reading.document.text if reading.document else "")
        except UsageError:
            pass
        finally:
            archive.close()

    check()
