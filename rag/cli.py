"""The command line: parse, call, print. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import argparse
import errno
import io
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rag import __version__, terminal
from rag.commands import add_progress_option, asking, evaluation, models, moving, page, training, wikipedia
from rag.errors import RagError, StorageError, UsageError
from rag.progress import sync_progress
from rag.shapes import hits_shape, sync_shape
from rag.types import Origin

if TYPE_CHECKING:
    from rag.config import Config
    from rag.index.seams import Store

EXIT_CODES = (
    "exit codes: 0 all good · 1 a figure below --fail-under · 2 wrong argument or setting · 3 done, with files to look"
    " at · 4 another process is writing · 5 index damaged · 6 model missing · 7 disk full or not writable · 8 too many"
    " questions are waiting · 9 a wiki or a store does not answer · 130 interrupted"
)
TERMINATED = 128 + signal.SIGTERM
PRIVATE = 0o077  # the umask: folders are 0700 and files 0600
UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code. Whatever it makes, its libraries' files too, nobody else can read."""
    before = os.umask(PRIVATE)
    try:
        return _run(arguments)
    finally:
        os.umask(before)


def _run(arguments: Sequence[str] | None) -> int:
    """Only RagErrors and an output that cannot be written are caught: anything else is a bug."""
    signal.signal(signal.SIGTERM, _terminated)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an output that has no "…" shows "?", and ends no command
    try:
        options = _parser().parse_args(arguments)
        code = int(options.run(options))
        _flush()
        return code
    except RagError as error:
        terminal.say(f"rag: {error}")
        return error.exit_code
    except KeyboardInterrupt as stop:
        return _interrupted(str(stop))
    except SystemExit as end:
        if end.code == TERMINATED:
            terminal.say(" ".join(getattr(end, "__notes__", ())) or "Stopped.")  # notes say how far it got
        raise
    except BrokenPipeError:  # the reader of our output has gone: not worth a word
        _give_up_output()
        return 0
    except OSError as error:
        if error.filename is not None or error.errno not in UNWRITABLE:
            raise
        _give_up_output()
        terminal.say(
            f"rag: Cannot write the output: {error.strerror}. What is indexed is safe; write it somewhere else."
        )
        return StorageError.exit_code


def _interrupted(message: str) -> int:
    if sys.stderr and sys.stderr.isatty():
        terminal.say("")  # the terminal has written ^C
    terminal.say(message or "Stopped. What was done is safe; run the same command again to go on.")
    return 130


def _terminated(number: int, frame: object) -> NoReturn:
    raise SystemExit(TERMINATED)


def _flush() -> None:
    """Writes what is buffered now, while what goes wrong can still be reported."""
    if sys.stdout:
        sys.stdout.flush()


def _give_up_output() -> None:
    """What is left in the buffer goes nowhere, or Python would try once more, and complain, at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; try `{self.prog} --help`")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        _flush()  # of --help and --version
        super().exit(status, message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="rag", description="Ask your own documents, with answers that cite their page.", epilog=EXIT_CODES
    )
    parser.add_argument("--version", action="version", version=f"rag {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text, epilog=EXIT_CODES)
        made.set_defaults(run=run)
        made.add_argument("--collection", metavar="NAME", help='which collection (default: "default")')
        made.add_argument("--indexes", type=Path, metavar="DIR", help="where collections live (default: indexes/)")
        made.add_argument("--store", metavar="URI", help="a Milvus server that holds it: milvus://HOST:19530/NAME")
        made.add_argument("--json", action="store_true", help="print the result as JSON")
        return made

    index = command("index", _index, "bring a collection in step with folders or files")
    index.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a folder, or a single file")
    index.add_argument("--dry-run", action="store_true", help="only say what would be done")
    index.add_argument("--prune", action="store_true", help="remove what is gone, even if that is most of it")
    index.add_argument("--wait", action="store_true", help="if another process is writing, wait until it has ended")
    index.add_argument("--ray", metavar="ADDRESS", help="by a Ray cluster (HOST:PORT, auto or local); needs --store")
    index.add_argument("--include", action="append", default=[], metavar="GLOB", help="only files that match")
    index.add_argument("--exclude", action="append", default=[], metavar="GLOB", help="no files that match")

    wikipedia.add(command)

    index.add_argument("--limit", metavar="N", help="of a ZIM archive or XML dump, only the first N articles")
    index.add_argument("--namespace", action="append", type=int, default=[], metavar="N", help="of a dump (default: 0)")
    add_progress_option(index)

    search = command("search", _search, "find the passages that a question is about")
    search.add_argument("question", metavar="QUESTION")
    search.add_argument("-k", default=10, metavar="N", help="how many (default: 10)")
    search.add_argument("--filter", metavar="GLOB", help="only documents or folders that match")
    search.add_argument(
        "--only",
        choices=[origin.value for origin in Origin],
        help="only your own documents, or only Wikipedia's articles",
    )

    asking.add(command)
    page.add(commands)
    command("info", _info, "what a collection holds")
    command("verify", _verify, "prove that a collection is whole")
    command("repair", _repair, "rebuild what can be rebuilt, from the ledger")
    remove = command("remove", _remove, "delete a collection (never your documents)")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    moving.add(command)
    evaluation.add(command)
    models.add(command)
    training.add(command)
    return parser


def _config(options: argparse.Namespace, **given: object) -> Config:
    from rag.config import Config

    where = {"indexes": options.indexes, "collection": options.collection, "store": options.store}
    return Config.from_environment(**where, **given)


def _warn(notes: Sequence[str]) -> None:
    for note in notes:
        terminal.say(f"rag: {note}")


# ----------------------------------------------------------------------------------------------- commands


def _index(options: argparse.Namespace) -> int:
    from rag import compose
    from rag.config import whole_number

    config = _config(options, ray=options.ray)
    waiting = terminal.waiting if options.wait else None
    collection = compose.collection(config, waiting)
    globs, prune = (options.include, options.exclude), options.prune
    limits = (options.limit and whole_number("--limit", options.limit, most=None), options.namespace)
    with sync_progress(options.progress, sys.stderr) as bar:
        sources = [
            compose.archive(path, *limits) or compose.source(config, path, *globs, bar.pages)
            for path in _distinct(options.paths)
        ]
        how: dict[str, Any] = {"prune": prune, "progress": bar}
        actions: list[dict[str, str]] = []
        if options.dry_run:
            plans = [collection.plan(source, root=source.root, prune=prune) for source in sources]
            reports, actions = [report for _, report in plans], [step for steps, _ in plans for step in steps]
        elif config.ray:
            from rag.cluster.begin import by_cluster

            reports = by_cluster(config, sources, globs, limits, waiting=waiting, **how)
        else:
            by = compose.embedder(config)
            reports = [collection.sync(source, by, root=source.root, **how) for source in sources]
    report = terminal.combined(reports)
    if options.json:
        shape = sync_shape(report)
        terminal.show_json({**shape, "actions": actions} if options.dry_run else shape, sys.stdout)
    else:
        terminal.show_sync(report, actions, sys.stdout, dry=options.dry_run)
    return report.exit_code


def _distinct(paths: Sequence[Path]) -> list[Path]:
    """Without those that another one holds, so that nothing is listed or counted twice."""
    real = dict.fromkeys(Path(os.path.realpath(path.expanduser())) for path in paths)
    return [path for path in real if not any(_walked(path, other) for other in real)]


def _walked(path: Path, folder: Path) -> bool:
    """Whether whoever walks `folder` comes by `path`: what is hidden has to be named to be indexed."""
    if folder not in path.parents:
        return False
    return not any(name.startswith((".", "~$")) for name in path.relative_to(folder).parts)


def _search(options: argparse.Namespace) -> int:
    from rag import compose
    from rag.answer import clean_question
    from rag.config import whole_number

    question = clean_question(options.question)
    k = whole_number("-k", options.k)
    config = _config(options)
    collection = compose.collection(config)
    only = options.only and Origin(options.only)
    hits = compose.retriever(config, collection, compose.embedder(config), options.filter, only).retrieve(question, k)
    _warn(collection.notes)
    if options.json:
        terminal.show_json({"question": question, "hits": hits_shape(hits)}, sys.stdout)
    else:
        terminal.show_hits(hits, sys.stdout)
    return 0


def _info(options: argparse.Namespace) -> int:
    from rag import compose

    info = compose.collection(_config(options)).info()
    if options.json:
        terminal.show_json(info, sys.stdout)
    else:
        terminal.show_pairs(info, sys.stdout)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from rag import compose

    collection = compose.collection(_config(options))
    problems = collection.verify()
    if options.json:
        terminal.show_json({"collection": collection.name, "whole": not problems, "problems": problems}, sys.stdout)
    else:
        print("\n".join(map(terminal.plain, problems)) or f"Collection {collection.name!r} is whole.")
    return 5 if problems else 0


def _repair(options: argparse.Namespace) -> int:
    from rag import compose

    collection = compose.collection(_config(options))
    done = collection.repair()
    if options.json:
        terminal.show_json({"collection": collection.name, "done": done}, sys.stdout)
    else:
        print("\n".join(map(terminal.plain, done)) or f"Collection {collection.name!r} is whole; nothing to repair.")
    return 0


def _remove(options: argparse.Namespace) -> int:
    from rag import compose

    collection = compose.collection(_config(options))
    if not options.yes and not (sys.stdin and sys.stdin.isatty()):
        raise UsageError(f"Nobody can be asked here whether to delete {collection.name!r}; add --yes to do so.")
    removed = options.yes or not collection.exists() or _agreed(collection)
    if removed:
        collection.remove()
    if options.json:
        terminal.show_json({"collection": collection.name, "removed": removed}, sys.stdout)
    elif removed:
        print(f"Removed collection {collection.name!r}. The documents themselves are untouched.")
    else:
        print("Nothing was removed.")
    return 0


def _agreed(collection: Store) -> bool:
    """Asks. A collection too damaged to be counted can be removed like any other."""
    try:
        held = terminal.counted(collection.info()["documents"], "document")
    except RagError:
        held = "unreadable"
    print(f"Delete collection {collection.name!r} ({held})? [y/N] ", end="", flush=True, file=sys.stderr)
    try:
        return input().strip().lower() in {"y", "yes"}
    except EOFError:
        terminal.say("")  # Ctrl-D ends no line
        return False
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Nothing was removed.") from None


if __name__ == "__main__":
    sys.exit(main())
