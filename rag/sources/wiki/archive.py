"""A whole Wikipedia from a file, as a Source: a ZIM archive, or an XML dump.

Streamed: pages are listed block by block and read by child processes, a few blocks at a time, so that memory does not
grow with the archive. A page is known by the archive's name and its own, its version by its revision: a newer archive
of the same wiki replaces the older, and a sync that was killed goes on where it was.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rag.errors import UsageError
from rag.sources.divided import Found, Lead, Share
from rag.sources.isolate import Child, ChildError
from rag.sources.pool import Pool
from rag.sources.wiki.article import PARSER
from rag.sources.wiki.articles import name_of
from rag.sources.wiki.books import LIMITS, WORKER, Book, DumpBook, ZimBook
from rag.sources.wiki.dump import NoDumpError
from rag.sources.wiki.pages import Listed
from rag.sources.wiki.zim import NoZimError
from rag.types import Document, Entry, Mark, Outcome, Reading, Status

REMEMBERED = 8192  # entries that were listed and may yet be read
SUFFIXES = (".zim", ".xml", ".xml.bz2")

_NOT_READ = {"ambiguous": "It only tells articles of like names apart", "redirect": "It only leads to another page"}


class Archive:
    """The articles of a book; up to `limit`, in the namespaces given. `root` is None: it is no folder."""

    reader = f"archive {PARSER}"
    root = None
    unread: Sequence[str] = ()

    def __init__(
        self, path: Path, limit: int | None = None, namespaces: Sequence[int] = (0,), workers: int | None = None
    ) -> None:
        self._workers = workers or os.cpu_count() or 1
        try:
            self._book: Book = (
                ZimBook(path) if path.suffix == ".zim" else DumpBook(path, tuple(namespaces), self._workers)
            )
        except (NoZimError, NoDumpError, ChildError, OSError) as error:
            raise UsageError(f"{path} cannot be read: {error}. Nothing was changed; get the file again.") from error
        self.prefix = self._book.prefix.encode()
        self.path = path
        self._limit = limit
        self._namespaces = frozenset(namespaces)
        self._whole = False
        self._passed: Counter[str] = Counter()
        self._where: dict[bytes, tuple[Mapping[str, Any], Listed]] = {}
        self._pool: Pool[Mapping[str, Any], list[dict[str, Any]]] | None = None

    @property
    def skipped(self) -> Sequence[str]:
        return [
            f"{count} {what}{'' if count == 1 else 's'} passed over" for what, count in sorted(self._passed.items())
        ]

    def scan(self) -> Iterator[Entry]:
        """Raises UsageError where the archive turns out to be damaged; what came before is good."""
        self._passed.clear()
        for block, pages in self._articles(None):
            for page in pages:
                yield self._entry(block, page)

    def _articles(self, share: Share | None) -> Iterator[tuple[Mapping[str, Any], list[Listed]]]:
        """Blocks of a share, or of all, without the pages that are no articles, which are counted."""
        self._whole = False
        left = self._limit
        try:
            for block, listed in self._book.listed(share):
                pages = list(filter(self._counts, listed))
                if left is not None and len(pages) > left:
                    yield block, pages[:left]
                    return
                left = None if left is None else left - len(pages)
                if pages:
                    yield block, pages
        except (NoZimError, NoDumpError, OSError) as error:
            advice = "What was read before is indexed; get the file again, and run the same command to go on."
            raise UsageError(f"{self.path} is damaged: {error}. {advice}") from error
        self._whole = True

    def _counts(self, page: Listed) -> bool:
        if page.redirect or page.ambiguous:
            self._passed["redirect" if page.redirect else "disambiguation page"] += 1
        return not (page.redirect or page.ambiguous)

    def shares(self, wanted: int) -> Sequence[Share]:
        """One where only the first articles are wanted."""
        return self._book.shares(1 if self._limit else wanted)

    def leads(self, share: Share) -> Iterator[Lead]:
        """Blocks with their articles. Raises UsageError as `scan` does."""
        for block, pages in self._articles(share):
            yield Lead((block, pages), len(pages), sum(page.size for page in pages))

    def entries(self, leads: Sequence[Lead]) -> Iterator[Entry]:
        return (self._entry(lead.what[0], page) for lead in leads for page in lead.what[1])

    def found(self) -> Found:
        told = Found(dict(self._passed), whole=self._whole)
        self._passed.clear()
        return told

    def believe(self, found: Sequence[Found]) -> None:
        self._passed.clear()
        for told in found:
            self._passed.update(told.passed)
        self._whole = all(told.whole for told in found)

    def covers(self, key: bytes) -> bool:
        if not (self._whole and key.startswith(self.prefix)):
            return False
        namespace = key[len(self.prefix) :].partition(b"#")[0]
        return not namespace.lstrip(b"-").isdigit() or int(namespace) in self._namespaces

    def excludes(self, key: bytes) -> bool:
        return False

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]:
        """In any order. Each entry must be one of the last few thousand that were listed."""
        lost = [entry for entry in entries if entry.key not in self._where]
        yield from (Reading(entry, Outcome(Status.UNREADABLE, "It was not listed", "Run again.")) for entry in lost)
        known = [(entry, *self._where[entry.key]) for entry in entries if entry.key in self._where]
        pool = self._pool = self._pool or Pool(_read, self._workers, LIMITS, WORKER)
        waiting: dict[str, list[tuple[Entry, Listed]]] = {}
        begun = 0
        for number, (_, group) in enumerate(groupby(known, key=lambda item: id(item[1]))):
            members = list(group)
            pages = {page.name: (entry, page) for entry, _, page in members}
            waiting[str(number)] = list(pages.values())
            pool.submit({**members[0][1], "do": "read", "pages": list(pages), "number": str(number)})
            begun += 1
            if begun >= 2 * self._workers:
                yield from self._readings(pool.result(), waiting)
                begun -= 1
        for _ in range(begun):
            yield from self._readings(pool.result(), waiting)

    def close(self) -> None:
        """Ends the children; reading starts new ones."""
        pool, self._pool = self._pool, None
        if pool:
            pool.close()

    def _entry(self, block: Mapping[str, Any], page: Listed) -> Entry:
        key = self.prefix + f"{page.namespace}#{page.name}".encode()
        self._where[key] = (block, page)
        if len(self._where) > REMEMBERED:
            del self._where[next(iter(self._where))]
        name = name_of(page.title, self._book.about.language)
        return Entry(key, name, self._book.article(page).link, self._book.version(page), page.size)

    def _readings(
        self, answers: Sequence[Mapping[str, Any]], waiting: dict[str, list[tuple[Entry, Listed]]]
    ) -> Iterator[Reading]:
        by_name = {answer["name"]: answer for answer in answers if answer["kind"] == "text"}
        for entry, page in waiting.pop(str(answers[-1]["number"])):
            yield self._reading(entry, page, by_name.get(page.name, {"why": "Not where it was listed"}))

    def _reading(self, entry: Entry, page: Listed, answer: Mapping[str, Any]) -> Reading:
        why = str(answer.get("why", ""))
        if why in _NOT_READ:
            self._passed["redirect" if why == "redirect" else "disambiguation page"] += 1
            return Reading(entry, Outcome(Status.NO_TEXT, _NOT_READ[why], "Nothing to do."))
        if why:
            return Reading(entry, Outcome(Status.DAMAGED, why, "Get the file again if there are many."))
        if not answer["text"]:
            return Reading(entry, Outcome(Status.NO_TEXT, "No text in this article", "Nothing to do."))
        marks = tuple(Mark(int(offset), str(label)) for offset, label in answer["marks"])
        article = self._book.article(page)
        document = Document(entry.name, entry.uri, page.title, str(answer["text"]), marks, article=article)
        return Reading(entry, Outcome(Status.INDEXED), document)


def _read(child: Child, job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All that a child answers to a job. Where a page kills it, the others are asked for one by one."""
    end = {"kind": "end", "number": job["number"]}
    try:
        return [message for message in child.ask(job) if message["kind"] != "end"] + [end]
    except ChildError as error:
        pages = job["pages"]
        if len(pages) == 1:
            return [{"kind": "text", "name": pages[0], "why": f"Broken: it stops its reader ({error})"}, end]
        answers = [_read(child, {**job, "pages": [page]})[0] for page in pages]
        return [answer for answer in answers if answer["kind"] == "text"] + [end]
