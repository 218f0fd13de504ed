"""Child processes that read hostile files: limited in memory and time, killed when they hang, replaced when they
die. Parent and child speak JSON lines over pipes; nothing is pickled, so a child that a file has taken over can
send its parent text and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, TypeVar

J = TypeVar("J")
R = TypeVar("R")

PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
JOBS_PER_CHILD = 200  # then a fresh process: what leaks in a native library stays bounded
TICK = 1.0  # seconds between looks at the clock
CHUNK = 1 << 18


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
    """One process that runs `rag.sources.child`, started when first needed and again after it died.

    Owned by one thread, which also starts the process: the kernel ends a child with the thread that started it.
    Only `interrupt` may be called by others.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._jobs = 0

    def ask(self, job: Mapping[str, Any], seconds: float | None = None) -> Iterator[dict[str, Any]]:
        """The child's messages about `job` as they come, up to and including the one of kind "end".

        Raises ChildError when the child overran `seconds` (default: its limit), died, or would not stop sending.
        An iterator that is not used up costs the child its life.
        """
        process = self._ready()
        finished = False
        try:
            _pipe(process.stdin).write(json.dumps(job).encode() + b"\n")
            _pipe(process.stdin).flush()
            for line in self._lines(process, self.limits.seconds if seconds is None else seconds):
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
        """Make a running `ask` raise DiedError soon. Any thread may call this."""
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
            self._process = _start(self.limits.memory)
            self._jobs = 0
        self._jobs += 1
        return self._process

    def _lines(self, process: subprocess.Popen[bytes], seconds: float) -> Iterator[bytes]:
        """Lines as they come. A wait counts as two ticks at most, so that a run that was stopped for a while
        (Ctrl-Z, a laptop asleep) does not find its children overdue; time spent elsewhere does not count."""
        descriptor = _pipe(process.stdout).fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        pending: list[bytes] = []
        waited, received = 0.0, 0
        while True:
            before = time.monotonic()
            ready = poll.poll(TICK * 1000)
            waited += min(time.monotonic() - before, 2 * TICK)
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
            if waited >= seconds:
                raise TimedOutError(f"no end after {seconds:g} s")


def _start(memory: int) -> subprocess.Popen[bytes]:
    # -P: `rag index .` must not import a json.py that lies in the folder it reads.
    paths = [PACKAGE_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-P", "-m", "rag.sources.child", str(memory), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )


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


def run(jobs: Iterable[J], task: Callable[[Child, J], R], workers: int, limits: Limits) -> Generator[R]:
    """`task(child, job)` for every job, in `workers` threads with a child each; results as they finish.

    Takes a new job only when fewer than 2 * `workers` results wait to be fetched, so a slow consumer bounds the
    memory. Closing the iterator kills the children. An exception of `task` or `jobs` is raised here.
    """
    queue: SimpleQueue[R | BaseException | None] = SimpleQueue()  # None: a thread has ended
    room = threading.Semaphore(2 * workers)
    lock = threading.Lock()
    stopped = threading.Event()
    source = iter(jobs)
    children = [Child(limits) for _ in range(workers)]

    def serve(child: Child) -> None:
        try:
            while room.acquire() and not stopped.is_set():
                with lock:
                    job = next(source, _NOTHING)
                if isinstance(job, _Nothing):
                    break
                queue.put(task(child, job))
        except BaseException as error:  # crosses to the consumer's thread, which raises it
            queue.put(error)
        finally:
            child.close()
            queue.put(None)

    threads = [threading.Thread(target=serve, args=(child,), daemon=True) for child in children]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            while (result := queue.get()) is not None:
                room.release()
                if isinstance(result, BaseException):
                    raise result
                yield result
    finally:
        stopped.set()
        for thread, child in zip(threads, children, strict=True):
            room.release()
            child.interrupt()
            thread.join()


class _Nothing:
    pass


_NOTHING = _Nothing()
