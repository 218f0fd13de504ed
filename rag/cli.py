"""The command line: parse, call, print. Results go to standard output, everything else to standard error."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rag import __version__
from rag.errors import RagError, UsageError
from rag.evaluation.commands import add_commands

if TYPE_CHECKING:
    from rag.config import Config
    from rag.types import Answer, Hit

EXIT_CODES = (
    "exit codes: 0 all good · 2 wrong argument or setting · 3 done, with files to look at · 4 another process is"
    " writing · 5 index damaged · 6 model missing · 7 disk full or not writable · 130 interrupted"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code. Only RagErrors are caught: anything else is a bug."""
    signal.signal(signal.SIGTERM, _terminated)
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except RagError as error:
        print(f"rag: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nStopped. What was done is safe; run the same command again to go on.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone: not worth a word
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _terminated(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rag", description="Ask your own documents, with answers that cite their page.", epilog=EXIT_CODES
    )
    parser.add_argument("--version", action="version", version=f"rag {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text, epilog=EXIT_CODES)
        made.set_defaults(run=run)
        made.add_argument("--collection", metavar="NAME", help='which collection (default: "default")')
        made.add_argument("--indexes", type=Path, metavar="DIR", help="where collections live (default: indexes/)")
        made.add_argument("--json", action="store_true", help="print the result as JSON")
        return made

    index = command("index", _index, "bring a collection in step with folders or files")
    index.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a folder, or a single file")
    index.add_argument("--dry-run", action="store_true", help="only say what would be done")
    index.add_argument("--prune", action="store_true", help="remove what is gone, even if that is most of it")
    index.add_argument("--include", action="append", default=[], metavar="GLOB", help="only files that match")
    index.add_argument("--exclude", action="append", default=[], metavar="GLOB", help="no files that match")

    search = command("search", _search, "find the passages that a question is about")
    search.add_argument("question", metavar="QUESTION")
    search.add_argument("-k", type=int, default=10, metavar="N", help="how many (default: 10)")
    search.add_argument("--filter", metavar="GLOB", help="only documents or folders that match")

    ask = command("ask", _ask, "answer a question, citing pages")
    ask.add_argument("question", metavar="QUESTION")
    ask.add_argument("-k", type=int, metavar="N", help="passages to read (default: 8)")
    ask.add_argument("--filter", metavar="GLOB", help="only documents or folders that match")
    ask.add_argument("--model", metavar="NAME", help="who writes: extractive (default), or a chat model")

    command("info", _info, "what a collection holds")
    command("verify", _verify, "prove that a collection is whole")
    command("repair", _repair, "rebuild what can be rebuilt, from the ledger")
    remove = command("remove", _remove, "delete a collection (never your documents)")
    remove.add_argument("--yes", action="store_true", help="do not ask")
    add_commands(command)
    return parser


def _config(options: argparse.Namespace, **given: object) -> Config:
    from rag.config import Config

    return Config.from_environment(indexes=options.indexes, collection=options.collection, **given)


def _warn(notes: Sequence[str]) -> None:
    for note in notes:
        print(f"rag: {note}", file=sys.stderr)


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


# ----------------------------------------------------------------------------------------------- commands


def _index(options: argparse.Namespace) -> int:
    from rag import config as compose
    from rag import terminal

    config = _config(options)
    collection = compose.collection(config)
    with terminal.SyncProgress(sys.stderr) as bar:
        sources = [compose.source(config, path, options.include, options.exclude, bar.pages) for path in options.paths]
        if options.dry_run:
            plans = [collection.plan(source, root=source.root, prune=options.prune) for source in sources]
            reports, actions = [report for _, report in plans], [step for steps, _ in plans for step in steps]
        else:
            by = compose.embedder(config)
            how: dict[str, Any] = {"prune": options.prune, "progress": bar.documents}
            reports, actions = [collection.sync(source, by, root=source.root, **how) for source in sources], []
    report = terminal.combined(reports)
    if options.json:
        listed = {**asdict(report), "files": [file.as_json() for file in report.files]}
        _print_json({**listed, "actions": actions} if options.dry_run else listed)
    else:
        terminal.show_sync(report, actions, sys.stdout, dry=options.dry_run)
    return report.exit_code


def _search(options: argparse.Namespace) -> int:
    from rag import config as compose
    from rag import terminal
    from rag.answer import clean_question

    question = clean_question(options.question)
    k = _positive(options.k)
    config = _config(options)
    collection = compose.collection(config)
    hits = compose.retriever(config, collection, compose.embedder(config), options.filter).retrieve(question, k)
    _warn(collection.notes)
    if options.json:
        _print_json({"question": question, "hits": _hits(hits)})
    else:
        terminal.show_hits(hits, sys.stdout)
    return 0


def _ask(options: argparse.Namespace) -> int:
    from rag import config as compose
    from rag import terminal
    from rag.answer import clean_question

    config = _config(options, model=options.model, passages=options.k)
    question = clean_question(options.question)
    collection = compose.collection(config)
    asker = compose.asker(config, collection, options.filter)
    _warn(collection.notes)
    if options.json:
        _print_json(_answer(asker.ask(question, config.passages)))
    else:
        terminal.show_answer(asker.stream(question, config.passages), sys.stdout)
    return 0


def _info(options: argparse.Namespace) -> int:
    from rag import config as compose
    from rag import terminal

    info = compose.collection(_config(options)).info()
    if options.json:
        _print_json(info)
    else:
        terminal.show_pairs(info, sys.stdout)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from rag import config as compose

    collection = compose.collection(_config(options))
    problems = collection.verify()
    if options.json:
        _print_json({"collection": collection.name, "whole": not problems, "problems": problems})
    else:
        print("\n".join(problems) if problems else f"Collection {collection.name!r} is whole.")
    return 5 if problems else 0


def _repair(options: argparse.Namespace) -> int:
    from rag import config as compose

    collection = compose.collection(_config(options))
    done = collection.repair()
    if options.json:
        _print_json({"collection": collection.name, "done": done})
    else:
        print("\n".join(done) if done else f"Collection {collection.name!r} is whole; nothing to repair.")
    return 0


def _remove(options: argparse.Namespace) -> int:
    from rag import config as compose

    collection = compose.collection(_config(options))
    info = collection.info()
    if sys.stdin.isatty() and not options.yes:
        print(f"Delete collection {collection.name!r} ({info['documents']} documents)? [y/N] ", end="", file=sys.stderr)
        if input().strip().lower() not in {"y", "yes"}:
            raise UsageError("Nothing was removed.")
    collection.remove()
    if options.json:
        _print_json({"collection": collection.name, "removed": True})
    else:
        print(f"Removed collection {collection.name!r}. The documents themselves are untouched.")
    return 0


# --------------------------------------------------------------------------------------------- JSON shapes


def _positive(number: int) -> int:
    if not 1 <= number <= 1000:
        raise UsageError(f"-k is {number}; it takes a whole number from 1 to 1000.")
    return number


def _hits(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    return [
        {
            "rank": rank,
            "score": round(hit.score, 6),
            "document": hit.passage.document,
            "uri": hit.passage.uri,
            "title": hit.passage.title,
            "place": hit.passage.place,
            "page": hit.passage.page,
            "start": hit.passage.start,
            "end": hit.passage.end,
            "text": hit.passage.text,
        }
        for rank, hit in enumerate(hits, 1)
    ]


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "question": answer.question,
        "answer": answer.text,
        "abstained": answer.abstained,
        "model": answer.model,
        "citations": [
            {
                "number": citation.number,
                "document": citation.passage.document,
                "page": citation.passage.page,
                "place": citation.passage.place,
                "text": citation.passage.text,
                "supported": citation.supported,
            }
            for citation in answer.citations
        ],
        "hits": _hits(answer.hits),
        "unsupported": list(answer.unsupported),
        "dropped_markers": list(answer.dropped_markers),
        "timings": {stage: round(seconds, 4) for stage, seconds in answer.timings.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
