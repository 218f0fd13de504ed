"""`python -m app`: the pages in a browser, and the people who may use them. `rag app` is the same."""

from __future__ import annotations

import argparse
import getpass
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from app import people
from app.server.passwords import Passwords
from app.server.start import HOST, PORT, UPLOAD_LIMIT, Place, serve
from rag import terminal
from rag.compose import PEOPLE
from rag.config import Config, whole_number
from rag.errors import RagError, UsageError

PATIENCE = 0.5  # seconds that threads have to end by themselves
LARGEST_UPLOAD = 4_000  # megabytes: an upload is held in memory
EXIT_CODES = (
    "exit codes: 0 done · 2 wrong argument or setting · 5 or 7 people.json damaged or not writable · 130 Ctrl-C"
)


def main(arguments: Sequence[str] | None = None) -> int:
    signal.signal(signal.SIGTERM, _terminated)
    try:
        options = _parser().parse_args(arguments)
        options.run(options)
        return 0
    except RagError as error:
        terminal.say(f"app: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        if sys.stderr and sys.stderr.isatty():
            terminal.say("")  # the terminal has written ^C
        terminal.say("Stopped.")
        return 128 + signal.SIGINT
    except _Terminated:
        terminal.say("Stopped.")
        return 128 + signal.SIGTERM


class _Terminated(BaseException):
    pass


def _terminated(number: int, frame: object) -> NoReturn:
    raise _Terminated


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; try `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m app", description="Open the page: ask your documents in a browser.", epilog=EXIT_CODES
    )
    parser.set_defaults(run=_serve)
    parser.add_argument("--indexes", metavar="DIR", help="where collections live (default: indexes/)")
    parser.add_argument("--collection", metavar="NAME", help='which collection is shown first (default: "default")')
    parser.add_argument("--store", metavar="URI", help="a Milvus server that holds it: milvus://HOST:19530/NAME")
    parser.add_argument("--port", default=PORT, metavar="N", help=f"port to listen on (default: {PORT}; 0: any)")
    parser.add_argument("--host", default=HOST, help=f"address to listen on (default: {HOST}); others need a login")
    parser.add_argument("--url", default="", help="the address that people open, where a proxy stands in front")
    parser.add_argument(
        "--allow",
        default=os.environ.get("RAG_APP_ALLOW", ""),
        metavar="WHO",
        help="let people log in by the provider in .streamlit/secrets.toml: e-mail addresses, @domains or *",
    )
    parser.add_argument(
        "--upload-limit", default=UPLOAD_LIMIT, metavar="MB", help=f"of one file (default: {UPLOAD_LIMIT})"
    )
    commands = parser.add_subparsers(title="people", metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        made.add_argument("--indexes", default=argparse.SUPPRESS, metavar="DIR", help="where collections live")
        return made

    add = command("add", _add, "give somebody a password, or another one")
    remove = command("remove", _remove, "log somebody out for good; what is theirs stays")
    for parser_ in (add, remove):
        parser_.add_argument("name", metavar="NAME")
    command("people", _people, "who may log in, and where their collections are")
    share = command("share", _share, "let people read a collection")
    unshare = command("unshare", _unshare, "take that back")
    for parser_ in (share, unshare):
        parser_.add_argument("shared", metavar="COLLECTION")
    share.add_argument("names", nargs="+", metavar="NAME", help="who logs in by that name; * for everybody who logs in")
    unshare.add_argument("names", nargs="*", metavar="NAME", help="without any: from everybody")
    return parser


def _config(options: argparse.Namespace) -> Config:
    return Config.from_environment(
        indexes=options.indexes, collection=options.collection, store=getattr(options, "store", None)
    )


def _serve(options: argparse.Namespace) -> None:
    place = Place(
        host=options.host,
        port=whole_number("--port", options.port, 65_535, least=0),
        url=options.url.rstrip("/"),
        allow=options.allow.strip(),
        upload_limit=whole_number("--upload-limit", options.upload_limit, LARGEST_UPLOAD),
    )
    config = _config(options)
    os.environ["RAG_INDEXES"] = str(Path(config.indexes).absolute())  # pages take their settings from here
    os.environ["RAG_COLLECTION"] = config.collection
    os.environ["RAG_STORE"] = config.store
    serve(config, place)


# ------------------------------------------------------------------------------------------------- people


def _passwords(options: argparse.Namespace) -> Passwords:
    return Passwords(_config(options).indexes / PEOPLE)


def _add(options: argparse.Namespace) -> None:
    name = people.called(options.name)
    is_new = _passwords(options).put(name, _asked_password())
    terminal.say(f"{name} can log in now." if is_new else f"{name} has a new password, and is logged out everywhere.")


def _asked_password() -> str:
    """Typed twice, or the first line of what is piped in."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != password:
        raise UsageError("Those were two different passwords. Nothing was changed.")
    return password


def _remove(options: argparse.Namespace) -> None:
    _passwords(options).remove(options.name)
    terminal.say(f"{options.name} cannot log in any more. Their collections and conversations are still there.")


def _people(options: argparse.Namespace) -> None:
    config = _config(options)
    rows = {name: str(people.own(config, people.by_password(name)).indexes) for name in _passwords(options).names()}
    terminal.show_pairs(rows, sys.stdout)
    if not rows:
        terminal.say("Nobody has a password yet: python -m app add NAME.")


def _share(options: argparse.Namespace) -> None:
    _say_readers(options.shared, people.share(_config(options), options.shared, options.names))


def _unshare(options: argparse.Namespace) -> None:
    _say_readers(options.shared, people.unshare(_config(options), options.shared, options.names))


def _say_readers(name: str, readers: list[str]) -> None:
    who = "everybody who logs in" if people.EVERYBODY in readers else ", ".join(readers) or "nobody who logs in"
    terminal.say(f"Collection {name!r} can be read by {who}.")


def _end(code: int) -> NoReturn:
    """Ends the process, though a model may still be writing an answer: what is kept is on disk already."""
    until = time.monotonic() + PATIENCE
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    _end(main())
