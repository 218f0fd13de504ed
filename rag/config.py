"""The composition root: a small frozen value, and the only file that names concrete classes.

Everything below it receives what it needs, never the configuration. Heavy libraries load in the constructors
called here, so that a command pays only for what it uses.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import UsageError
from rag.index.chunk import VERSION as CHUNKER
from rag.index.collection import Collection
from rag.types import Embedder, Generator, Retriever, Writer

if TYPE_CHECKING:
    from rag.answer import Asker
    from rag.encoder.checkpoint import Checkpoint
    from rag.encoder.embed import TextEmbedder
    from rag.reader.read import Reader
    from rag.reader.weights import Weights
    from rag.retrieval.rerank import LateInteraction, Rescored
    from rag.retrieval.reread import ReaderRanking
    from rag.sources.corpus import Corpus
    from rag.sources.folder import Folder, OnPage
    from rag.sources.missing import Missing

EXTRACTIVE = "extractive"
READER, LATE, NONE = "reader", "late", "none"
READERS_ENCODER = "all-MiniLM-L6-v2"  # whose layers the reader has, whatever embeds
MOST = 1000  # passages that can be asked for


@dataclass(frozen=True, slots=True)
class Config:
    """What a user can set. Each field has a command-line option or a variable RAG_<FIELD>, and a default."""

    indexes: Path = Path("indexes")
    collection: str = "default"
    embedder: str = "all-MiniLM-L6-v2"  # a name, a folder or a hub id of any SentenceTransformer
    device: str = "auto"  # of the embedder: "auto", "cpu" or "cuda"
    model: str = EXTRACTIVE  # what writes answers: "extractive", or a chat model by name, folder or hub id
    passages: int = 8  # given to the writer
    rerank: str = READER  # or "late" (the encoder's token vectors), "none", a cross-encoder's folder or hub id
    reader: str = ""  # the folder of a reader that was trained here; empty: the one that comes along
    ocr: str = "auto"  # "auto": pages without text are read by OCR where there is an engine; "off": never

    @classmethod
    def from_environment(cls, **given: object) -> Config:
        """Explicit settings first (None means not given), then variables, then defaults. Raises UsageError."""
        values: dict[str, object] = {}
        for name, default in _DEFAULTS.items():
            value, called = given.get(name), _OPTIONS.get(name, name)
            if value is None:
                called = f"RAG_{name.upper()}"
                value = os.environ.get(called) or default
            values[name] = _converted(name, value, type(default), called)
        return cls(**values)  # type: ignore[arg-type]


_DEFAULTS: dict[str, object] = {
    "indexes": Path("indexes"),
    "collection": "default",
    "embedder": "all-MiniLM-L6-v2",
    "device": "auto",
    "model": EXTRACTIVE,
    "passages": 8,
    "rerank": READER,
    "reader": "",
    "ocr": "auto",
}
_CHOICES = {"ocr": ("auto", "off"), "device": ("auto", "cpu", "cuda")}
_OPTIONS = {"passages": "-k"}  # how people call it who give it, where that is not its own name


def _converted(name: str, value: object, kind: type, called: str) -> object:
    if issubclass(kind, Path):
        return Path(str(value)).expanduser()
    if name in _CHOICES and value not in _CHOICES[name]:
        *others, last = _CHOICES[name]
        raise UsageError(f"{called} is {value!r}; it takes {', '.join(others)} or {last}.")
    if name == "rerank" and value not in (READER, LATE, NONE) and "/" not in str(value):
        raise UsageError(
            f"{called} is {value!r}; it takes {READER}, {LATE}, {NONE}, or a cross-encoder's folder or hub id "
            "(owner/name)."
        )
    return whole_number(called, value) if kind is int else str(value)


def whole_number(called: str, value: object, most: int | None = MOST) -> int:
    """A number of passages, or of anything else of which there is no `most`. Raises UsageError, which calls the setting
    as the user did."""
    takes = "it takes a whole number from 1" + (f" to {most}" if most else "")
    try:
        number = int(str(value))
    except ValueError:
        raise UsageError(f"{called} is {value!r}; {takes}.") from None
    if number < 1 or (most and number > most):
        raise UsageError(f"{called} is {number}; {takes}.")
    return number


def collection(config: Config) -> Collection:
    return Collection(config.indexes, config.collection)


def embedder(config: Config) -> TextEmbedder:
    from rag.encoder.embed import TextEmbedder

    return TextEmbedder(_checkpoint(config.embedder), config.device, CHUNKER)


@cache
def _checkpoint(model: str) -> Checkpoint:
    """A model's files, checked once a process: its weights are hashed."""
    from rag.encoder.hub import find

    return find(model)


def source(
    config: Config, path: Path, include: Sequence[str] = (), exclude: Sequence[str] = (), on_page: OnPage | None = None
) -> Folder | Corpus | Missing:
    """A folder or file to index; of a published question set's corpus each row is a document. Below a folder that the
    collection holds already, it is a part of that folder, so that one file can be brought in step by itself. Raises
    UsageError when there is nothing at `path` and never was."""
    from rag.sources.corpus import Corpus, is_corpus
    from rag.sources.folder import Folder
    from rag.sources.missing import Missing
    from rag.sources.ocr import find_engine

    path = Path(os.path.realpath(path.expanduser()))  # as sources and roots are named
    if is_corpus(path):
        return Corpus(path)
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
    """Search over a collection, or over those of its documents whose name matches a glob. Raises UsageError when there
    are none: a filter with a slip in it must not look like a question without an answer."""
    from rag.retrieval.fuse import Hybrid

    view = among.index(pattern)
    if pattern is not None and not view.cards():
        raise UsageError(f"No document matches --filter {pattern!r}.")
    among.check_fingerprint(by.fingerprint)
    found = Hybrid(view, by)
    return reranker(config, found, by) if config.rerank != NONE else found


def reranker(config: Config, found: Retriever, by: TextEmbedder) -> Rescored | LateInteraction | ReaderRanking:
    """The best hits of `found` in a better order. Raises ModelError for a model that cannot be had."""
    from rag.retrieval.rerank import LateInteraction, Rescored
    from rag.retrieval.reread import ReaderRanking

    if config.rerank not in (READER, LATE):
        from rag.encoder.cross import CrossEncoderScorer

        return Rescored(found, CrossEncoderScorer(config.rerank, config.device))
    if reads := reader(config):
        return ReaderRanking(found, reads, reads.fit.ranking)
    return LateInteraction(found, by)


def reader(config: Config) -> Reader | None:
    """What reads the best hits, and finds the words that answer. None where it is not wanted, or where none came along:
    then late interaction and the extractive writer do without. Raises ModelError when one was asked for by name."""
    from rag.reader.read import Reader

    trained = _readers_weights(config)
    return Reader(_checkpoint(READERS_ENCODER), trained, config.device) if trained else None


def _readers_weights(config: Config) -> Weights | None:
    from rag.reader.weights import FILE, SHIPPED, read

    if config.rerank != READER or not (config.reader or (SHIPPED / FILE).is_file()):
        return None
    return read(Path(config.reader).expanduser() if config.reader else SHIPPED)


def writer(config: Config, by: Embedder) -> Writer:
    if config.model == EXTRACTIVE:
        from rag.generation.extractive import ALONE, ExtractiveWriter, Judgement

        trained = _readers_weights(config)
        return ExtractiveWriter(by, Judgement(**trained.fit.judgement) if trained else ALONE)
    from rag.generation.prompted import PromptedWriter

    return PromptedWriter(generator(config.model))


def generator(name: str) -> Generator:
    """A chat model by name, folder or hub id."""
    from rag.generation.local import LocalGenerator
    from rag.generation.models import find

    return LocalGenerator(find(name))


def asker(config: Config, among: Collection, pattern: str | None = None) -> Asker:
    from rag.answer import Asker

    by = embedder(config)
    return Asker(retriever(config, among, by, pattern), writer(config, by))
