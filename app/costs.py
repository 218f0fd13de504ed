"""What a change of settings costs, in words, before it is made. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from rag.config import EXTRACTIVE, LATE, NONE, READER, REMOTE, Config
from rag.errors import RagError
from rag.generation.extractive import PASSAGES
from rag.generation.models import Model, find
from rag.generation.options import Precision
from rag.generation.precision import CACHED, WORKSPACE, Machine, choose, need
from rag.generation.prompted import RESERVE
from rag.generation.transport import is_loopback

PASSAGE_TOKENS = 300  # of the default embedder's passages with their headings, at most
DIMENSION = 768  # of usual embedding models; a number takes two bytes
LARGE = 3e9  # parameters beyond which a processor writes slowly

RERANKING = {
    READER: "The reader that comes along puts the 20 best passages into order and finds the words that answer: some "
    "0.15 s a question on two cores.",
    LATE: "Passages are compared with the question word by word: some 0.1 s a question on two cores, and answers are "
    "quoted by rule.",
    NONE: "Passages stay in the order in which they were found: nothing is waited for, and the first one is right less "
    "often.",
}


@dataclass(frozen=True, slots=True)
class Here:
    """What a change is measured against: the machine, whether a chat model's files are on it and how many bytes its
    disk has free for them, and the collection that is open. `models` are the names of those that are loaded."""

    machine: Machine
    is_present: bool
    disk: int
    collection: str = ""
    embedder: str = ""  # that made the collection
    passages: int = 0
    documents: int = 0
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """`kind` is a word for it, such as "Memory". One that `forbids` has to be paid, or cannot be, before the change."""

    kind: str
    text: str
    forbids: bool = False


def costs(now: Config, then: Config, here: Here) -> list[Cost]:
    """What it costs to go from the one to the other; empty where they are the same."""
    found: list[Cost] = []
    if (now.model, now.precision) != (then.model, then.precision):
        found += _of_model(now, then, here)
    if now.passages != then.passages:
        found += _of_passages(then)
    if now.rerank != then.rerank:
        found.append(Cost("Time", RERANKING.get(then.rerank, "A cross-encoder reads every passage with the question.")))
    if now.ocr != then.ocr:
        found.append(_of_ocr(then, here))
    return found


def of_embedding_anew(model: str, here: Here) -> list[Cost]:
    """What it costs to bring a collection over to another embedding model."""
    if model == here.embedder:
        return [Cost("Not possible", f"{here.collection} is embedded by {model} already.", forbids=True)]
    megabytes = here.passages * DIMENSION * 2 / 1e6
    return [
        Cost("Download", f"{model} is looked for on this machine first, and fetched where it is not here."),
        Cost(
            "Indexing anew",
            f"All {here.passages:,} passages of {here.collection} are embedded again, from the text that is kept: no "
            "document is read. Until that is done it is asked as before.",
        ),
        Cost("Disk", f"Some {megabytes:.1f} MB more: the former vectors are kept, so that there is a way back."),
    ]


def _of_model(now: Config, then: Config, here: Here) -> Iterator[Cost]:
    if now.model != then.model and now.model in here.models:
        yield Cost("Memory", f"{now.model} stays loaded, so that others can go on asking it, until it is freed below.")
    if then.model == EXTRACTIVE:
        yield Cost("Memory", "None: answers are quoted from the documents, and no language model is needed.")
    elif then.model.startswith(REMOTE):
        yield _of_server(then)
    else:
        try:
            yield from _of_local(find(then.model), then, here)
        except RagError as error:
            yield Cost("Not possible", str(error), forbids=True)


def _of_server(then: Config) -> Cost:
    host = urlsplit(then.api_base).hostname
    if not host:
        return Cost("Not possible", "Where the server is has to be set when the page starts: RAG_API_BASE.", True)
    if is_loopback(host):
        return Cost("Privacy", f"Questions and passages are sent to {host}, which is this machine.")
    return Cost("Privacy", f"Questions and the passages found for them leave this machine: they are sent to {host}.")


def _of_local(model: Model, then: Config, here: Here) -> Iterator[Cost]:
    if not here.is_present:
        yield _of_download(model, here)
    terms = model.licence or "as the model's page states it"
    yield Cost("Licence", f"{terms}{'; no commercial use' if model.commercial is False else ''}.")
    if model.name in here.models and not _is_other_precision(then):
        yield Cost("Memory", f"None: {model.name} is loaded already.")
    else:
        yield _of_memory(model, Precision(then.precision), here.machine)
    if model.shape and model.shape.parameters > LARGE and not here.machine.has_gpu:
        yield Cost("Time", "Without a GPU a model of this size writes slowly: each word takes all of its weights once.")


def _is_other_precision(then: Config) -> bool:
    return then.precision != Precision.AUTO


def _of_download(model: Model, here: Here) -> Cost:
    size = model.bytes or (2 * model.shape.parameters if model.shape else 0)
    if not size:
        return Cost("Download", f"{model.name} is not on this machine; its size is told before it is fetched.", True)
    room = f"the disk has {_gb(here.disk)} free"
    if size > here.disk:
        return Cost("Download", f"{model.name} is not on this machine: some {_gb(size)}, and {room}.", True)
    return Cost("Download", f"{model.name} is not on this machine: some {_gb(size)}, once; {room}.", forbids=True)


def _of_memory(model: Model, precision: Precision, machine: Machine) -> Cost:
    if model.is_gguf and model.bytes and model.shape:
        return _fitting(model.bytes + model.shape.cache_bytes(CACHED) + WORKSPACE, machine)
    if model.shape is None:
        return Cost("Memory", "How much this kind of model needs is known only once it is loaded.")
    if precision is not Precision.AUTO:
        return _fitting(need(model.shape, precision, model.window), machine)
    try:
        return Cost("Memory", f"{choose(precision, model.shape, machine, half=True).why}.")
    except RagError as error:
        return Cost("Memory", str(error), forbids=True)


def _fitting(size: int, machine: Machine) -> Cost:
    needs = f"needs {_gb(size)}, and {_gb(machine.free)} are free on {machine.device}"
    if size <= machine.free:
        return Cost("Memory", f"{needs}.")
    return Cost("Memory", f"{needs}. Take a smaller one, or free what is loaded below.", forbids=True)


def _of_passages(then: Config) -> Iterator[Cost]:
    if then.model == EXTRACTIVE:
        read = f"{min(then.passages, PASSAGES)} of them are read for a quotation"
        yield Cost("Time", f"{then.passages} passages are found for a question; {read}.")
        return
    tokens = then.passages * PASSAGE_TOKENS
    yield Cost("Time", f"Up to some {tokens:,} tokens more to read before the first word is written.")
    try:
        model = None if then.model.startswith(REMOTE) else find(then.model)
    except RagError:
        return
    if model and model.window and tokens > model.window - RESERVE:
        room = (model.window - RESERVE) // PASSAGE_TOKENS
        yield Cost("Room", f"The window of {model.name} has {model.window:,} tokens: some {room} passages fit.")
    if model and model.shape:
        yield Cost("Memory", f"{_gb(model.shape.cache_bytes(min(tokens, model.window or tokens)))} for what it reads.")


def _of_ocr(then: Config, here: Here) -> Cost:
    if then.ocr == "off":
        return Cost(
            "Indexing", "What OCR has read stays; of what is indexed from now on, pages without text are only named."
        )
    return Cost(
        "Indexing anew",
        f"Some 3 s a page without text on one core, the next time that folders of {here.collection or 'a collection'} "
        f"are brought in step in the Library ({here.documents:,} documents; of pages with text, none is read again).",
    )


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
