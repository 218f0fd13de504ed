"""What is asked of a wiki's API: which pages there are, in batches, and a page's HTML.

The `wikipedia` package is the client where it serves: search, and the links of a page (`package.py`). Batches,
continuation, revisions and categories are ours.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from rag.errors import NetworkError
from rag.sources.wiki.article import choices
from rag.sources.wiki.http import ApiError, Wire, api_of, is_wikipedia

BATCH = 50  # titles or page ids in a request: what a wiki allows those who are not logged in
LICENCE = "CC BY-SA 4.0"  # of all Wikipedias, and of a wiki that does not state its own

# A wiki without the Disambiguator extension, which marks them, has them by the template or category that all use.
_MARKS = {
    "tltemplates": "Template:Disambiguation|Template:Disambig|Template:Dab|Template:Hndis|Template:Geodis",
    "clcategories": "Category:Disambiguation pages|Category:All disambiguation pages|Category:Disambiguation",
}
_ABOUT = {"prop": "info|pageprops|revisions|categories|templates", "ppprop": "disambiguation", "cllimit": "max",
          "tllimit": "max", "rvprop": "ids|timestamp|size", **_MARKS}  # fmt: skip
_INVALID = re.compile(r"[#<>\[\]|{}\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it stands now. `size` is in bytes of wikitext; `ambiguous`: it only tells articles of like names apart;
    `redirected`: it only leads to another page."""

    id: int
    title: str
    revision: int
    timestamp: str
    size: int
    ambiguous: bool = False
    redirected: bool = False


@dataclass(slots=True)
class Resolved:
    """Titles that were looked up. `pages` are those that exist, by the title asked for; `missing` are the others."""

    pages: dict[str, Page] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


class Wiki:
    """One wiki, asked over `wire`. Everything raises NetworkError when it cannot be."""

    def __init__(
        self, api: str = "", language: str = "en", contact: str = "", pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.api = api_of(language, api)
        self.wire = Wire(self.api, contact, pause)
        self.host = urlsplit(self.api).netloc
        self._about: tuple[str, str] | None = None

    @property
    def language(self) -> str:
        return self._known()[0]

    @property
    def licence(self) -> str:
        return self._known()[1]

    def _known(self) -> tuple[str, str]:
        if self._about is None and is_wikipedia(self.api):
            self._about = self.host.partition(".")[0], LICENCE
        elif self._about is None:
            asked = {"action": "query", "meta": "siteinfo", "siprop": "general|rightsinfo", "formatversion": "2"}
            query = self.wire.get(asked).get("query", {})
            stated = str(query.get("rightsinfo", {}).get("text") or "")
            self._about = str(query.get("general", {}).get("lang") or "en"), stated or LICENCE
        return self._about

    def link(self, page: Page) -> str:
        """To this very revision, for good."""
        index = self.api.removesuffix("api.php") + "index.php"
        return f"{index}?title={quote(page.title.replace(' ', '_'), safe='/:(),')}&oldid={page.revision}"

    def resolve(self, titles: Sequence[str]) -> Resolved:
        """Looks titles up exactly as they are; redirects are followed, nothing is guessed."""
        result = Resolved()
        sound = [title for title in dict.fromkeys(titles) if _is_title(title)]
        for start in range(0, len(sound), BATCH):
            batch = sound[start : start + BATCH]
            answers = list(self._query({**_ABOUT, "titles": "|".join(batch), "redirects": "1", "converttitles": "1"}))
            pages = {page.title: page for page in _pages(answers)}
            leads = _leads(answers)
            for title in batch:
                if found := pages.get(_followed(title, leads)):
                    result.pages[title] = found
        result.missing = [title for title in dict.fromkeys(titles) if title not in result.pages]
        return result

    def current(self, ids: Sequence[int]) -> Iterator[Page]:
        """Pages by id as they stand now, in batches; those that were deleted are not among them."""
        for start in range(0, len(ids), BATCH):
            batch = "|".join(map(str, ids[start : start + BATCH]))
            yield from _pages(list(self._query({**_ABOUT, "pageids": batch})))

    def category(self, name: str, depth: int) -> Iterator[str]:
        """Titles of the articles in a category and, down to `depth`, its subcategories. Each category is looked into
        once, for some contain one another."""
        level, seen = [_category(name)], {_category(name)}
        for remaining in range(depth, -1, -1):
            below: list[str] = []
            for category in level:
                for member in self._members(category, "page|subcat" if remaining else "page"):
                    title = str(member["title"])
                    if member.get("ns") == 0:
                        yield title
                    elif member.get("ns") == 14 and title not in seen:
                        seen.add(title)
                        below.append(title)
            level = below

    def html(self, page: Page) -> str:
        """A revision as HTML. Raises ApiError when it is no more to be had."""
        asked = {"action": "parse", "oldid": str(page.revision), "prop": "text", "disableeditsection": "1",
                 "disabletoc": "1", "disablelimitreport": "1", "formatversion": "2"}  # fmt: skip
        parsed = self.wire.get(asked).get("parse")
        if not isinstance(parsed, dict) or not isinstance(parsed.get("text"), str):
            raise ApiError("notext", "the answer holds no text")
        return str(parsed["text"])

    def choices(self, page: Page) -> list[str]:
        """What a disambiguation page may mean, in its order."""
        return choices(self.html(page))

    def _members(self, category: str, kinds: str) -> Iterator[Mapping[str, Any]]:
        asked = {"list": "categorymembers", "cmtitle": category, "cmtype": kinds, "cmlimit": "max"}
        for query in self._query(asked):
            yield from query.get("categorymembers", ())

    def _query(self, parameters: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """Each answer's "query", until the wiki has no more to say (https://www.mediawiki.org/wiki/API:Continue)."""
        going_on: dict[str, str] = {}
        while True:
            asked = {"action": "query", "formatversion": "2", **parameters, **going_on}
            try:
                answer = self.wire.get(asked)
            except ApiError as error:
                raise NetworkError(f"{self.host} refuses a question ({error}). Nothing was changed.") from error
            query = answer.get("query", {})
            if isinstance(query, dict):
                yield query
            following = {name: str(value) for name, value in answer.get("continue", {}).items()}
            if not following or following == going_on:
                return
            going_on = following


def _is_title(title: str) -> bool:
    return 0 < len(title.strip().encode()) <= 255 and not _INVALID.search(title)


def _category(name: str) -> str:
    return name if name.lower().startswith("category:") else f"Category:{name}"


def _leads(answers: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """From titles as written to titles as they are: spelling evened out, scripts converted, redirects followed."""
    kinds = ("normalized", "converted", "redirects")
    return {step["from"]: step["to"] for query in answers for kind in kinds for step in query.get(kind, ())}


def _followed(title: str, leads: Mapping[str, str]) -> str:
    for _ in range(len(leads)):
        if title not in leads:
            break
        title = leads[title]
    return title


def _pages(answers: Sequence[Mapping[str, Any]]) -> list[Page]:
    """The pages of a batch whose properties came in several answers. Those without a revision do not exist."""
    whole: dict[int, dict[str, Any]] = {}
    for query in answers:
        for part in query.get("pages", ()):
            if "missing" not in part and "pageid" in part:
                whole.setdefault(part["pageid"], {}).update(part)
    return [_page(part) for part in whole.values() if part.get("revisions")]


def _page(part: Mapping[str, Any]) -> Page:
    revision = part["revisions"][0]
    title = str(part["title"])
    marked = "disambiguation" in part.get("pageprops", {}) or part.get("categories") or part.get("templates")
    return Page(
        id=int(part["pageid"]),
        title=title,
        revision=int(revision["revid"]),
        timestamp=str(revision["timestamp"]),
        size=int(revision.get("size", 0)),
        ambiguous=bool(marked) or title.endswith(" (disambiguation)"),
        redirected=bool(part.get("redirect")),
    )
