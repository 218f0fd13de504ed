"""The composition root: a small frozen value, and the only file that names concrete classes.

Everything below it receives what it needs, never the configuration. Heavy libraries load in the constructors
called here, so that a command pays only for what it uses.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import UsageError
from rag.index.chunk import VERSION as CHUNKER
from rag.index.collection import Collection
from rag.types import Embedder, Retriever, Writer

if TYPE_CHECKING:
    from rag.answer import Asker
    from rag.index.embed import TextEmbedder
    from rag.sources.folder import Folder, OnPage
    from rag.sources.missing import Missing

EXTRACTIVE = "extractive"
LATE = "late"


@dataclass(frozen=True, slots=True)
class Config:
    """What a user can set. Each field has a command-line option or a variable RAG_<FIELD>, and a default."""

    indexes: Path = Path("indexes")
    collection: str = "default"
    embedder: str = "all-MiniLM-L6-v2"  # a name, a folder or a hub id of any SentenceTransformer
    device: str = "auto"  # of the embedder: "auto", "cpu" or "cuda"
    model: str = EXTRACTIVE  # what writes answers: "extractive", or a chat model by name, folder or hub id
    passages: int = 8  # given to the writer
    rerank: str = "late"  # "late": the best hits are read once more by the encoder; "none": they are not
    ocr: str = "auto"  # "auto": pages without text are read by OCR where there is an engine; "off": never

    @classmethod
    def from_environment(cls, **given: object) -> Config:
        """Explicit settings first (None means not given), then variables, then defaults. Raises UsageError."""
        values: dict[str, object] = {}
        for name, default in _DEFAULTS.items():
            value = given.get(name)
            if value is None:
                value = os.environ.get(f"RAG_{name.upper()}") or default
            values[name] = _converted(name, value, type(default))
        return cls(**values)  # type: ignore[arg-type]


_DEFAULTS: dict[str, object] = {
    "indexes": Path("indexes"),
    "collection": "default",
    "embedder": "all-MiniLM-L6-v2",
    "device": "auto",
    "model": EXTRACTIVE,
    "passages": 8,
    "rerank": LATE,
    "ocr": "auto",
}
_CHOICES = {"rerank": (LATE, "none"), "ocr": ("auto", "off"), "device": ("auto", "cpu", "cuda")}


def _converted(name: str, value: object, kind: type) -> object:
    if issubclass(kind, Path):
        return Path(str(value)).expanduser()
    if name in _CHOICES and value not in _CHOICES[name]:
        raise UsageError(f"{name} is {value!r}; it takes {' or '.join(_CHOICES[name])}.")
    if kind is not int:
        return str(value)
    try:
        number = int(str(value))
    except ValueError:
        number = 0
    if not 1 <= number <= 100:
        raise UsageError(f"{name} is {value!r}; it takes a whole number from 1 to 100.")
    return number


def collection(config: Config) -> Collection:
    return Collection(config.indexes, config.collection)


def embedder(config: Config) -> TextEmbedder:
    from rag.index.embed import load_embedder

    return load_embedder(config.embedder, device=config.device, chunker=CHUNKER)


def source(
    config: Config, path: Path, include: Sequence[str] = (), exclude: Sequence[str] = (), on_page: OnPage | None = None
) -> Folder | Missing:
    """A folder or file to index. Below a folder that the collection holds already, it is a part of that folder, so
    that one file can be brought in step by itself. Raises UsageError when there is nothing at `path` and never was."""
    from rag.sources.folder import Folder
    from rag.sources.missing import Missing
    from rag.sources.ocr import find_engine

    path = Path(os.path.abspath(path.expanduser()))
    into = collection(config)
    roots = [root for root in into.roots() if path.is_relative_to(root)] if into.exists() else []
    if not path.exists():
        if not roots:
            raise UsageError(f"{path}: no such file or folder. Nothing was changed; check the path.")
        return Missing(path)
    root = min(roots, key=lambda root: len(root.parts), default=path if path.is_dir() else path.parent)
    ocr = find_engine() if config.ocr == "auto" else None
    return Folder(root, path, include, exclude, ocr=ocr, page_cache=into.cache(), on_page=on_page)


def retriever(config: Config, among: Collection, by: TextEmbedder, pattern: str | None = None) -> Retriever:
    """Search over a collection, or over those of its documents whose name matches a glob."""
    from rag.retrieval.fuse import Hybrid
    from rag.retrieval.rerank import LateInteraction

    view = among.index(pattern)
    among.check_fingerprint(by.fingerprint)
    found = Hybrid(view, by)
    return LateInteraction(found, by) if config.rerank == LATE else found


def writer(config: Config, by: Embedder) -> Writer:
    if config.model == EXTRACTIVE:
        from rag.generation.extractive import ExtractiveWriter

        return ExtractiveWriter(by)
    from rag.generation.local import LocalGenerator
    from rag.generation.models import find
    from rag.generation.prompted import PromptedWriter

    return PromptedWriter(LocalGenerator(find(config.model)))


def asker(config: Config, among: Collection, pattern: str | None = None) -> Asker:
    from rag.answer import Asker

    by = embedder(config)
    return Asker(retriever(config, among, by, pattern), writer(config, by))
