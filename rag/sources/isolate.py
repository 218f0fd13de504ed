"""Child processes that read hostile files: limited in memory and time, killed when they hang, replaced when they
die. Parent and child speak JSON lines over pipes; nothing is pickled, so a child that a file has taken over can
send its parent text and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from rag.errors import StorageError

PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
JOBS_PER_CHILD = 200  # then a fresh process: what leaks in a native library stays bounded
TICK = 1.0  # seconds between looks at the clock
CHUNK = 1 << 18
MOST_PATIENCE = 4  # times its limit of time is what a job may take on a busy machine
READER = ("-m", "rag.sources.child")  # what the interpreter is told to run


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may use: seconds of wall-clock time, bytes of address space, bytes of answer."""

    seconds: float = 30.0
    memory: int = 1 << 30
    answer: int = 256 << 20


class ChildError(Exception):
    """A child did not finish its job. What it had sent before was delivered."""


class TimedOutError(ChildError):
    pass


class TooLongError(ChildError):
    """The child sent more than an answer may hold."""


class DiedError(ChildError):
    """The process ended, or spoke nonsense. `code` is its exit code, negative for a signal."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the child process ended with code {code}")
        self.code = code


class Child:
    """One process of this interpreter running `program`, started when first needed and again after it died.

    Owned by one thread, which also starts the process: the kernel ends a child with the thread that started it.
    Only `interrupt` may be called by others. `spent` is how many seconds of its limit the last job has used.
    """

    def __init__(self, limits: Limits, program: Sequence[str] = READER) -> None:
        self.limits = limits
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._jobs = 0
        self._interrupted = False
        self.spent = 0.0

    def ask(
        self, job: Mapping[str, Any], seconds: float | None = None, patience: float | None = None
    ) -> Iterator[dict[str, Any]]:
        """The child's messages about `job` as they come, up to and including the one of kind "end".

        Raises ChildError when the child took more than `seconds` in all (default: its limit) or more than `patience`
        (default: no limit) between two messages, died, or would not stop sending. An iterator that is not used up
        costs the child its life.
        """
        process = self._ready()
        finished = False
        try:
            _pipe(process.stdin).write(json.dumps(job).encode() + b"\n")
            _pipe(process.stdin).flush()
            seconds = self.limits.seconds if seconds is None else seconds
            for line in self._lines(process, seconds, seconds if patience is None else patience):
                message = json.loads(line)
                finished = message["kind"] == "end"
                yield message
                if finished:
                    return
        except (BrokenPipeError, ValueError, TypeError, KeyError, RecursionError):
            raise DiedError(_end(process)) from None
        finally:
            if not finished:
                self.close()

    def interrupt(self) -> None:
        """Make a running `ask`, and every later one, raise DiedError soon. Any thread may call this."""
        self._interrupted = True
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            _pipe(process.stdout).close()
            with contextlib.suppress(BrokenPipeError):
                _pipe(process.stdin).close()

    def _ready(self) -> subprocess.Popen[bytes]:
        if self._process is not None and (self._jobs >= JOBS_PER_CHILD or self._process.poll() is not None):
            self.close()
        if self._process is None:
            self._process = _start(self._program, self.limits.memory)
            self._jobs = 0
        if self._interrupted:  # also if it was while the process started
            self.close()
            raise DiedError(-signal.SIGKILL)
        self._jobs += 1
        return self._process

    def _lines(self, process: subprocess.Popen[bytes], seconds: float, patience: float) -> Iterator[bytes]:
        """Lines as they come. A wait counts as two ticks at most, so that a run that was stopped for a while
        (Ctrl-Z, a laptop asleep) does not find its children overdue; time spent elsewhere does not count, nor, up to
        a point, time in which the child could not run because others did: a verdict is of the file, not of the day."""
        descriptor = _pipe(process.stdout).fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        pending: list[bytes] = []
        whole, quiet = _Watch(process.pid, seconds), _Watch(process.pid, patience)
        received = 0
        self.spent = 0.0
        while True:
            before = time.monotonic()
            ready = poll.poll(max(min(TICK, whole.left(), quiet.left()), 0.0) * 1000)
            passed = min(time.monotonic() - before, 2 * TICK)
            whole.passed(passed)
            quiet.passed(passed)
            self.spent = seconds - whole.left()
            if ready:
                data = os.read(descriptor, CHUNK)
                if not data:
                    raise DiedError(_end(process))
                received += len(data)
                if received > self.limits.answer:
                    raise TooLongError(f"more than {self.limits.answer} bytes")
                head, newline, tail = data.rpartition(b"\n")
                if newline:
                    yield from b"".join([*pending, head]).split(b"\n")
                    pending = []
                pending.append(tail)
                quiet = _Watch(process.pid, patience)
            if whole.left() <= 0 or quiet.left() <= 0:
                raise TimedOutError(f"no end after {whole.waited:.1f} s")


class _Watch:
    """Counts seconds up to a limit, which time that a process spent waiting for a processor puts off."""

    def __init__(self, pid: int, limit: float) -> None:
        self.waited = 0.0
        self._pid = pid
        self._limit = self._due = limit
        self._idle = _idled(pid)

    def left(self) -> float:
        return self._due - self.waited

    def passed(self, seconds: float) -> None:
        self.waited += seconds
        if self.left() <= TICK:
            self._due = min(self._limit + _idled(self._pid) - self._idle, MOST_PATIENCE * self._limit)


def _idled(pid: int) -> float:
    """Seconds for which a process was ready to run and did not; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_bytes().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _start(program: Sequence[str], memory: int) -> subprocess.Popen[bytes]:
    """Raises StorageError if the system will not start it."""
    # -P: `rag index .` must not import a json.py that lies in the folder it reads.
    paths = [PACKAGE_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        return subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", *program, str(memory), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
    except OSError as error:
        raise StorageError(
            f"No process can be started to read files with ({sys.executable}: {error.strerror}). What is indexed "
            "already is safe. Close other programs, see that this Python still lies there, and run again."
        ) from error


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None, "Popen was given pipes"
    return stream


def _end(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a process that closed its pipe, helped along if it goes on living."""
    try:
        return process.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
