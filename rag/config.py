"""The composition root: a small frozen value, and the only file that names concrete classes.

Everything below it receives what it needs, never the configuration. Heavy libraries load in the constructors
called here, so that a command pays only for what it uses.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import UsageError
from rag.index.chunk import VERSION as CHUNKER
from rag.index.collection import Collection
from rag.types import Embedder, Generator, Retriever, Writer

if TYPE_CHECKING:
    from rag.answer import Asker
    from rag.encoder.embed import TextEmbedder
    from rag.generation.extractive import Judgement
    from rag.generation.prompted import Bearing
    from rag.generation.similarity import Similarity
    from rag.reader.read import Reader
    from rag.sources.corpus import Corpus
    from rag.sources.folder import Folder, OnPage
    from rag.sources.missing import Missing

EXTRACTIVE = "extractive"
REMOTE = "openai:"
READER, LATE = "reader", "late"
READERS_ENCODER = "all-MiniLM-L6-v2"  # whose layers the reader has, whatever embeds
MOST = 1000  # passages that can be asked for
LONGEST_WINDOW = 10_000_000  # tokens


@dataclass(frozen=True, slots=True)
class Config:
    """What a user can set. Each field has a command-line option or a variable RAG_<FIELD>, and a default."""

    indexes: Path = Path("indexes")
    collection: str = "default"
    embedder: str = "all-MiniLM-L6-v2"  # a name, a folder or a hub id of any SentenceTransformer
    device: str = "auto"  # of the embedder: "auto", "cpu" or "cuda"
    model: str = EXTRACTIVE  # what writes answers: "extractive", or a chat model by name, folder or hub id
    passages: int = 8  # given to the writer
    rerank: str = READER  # of the best hits, by the "reader", by the encoder's own token vectors ("late"), or "none"
    reader: str = ""  # the folder of a reader that was trained here; empty: the one that comes along
    ocr: str = "auto"  # "auto": pages without text are read by OCR where there is an engine; "off": never
    api_base: str = ""  # of the OpenAI-compatible server that models named "openai:NAME" are at
    api_window: int = 0  # tokens that prompt and answer share there; 0: as the server says

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
    "api_base": "",
    "api_window": 0,
}
_CHOICES = {"rerank": (READER, LATE, "none"), "ocr": ("auto", "off"), "device": ("auto", "cpu", "cuda")}
_OPTIONS = {
    "passages": "-k",
    "api_base": "--api-base",
}  # how people call it who give it, where that is not its own name


def _converted(name: str, value: object, kind: type, called: str) -> object:
    if issubclass(kind, Path):
        return Path(str(value)).expanduser()
    if name in _CHOICES and value not in _CHOICES[name]:
        *others, last = _CHOICES[name]
        raise UsageError(f"{called} is {value!r}; it takes {', '.join(others)} or {last}.")
    if name == "api_window":
        return whole_number(called, value, LONGEST_WINDOW, least=0)
    return whole_number(called, value) if kind is int else str(value)


def whole_number(called: str, value: object, most: int | None = MOST, least: int = 1) -> int:
    """A number of passages, or of anything else of which there is no `most`. Raises UsageError, which calls the setting
    as the user did."""
    takes = f"it takes a whole number from {least}" + (f" to {most}" if most else "")
    try:
        number = int(str(value))
    except ValueError:
        raise UsageError(f"{called} is {value!r}; {takes}.") from None
    if number < least or (most and number > most):
        raise UsageError(f"{called} is {number}; {takes}.")
    return number


def collection(config: Config) -> Collection:
    return Collection(config.indexes, config.collection)


def embedder(config: Config) -> TextEmbedder:
    from rag.encoder.embed import load_embedder

    return load_embedder(config.embedder, device=config.device, chunker=CHUNKER)


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
    from rag.retrieval.rerank import LateInteraction
    from rag.retrieval.reread import ReaderRanking

    view = among.index(pattern)
    if pattern is not None and not view.cards():
        raise UsageError(f"No document matches --filter {pattern!r}.")
    among.check_fingerprint(by.fingerprint)
    found = Hybrid(view, by)
    if reads := reader(config):
        return ReaderRanking(found, reads, reads.fit.ranking)
    return LateInteraction(found, by) if config.rerank != "none" else found


@lru_cache(maxsize=1)  # retrieval and writing share one
def reader(config: Config) -> Reader | None:
    """What reads the best hits, and finds the words that answer. None where it is not wanted, or where none came along:
    then late interaction and the extractive writer do without. Raises ModelError when one was asked for by name."""
    from rag.encoder.hub import find
    from rag.reader.read import Reader
    from rag.reader.weights import FILE, SHIPPED, read

    if config.rerank != READER or not (config.reader or (SHIPPED / FILE).is_file()):
        return None
    weights = read(Path(config.reader).expanduser() if config.reader else SHIPPED)
    return Reader(find(READERS_ENCODER), weights, config.device)


def writer(config: Config, by: Embedder, chat_model: Generator | None = None) -> Writer:
    """What writes the answers; `chat_model` where it is loaded already."""
    if config.model == EXTRACTIVE:
        from rag.generation.extractive import ExtractiveWriter

        return ExtractiveWriter(by, _judgement(config))
    from rag.generation.prompted import PromptedWriter

    return PromptedWriter(chat_model or generator(config, config.model), bearing=_bearing(config, by))


def _bearing(config: Config, by: Embedder) -> Bearing | None:
    """How probable it is that hits answer a question; None where that was not fitted for what found them."""
    from rag.generation.extractive import FITTED_FOR, ExtractiveWriter

    known = reader(config) is not None or by.fingerprint.model == FITTED_FOR
    return ExtractiveWriter(by, _judgement(config)).confidence if known else None


def _judgement(config: Config) -> Judgement:
    from rag.generation.extractive import ALONE, Judgement

    reads = reader(config)
    return Judgement(**reads.fit.judgement) if reads else ALONE


def similarity(by: Embedder) -> Similarity | None:
    """What tells a paraphrase from an invention; None for an embedder whose cosines it was not fitted for."""
    from rag.generation.extractive import FITTED_FOR
    from rag.generation.similarity import Similarity

    return Similarity(by) if by.fingerprint.model == FITTED_FOR else None


def generator(config: Config, name: str) -> Generator:
    """A chat model by name, folder or hub id, or "openai:NAME" for one on a server."""
    if name.startswith(REMOTE):
        return _remote(config, name.removeprefix(REMOTE))
    from rag.generation.local import LocalGenerator
    from rag.generation.models import find

    return LocalGenerator(find(name))


def _remote(config: Config, model: str) -> Generator:
    """The key comes from the environment alone, and is in no configuration: those are written down by evaluations."""
    from rag.generation.remote import RemoteGenerator
    from rag.generation.transport import Server, base_url

    if not config.api_base or not model:
        raise UsageError(
            f"A model on a server is named as {REMOTE}NAME, and --api-base (or RAG_API_BASE) says where that is: "
            "http://127.0.0.1:8000/v1 for vLLM, http://127.0.0.1:8080/v1 for llama.cpp, http://127.0.0.1:11434/v1 for "
            "Ollama, https://api.openai.com/v1 for OpenAI. Passages and questions are sent there."
        )
    server = Server(base_url(config.api_base), os.environ.get("RAG_API_KEY", "").strip())
    return RemoteGenerator(server, model, config.api_window)


def asker(config: Config, among: Collection, pattern: str | None = None) -> Asker:
    """What answers questions, one after the other or several at a time, over the collection as it then is."""
    from rag.answer import Asker
    from rag.generation.followup import RuleRewriter
    from rag.generation.standalone import ModelRewriter
    from rag.retrieval.current import Current

    by = embedder(config)
    found = Current(lambda: among.state, lambda: retriever(config, among, by, pattern))
    chat_model = None if config.model == EXTRACTIVE else generator(config, config.model)
    rewriter = ModelRewriter(chat_model) if chat_model else RuleRewriter()
    return Asker(found, writer(config, by, chat_model), rewriter, similarity(by))
