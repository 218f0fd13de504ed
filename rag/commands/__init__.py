"""What `rag` can be told to do, a file a family of commands: each parses, calls and prints."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Protocol

Run = Callable[[argparse.Namespace], int]


class Command(Protocol):
    """Makes the parser of a command, which has --collection, --indexes and --json already."""

    def __call__(self, name: str, run: Run, text: str) -> argparse.ArgumentParser: ...
