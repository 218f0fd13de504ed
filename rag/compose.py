"""The composition root: the only file that names concrete classes.

Everything below it receives what it needs, never the configuration. Heavy libraries load in the constructors
called here, so that a command pays only for what it uses.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rag.config import AUTO, EXTRACTIVE, LATE, NONE, READER, REMOTE, Config
from rag.errors import FingerprintError, UsageError
from rag.generation.fetch import Tell, ignore
from rag.generation.formats import Format
from rag.generation.options import Options, Precision, Sampling
from rag.index.chunk import VERSION as CHUNKER
from rag.index.collection import Collection
from rag.index.seams import Store
from rag.types import Embedder, Fingerprint, Generator, Origin, Retriever, Writer

if TYPE_CHECKING:
    from rag.answer import Asker
    from rag.encoder.checkpoint import Checkpoint
    from rag.encoder.embed import TextEmbedder
    from rag.generation.extractive import Judgement
    from rag.generation.models import Model
    from rag.generation.prompted import Bearing
    from rag.generation.similarity import Similarity
    from rag.history.store import History
    from rag.index.milvus.collection import MilvusCollection
    from rag.reader.read import Reader
    from rag.reader.weights import Weights
    from rag.retrieval.rerank import LateInteraction, Rescored
    from rag.retrieval.reread import ReaderRanking
    from rag.sources.corpus import Corpus
    from rag.sources.folder import Folder, OnPage
    from rag.sources.missing import Dropped, Missing
    from rag.sources.pictures import Drawer
    from rag.sources.wiki.archive import Archive
    from rag.sources.wiki.articles import Articles
    from rag.sources.wiki.find import Wanted

DEFAULT_EMBEDDER = "all-MiniLM-L6-v2"  # of a new collection
PEOPLE = ".people"  # beside the collections, of which none's name begins with a dot
READERS_ENCODER = "all-MiniLM-L6-v2"  # whose layers the reader has, whatever embeds
_LOADING = threading.Lock()  # nobody loads an embedder or a reader while another one does


def collection(config: Config, waiting: Callable[[str], None] | None = None) -> Store:
    """Where it is held: in files of this machine, or on a server. `waiting` is told of a process that is writing, which
    is then waited for."""
    if not config.store:
        return Collection(config.indexes, config.collection, waiting)
    return on_server(config, waiting)


def on_server(config: Config, waiting: Callable[[str], None] | None = None) -> MilvusCollection:
    """A collection that is held on a server."""
    from rag.index.milvus.address import address
    from rag.index.milvus.collection import MilvusCollection

    return MilvusCollection(address(config.store, config.collection, os.environ), config.indexes, waiting)


def files_of(config: Config, command: str, instead: str) -> Collection:
    """A collection in files of this machine, for what can be done with no other. Raises UsageError for one on a server,
    with what to do there instead."""
    if config.store:
        raise UsageError(
            f"`rag {command}` is for collections in a folder, not on a server. Nothing was done; {instead}"
        )
    return Collection(config.indexes, config.collection)


def history(config: Config) -> History:
    """All people's conversations."""
    from rag.history.store import History

    return History(config.indexes / PEOPLE)


def embedder(config: Config) -> TextEmbedder:
    """The one that is set, or else the collection's own."""
    return named_embedder(config, embedders_name(config))


def embedders_name(config: Config) -> str:
    """How that one is asked for."""
    with closing(collection(config)) as own:
        if config.embedder == AUTO and own.exists():
            return own_embedder(own.fingerprint, own.called)
    return _called(config)


def named_embedder(config: Config, name: str = "", threads: int = 0) -> TextEmbedder:
    """By name, folder or hub id; without one, what is set, or else what a new collection gets. One in this process,
    whoever asks. `threads` is how many processors it may have, 0 all of them."""
    with _LOADING:
        return _embedder(_called(config, name), config.device, threads)


def _called(config: Config, name: str = "") -> str:
    return name or (DEFAULT_EMBEDDER if config.embedder == AUTO else config.embedder)


def own_embedder(made_by: Fingerprint, called: str) -> str:
    """How to ask for the embedder that made some vectors. Raises FingerprintError where only the user knows."""
    from rag.encoder.hub import RELEASES

    if called or made_by.model in RELEASES:
        return called or made_by.model
    raise FingerprintError(
        f"The collection was embedded by {made_by.model}@{made_by.revision}, a model that has no name here. Nothing "
        "was changed; give its folder, or its hub id with the revision, as RAG_EMBEDDER."
    )


@lru_cache(maxsize=2)  # a collection's own may become another one while its answers are asked for
def _embedder(name: str, device: str, threads: int) -> TextEmbedder:
    from rag.encoder.embed import TextEmbedder

    return TextEmbedder(_checkpoint(name), device, CHUNKER, threads)


@cache
def _checkpoint(model: str) -> Checkpoint:
    """A model's files, checked once a process: its weights are hashed."""
    from rag.encoder.hub import find

    return find(model)


def archive(
    path: Path, limit: int | None = None, namespaces: Sequence[int] = (), workers: int | None = None
) -> Archive | None:
    """A whole Wikipedia from a file: a ZIM archive, or an XML dump. None for any other path. Raises UsageError for one
    that cannot be read, and for a `limit` or `namespaces` of what is no archive."""
    from rag.sources.wiki.archive import SUFFIXES, Archive

    path = Path(os.path.realpath(path.expanduser()))
    if path.name.endswith(SUFFIXES) and path.is_file():
        return Archive(path, limit, namespaces or (0,), workers)
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
    from rag.sources.missing import Missing

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
    return folder(config, root, path, include, exclude, on_page)


def folder(
    config: Config,
    root: Path,
    path: Path,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    on_page: OnPage | None = None,
    workers: int | None = None,
) -> Folder:
    """A folder, or the part of it at `path`, by that many child processes."""
    from rag.sources.folder import Folder
    from rag.sources.ocr import find_engine

    ocr = find_engine() if config.ocr == "auto" else None
    pages = collection(config).cache()
    return Folder(root, path, include, exclude, ocr=ocr, page_cache=pages, on_page=on_page, workers=workers)


def articles(config: Config, wanted: Wanted, language: str = "en", api: str = "") -> Articles:
    """What is asked for of the Wikipedia of a language, or of the wiki at `api`."""
    from rag.sources.wiki.api import Wiki
    from rag.sources.wiki.articles import Articles
    from rag.sources.wiki.find import asked

    return Articles(Wiki(api, language, config.contact), lambda wiki: asked(wiki, wanted))


def dropped_articles(config: Config, names: Sequence[str]) -> Dropped:
    """What lets go of articles, by their names. Raises UsageError for one that the collection does not hold."""
    from rag.sources.missing import Dropped

    into, keys = collection(config), []
    for name in names:
        if not (found := into.named(name, b"wiki:")):
            raise UsageError(f"Collection {config.collection!r} holds no article called {name!r}. Nothing was changed.")
        keys += found
    return Dropped(keys)


def held_articles(config: Config, api: str = "") -> tuple[list[Articles], list[str]]:
    """The articles that the collection holds, one source for each wiki, to be refreshed; and why others are not. Only
    Wikipedias are asked, and the wiki at `api`."""
    from rag.sources.wiki.articles import refreshing

    return refreshing(collection(config).titles(b"wiki:"), api, config.contact)


def retriever(
    config: Config, among: Store, by: TextEmbedder, pattern: str | None = None, only: Origin | None = None
) -> Retriever:
    """Search over a collection, or over those of its documents whose name matches a glob, or of one origin. Raises
    UsageError when there are none: a filter with a slip in it must not look like a question without an answer."""
    from rag.retrieval.fuse import Hybrid
    from rag.retrieval.origin import PrivateFirst

    view = among.index(pattern, only)
    if (pattern is not None or only is not None) and not view.cards():
        raise UsageError(f"No document matches {_filters(pattern, only)}.")
    view.require(by.fingerprint)
    fused = Hybrid(view, by)
    found = reranker(config, fused, by) if config.rerank != NONE else fused
    origins = {card.origin for card in view.cards()}
    return PrivateFirst(found) if len(origins) > 1 else found


def _filters(pattern: str | None, only: Origin | None) -> str:
    given = [f"--filter {pattern!r}"] if pattern is not None else []
    return " and ".join(given + ([f"--only {only}"] if only is not None else []))


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
    """What reads the best hits, and finds the words that answer: one in this process, for retrieval and writing. None
    where it is not wanted, or where none came along: then late interaction and the extractive writer do without. Raises
    ModelError when one was asked for by name."""
    with _LOADING:
        return _reader(config.rerank, config.reader, config.device)


@lru_cache(maxsize=1)  # whatever else the configuration says
def _reader(rerank: str, folder: str, device: str) -> Reader | None:
    from rag.encoder.embed import resolved
    from rag.reader.read import Reader

    trained = _readers_weights(rerank, folder)
    return Reader(_checkpoint(READERS_ENCODER), trained, resolved(device)) if trained else None


def reranked_by(config: Config) -> str:
    """What the best hits are read by in fact, for the record: a reader by its file's SHA-256, or what stands in."""
    if config.rerank != READER:
        return config.rerank
    trained = _readers_weights(config.rerank, config.reader)
    return f"{READER} {hashlib.sha256(trained.path.read_bytes()).hexdigest()[:16]}" if trained else LATE


def _readers_weights(rerank: str, folder: str) -> Weights | None:
    from rag.reader.weights import FILE, SHIPPED, read

    if rerank != READER or not (folder or (SHIPPED / FILE).is_file()):
        return None
    return read(Path(folder).expanduser() if folder else SHIPPED)


def writer(
    config: Config, by: Embedder, chat_model: Generator | None = None, tell: Tell = ignore, batch: bool = False
) -> Writer:
    """What writes the answers; `chat_model` where it is loaded already. `tell` hears of a model's download, licence and
    precision. `batch` work waits while people ask."""
    if config.model == EXTRACTIVE:
        from rag.generation.extractive import ExtractiveWriter

        return ExtractiveWriter(by, _judgement(config))
    from rag.generation.prompted import PromptedWriter

    return PromptedWriter(chat_model or generator(config, tell=tell, batch=batch), bearing=_bearing(config, by))


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


def generator(config: Config, name: str | None = None, tell: Tell = ignore, batch: bool = False) -> Generator:
    """A chat model by name, folder, file or hub id, behind its queue: one instance in this process, whoever asks; or
    "openai:NAME" for one on a server. `name` other than the configuration's own (a judge, say) takes no adapter."""
    name = name or config.model
    if name.startswith(REMOTE):
        return _remote(config, name.removeprefix(REMOTE))
    from rag.generation.models import find
    from rag.generation.queue import shared

    model, options = find(name), _options(config if name == config.model else replace(config, adapter=""))

    def load() -> Generator:
        if model.is_gguf:
            from rag.generation.gguf import GgufGenerator

            return GgufGenerator(model, options, tell)
        from rag.generation.local import LocalGenerator

        return LocalGenerator(model, options=options, tell=tell)

    queued = shared((model, options), load)
    return queued.batch if batch else queued


def loaded_models() -> list[str]:
    """The names of the chat models that this process has in memory."""
    return sorted({model.name for model, _ in _loaded()})


def release_model(name: str) -> None:
    """Lets go of a chat model: whoever it is answering gets a ModelError."""
    from rag.generation.queue import release

    for key in _loaded():
        if key[0].name == name:
            release(key)


def _loaded() -> list[tuple[Model, Options]]:
    from rag.generation.queue import loaded

    return cast("list[tuple[Model, Options]]", loaded())


def _options(config: Config) -> Options:
    return Options(
        precision=Precision(config.precision),
        adapter=config.adapter,
        merge={"yes": True, "no": False}.get(config.merge),
        sampling=None if config.seed is None else Sampling(config.seed, config.temperature),
        format=None if config.format == "auto" else Format(config.format),
    )


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


def drawer(ocr: str = "auto") -> Drawer:
    """What draws pages with what is cited marked in them: one for a process, whoever asks. `ocr` as in Config."""
    from rag.sources.ocr import find_engine
    from rag.sources.pictures import Drawer

    return Drawer(find_engine() if ocr == "auto" else None)


def asker(
    config: Config,
    among: Store,
    pattern: str | None = None,
    only: Origin | None = None,
    tell: Tell = ignore,
) -> Asker:
    """What answers questions, one after the other or several at a time, over the collection as it then is."""
    from rag.answer import Asker
    from rag.generation.followup import RuleRewriter
    from rag.generation.standalone import ModelRewriter
    from rag.retrieval.current import Current

    by = embedder(config)
    # What others do meanwhile is found, and if they embed it anew, with the embedder that it then takes.
    make = partial(retriever, config, among, pattern=pattern, only=only)
    found = Current(lambda: among.state, lambda: make(embedder(config)), among.turns)
    if config.rerank == READER and reader(config) is None:
        tell("The reader's weights did not come along: the best hits are read by late interaction, and quoted by rule.")
    chat_model = None if config.model == EXTRACTIVE else generator(config, tell=tell)
    rewriter = ModelRewriter(chat_model) if chat_model else RuleRewriter()
    return Asker(found, writer(config, by, chat_model), rewriter, similarity(by))
