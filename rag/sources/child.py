"""The program that a child process runs: `python -m rag.sources.child MEMORY PARENT_PID`.

One job a line on standard input, many messages a line each on standard output, {"kind": "end", ...} last. It
imports no reader before a job needs it, so it is ready in some 50 ms.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import IO, Any

from rag.sources import formats
from rag.sources.parts import UNSAFE, Drawing, Facts, Part, RefusedError, to_wire
from rag.types import Outcome, Status

MAX_FILE = 512 << 20  # bytes: a file is held in memory, inside the child's limit


def serve(work: Callable[[Mapping[str, Any]], Iterator[dict[str, Any]]]) -> None:
    """Answers jobs until standard input ends. The last two arguments of the program are its limit of memory, in
    bytes, and its parent's process id."""
    _restrain(int(sys.argv[-2]), int(sys.argv[-1]))
    answers = _private_stdout()
    for line in sys.stdin:
        for message in work(json.loads(line)):
            answers.write(json.dumps(message) + "\n")
            answers.flush()


def _restrain(memory: int, parent: int) -> None:
    import resource

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends us
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: no orphan goes on eating memory
        if os.getppid() != parent:  # it died before we asked
            sys.exit()
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _private_stdout() -> IO[str]:
    """Standard output for us alone: what a library prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    return answers


def _work(job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    outcome: Outcome | None = None
    try:
        for message in _read(job):
            yield to_wire(message)
    except RefusedError as refused:
        outcome = refused.outcome
    except MemoryError:
        outcome = Outcome(Status.LIMIT, "Stopped: it needs more memory than a file may use", UNSAFE)
    except Exception as error:  # the isolation border: whatever a library raises on a broken file is a verdict on it
        reason = f"Broken: it cannot be read ({type(error).__name__})"
        outcome = Outcome(Status.DAMAGED, reason, "Open it and save it again.")
    yield {"kind": "end", "outcome": outcome and asdict(outcome)}


def _read(job: Mapping[str, Any]) -> Iterator[Part | Facts | Drawing]:
    format_, version = str(job["format"]), str(job["version"])
    path = os.fsencode(job["path"])
    match format_:
        case formats.PDF:
            from rag.sources import pdf

            yield from pdf.read(_content(path, version), int(job["first"]), job["last"], job["engine"])
        case formats.PICTURES:
            from rag.sources import recognition

            yield recognition.read(None if recognition.holds(version) else _content(path, version), job)
        case formats.DRAWING:
            from rag.sources import drawing

            yield drawing.draw(_content(path, version, "since it was indexed", "Index it again."), job)
        case formats.DOCX | formats.PPTX | formats.XLSX:
            from rag.sources import office

            yield from office.read(_content(path, version), format_)
        case _:
            from rag.sources import text

            yield from text.read(_content(path, version), format_)


def _content(path: bytes, version: str, since: str = "while it was read", remedy: str = "Run again.") -> bytes:
    """The file's bytes, if they are still those that were scanned."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise RefusedError(Status.UNREADABLE, f"Changed {since}", remedy)
            if status.st_size > MAX_FILE:
                raise RefusedError(Status.LIMIT, f"Larger than {MAX_FILE >> 20} MB", "Split the file.")
            data = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        raise RefusedError(Status.UNREADABLE, f"Vanished {since}", remedy) from None
    except OSError as error:
        raise RefusedError(Status.UNREADABLE, str(error.strerror), "Check the disk and run again.") from None

    if f"sha256:{hashlib.sha256(data).hexdigest()}" != version:
        raise RefusedError(Status.UNREADABLE, f"Changed {since}", remedy)
    return data


if __name__ == "__main__":
    serve(_work)
