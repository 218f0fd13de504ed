"""`rag models`, and the options of every command that a chat model writes for: parse and call."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from rag import terminal
from rag.commands import Command
from rag.errors import UsageError
from rag.shapes import PRECISIONS, model_shape

COLUMNS = ("name", "parameters", *PRECISIONS, "here", "commercial use", "licence")


def add(command: Command) -> None:
    """`command` makes a parser that has --json already."""
    models = command("models", _models, "chat models: what there is, what it needs; fetch one")
    models.add_argument("action", nargs="?", choices=("fetch",), metavar="fetch", help="download and verify a model")
    models.add_argument("name", nargs="?", metavar="NAME", help="a name of the table, or a hub id")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help="who writes: extractive (default), a chat model, openai:NAME")
    parser.add_argument("--precision", metavar="P", help="of the model: auto, bf16, int8, int4, bnb8, nf4, fp32")
    parser.add_argument("--adapter", metavar="NAME", help="a LoRA adapter for the model, by folder or hub id")
    parser.add_argument("--seed", metavar="N", help="draw words by their probability, the same ones for the same N")


def model_options(options: argparse.Namespace) -> dict[str, object]:
    """The settings that these options give."""
    return {name: getattr(options, name) for name in ("model", "precision", "adapter", "seed")}


def _models(options: argparse.Namespace) -> int:
    from rag.generation.models import MODELS

    if options.action == "fetch":
        return _fetch(options)
    rows = [model_shape(model) for model in MODELS.values()]
    if options.json:
        terminal.show_json(rows, sys.stdout)
    else:
        for line in _table(rows):
            sys.stdout.write(f"{line}\n")
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from rag.generation.fetch import fetch
    from rag.generation.models import find

    if not options.name:
        raise UsageError("Name the model to fetch: rag models fetch NAME; `rag models` lists them.")
    path = fetch(find(options.name), terminal.say)
    if options.json:
        terminal.show_json({"model": options.name, "path": str(path)}, sys.stdout)
    else:
        sys.stdout.write(f"{options.name} is in {path}, whole and verified.\n")
    return 0


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    cells = [COLUMNS, *(_cells(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(COLUMNS))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield ""
    yield "Memory in GB, for a conversation of 4,096 tokens; --precision auto takes the best that fits. Any model of"
    yield "the Hugging Face hub (owner/model), a folder or a .gguf file can be named, too; `rag models fetch` gets one."


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    memory = {name: f"{size / 1e9:.1f}" for name, size in row["memory"].items()}
    sizes = [memory.get(name, "-") for name in PRECISIONS]
    if "as stored" in memory:
        sizes = ["-", "-", memory["as stored"], "-"]
    return (
        row["name"],
        f"{row['parameters'] / 1e9:.1f} B",
        *sizes,
        "yes" if row["path"] else "no",
        {True: "yes", False: "no", None: "?"}[row["commercial"]],
        row["licence"],
    )
