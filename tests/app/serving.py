"""The application in a process of its own, as people start it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60  # seconds for what takes two on a quiet machine


@dataclass
class Served:
    process: subprocess.Popen[str]
    url: str
    said: list[str]  # before it was ready
    took: float  # seconds, until then

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stopped(self) -> tuple[int, str]:
        """Its exit code, and what it said last."""
        _, said = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said


def environment(home: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "STREAMLIT_"))}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), **variables}


def told(home: Path, *arguments: str, typed: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """What comes of a command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=home,
        env=environment(home, **variables),
        input=typed,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@contextmanager
def served(home: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Started in the folder `home`, which is also the home of whoever starts it."""
    command = [sys.executable, "-m", "app", "--port", "0", *arguments]
    how = {"cwd": home, "env": environment(home, **(variables or {})), "text": True, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **how) as process:  # type: ignore[call-overload]
        try:
            began, said = time.monotonic(), list[str]()
            for line in process.stderr:
                said.append(line)
                if found := re.search(r"Beluga RAG is at (http://\S+:\d+);", line):
                    yield Served(process, found[1], said, time.monotonic() - began)
                    return
            raise AssertionError(f"it did not start: {''.join(said)}")
        finally:
            process.kill()
