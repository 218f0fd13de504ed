"""A child process that does to its parent what a hostile file could make it do."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rag.sources import child

MISBEHAVING = (str(Path(__file__)),)  # the program, for a Child to run


def hang() -> None:
    while True:
        signal.pause()


def spin() -> None:
    while True:
        pass


def eat() -> None:
    """Twice what it is given: without a limit it would come to its end."""
    hoard = [bytearray(64 << 20) for _ in range(32)]
    assert hoard


def flood() -> None:
    while True:
        os.write(ANSWERS, b'{"kind": "part", "text": "%s"}\n' % (b"x" * 4096))


def chatter() -> None:
    sys.stdout.write("a library that prints")
    sys.stdout.flush()
    os.write(1, b"a native library that prints\n")


DEEDS: dict[str, Callable[[], object]] = {
    "hang": hang,
    "spin": spin,
    "eat": eat,
    "flood": flood,
    "chatter": chatter,
    "abort": os.abort,
    "exit": lambda: os._exit(7),
    "nonsense": lambda: os.write(ANSWERS, b"}{\n"),
    "interrupt": lambda: os.kill(os.getpid(), signal.SIGINT),
    "nothing": lambda: None,
}


def work(job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"kind": "part", "pid": os.getpid()}
    DEEDS[job["do"]]()
    yield {"kind": "end"}


def has_ended(pid: int) -> bool:
    """Waits until a process that is no child of ours has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 10)[0])
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    ANSWERS = os.dup(1)  # before it is made private
    child.serve(work)
