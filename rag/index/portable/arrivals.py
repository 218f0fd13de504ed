"""Lines of a bundle → what they stand for, each value of the kind that it has to be. Pure.

Every function raises ValueError, TypeError or KeyError for a line that makes no sense.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from rag.index.portable.bundle import sound, typed
from rag.types import Article, Document, Entry, Mark, Outcome, Passage, Status

MOST = 1 << 40  # documents


@dataclass(frozen=True, slots=True)
class Arrived:
    id: int
    version: str
    document: Document
    passages: tuple[Passage, ...]


def arrived(row: Any) -> Arrived:
    title, text, article = _text(row["title"]), _text(row["text"]), row["article"]
    marks, headings = (tuple(_mark(mark) for mark in row[name]) for name in ("marks", "headings"))
    document = Document("", "", title, text, marks, headings, _article(article) if article else None)
    passages = []
    for start, end, heading, place, page in row["passages"]:
        if not 0 <= _number(start) < _number(end) <= len(text):
            raise ValueError("a passage that its document does not have")
        cut = (start, end, text[start:end])
        passages.append(Passage("", "", title, _text(heading), _text(place), _maybe(page), *cut, document.article))
    id_ = _number(row["id"])
    if not 0 < id_ < MOST:
        raise ValueError("an id that is none")
    return Arrived(id_, _text(row["version"]), document, tuple(passages))


def file(row: Any) -> tuple[Entry, str, Outcome, int | None]:
    name, uri, version = (_text(row[column]) for column in ("name", "uri", "version"))
    entry = Entry(unquote_to_bytes(_text(row["key"])), name, uri, version, _number(row["size"]))
    pages, without = _maybe(row["pages"]), tuple(_number(page) for page in row["pages_without_text"])
    outcome = Outcome(Status(row["status"]), _text(row["reason"]), _text(row["remedy"]), pages, without)
    return entry, _text(row["reader"]), outcome, _maybe(row["document"])


def page_read(row: Any) -> tuple[str, int, str, str]:
    version, page, engine, text = row
    return _text(version), _number(page), _text(engine), _text(text)


def _article(row: Any) -> Article:
    """Its link is shown to be followed: it leads to a page or a file, and is no script."""
    article = typed(Article, row)
    if not article.link.startswith(("https://", "http://", "file://")):
        raise ValueError("a link that is none")
    return article


def _mark(row: Any) -> Mark:
    offset, label, page = row
    return Mark(_number(offset), _text(label), _maybe(page))


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("something that is no text")
    return str(sound(value))


def _number(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("something that is no number")
    return int(sound(value))


def _maybe(value: Any) -> int | None:
    return None if value is None else _number(value)
