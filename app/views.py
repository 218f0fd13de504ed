"""What the pages show, as pure functions: no Streamlit, nothing read, nothing kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.generation.sentences import MARKER
from rag.types import Answer, Article, Citation, Origin, Passage, Span

# Everything that Markdown, Streamlit's directives (:red[…], :material/…:), HTML or LaTeX could take for its own.
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:^=&\"'@/])")

AROUND = 700  # characters of a document that are shown before a passage, and behind it
SNIPPET = 260  # characters of a passage that stand for it
# What is made something else of after escapes are gone: addresses become links, ":streamlit:" a picture, "->" an arrow.
# A joiner, which is not seen, keeps them apart.
_MENDED = re.compile(r"(?<=:)(?=//|[a-z+_-])|(?<=www)(?=\.)|(?<=@)(?=\w)|(?<=-)(?=[->])|(?<=[<>~])(?=[=-])", re.I)
JOINER = "\u2060"

BADGES = {Origin.PRIVATE: "private", Origin.WIKIPEDIA: "Wikipedia"}


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text and how it is drawn: as "text", as the number of a "source" that can be opened, as a "mark" in
    a passage, as the words that "answer", or as a sentence in "doubt". `name` is told when it is pointed at."""

    kind: str
    text: str
    source: int = 0
    name: str = ""


def plain(text: str) -> str:
    """Without control characters, direction overrides and other characters that are not seen; lines stay lines."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in text.replace("\r\n", "\n").replace("\t", " "))


def line(text: str) -> str:
    """The same on one line."""
    return " ".join(plain(text).split())


def literal(text: str) -> str:
    """Foreign text as Markdown that shows it as it stands: what comes from documents, file names, questions, models."""
    return _SPECIAL.sub(r"\\\1", _MENDED.sub(JOINER, line(text)))


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def named(passage: Passage) -> str:
    """Document and place."""
    return ", ".join(part for part in (line(passage.document), line(passage.place)) if part)


def opening(text: str) -> str:
    """The first words of a passage, on one line."""
    short = line(text)
    return short if len(short) <= SNIPPET else f"{short[:SNIPPET].rpartition(' ')[0] or short[:SNIPPET]} …"


def copied(answer: Answer) -> str:
    """An answer with what it cites, as text that can be pasted anywhere."""
    sources = [f"[{citation.number}] {_cited_as(citation.passage)}" for citation in answer.citations]
    return "\n".join([plain(answer.text), *([""] if sources else []), *sources])


def _cited_as(passage: Passage) -> str:
    article = passage.article
    return f"{named(passage)}, {line(article.link)} ({line(article.attribution)})" if article else named(passage)


def answer_pieces(answer: Answer) -> list[Piece]:
    """An answer's text with its citations, which open their evidence, and the sentences that nothing bears out."""
    sources = {citation.number: citation for citation in answer.citations}
    pieces: list[Piece] = []
    for is_doubtful, text in _parted(plain(answer.text), [plain(sentence) for sentence in answer.unsupported]):
        pieces += _cited(text, sources, is_doubtful)
    return pieces


def passage_pieces(passage: Passage, quotes: Iterable[str], spans: Sequence[Span]) -> list[Piece]:
    """A passage with what is quoted from it marked, and in that the words that answer."""
    text = passage.text
    marked = [found for quote in quotes if (found := _found(text, quote))]
    kinds = ["text"] * len(text)
    for start, end in marked:
        kinds[start:end] = ["mark"] * (end - start)
    for span in spans:
        kinds[span.start : span.end] = ["answer"] * len(kinds[span.start : span.end])
    edges = [0, *(i for i in range(1, len(text)) if kinds[i] != kinds[i - 1]), len(text)]
    return [Piece(kinds[a], plain(text[a:b])) for a, b in pairwise(edges) if a < b]


def around(text: str, passage: Passage) -> tuple[str, str]:
    """What stands before and behind a passage in its document, in whole words; nothing where it is no longer there."""
    if text[passage.start : passage.end] != passage.text:
        return "", ""
    before = text[max(0, passage.start - AROUND) : passage.start]
    after = text[passage.end : passage.end + AROUND]
    if passage.start > AROUND:
        before = f"… {before.partition(' ')[2]}"
    if passage.end + AROUND < len(text):
        after = f"{after.rpartition(' ')[0]} …"
    return plain(before), plain(after)


def article_line(article: Article) -> str:
    dated = f", as of {article.timestamp[:10]}" if article.timestamp else ""
    return f"{article.attribution}{dated}"


def safe_link(link: str) -> str:
    """A link that may be followed; empty for anything else."""
    return link if re.fullmatch(r"https?://[^\s<>\"'`\\]+", link) else ""


def claims(answer: Answer, number: int) -> list[str]:
    """What an answer says on the word of source [number]: the lines or sentences that carry its marker."""
    said = []
    for sentence in re.split(r"\n+|(?<=\])\s+(?=[^\s\[])", answer.text):
        numbers = {n for marker in MARKER.finditer(sentence) for n in _numbers(marker[1])}
        if number in numbers:
            said.append(" ".join(MARKER.sub("", sentence).split()))
    return said


def _found(text: str, quote: str) -> tuple[int, int] | None:
    """Where a text holds a quotation, white space aside."""
    words = quote.split()
    if not words:
        return None
    match = re.search(r"\s+".join(map(re.escape, words)), text)
    return match.span() if match else None


def _parted(text: str, doubtful: Sequence[str]) -> Iterator[tuple[bool, str]]:
    """A text in parts: whether a part is one of the doubtful sentences, and the part."""
    at = 0
    places = sorted((text.find(sentence), len(sentence)) for sentence in doubtful if sentence)
    for start, length in places:
        if start < at:
            continue
        if start > at:
            yield False, text[at:start]
        yield True, text[start : start + length]
        at = start + length
    if at < len(text):
        yield False, text[at:]


def _cited(text: str, sources: dict[int, Citation], is_doubtful: bool) -> Iterator[Piece]:
    kind = "doubt" if is_doubtful else "text"
    name = "No cited passage bears this out" if is_doubtful else ""
    at = 0
    for marker in MARKER.finditer(text):
        numbers = [number for number in _numbers(marker[1]) if number in sources]
        if not numbers:
            continue
        if before := text[at : marker.start()].removesuffix(" "):
            yield Piece(kind, before, name=name)
        for number in numbers:
            yield Piece("source", str(number), number, named(sources[number].passage))
        at = marker.end()
    if at < len(text):
        yield Piece(kind, text[at:], name=name)


def _numbers(marked: str) -> list[int]:
    """The numbers that a marker names: "1, 3-5" are 1, 3, 4 and 5."""
    numbers: list[int] = []
    for part in re.split(r"\s*[,;]\s*", marked):
        first, *last = (int(number[:6]) for number in re.split(r"\s*[–-]\s*", part))
        numbers += range(first, min(last[0], first + 20) + 1) if last else [first]
    return numbers
