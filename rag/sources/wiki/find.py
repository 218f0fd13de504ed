"""Which pages are meant: by title, search, category, or the links of a page; or those held already, to be refreshed.

A title is taken exactly. What it does not settle (a page that does not exist, one that tells articles of like names
apart) is said, with the choices, and never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rag.errors import UsageError
from rag.sources.wiki import package
from rag.sources.wiki.api import BATCH, Page, Wiki

LIMIT = 50  # articles that a search, a category or a page's links give, unless more are asked for
SHOWN = 30  # choices of a disambiguation page


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. `limit` is the most that each search, category and page's links may give."""

    titles: Sequence[str] = ()
    searches: Sequence[str] = ()
    categories: Sequence[str] = ()
    links_from: Sequence[str] = ()
    depth: int = 0
    limit: int = LIMIT


@dataclass(slots=True)
class Found:
    """`pages` by id, with the title each was asked for by where it is another one. `notes` are for people, `unsettled`
    what needs a decision of theirs: title → choices, none for a page that does not exist. `gone` are ids of pages held
    before that are no articles any more."""

    pages: dict[int, tuple[Page, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unsettled: dict[str, list[str]] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)

    def add(self, page: Page, asked: str = "") -> None:
        redirect = asked if asked and _plain(asked) != _plain(page.title) else ""
        if redirect:
            self.notes.append(f'"{redirect}" redirects to "{page.title}"')
        self.pages.setdefault(page.id, (page, redirect))


def asked(wiki: Wiki, wanted: Wanted) -> Found:
    """Raises UsageError when nothing at all is found, with what the choices are."""
    found = Found()
    resolved = wiki.resolve(wanted.titles)
    for title in dict.fromkeys(wanted.titles):
        page = resolved.pages.get(title)
        if page is None:
            found.unsettled[title] = []
        elif page.ambiguous:
            found.unsettled[title] = wiki.choices(page)
        else:
            found.add(page, title)
    for what, titles in _lists(wiki, wanted, found):
        _take(wiki, wanted.limit, what, titles, found)
    problems = [unsettled(title, choices, wiki.host) for title, choices in found.unsettled.items()]
    if not found.pages:
        raise UsageError(" ".join(problems or ["No article was found."]) + " Nothing was changed.")
    found.notes += problems
    return found


def unsettled(title: str, choices: Sequence[str], host: str) -> str:
    """Why a title is no article, and what may have been meant."""
    if not choices:
        return f'"{title}": {host} has no such article; titles are taken exactly, and --search finds others.'
    more = f" and {len(choices) - SHOWN} more" if len(choices) > SHOWN else ""
    return f'"{title}" may mean several articles; name the one you mean: {"; ".join(choices[:SHOWN])}{more}.'


def _lists(wiki: Wiki, wanted: Wanted, found: Found) -> Iterator[tuple[str, Iterator[str]]]:
    for words in wanted.searches:
        yield f'search "{words}"', iter(package.search(wiki.wire, words, wanted.limit + 1))
    for name in wanted.categories:
        yield f'category "{name}"', wiki.category(name, wanted.depth)
    for title in wanted.links_from:
        page = wiki.resolve([title]).pages.get(title)
        if page is None or page.ambiguous:
            found.unsettled[title] = wiki.choices(page) if page else []
        else:
            yield f'links from "{page.title}"', iter(package.links(wiki.wire, page.title))


def _take(wiki: Wiki, limit: int, what: str, titles: Iterator[str], found: Found) -> None:
    """Up to `limit` articles of a list. Disambiguation pages and links to nowhere are passed over, and counted."""
    taken: set[int] = set()
    passed = 0
    while len(taken) <= limit and (batch := _several(titles, min(BATCH, limit + 1 - len(taken)))):
        resolved = wiki.resolve(batch)
        passed += len(resolved.missing)
        for page in resolved.pages.values():
            passed += page.ambiguous
            if not page.ambiguous and page.id not in taken:
                taken.add(page.id)
                if len(taken) <= limit:
                    found.add(page)
    if len(taken) > limit:
        found.notes.append(f"{what}: the first {limit} articles are taken; --limit takes more")
    if passed:
        found.notes.append(f"{what}: {passed} passed over (disambiguation pages, or no articles)")
    if not taken:
        found.notes.append(f"{what}: no article found")


def _several(titles: Iterator[str], count: int) -> list[str]:
    return [title for _, title in zip(range(count), titles, strict=False)]


def refreshed(wiki: Wiki, held: Mapping[int, str]) -> Found:
    """How the articles held (id → title) stand now, asked for in batches. Those that were deleted, renamed or merged
    into others are told."""
    found = Found()
    merged: list[str] = []
    for page in wiki.current(sorted(held)):
        if page.redirected:
            merged.append(page.title)
            found.gone.add(page.id)
            continue
        found.add(page)
        if page.title != held[page.id]:
            found.notes.append(f'"{held[page.id]}" is now called "{page.title}"')
    for title, page in wiki.resolve(merged).pages.items():
        found.notes.append(f'"{title}" is now a part of "{page.title}", which is taken in its place')
        found.pages.setdefault(page.id, (page, title))
    for id_ in sorted(held.keys() - found.pages.keys() - found.gone):
        found.gone.add(id_)
        found.notes.append(f'"{held[id_]}" was deleted from {wiki.host}, and is removed here')
    return found


def _plain(title: str) -> str:
    """A title as it is compared: the first letter's case and underscores make no other one."""
    title = " ".join(title.replace("_", " ").split())
    return title[:1].upper() + title[1:]
