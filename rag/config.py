"""What a user can set: a small frozen value. Each setting has a variable, and many an option."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from rag.errors import UsageError
from rag.generation.formats import Format
from rag.generation.options import Precision
from rag.index.milvus.address import name_in

AUTO = "auto"
EXTRACTIVE = "extractive"
REMOTE = "openai:"
READER, LATE, NONE = "reader", "late", "none"
MOST = 1000  # passages that can be asked for
LONGEST_WINDOW = 10_000_000  # tokens
VARIABLES_ALONE = {"API_KEY", "SERVE_TOKEN", "ROOTS", "APP_ALLOW"}  # RAG_… too, but no fields of a Config
VARIABLES_ALONE |= {f"MILVUS_{name}" for name in ("TOKEN", "CA", "CERT", "KEY", "HOST")}


@dataclass(frozen=True, slots=True)
class Config:
    """What a user can set. Each field has a command-line option or a variable RAG_<FIELD>, and a default."""

    indexes: Path = Path("indexes")
    collection: str = "default"
    embedder: str = AUTO  # the collection's own, or a name, a folder or a hub id of any SentenceTransformer
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
    api_base: str = ""  # of the OpenAI-compatible server that models named "openai:NAME" are at
    store: str = ""  # a Milvus server, as milvus://HOST:19530/NAME, that holds the collection instead of a folder
    ray: str = ""  # a Ray cluster that indexes: HOST:PORT, "auto" or "local"
    api_window: int = 0  # tokens that prompt and answer share there; 0: as the server says

    @classmethod
    def from_environment(cls, **given: object) -> Config:
        """Explicit settings first (None means not given), then variables, then defaults. Raises UsageError."""
        _refuse_misspelt(os.environ)
        values: dict[str, object] = {}
        for name, default in _DEFAULTS.items():
            value, called = given.get(name), _OPTIONS.get(name, name)
            if value is None:
                called = f"RAG_{name.upper()}"
                value = os.environ.get(called) or default
            values[name] = _converted(name, value, type(default), called)
        values["collection"] = _stored_as(values)
        return cls(**values)  # type: ignore[arg-type]


_DEFAULTS: dict[str, object] = {
    "indexes": Path("indexes"),
    "collection": "default",
    "embedder": AUTO,
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
    "api_base": "",
    "store": "",
    "ray": "",
    "api_window": 0,
}
_CHOICES = {
    "ocr": ("auto", "off"),
    "device": ("auto", "cpu", "cuda"),
    "precision": tuple(Precision),
    "merge": ("auto", "yes", "no"),
    "format": ("auto", *(form.value for form in Format)),
}
# How people call it who give it, where that is not its own name.
_OPTIONS = {
    "passages": "-k",
    "precision": "--precision",
    "adapter": "--adapter",
    "seed": "--seed",
    "api_base": "--api-base",
    "store": "--store",
    "ray": "--ray",
}


def _stored_as(values: Mapping[str, object]) -> object:
    """The name of the collection, which a store's address can say as well."""
    name, store = values["collection"], str(values["store"])
    named = name_in(store) if store else ""
    if named and name not in (_DEFAULTS["collection"], named):
        raise UsageError(f"--store names collection {named!r}, and --collection {name!r}: leave one of the names out.")
    return named or name


def _refuse_misspelt(names: Iterable[str]) -> None:
    """A variable that is nearly one of ours would be passed over in silence; what else begins so may be another
    program's."""
    ours = {name.upper() for name in _DEFAULTS} | VARIABLES_ALONE
    for name in sorted(names):
        short = name.removeprefix("RAG_")
        near = get_close_matches(short, ours, n=1, cutoff=0.75) if short not in {name, *ours} else []
        if near:
            raise UsageError(f"{name} is no setting; did you mean RAG_{near[0]}? Nothing was done. Rename or unset it.")


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
