"""How far a command is, in a file that others look at while it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rag.errors import StorageError
from rag.progress import PAUSE, Far, ProgressFile, question_progress, read_progress


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_two_syncs_in_a_row_are_one(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "far.json"
    with ProgressFile(path, clock) as told:
        assert read_progress(path) == Far(), "it is there from the beginning"
        clock.now += 5
        told.plan(100, 2)
        assert read_progress(path) == Far(total=100, unit="bytes", documents=2, began=1005.0)
        told.documents(60, 100, "a.pdf")
        assert read_progress(path) == Far(total=100, unit="bytes", documents=2, began=1005.0), "not all the time"
        clock.now += PAUSE
        told.documents(100, 100, "b.pdf")
        told.plan(50, 1)
        told.pages("c.pdf", 3, 9)
        clock.now += PAUSE
        told.documents(50, 50, "c.pdf")
        assert told.stopped() == "Stopped. 3 of 3 files are done; run the same command again to go on."
    assert read_progress(path) == Far(150, 150, "bytes", 3, 3, "c.pdf", began=1005.0)


def test_a_clock_that_goes_back_hides_nothing(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "far.json"
    told = ProgressFile(path, clock)
    told.plan(10, 1)
    clock.now -= 3600
    told.documents(10, 10, "a.pdf")
    far = read_progress(path)
    assert far
    assert far.done == 10


def test_questions(tmp_path: Path) -> None:
    with question_progress(tmp_path / "far.json") as told:
        told(1, 3)
        told(3, 3)
    far = read_progress(tmp_path / "far.json")
    assert far
    assert (far.unit, far.done, far.total) == ("questions", 3, 3)


@pytest.mark.parametrize("content", ["", "[]", "{", json.dumps({"no": "field"})])
def test_what_is_no_progress_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "far.json").write_text(content)
    assert read_progress(tmp_path / "far.json") is None


def test_a_file_that_cannot_be_written_is_told_and_the_end_is_not_spoilt(tmp_path: Path) -> None:
    told = ProgressFile(tmp_path / "missing" / "far.json")
    with pytest.raises(StorageError, match="Cannot write"):
        told.plan(1, 1)
    told.__exit__()
