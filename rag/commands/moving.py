"""`rag export`, `rag import` and `rag reembed`: parse, call and print. A face like `rag.cli`, which takes them in."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag import terminal
from rag.commands import Command, add_progress_option
from rag.errors import RagError, UsageError
from rag.progress import sync_progress

if TYPE_CHECKING:
    from rag.config import Config
    from rag.index.portable.importing import Import
    from rag.index.reembed import Reembedding
    from rag.types import Embedder, Fingerprint


def add(command: Command) -> None:
    """Adds the three; `command` makes a parser that has --collection, --indexes and --json already."""
    export = command("export", _export, "write a collection to one file, to keep it or carry it elsewhere")
    export.add_argument(
        "file", type=Path, metavar="FILE", help="a ZIP archive of the documents' text, paths and vectors"
    )
    export.add_argument("--force", action="store_true", help="replace FILE if it is there")
    import_ = command("import", _import, "make a collection of such a file, without embedding it")
    import_.add_argument("file", type=Path, metavar="FILE", help="what `rag export` wrote")
    import_.add_argument(
        "--root", action="append", default=[], metavar="OLD=NEW", help="the folder OLD of the export is NEW here"
    )
    import_.add_argument("--replace", action="store_true", help="put it in the place of a collection that is there")
    import_.add_argument("--dry-run", action="store_true", help="only check the file, and say what it holds")
    reembed = command("reembed", _reembed, "bring a collection over to another embedding model")
    reembed.add_argument("--model", default="", metavar="NAME", help="a name, a folder or a hub id")
    reembed.add_argument("--rollback", action="store_true", help="go back to the former vectors")
    reembed.add_argument("--drop", action="store_true", help="give up the former vectors, or half-made ones")
    for parser in (export, import_, reembed):
        add_progress_option(parser)


def _export(options: argparse.Namespace) -> int:
    from rag import compose
    from rag.config import Config
    from rag.index.portable.exporting import export

    config = Config.from_environment(indexes=options.indexes, collection=options.collection, store=options.store)
    collection = compose.files_of(config, "export", "milvus-backup copies what a Milvus server holds.")
    with _stopping("Nothing was written."), sync_progress(options.progress, sys.stderr) as bar:
        done = export(collection, options.file.expanduser(), force=options.force, progress=bar)
    if options.json:
        terminal.show_json(asdict(done), sys.stdout)
        return 0
    held = f"{terminal.counted(done.documents, 'document')}, {terminal.counted(done.passages, 'passage')}"
    lines = [
        f"Exported collection {done.collection!r} to {done.file}: {held}, {_megabytes(done.bytes)}.",
        "The file holds the whole text of the documents and their paths, and is not encrypted: only you can read it as "
        "it lies there.",
    ]
    if not done.exact:
        lines.append(
            "BM25 still counts passages that are gone from the collection, and a copy's does not: scores may differ in "
            "their last digits. `rag repair` ends that."
        )
    terminal.show_lines(lines, sys.stdout)
    return 0


def _import(options: argparse.Namespace) -> int:
    from rag import compose
    from rag.config import Config
    from rag.index.portable.importing import import_

    config = Config.from_environment(indexes=options.indexes, store=options.store)
    compose.files_of(config, "import", "index the documents with --store, or bring back a copy of milvus-backup.")
    with _stopping("Nothing was imported."), sync_progress(options.progress, sys.stderr) as bar:
        done = import_(
            config.indexes,
            options.file.expanduser(),
            name=options.collection or "",
            roots=options.root,
            replacing=options.replace,
            dry=options.dry_run,
            progress=bar,
            wait=terminal.waiting,
        )
    if options.json:
        terminal.show_json(asdict(done), sys.stdout)
    else:
        terminal.show_lines(_arrival(done, options.dry_run), sys.stdout)
    return 0


def _arrival(done: Import, dry: bool) -> list[str]:
    held = f"{terminal.counted(done.documents, 'document')}, {terminal.counted(done.passages, 'passage')}"
    model = f"embedded by {done.fingerprint.model}@{done.fingerprint.revision}"
    if dry:
        lines = [f"{held}, {model}, all as they were exported. Nothing was changed."]
    else:
        lines = [f"Collection {done.collection!r} is here: {held}, {model}; nothing was embedded."]
    lines += _how_to_ask(done)
    if done.missing_roots:
        lines.append(
            f"Not here are the folders that it was made of: {', '.join(done.missing_roots)}. It can be asked all the "
            "same; --root OLD=NEW says where they are here, so that `rag index` keeps it in step."
        )
    return lines


def _how_to_ask(done: Import) -> list[str]:
    from rag import compose

    try:
        compose.own_embedder(done.fingerprint, "")
    except RagError:
        return ["To ask it, give the folder of that model, or its hub id with the revision, as RAG_EMBEDDER."]
    return []


@contextmanager
def _stopping(said: str) -> Iterator[None]:
    """Whoever stops it is told that nothing has come of it."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Stopped. {said}") from None
    except SystemExit as end:  # by SIGTERM
        end.__notes__ = [f"Stopped. {said}"]
        raise


def _reembed(options: argparse.Namespace) -> int:
    from rag import compose
    from rag.config import Config
    from rag.index.reembed import drop_side, reembed, roll_back

    if options.rollback and options.drop:
        raise UsageError("--drop gives up the vectors that --rollback goes back to: choose one. Nothing was changed.")
    config = Config.from_environment(indexes=options.indexes, collection=options.collection, store=options.store)
    collection = compose.files_of(
        config, "reembed", "index into another --store with the other embedder (RAG_EMBEDDER), and then ask that one."
    )
    if options.drop and not options.model:
        return _dropped(options, collection.name, drop_side(collection))
    collection.require()

    def former(made_by: Fingerprint, called: str) -> Embedder:
        return compose.named_embedder(config, options.model or compose.own_embedder(made_by, called))

    with sync_progress(options.progress, sys.stderr) as bar:
        how: dict[str, Any] = {"progress": bar, "wait": terminal.waiting}
        if options.rollback:
            done = roll_back(collection, former, **how)
        else:
            by = compose.named_embedder(config, options.model) if options.model else compose.embedder(config)
            done = reembed(collection, by, _lasting(options.model), drop=options.drop, **how)
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
        f"{done.embedded:,} embedded now, in {done.seconds:.1f} s.",
        f"The former vectors, by {done.former}, are kept (about {_megabytes(done.former_bytes)}): "
        "`rag reembed --rollback` goes back to them, `rag reembed --drop` gives them up.",
    ]


def _warn_of_a_setting(config: Config, name: str) -> None:
    """A variable that names the embedder of before would be refused with the next question."""
    from rag.config import AUTO

    if config.embedder != AUTO:
        terminal.say(f"rag: RAG_EMBEDDER is {config.embedder}; unless that embedded {name!r}, unset it to ask.")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
