"""Jobs as the page uses them: real processes, that are stopped, killed, orphaned and begun twice."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import HERE, WAITS, WORDS, ended

from rag.errors import LockedError, StorageError
from rag.index.collection import Collection
from rag.jobs.desk import KEPT, Desk
from rag.jobs.job import CANCELLED, END, LOCK, State, Work, write_json


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / ".jobs", ("-c", WAITS))
    yield made
    for job in made.running():
        job.cancel(at_once=True)
        ended(job)


def waits(pipe: Path, code: int = 0, lane: str = "a") -> Work:
    return Work("sync", "a", lane, ("wait", str(pipe), str(code)), about="reports")


def release(pipe: Path, said: str = "go") -> None:
    """Blocks until the job has come to its pipe."""
    pipe.write_text(said)


def test_a_job_runs_ends_and_is_found_again(desk: Desk, pipe: Path) -> None:
    job = desk.start(waits(pipe, code=3))
    assert (job.state, job.exit_code, job.result()) == (State.RUNNING, None, None)
    assert Desk(desk.home).find(job.id) == job, "another page finds it"
    assert [found.id for found in desk.running("a")] == [job.id]
    assert desk.running("b") == []
    release(pipe, "hello")
    assert ended(job).state is State.DONE
    assert (job.exit_code, job.log()) == (3, "log line")
    assert job.result() == {"said": "hello", "arguments": ["wait", str(pipe), "3"]}
    assert job.ended
    assert desk.running() == []


def test_everything_is_its_owners_alone(desk: Desk, pipe: Path) -> None:
    job = desk.start(waits(pipe))
    release(pipe)
    ended(job)
    assert stat.S_IMODE(desk.home.stat().st_mode) == stat.S_IMODE(job.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in job.folder.iterdir()} == {0o600}


def test_stop(desk: Desk, pipe: Path) -> None:
    job = desk.start(waits(pipe))
    with pipe.open("w"):  # the command is at work
        job.cancel()
        assert ended(job).state is State.STOPPED
    assert (job.exit_code, job.result()) == (130, None)
    job.cancel()
    assert job.state is State.STOPPED, "to stop what has ended does nothing"


def test_stop_before_it_has_begun(tmp_path: Path, pipe: Path) -> None:
    late = f"open({str(pipe)!r}).close()\n" + WAITS
    job = Desk(tmp_path / ".jobs", ("-c", late)).start(waits(pipe))
    job.cancel()  # the process knows of nothing yet, not even its own number
    pipe.open("w").close()
    assert ended(job).state is State.STOPPED
    assert job.log() == "", "the command was not begun"


def test_a_page_that_ignores_interrupts_has_jobs_that_do_not(desk: Desk, pipe: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as under nohup, or behind "&" in a script
    try:
        job = desk.start(waits(pipe))
    finally:
        signal.signal(signal.SIGINT, before)
    with pipe.open("w"):
        job.cancel()
        assert ended(job).state is State.STOPPED


def test_a_killed_job_is_dead_and_another_may_begin(desk: Desk, pipe: Path) -> None:
    job = desk.start(waits(pipe))
    with pipe.open("w"):
        job.cancel(at_once=True)
        assert ended(job).state is State.STOPPED, "it was told to"
    (job.folder / CANCELLED).unlink()
    assert job.state is State.DIED, "nobody told it to"
    assert job.seconds >= 0
    again = desk.start(waits(pipe))
    assert again.state is State.RUNNING


def test_a_job_outlives_the_page(tmp_path: Path, pipe: Path) -> None:
    page = (
        HERE
        + f"""
from pathlib import Path
from rag.jobs.desk import Desk
from rag.jobs.job import Work
desk = Desk(Path({str(tmp_path / ".jobs")!r}), ('-c', {WAITS!r}))
job = desk.start(Work('sync', 'a', 'a', ('wait', {str(pipe)!r}, '0')))
print(job.id, flush=True)
sys.stdin.read()
"""
    )
    with subprocess.Popen([sys.executable, "-c", page], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        name = process.stdout.readline().decode().strip()
        process.kill()
    job = Desk(tmp_path / ".jobs").find(name)
    assert job
    assert job.state is State.RUNNING
    release(pipe)
    assert ended(job).state is State.DONE
    assert job.result() == {"said": "go", "arguments": ["wait", str(pipe), "0"]}


def test_the_process_id_of_a_dead_job_is_nobodys(desk: Desk, pipe: Path) -> None:
    """Its number was given to another process, which must not be taken for the job, or be killed in its place."""
    job = desk.start(waits(pipe))
    with pipe.open("w"):
        job.cancel(at_once=True)
        ended(job)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (job.folder / LOCK).write_text(str(other.pid))
        assert job.state is State.STOPPED
        job.cancel(at_once=True)
        other.communicate(b"\n")
        assert other.returncode == 0


def test_what_is_begun_twice_at_once_begins_once(tmp_path: Path, pipe: Path) -> None:
    begin = (
        HERE
        + f"""
from pathlib import Path
from rag.errors import LockedError
from rag.jobs.desk import Desk
from rag.jobs.job import Work
desk = Desk(Path({str(tmp_path / ".jobs")!r}), ('-c', {WAITS!r}))
print('ready', flush=True)
sys.stdin.readline()
try:
    desk.start(Work('sync', 'a', 'a', ('wait', {str(pipe)!r}, '0'), about='reports'))
except LockedError as error:
    print('refused' if 'reports' in str(error) else error)
else:
    print('begun')
"""
    )
    pages = [
        subprocess.Popen([sys.executable, "-c", begin], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(5)
    ]
    for page in pages:
        assert page.stdout
        assert page.stdout.readline() == "ready\n"
    for page in pages:
        assert page.stdin
        page.stdin.write("\n")
        page.stdin.flush()
    said = sorted(page.communicate()[0].strip() for page in pages)
    assert said == ["begun", *["refused"] * 4]
    (job,) = Desk(tmp_path / ".jobs").jobs()
    release(pipe)
    assert ended(job).exit_code == 0


def test_one_job_a_lane(desk: Desk, pipe: Path) -> None:
    job = desk.start(waits(pipe))
    with pytest.raises(LockedError, match=r"reports.*Nothing was begun"):
        desk.start(waits(pipe))
    os.mkfifo(pipe.with_name("other"))
    other = desk.start(waits(pipe.with_name("other"), lane="b"))
    assert {found.id for found in desk.running()} == {job.id, other.id}


@pytest.mark.parametrize("name", ["", ".", "..", "../.jobs", "/etc", "lock", "20260101-101010-xyz", "a" * 300, "a\0b"])
def test_names_from_an_address_lead_nowhere(desk: Desk, name: str) -> None:
    assert desk.find(name) is None


def test_the_oldest_are_forgotten(desk: Desk, pipe: Path) -> None:
    for number in range(KEPT + 5):
        folder = desk.home / f"20200101-101010-{number:08x}"
        folder.mkdir(parents=True)
        write_json(folder / "job.json", {"work": {**_spec(), "kind": str(number)}, "started": float(number)})
        write_json(folder / END, {"code": 0, "ended": 1.0})
    desk.start(waits(pipe))
    ended_ones = [job for job in desk.jobs() if job.state is State.DONE]
    assert [job.work.kind for job in ended_ones] == [str(n) for n in range(KEPT + 4, 4, -1)]


def _spec() -> dict[str, object]:
    return {"kind": "sync", "collection": "a", "lane": "a", "arguments": ["info"]}


def test_a_folder_that_is_no_job_is_passed_over(desk: Desk) -> None:
    for number, content in enumerate(["", "[]", "{}", '{"work": 1}', '{"work": {"kind": "x"}, "started": 0}']):
        folder = desk.home / f"20200101-101010-{number:08x}"
        folder.mkdir(parents=True)
        (folder / "job.json").write_text(content)
    assert desk.jobs() == []


def test_where_nothing_can_be_written_nothing_begins(tmp_path: Path) -> None:
    (tmp_path / ".jobs").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="Nothing was changed"):
        Desk(tmp_path / ".jobs").start(_work(tmp_path))


def _work(tmp_path: Path, *options: str) -> Work:
    settings = {"RAG_INDEXES": str(tmp_path / "indexes"), "RAG_OCR": "off"}
    arguments = ("index", "--json", *options, "--", str(tmp_path / "notes"))
    return Work("sync", "default", "default", arguments, settings, tells=True)


def test_a_folder_is_indexed_by_a_job(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for name in ("fox", "owl", "heron"):
        (tmp_path / "notes" / f"{name}.txt").write_text(f"The {name} lives by the water.")
    job = ended(Desk(tmp_path / ".jobs", ("-c", WORDS)).start(_work(tmp_path)))
    result = job.result()
    assert result, job.log()
    assert (job.exit_code, result["added"], result["passages"]) == (0, 3, 3)
    far = job.progress()
    assert far
    assert (far.unit, far.done, far.total) == (
        "bytes",
        far.total,
        sum(len(f"The {n} lives by the water.") for n in ("fox", "owl", "heron")),
    )
    assert (far.documents_done, far.documents) == (3, 3)
    assert far.began


def test_a_writer_from_elsewhere_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "fox.txt").write_text("The fox lives by the water.")
    home = Collection(tmp_path / "indexes", "default").home
    home.mkdir(parents=True)
    with (home / "writer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        job = ended(Desk(tmp_path / ".jobs", ("-c", WORDS)).start(_work(tmp_path)))
    assert (job.state, job.exit_code, job.result()) == (State.DONE, 4, None)
    assert job.log().startswith("rag: Another process is writing")


def test_a_mistake_of_the_program_leaves_its_traceback(tmp_path: Path) -> None:
    broken = "def main(arguments): raise KeyError('oops')\ncli.main = main\n"
    program = f"{HERE}from rag import cli\nfrom rag.jobs import child\n{broken}sys.exit(child.main(sys.argv[1:]))"
    job = ended(Desk(tmp_path / ".jobs", ("-c", program)).start(_work(tmp_path)))
    assert (job.state, job.exit_code) == (State.DONE, 1)
    assert job.log().endswith("KeyError")
    assert "in main" in job.log()


def test_the_record_of_a_job_is_json_that_others_can_read(desk: Desk, pipe: Path) -> None:
    job = desk.start(waits(pipe))
    spec = json.loads((job.folder / "job.json").read_text())
    assert spec["work"]["arguments"] == ["wait", str(pipe), "0"]
    assert spec["started"] == job.started
