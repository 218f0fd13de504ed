"""The writer's lock by itself."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from rag.errors import LockedError
from rag.index.lock import writing


@pytest.mark.fault(4)
def test_who_waits_does_not_write_before_the_other_has_ended(tmp_path: Path) -> None:
    path, told, entered = tmp_path / "lock", threading.Event(), threading.Event()
    finished: list[bool] = []

    def wait() -> None:
        with writing(path, lambda holder: told.set()) as before:
            finished.append(before)
            entered.set()

    thread = threading.Thread(target=wait)
    with writing(path):
        thread.start()
        assert told.wait(20)
        assert not entered.wait(0.3)
    thread.join(20)
    assert finished == [True]


@pytest.mark.fault(1, 4)
def test_the_next_one_learns_how_the_last_one_ended(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with writing(path) as finished:
        assert finished
        with pytest.raises(LockedError, match="pid "), writing(path):
            pass
    with pytest.raises(ZeroDivisionError), writing(path):
        raise ZeroDivisionError
    with writing(path) as finished:
        assert not finished
    path.write_text("pid 4711, since 10:31")  # as one that was killed leaves it
    with writing(path) as finished:
        assert not finished
    with writing(path) as finished:
        assert finished


@pytest.mark.fault(3)
def test_a_disk_that_takes_no_word_does_not_end_who_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    done = False
    with monkeypatch.context() as patched:
        patched.setattr("rag.index.lock.os.pwrite", full)
        with writing(tmp_path / "lock"):
            with pytest.raises(LockedError, match=r"\(unknown\)"), writing(tmp_path / "lock"):
                pass
            done = True
    assert done
