"""`rag app`: hands over to the application, which is a program of its own (`python -m app`) and takes the arguments."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, NoReturn

PROGRAM = ("-P", "-m", "app")  # -P: and not to a folder of that name where it is started


def add(commands: Any) -> None:
    """No argument is an option of this parser: all of them are passed on as they stand, --help too."""
    made = commands.add_parser("app", help="open the page: ask in a browser", add_help=False, prefix_chars="\0")
    made.add_argument("arguments", nargs=argparse.REMAINDER)
    made.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *PROGRAM, *options.arguments])  # noqa: S606 - no shell, our own program
