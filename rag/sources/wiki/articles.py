"""Articles of one wiki as a Source, read through its API: revisions tell what changed, and only that is fetched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from rag.errors import NetworkError
from rag.sources.wiki.api import Page, Wiki
from rag.sources.wiki.article import PARSER, read_article
from rag.sources.wiki.find import Found, refreshed
from rag.sources.wiki.http import ApiError, is_wikipedia
from rag.types import Article, Document, Entry, Outcome, Reading, Status

GIVE_UP = 3  # articles in a row that the wiki does not give: then it is left alone

_KEY = re.compile(r"wiki:(.+)#(\d+)")


def key_of(api: str, page: int) -> bytes:
    """What an article is known by, whatever it is called just now."""
    return f"wiki:{api}#{page}".encode()


def held_by(key: bytes) -> tuple[str, int] | None:
    """The API and page id of an article's key; None for any other."""
    match = _KEY.fullmatch(key.decode("utf-8", "replace"))
    return (match[1], int(match[2])) if match else None


def version_of(host: str, revision: int) -> str:
    """Equal for the same revision, however it was come by."""
    return f"revision:{host}/{revision}"


def name_of(title: str, language: str) -> str:
    """As wikis write it: English titles as they are, others behind their language."""
    return title if language.startswith("en") else f"{language}:{title}"


class Articles:
    """Those that `find` finds, when they are first asked for. Nothing else that the collection holds is touched."""

    reader = f"articles {PARSER}"

    def __init__(self, wiki: Wiki, find: Callable[[Wiki], Found]) -> None:
        self._wiki = wiki
        self._find = find
        self._found: Found | None = None

    @property
    def found(self) -> Found:
        """Raises NetworkError, and what `find` raises."""
        if self._found is None:
            self._found = self._find(self._wiki)
        return self._found

    @property
    def skipped(self) -> Sequence[str]:
        return self.found.notes

    @property
    def unread(self) -> Sequence[str]:
        return list(self.found.unsettled)

    def scan(self) -> Iterator[Entry]:
        for page, _ in self.found.pages.values():
            version = version_of(self._wiki.host, page.revision)
            name = name_of(page.title, self._wiki.language)
            yield Entry(key_of(self._wiki.api, page.id), name, self._wiki.link(page), version, page.size)

    def covers(self, key: bytes) -> bool:
        page = self._page(key)
        return page in self.found.pages or page in self.found.gone

    def excludes(self, key: bytes) -> bool:
        """What the wiki says is gone is gone for certain."""
        return self._page(key) in self.found.gone

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]:
        """One after the other. An article that is not to be had is told; after a few in a row, the others are not asked
        for."""
        failed = 0
        for entry in entries:
            if failed == GIVE_UP:
                yield _unread(entry, f"Not asked for: {self._wiki.host} gave none of the {GIVE_UP} before")
                continue
            page, redirect = self.found.pages[self._page(entry.key)]
            try:
                html = self._wiki.html(page)
            except NetworkError as error:
                failed += 1
                yield _unread(entry, str(error))
            except ApiError as error:
                yield _unread(entry, f"{self._wiki.host} does not give this revision ({error})")
            else:
                failed = 0
                yield self._reading(entry, page, redirect, html)

    def _reading(self, entry: Entry, page: Page, redirect: str, html: str) -> Reading:
        body = read_article(html)
        if not body.text:
            return Reading(entry, Outcome(Status.NO_TEXT, "No text in this article", "Nothing to do."))
        article = Article(
            language=self._wiki.language,
            page=page.id,
            revision=page.revision,
            timestamp=page.timestamp,
            link=entry.uri,
            licence=self._wiki.licence,
            redirect=redirect,
        )
        document = Document(entry.name, entry.uri, page.title, body.text, body.marks, article=article)
        return Reading(entry, Outcome(Status.INDEXED), document)

    def _page(self, key: bytes) -> int:
        """The id of a page of this wiki; -1 for any other key."""
        held = held_by(key)
        return held[1] if held and held[0] == self._wiki.api else -1


def refreshing(held: Mapping[bytes, str], api: str, contact: str) -> tuple[list[Articles], list[str]]:
    """Sources for the articles held (key → title), a wiki each, and notes on those that are not asked about: only
    Wikipedias are, and the wiki at `api`."""
    by_wiki: dict[str, dict[int, str]] = {}
    for key, title in held.items():
        if known := held_by(key):
            by_wiki.setdefault(known[0], {})[known[1]] = title
    left = {other: titles for other, titles in by_wiki.items() if other != api and not is_wikipedia(other)}
    sources = [
        Articles(Wiki(other, contact=contact), partial(refreshed, held=titles))
        for other, titles in sorted(by_wiki.items())
        if other not in left
    ]
    return sources, [f"{len(titles)} of {other} not asked about: --api allows it" for other, titles in left.items()]


def _unread(entry: Entry, reason: str) -> Reading:
    return Reading(entry, Outcome(Status.UNREADABLE, reason, "Run the same command later."))
