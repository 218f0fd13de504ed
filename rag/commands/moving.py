"""`rag reembed`: parse, call and print. A face like `rag.cli`, which takes it in."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag import terminal
from rag.commands import Command, add_progress_option
from rag.errors import UsageError
from rag.progress import sync_progress

if TYPE_CHECKING:
    from rag.config import Config
    from rag.index.reembed import Reembedding
    from rag.types import Embedder, Fingerprint


def add(command: Command) -> None:
    """Adds it; `command` makes a parser that has --collection, --indexes and --json already."""
    reembed = command("reembed", _reembed, "bring a collection over to another embedding model")
    reembed.add_argument("--model", default="", metavar="NAME", help="a name, a folder or a hub id")
    reembed.add_argument("--rollback", action="store_true", help="go back to the former vectors")
    reembed.add_argument("--drop", action="store_true", help="give up the former vectors, or half-made ones")
    add_progress_option(reembed)


def _reembed(options: argparse.Namespace) -> int:
    from rag import compose
    from rag.config import Config
    from rag.index.reembed import drop_side, reembed, roll_back

    if options.rollback and options.drop:
        raise UsageError("--drop gives up the vectors that --rollback goes back to: choose one. Nothing was changed.")
    config = Config.from_environment(indexes=options.indexes, collection=options.collection)
    collection = compose.collection(config)
    if options.drop and not options.model:
        return _dropped(options, collection.name, drop_side(collection))
    collection.require()

    def former(made_by: Fingerprint, called: str) -> Embedder:
        return compose.named_embedder(config, options.model or compose.own_embedder(made_by, called))

    with sync_progress(options.progress, sys.stderr) as bar:
        how: dict[str, Any] = {"progress": bar, "wait": terminal.waiting}
        try:
            if options.rollback:
                done = roll_back(collection, former, **how)
            else:
                by = compose.named_embedder(config, options.model) if options.model else compose.embedder(config)
                done = reembed(collection, by, _lasting(options.model), drop=options.drop, **how)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(bar.stopped()) from None
    if options.json:
        terminal.show_json(asdict(done), sys.stdout)
    else:
        terminal.show_lines(_told(done), sys.stdout)
    _warn_of_a_setting(config, collection.name)
    return 0


def _lasting(model: str) -> str:
    """A model's name that means the same wherever a command is run."""
    folder = Path(model).expanduser()
    return str(folder.resolve()) if model and folder.is_dir() else model


def _dropped(options: argparse.Namespace, name: str, freed: int) -> int:
    if options.json:
        terminal.show_json({"collection": name, "freed": freed}, sys.stdout)
    else:
        room = f"{_megabytes(freed)} freed" if freed else "what is indexed next takes their place on disk"
        terminal.show_lines([f"The other vectors of collection {name!r} are gone; {room}."], sys.stdout)
    return 0


def _told(done: Reembedding) -> list[str]:
    if not done.switched:
        return [f"Collection {done.collection!r} is embedded by {done.model} already; nothing to do."]
    held = f"{terminal.counted(done.documents, 'document')}, {terminal.counted(done.passages, 'passage')}"
    return [
        f"Collection {done.collection!r} is searched by {done.model} from now on: {held}; "
        f"{done.embedded} embedded now, in {done.seconds:.1f} s.",
        f"The former vectors, by {done.former}, are kept (about {_megabytes(done.former_bytes)}): "
        "`rag reembed --rollback` goes back to them, `rag reembed --drop` gives them up.",
    ]


def _warn_of_a_setting(config: Config, name: str) -> None:
    """A variable that names the embedder of before would be refused with the next question."""
    if "RAG_EMBEDDER" in os.environ:
        terminal.say(f"rag: RAG_EMBEDDER is {config.embedder}; unless that embedded {name!r}, unset it to ask.")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
