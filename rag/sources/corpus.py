"""The corpus of a question set as a Source, so that what is published can be measured as it comes: BEIR's corpus.jsonl,
a document a line, and SQuAD's .json, a document an article.

Documents are named as the questions' evidence names them: by BEIR's `_id` (arXiv 2104.08663), by SQuAD's title.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rag.sources.clean import normalize
from rag.types import Document, Entry, Outcome, Reading, Status

BEIR, SQUAD = "corpus.jsonl", ".json"
_PARSER = "corpus 1"


def is_corpus(path: Path) -> bool:
    """By its name, and, of a .json file, whether it begins as SQuAD's do."""
    if path.name == BEIR:
        return path.is_file()
    if path.suffix != SQUAD or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(4096)
    return b'"data"' in head and (b'"paragraphs"' in head or b'"title"' in head)


class Corpus:
    """Lines and articles without text, or of a name that came before, are passed over and counted."""

    reader = _PARSER
    unread: Sequence[str] = ()

    def __init__(self, path: Path) -> None:
        self.root = path
        self.skipped: list[str] = []
        self._prefix = b"corpus:" + os.fsencode(path) + b"#"  # no path: a folder's sync has no say in it

    def scan(self) -> Iterator[Entry]:
        seen: set[bytes] = set()
        passed_over = 0
        for document in self._documents():
            key = self._key(document)
            if key in seen or not document.text:
                passed_over += 1
                continue
            seen.add(key)
            content = f"{document.name}\0{document.title}\0{document.text}".encode()
            yield Entry(key, document.name, document.uri, hashlib.sha256(content).hexdigest(), len(content))
        self.skipped = [f"{passed_over} rows without an id or text, or with an id used before"] if passed_over else []

    def covers(self, key: bytes) -> bool:
        return key.startswith(self._prefix)

    def excludes(self, key: bytes) -> bool:
        return False

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]:
        wanted = {entry.key: entry for entry in entries}
        for document in self._documents():
            if document.text and (entry := wanted.pop(self._key(document), None)):
                yield Reading(entry, Outcome(Status.INDEXED), document)
        for entry in wanted.values():
            yield Reading(entry, Outcome(Status.UNREADABLE, "It is no longer in the file", "Index it again."))

    def _key(self, document: Document) -> bytes:
        return self._prefix + document.name.encode("utf-8", "replace")

    def _documents(self) -> Iterator[Document]:
        """Of a row that is none, a document without text."""
        rows = _lines(self.root) if self.root.name == BEIR else _articles(self.root)
        for name, title, text in rows:
            uri = f"{self.root.as_uri()}#{name}"
            yield Document(normalize(name), uri, " ".join(normalize(title).split()), normalize(text).strip())


def _lines(path: Path) -> Iterator[tuple[str, str, str]]:
    with path.open("rb") as file:
        for line in file:
            row = _json(line)
            name, title, text = (row.get(key) if isinstance(row, dict) else None for key in ("_id", "title", "text"))
            known = isinstance(name, str) and isinstance(text, str)
            yield (str(name), str(title or ""), str(text)) if known else ("", "", "")


def _articles(path: Path) -> Iterator[tuple[str, str, str]]:
    whole = _json(path.read_bytes())
    for article in _list(whole, "data"):
        title = article.get("title") if isinstance(article, dict) else None
        contexts = [
            paragraph.get("context") for paragraph in _list(article, "paragraphs") if isinstance(paragraph, dict)
        ]
        text = "\n\n".join(context for context in contexts if isinstance(context, str))
        yield (title, title.replace("_", " "), text) if isinstance(title, str) else ("", "", "")


def _list(holder: Any, name: str) -> list[Any]:
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, list) else []


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
