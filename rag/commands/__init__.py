"""What `rag` can be told to do, a file a family of commands: each parses, calls and prints."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

Run = Callable[[argparse.Namespace], int]


class Command(Protocol):
    """Makes the parser of a command, which has --collection, --indexes and --json already."""

    def __call__(self, name: str, run: Run, text: str) -> argparse.ArgumentParser: ...


def add_progress_option(parser: argparse.ArgumentParser) -> None:
    """For programs that start a command and want to tell people how it gets on."""
    parser.add_argument("--progress", type=Path, metavar="FILE", help="keep how far it is in FILE, as JSON")
