"""The composition root: a small frozen value, and the only file that names concrete classes.

Everything below it receives what it needs, never the configuration. Heavy libraries load in the constructors
called here, so that a command pays only for what it uses.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import UsageError
from rag.generation.fetch import Tell, ignore
from rag.generation.formats import Format
from rag.generation.options import Options, Precision, Sampling
from rag.index.chunk import VERSION as CHUNKER
from rag.index.collection import Collection
from rag.types import Embedder, Generator, Origin, Retriever, Writer

if TYPE_CHECKING:
    from rag.answer import Asker
    from rag.encoder.checkpoint import Checkpoint
    from rag.encoder.embed import TextEmbedder
    from rag.generation.queue import Queued
    from rag.reader.read import Reader
    from rag.reader.weights import Weights
    from rag.retrieval.rerank import LateInteraction, Rescored
    from rag.retrieval.reread import ReaderRanking
    from rag.sources.corpus import Corpus
    from rag.sources.folder import Folder, OnPage
    from rag.sources.missing import Missing
    from rag.sources.wiki.archive import Archive
    from rag.sources.wiki.articles import Articles
    from rag.sources.wiki.find import Wanted

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
    precision: str = "auto"  # of a chat model: "auto" takes the best that free memory has room for
    adapter: str = ""  # a LoRA for it, by folder or hub id
    merge: str = "auto"  # the adapter into the weights: "auto" unless these are quantised, "yes", "no"
    seed: int | None = None  # None: the likeliest word always; a number: words are drawn, the same ones again
    temperature: float = 0.7  # of the drawing
    format: str = "auto"  # how a chat model is spoken to; "auto": as the table or its tokenizer says
    ocr: str = "auto"  # "auto": pages without text are read by OCR where there is an engine; "off": never
    contact: str = ""  # an address or a page that tells Wikipedia who asks

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
    "precision": "auto",
    "adapter": "",
    "merge": "auto",
    "seed": "",
    "temperature": 0.7,
    "format": "auto",
    "ocr": "auto",
    "contact": "",
}
_CHOICES = {
    "ocr": ("auto", "off"),
    "device": ("auto", "cpu", "cuda"),
    "precision": tuple(Precision),
    "merge": ("auto", "yes", "no"),
    "format": ("auto", *(form.value for form in Format)),
}
# How people call it who give it, where that is not its own name.
_OPTIONS = {"passages": "-k", "precision": "--precision", "adapter": "--adapter", "seed": "--seed"}


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
    if name == "seed":
        return None if value == "" else _seed(called, value)
    if kind is float:
        return _positive(called, value)
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


def _seed(called: str, value: object) -> int:
    if str(value).isdecimal() and int(str(value)) < 2**63:
        return int(str(value))
    raise UsageError(f"{called} is {value!r}; it takes a whole number from 0.")


def _positive(called: str, value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = -1.0
    if 0 < number <= 5:
        return number
    raise UsageError(f"{called} is {value!r}; it takes a number above 0, up to 5.")


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


def archive(path: Path, limit: int | None = None, namespaces: Sequence[int] = ()) -> Archive | None:
    """A whole Wikipedia from a file: a ZIM archive, or an XML dump. None for any other path. Raises UsageError for one
    that cannot be read, and for a `limit` or `namespaces` of what is no archive."""
    from rag.sources.wiki.archive import SUFFIXES, Archive

    path = Path(os.path.realpath(path.expanduser()))
    if path.name.endswith(SUFFIXES) and path.is_file():
        return Archive(path, limit, namespaces or (0,))
    if limit is not None or namespaces:
        raise UsageError(f"--limit and --namespace are for ZIM archives and XML dumps; {path} is neither.")
    return None


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


def articles(config: Config, wanted: Wanted, language: str = "en", api: str = "") -> Articles:
    """What is asked for of the Wikipedia of a language, or of the wiki at `api`."""
    from rag.sources.wiki.api import Wiki
    from rag.sources.wiki.articles import Articles
    from rag.sources.wiki.find import asked

    return Articles(Wiki(api, language, config.contact), lambda wiki: asked(wiki, wanted))


def held_articles(config: Config, api: str = "") -> tuple[list[Articles], list[str]]:
    """The articles that the collection holds, one source for each wiki, to be refreshed; and why others are not. Only
    Wikipedias are asked, and the wiki at `api`."""
    from rag.sources.wiki.articles import refreshing

    return refreshing(collection(config).titles(b"wiki:"), api, config.contact)


def retriever(
    config: Config, among: Collection, by: TextEmbedder, pattern: str | None = None, only: Origin | None = None
) -> Retriever:
    """Search over a collection, or over those of its documents whose name matches a glob, or of one origin. Raises
    UsageError when there are none: a filter with a slip in it must not look like a question without an answer."""
    from rag.retrieval.fuse import Hybrid
    from rag.retrieval.origin import PrivateFirst

    view = among.index(pattern, only)
    if (pattern is not None or only is not None) and not view.cards():
        raise UsageError(f"No document matches {_filters(pattern, only)}.")
    among.check_fingerprint(by.fingerprint)
    found: Retriever = Hybrid(view, by)
    if config.rerank != NONE:
        found = reranker(config, found, by)
    origins = {card.origin for card in view.cards()}
    return PrivateFirst(found) if len(origins) > 1 else found


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


def _filters(pattern: str | None, only: Origin | None) -> str:
    given = [f"--filter {pattern!r}"] if pattern is not None else []
    return " and ".join(given + ([f"--only {only}"] if only is not None else []))


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


def writer(config: Config, by: Embedder, tell: Tell = ignore, batch: bool = False) -> Writer:
    """`tell` hears of a model's download, licence and precision. `batch` work waits while people ask."""
    if config.model == EXTRACTIVE:
        from rag.generation.extractive import ALONE, ExtractiveWriter, Judgement

        trained = _readers_weights(config)
        return ExtractiveWriter(by, Judgement(**trained.fit.judgement) if trained else ALONE)
    from rag.generation.prompted import PromptedWriter

    model = generator(config, tell=tell)
    return PromptedWriter(model.batch if batch else model)


def generator(config: Config, name: str | None = None, tell: Tell = ignore) -> Queued:
    """A chat model by name, folder, file or hub id, behind its queue: one instance in this process, whoever asks.
    `name` other than the configuration's own (a judge, say) takes no adapter."""
    from rag.generation.models import find
    from rag.generation.queue import shared

    name = name or config.model
    model, options = find(name), _options(config if name == config.model else replace(config, adapter=""))

    def load() -> Generator:
        if model.is_gguf:
            from rag.generation.gguf import GgufGenerator

            return GgufGenerator(model, options, tell)
        from rag.generation.local import LocalGenerator

        return LocalGenerator(model, options=options, tell=tell)

    return shared((model, options), load)


def _options(config: Config) -> Options:
    return Options(
        precision=Precision(config.precision),
        adapter=config.adapter,
        merge={"yes": True, "no": False}.get(config.merge),
        sampling=None if config.seed is None else Sampling(config.seed, config.temperature),
        format=None if config.format == "auto" else Format(config.format),
    )


def asker(
    config: Config, among: Collection, pattern: str | None = None, only: Origin | None = None, tell: Tell = ignore
) -> Asker:
    from rag.answer import Asker

    by = embedder(config)
    return Asker(retriever(config, among, by, pattern, only), writer(config, by, tell))
