from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from misbehaving import MISBEHAVING, has_ended

from rag.errors import StorageError
from rag.sources import isolate
from rag.sources.isolate import Child, ChildError, DiedError, Limits, TimedOutError, TooLongError


@pytest.fixture
def child() -> Iterator[Child]:
    made = Child(Limits(seconds=20, memory=1 << 30, answer=1 << 20), MISBEHAVING)
    yield made
    made.close()


def _pid(child: Child) -> int:
    first, end = child.ask({"do": "nothing"})
    assert end == {"kind": "end"}
    return int(first["pid"])


def test_a_process_serves_many_jobs(child: Child) -> None:
    assert _pid(child) == _pid(child)


@pytest.mark.fault(14)
@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("hang", TimedOutError),
        ("spin", TimedOutError),
        ("abort", DiedError),
        ("exit", DiedError),
        ("flood", TooLongError),
        ("nonsense", DiedError),
    ],
)
def test_what_a_bad_child_gave_is_kept_and_it_is_replaced(child: Child, what: str, error: type[ChildError]) -> None:
    before = _pid(child)
    messages: list[dict[str, object]] = []
    with pytest.raises(error):
        messages.extend(child.ask({"do": what}, seconds=1.0))
    assert messages[0] == {"kind": "part", "pid": before}
    assert has_ended(before)
    assert _pid(child) != before


def test_the_exit_code_is_told(child: Child) -> None:
    with pytest.raises(DiedError) as told:
        list(child.ask({"do": "exit"}))
    assert told.value.code == 7
    with pytest.raises(DiedError) as told:
        list(child.ask({"do": "abort"}))
    assert told.value.code == -signal.SIGABRT


@pytest.mark.fault(15)
def test_memory_is_limited(child: Child) -> None:
    with pytest.raises(DiedError):  # the script does not catch its MemoryError
        list(child.ask({"do": "eat"}))
    assert _pid(child)


def test_what_libraries_print_does_not_reach_the_parent(child: Child) -> None:
    assert [message["kind"] for message in child.ask({"do": "chatter"})] == ["part", "end"]


def test_an_interpreter_that_cannot_be_started_is_told(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(StorageError, match=r"/nonexistent/python: No such file or directory\). What is indexed"):
        list(child.ask({"do": "nothing"}))
    monkeypatch.undo()
    assert _pid(child), "the next one may start"


def test_ctrl_c_is_left_to_the_parent(child: Child) -> None:
    assert [message["kind"] for message in child.ask({"do": "interrupt"})] == ["part", "end"]


def test_an_answer_that_is_not_read_to_its_end_costs_the_child_its_life(child: Child) -> None:
    answer = child.ask({"do": "hang"})
    pid = next(iter(answer))["pid"]
    answer.close()  # type: ignore[attr-defined]
    assert has_ended(pid)
    assert _pid(child) != pid


@pytest.mark.fault(1)
def test_children_die_with_a_parent_that_is_killed() -> None:
    program = (
        "import sys\nfrom rag.sources.isolate import Child, Limits\n"
        f"child = Child(Limits(seconds=60), {MISBEHAVING!r})\n"
        "for message in child.ask({'do': 'hang'}):\n    print(message['pid'], flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    assert has_ended(pid)


def test_a_folder_that_is_read_cannot_lend_its_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the folder')")
    monkeypatch.chdir(tmp_path)
    child = Child(Limits(), MISBEHAVING)
    try:
        assert _pid(child)
    finally:
        child.close()


def test_a_run_that_was_stopped_does_not_find_its_children_overdue() -> None:
    """Ctrl-Z, ten ticks of the clock, and `fg`: the time limit stood still, so the job may still end well."""
    program = (
        "import sys\nfrom rag.sources import isolate\n"
        "ticks = iter(range(0, 10_000, 10))\n"
        "isolate.time.monotonic = lambda: next(ticks)\n"  # every wait seems to take ten seconds
        f"child = isolate.Child(isolate.Limits(seconds=5), {MISBEHAVING!r})\n"
        "sys.exit(len(list(child.ask({'do': 'nothing'}))))\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 2


def test_a_busy_machine_is_not_held_against_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that could not run for want of a processor may take longer, but not for ever."""
    idle = iter(range(1_000))
    monkeypatch.setattr(isolate, "_idled", lambda pid: float(next(idle)))
    child = Child(Limits(seconds=0.2), MISBEHAVING)
    with pytest.raises(TimedOutError, match="no end after") as told:
        list(child.ask({"do": "spin"}))
    waited = float(str(told.value).removeprefix("no end after ").removesuffix(" s"))
    assert waited >= 0.2 * isolate.MOST_PATIENCE - 0.1
    assert child.spent >= 0.2 - 0.1


def test_waits_for_a_processor_are_told_by_the_system() -> None:
    before = isolate._idled(os.getpid())
    assert 0 <= before <= isolate._idled(os.getpid())
    assert isolate._idled(2**22 + 1) == 0
