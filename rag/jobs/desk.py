"""Where jobs are begun and found again, by whoever looks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from rag.errors import LockedError, StorageError
from rag.jobs.job import LOCK, LOG, PROGRESS, RESULT, SPEC, Job, State, Work, make_private, read_job, write_json

PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
KEPT = 50  # jobs that have ended
PROGRAM = ("-m", "rag.jobs.child")  # what the interpreter is told to run
_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")


class Desk:
    """The jobs below a folder. All errors are LockedError, for work of which there is some already, or StorageError."""

    def __init__(self, home: Path, program: tuple[str, ...] = PROGRAM) -> None:
        self.home = home
        self._program = program

    def jobs(self) -> list[Job]:
        """The newest first."""
        try:
            folders = [path for path in self.home.iterdir() if _ID.fullmatch(path.name)]
        except OSError:
            return []
        found = [job for folder in folders if (job := read_job(folder))]
        return sorted(found, key=lambda job: job.started, reverse=True)

    def find(self, id_: str) -> Job | None:
        """Ids come from addresses: what is none is not looked for."""
        return read_job(self.home / id_) if _ID.fullmatch(id_) else None

    def running(self, lane: str | None = None) -> list[Job]:
        return [job for job in self.jobs() if lane in (None, job.work.lane) and job.state is State.RUNNING]

    def start(self, work: Work) -> Job:
        """Begins it in a process of its own, which runs on when this one ends."""
        with self._alone():
            if others := self.running(work.lane):
                raise LockedError(
                    f"A job is running already ({_called(others[0])}). Nothing was begun: wait "
                    "until it has ended, or stop it. Searching and asking go on meanwhile."
                )
            self._tidy()
            return self._begin(work)

    def _begin(self, work: Work) -> Job:
        """The lock is taken here and handed to the process: from the first moment on, the job is seen to run."""
        now = time.time()
        folder = self.home / f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{secrets.token_hex(4)}"
        try:
            folder.mkdir(mode=0o700)
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise _unwritable(folder, error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            job = Job(folder, work, now)
            write_json(folder / SPEC, {"work": asdict(work), "started": now})
            self._run(job, lock)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise _unwritable(folder, error) from error
        finally:
            os.close(lock)
        return job

    def _run(self, job: Job, lock: int) -> None:
        command, *rest = job.work.arguments
        told = ["--progress", str(job.folder.resolve() / PROGRESS)] if job.work.tells else []
        paths = [PACKAGE_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
        with _private(job.folder / RESULT) as result, _private(job.folder / LOG) as log:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-P", *self._program, str(job.folder), str(lock), command, *told, *rest],
                stdin=subprocess.DEVNULL,
                stdout=result,
                stderr=log,
                pass_fds=[lock],
                start_new_session=True,  # Ctrl-C in the page's terminal is not for it
                env={**os.environ, **job.work.settings, "PYTHONPATH": os.pathsep.join(paths)},
            )
        threading.Thread(target=process.wait, daemon=True).start()  # or its entry would stay in the table of processes

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two tabs that begin the same work at the same moment begin it once."""
        try:
            make_private(self.home)
            handle = os.open(self.home / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _unwritable(self.home, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _tidy(self) -> None:
        """Forgets the oldest of the jobs that have ended."""
        ended = [job for job in self.jobs() if job.state is not State.RUNNING]
        for job in ended[KEPT:]:
            shutil.rmtree(job.folder, ignore_errors=True)


def _called(job: Job) -> str:
    return job.work.about or job.work.kind


@contextmanager
def _private(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        yield handle
    finally:
        with contextlib.suppress(OSError):
            os.close(handle)


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(f"Cannot begin a job in {path}: {error.strerror}. Nothing was changed.")
