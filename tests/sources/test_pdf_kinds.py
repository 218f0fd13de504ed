"""Awkward PDFs of every kind, made here: each ends in one status that is fair, and no readable word is lost."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from kinds import ANY, Kind
from kinds_bombs import bombs, large
from kinds_encrypted import all_encrypted
from kinds_fonts import all_of_fonts
from kinds_misc import all_of_misc
from kinds_pictures import all_of_pictures
from kinds_structure import all_of_structure

from rag.sources.folder import Folder
from rag.sources.isolate import MOST_PATIENCE, Limits
from rag.types import Reading, Status

KINDS = [
    kind
    for kinds in (all_of_structure(), all_encrypted(), all_of_fonts(), all_of_pictures(), all_of_misc())
    for kind in kinds
]
READABLE = (Status.INDEXED, Status.PARTLY)


def _read(folder: Path, kinds: Iterable[Kind], seconds: float = 30.0) -> dict[str, Reading]:
    for kind in kinds:
        (folder / f"{kind.name}.pdf").write_bytes(kind.data)
    source = Folder(folder, limits=Limits(seconds=seconds))
    return {reading.entry.name.removesuffix(".pdf"): reading for reading in source.read(list(source.scan()))}


def _is_fair(kind: Kind, reading: Reading) -> None:
    outcome = reading.outcome
    assert outcome.status in kind.statuses
    assert (outcome.status is Status.INDEXED) == (not outcome.reason) == (not outcome.remedy)
    assert (reading.document is not None) == (outcome.status in READABLE) or outcome.status is Status.LIMIT
    if reading.document is not None:
        text = " ".join(reading.document.text.split())
        text.encode()  # no lone surrogates
        assert not [word for word in kind.words if word not in text]
        assert all(mark.page is not None and mark.label.startswith("p. ") for mark in reading.document.marks)


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reading]:
    return _read(tmp_path_factory.mktemp("kinds"), KINDS)


def test_there_are_many_and_all_are_read(readings: dict[str, Reading]) -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS) == len(readings) > 250


@pytest.mark.fault(14, 16, 17)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_ends_in_the_status_that_is_fair(readings: dict[str, Reading], kind: Kind) -> None:
    _is_fair(kind, readings[kind.name])


def test_what_carries_more_than_pages_leaves_nothing_beside_it(readings: dict[str, Reading]) -> None:
    folder = Path(readings["attachments"].entry.key.decode()).parent
    assert {path.suffix for path in folder.iterdir()} == {".pdf"}
    assert "PWNED" not in readings["attachments"].document.text  # type: ignore[union-attr]


@pytest.mark.fault(15)
def test_bombs_end_soon_and_take_nobody_along(tmp_path: Path) -> None:
    kinds = list(bombs())
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    readings = _read(tmp_path, kinds, seconds=6)
    assert time.monotonic() - begun < len(kinds) * 6 * MOST_PATIENCE
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500 << 10  # kB, of the parent
    for kind in kinds:
        _is_fair(kind, readings[kind.name])
    assert sum(reading.outcome.status is Status.LIMIT for reading in readings.values()) >= 3
    assert sum(kind.statuses == ANY for kind in kinds) < len(kinds) / 3


@pytest.mark.fault(13)
def test_what_is_only_large_is_read_whole(tmp_path: Path) -> None:
    kinds = list(large())
    readings = _read(tmp_path, kinds)
    for kind in kinds:
        _is_fair(kind, readings[kind.name])
