"""Every noun and every seam of the project. Whoever has read this file knows the program.

Imports nothing of ours. Nouns are frozen dataclasses; a seam is a protocol, and a new backend is one short
file that satisfies it plus one line in `config.py`.
"""

from __future__ import annotations

from collections import abc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


# ---------------------------------------------------------------------------------------------- documents


@dataclass(frozen=True, slots=True)
class Mark:
    """From character `offset` on, the text belongs to `label`, until the next Mark.

    A page of a PDF ("p. 3") and a section of an article ("Early life") are the same thing, so nothing
    downstream branches on where a text came from. `page` is 1-based, None where there are no pages.
    """

    offset: int
    label: str
    page: int | None = None


class Origin(StrEnum):
    """The two kinds of knowledge, which are never mixed up: people's own documents, and Wikipedia's articles."""

    PRIVATE = "private"
    WIKIPEDIA = "wikipedia"


@dataclass(frozen=True, slots=True)
class Article:
    """The revision of an article that a document is the text of: all that a citation of it has to name.

    `timestamp` (ISO 8601) is when the revision was made and `link` leads to it for good. Of an archive that does not
    know its revisions, `page` and `revision` are 0, `timestamp` is the archive's and `link` the article's.
    `redirect` is the title that it was asked for by, where that is another one.
    """

    language: str
    page: int
    revision: int
    timestamp: str
    link: str
    licence: str
    redirect: str = ""

    @property
    def attribution(self) -> str:
        """What the licence wants to stand beside the text, with the link."""
        return f"Wikipedia contributors, {self.licence}"


@dataclass(frozen=True, slots=True)
class Document:
    """One file or article, as text. `name` is what people see and filters match: the path relative to the
    indexed folder, or the article's title. `marks` say where a passage is cited; `headings` (a PDF's outline,
    say) say what it is about. Both are sorted by offset. `article` is None for a document of people's own."""

    name: str
    uri: str
    title: str
    text: str
    marks: tuple[Mark, ...] = ()
    headings: tuple[Mark, ...] = ()
    article: Article | None = None


class Status(StrEnum):
    """How reading a file ended. Every file ends in exactly one."""

    INDEXED = "indexed"
    PARTLY = "partly"
    NO_TEXT = "no text"
    GARBLED = "garbled"
    PASSWORD = "password"  # noqa: S105 - a status, not a secret
    DAMAGED = "damaged"
    LIMIT = "limit"
    UNSUPPORTED = "unsupported"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A `status` with the reason for it, what to do about it, and the pages (1-based) that gave no text.

    `reason` and `remedy` are empty for a file that is simply indexed. `pages` is None for formats without pages.
    """

    status: Status
    reason: str = ""
    remedy: str = ""
    pages: int | None = None
    pages_without_text: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """Something a Source can read, known before it is read.

    `key` identifies the place (a file's absolute path as bytes: names need not be UTF-8), `version` its content
    (a SHA-256 or a revision id): equal versions are equal content and are stored once. `version` is empty when
    the content could not be read at all; `problem` then says why.
    """

    key: bytes
    name: str
    uri: str
    version: str
    size: int = 0
    problem: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading an Entry: a document, or none and an outcome that says why."""

    entry: Entry
    outcome: Outcome
    document: Document | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A file or an article as a collection holds it, whether anything could be read of it or not. `key` is the Entry's;
    `revised` is when an article's revision was made (ISO 8601), and empty of anything else."""

    key: bytes
    name: str
    uri: str
    size: int
    outcome: Outcome
    origin: Origin = Origin.PRIVATE
    revised: str = ""


# ------------------------------------------------------------------------------------- passages and hits


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document: always `document.text[start:end] == text`.

    `heading` is what stands above it (section path, a table's caption and column heads); `place` and `page` are
    its Mark's, `article` its document's.
    """

    document: str
    uri: str
    title: str
    heading: str
    place: str
    page: int | None
    start: int
    end: int
    text: str
    article: Article | None = None

    def __hash__(self) -> int:
        """Of what tells passages apart: they are keys everywhere, and hashing every field took most of fusion."""
        return hash((self.document, self.start))

    @property
    def origin(self) -> Origin:
        return Origin.WIKIPEDIA if self.article else Origin.PRIVATE

    @property
    def headed(self) -> str:
        """What is embedded and keyword-indexed: the passage under its document's title and its heading."""
        head = " > ".join(part for part in (self.title, self.heading) if part)
        if self.heading.startswith(self.title):  # a document whose first heading is its title
            head = self.heading
        return f"{head}\n{self.text}" if head else self.text


@dataclass(frozen=True, slots=True)
class Card:
    """What a document can be recognised by, before anything is searched."""

    id: int
    name: str
    title: str
    origin: Origin = Origin.PRIVATE


@dataclass(frozen=True, slots=True)
class Extract:
    """What a reader makes of a passage: `text[start:end]` are the words that answer, if any do.

    `likely` is the log probability that they, of all words of the passage, are the answer; `answers` the log odds that
    the passage answers at all; `relevance` tells which passage bears more on the question, and means nothing by itself.
    """

    start: int
    end: int
    likely: float
    answers: float
    relevance: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage found for a question. A higher score is better, always; scores of different retrievers are not
    comparable. `extract` is what a reader found in it, where one has read it."""

    passage: Passage
    score: float
    extract: Extract | None = None


# ----------------------------------------------------------------------------------------------- evidence


@dataclass(frozen=True, slots=True)
class Cited:
    """Where to look for a cited passage: a page of a file, by its path (`key`), as it was when it was indexed.

    `text` is all that was read of that page, of which `text[start:end]` is cited; `span` (also offsets into it) are the
    words that answer, if they are on this page.
    """

    key: bytes
    version: str
    page: int
    text: str
    start: int
    end: int
    span: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Rectangle:
    """In pixels of a picture, from its upper left; `right` and `bottom` are the first that no longer belong to it."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A page as it is printed, with what is cited marked in it, a rectangle a line.

    `problem` is empty when all of it is marked. Otherwise it says what is not, fit to be shown: a place that is in
    doubt is left unmarked. `png` is empty where the page itself could not be drawn.
    """

    png: bytes
    width: int
    height: int
    lines: tuple[Rectangle, ...] = ()
    span: tuple[Rectangle, ...] = ()
    problem: str = ""


# ------------------------------------------------------------------------------------------------ answers


@dataclass(frozen=True, slots=True)
class Message:
    role: str  # "system", "user" or "assistant"
    content: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was asked before in a conversation, in words that stand alone, and what was answered."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Citation:
    """Marker [number] of an answer and the passage that it names. `supported` is False when a sentence that
    carries the marker says something the passage does not."""

    number: int
    passage: Passage
    supported: bool


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the passage that marker [number] names, by offsets into its text: `passage.text[start:end]`."""

    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Written:
    """What a writer knows of the text it wrote, or of why it wrote none.

    `confidence` is how probable it holds that the hits answer the question, from 0 to 1: what it refuses by; None for
    a writer that does not know. `spans` are the shortest stretches that answer, surest first. A `verbatim` text is made
    of quotations with their markers: nothing in it is to be set right. `used` counts the leading hits that it had room
    for in the end, None for all that it was given; `notes` say why. `prompt` is what a model was sent, word for word.
    """

    confidence: float | None = None
    spans: tuple[Span, ...] = ()
    verbatim: bool = False
    used: int | None = None
    notes: tuple[str, ...] = ()
    prompt: tuple[Message, ...] = ()


Writing: TypeAlias = "abc.Generator[str, None, Written]"  # a text, piece by piece; `Generator` is a chat model below


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, what it rests on, and what it cost.

    `hits` are all passages retrieved, best first, of which the first ones were `offered` to the writer: `spans` name
    them by their rank, as markers do, and `confidence` and `spans` are as the writer gave them (`Written`). `notes`
    say what was done otherwise than asked for, such as passages left out for want of memory.
    `unsupported` are sentences of `text` that no cited passage bears out; `repaired` are those whose citation was
    missing or wrong and was set right; `dropped_markers` are markers the model made up, which were taken out.
    `understood` is the question as it was searched for: a follow-up, in words that stand alone. `forgotten` counts the
    earliest exchanges, for which the prompt had no room. `prompt` is what a chat model was sent, empty where none was
    asked. `timings` are seconds by stage.
    """

    question: str
    text: str
    abstained: bool
    model: str
    citations: tuple[Citation, ...] = ()
    hits: tuple[Hit, ...] = ()
    offered: int = 0
    unsupported: tuple[str, ...] = ()
    dropped_markers: tuple[int, ...] = ()
    confidence: float | None = None
    spans: tuple[Span, ...] = ()
    notes: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()
    understood: str = ""
    forgotten: int = 0
    prompt: tuple[Message, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)


# --------------------------------------------------------------------------------------------- evaluation


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where an answer stands. `page` is 1-based; without one the `text` tells the passage, and without a text the
    document as a whole is meant. `grade` is how relevant it is, where a question set grades that."""

    document: str
    page: int | None = None
    text: str = ""
    grade: int = 1


@dataclass(frozen=True, slots=True)
class Example:
    """A question with the answers that are right, any of which will do, and the evidence for them. Where it is not
    `answerable` from the documents, refusing is right."""

    id: str
    question: str
    answers: tuple[str, ...] = ()
    answerable: bool = True
    evidence: tuple[Evidence, ...] = ()


# ------------------------------------------------------------------------------------------------ reports


@dataclass(frozen=True, slots=True)
class FileReport:
    """One line of a sync's report."""

    document: str
    outcome: Outcome

    def as_json(self) -> dict[str, Any]:
        return {"document": self.document, **asdict(self.outcome)}


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did (or, dry, would do). `withheld` counts files that are gone but were not removed, because so
    many vanished at once that a missing drive is likelier than a clean-up."""

    collection: str
    added: int
    changed: int
    renamed: int
    removed: int
    unchanged: int
    withheld: int
    passages: int
    embedded: int
    seconds: float
    files: tuple[FileReport, ...]
    notes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 when every file is simply indexed and nothing was withheld, 3 when there is something to look at."""
        simple = all(file.outcome.status is Status.INDEXED for file in self.files)
        return 0 if simple and not self.withheld and not self.unread else 3


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What made a collection's vectors. Two collections with equal fingerprints can be searched with the same
    embedder; anything else gives neighbours that mean nothing, even at the same dimension."""

    model: str
    revision: str
    dimension: int
    pooling: str
    normalized: bool
    question_prompt: str
    passage_prompt: str
    max_tokens: int
    chunker: str


# -------------------------------------------------------------------------------------------------- seams


class Source(Protocol):
    """Somewhere documents come from. `scan` is cheap and says what is there; `read` opens only what is asked for,
    streams, and may return readings in any order."""

    @property
    def reader(self) -> str:
        """Names what does the reading: what failed under one reader is tried again under another."""
        ...

    @property
    def skipped(self) -> Sequence[str]:
        """After a scan: what was passed over, such as "2 symbolic links skipped"."""
        ...

    @property
    def unread(self) -> Sequence[str]:
        """After a scan: what could not be looked into, such as folders without permission."""
        ...

    def scan(self) -> Iterator[Entry]: ...

    def covers(self, key: bytes) -> bool:
        """After a scan: whether an entry of this key would have been found, so that its absence means it is gone."""
        ...

    def excludes(self, key: bytes) -> bool:
        """Whether an entry of this key is left out on purpose."""
        ...

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]: ...


@runtime_checkable
class Archive(Source, Protocol):
    """A Source too large to be listed at once: what `scan` yields is read before it goes on. All its keys begin with
    `prefix`; `covers` is true of nothing until a scan has come to its end."""

    @property
    def prefix(self) -> bytes: ...

    def close(self) -> None:
        """Gives back what reading needs."""
        ...


class Tokens(Protocol):
    """Counts tokens as a model does, special tokens left out."""

    def count(self, texts: Sequence[str]) -> list[int]: ...


class Embedder(Tokens, Protocol):
    """Text to unit vectors, float32 of shape (n, dimension). Questions and passages are embedded by separate
    methods, because models differ in their prefixes."""

    @property
    def fingerprint(self) -> Fingerprint: ...

    def embed_passages(self, texts: Sequence[str]) -> Vectors: ...

    def embed_questions(self, texts: Sequence[str]) -> Vectors: ...


class Index(Protocol):
    """What can be searched: a collection, or the part of it that a filter leaves. `among` narrows to documents by
    the ids of their cards. Hits come best first."""

    def cards(self) -> Sequence[Card]: ...

    def openings(self, documents: Sequence[int]) -> Mapping[int, str]:
        """The first passage's text of each of these documents."""
        ...

    def dense(self, vector: Vectors, k: int, among: Sequence[int] | None = None) -> list[Hit]: ...

    def keyword(self, question: str, k: int, among: Sequence[int] | None = None) -> list[Hit]: ...


class Retriever(Protocol):
    """Question to hits, best first. Fusion and reranking are retrievers that hold retrievers."""

    def retrieve(self, question: str, k: int) -> list[Hit]: ...


class Scorer(Protocol):
    """How well each text answers the question; higher is better."""

    def score(self, question: str, texts: Sequence[str]) -> Sequence[float]: ...


class Reader(Protocol):
    """Reads passages for a question: an Extract for each, in their order."""

    def read(self, question: str, passages: Sequence[Passage]) -> Sequence[Extract]: ...


class Generator(Protocol):
    """A chat model. `window` is the number of tokens that prompt and answer share; `prompt_tokens` counts a prompt
    exactly as `stream` would send it to the model, template and special tokens included."""

    @property
    def name(self) -> str: ...

    @property
    def window(self) -> int: ...

    def prompt_tokens(self, messages: Sequence[Message]) -> int: ...

    def stream(self, messages: Sequence[Message], max_new_tokens: int) -> Iterator[str]: ...


class Writer(Protocol):
    """Hits to text with [n] markers, n being the 1-based rank of the hit cited.

    `fit` returns the leading hits that the writer can use at once (a model's window is finite); `write` streams
    an answer over exactly those, and returns what else it knows of it (`written = yield from writer.write(...)`).
    An empty text means that nothing in them answers the question. Closing the generator stops the writer. `recall`
    returns the latest exchanges of a conversation that it has room for, to be handed to the other two.
    """

    @property
    def name(self) -> str: ...

    def recall(self, question: str, history: Sequence[Exchange]) -> list[Exchange]: ...

    def fit(self, question: str, hits: Sequence[Hit], history: Sequence[Exchange] = ()) -> list[Hit]: ...

    def write(self, question: str, hits: Sequence[Hit], history: Sequence[Exchange] = ()) -> Writing: ...


class Rewriter(Protocol):
    """A follow-up question in words that stand alone; any other question as it is."""

    def rewrite(self, question: str, history: Sequence[Exchange]) -> str: ...
