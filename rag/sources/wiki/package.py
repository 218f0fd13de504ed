"""The `wikipedia` package, with its traps taken out: the client for search and for the links of a page.

It guesses titles unless told not to (`auto_suggest` gives "Kal" for "Kale"), speaks plain http under a name that says
nothing, follows redirects anywhere, never tries again, and keeps answers in caches that know no wiki from another. So
it speaks through our own connection, is only ever given titles that were looked up exactly, and its caches are emptied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rag.errors import NetworkError
from rag.sources.wiki.http import ApiError, Wire

_CONFUSED = (KeyError, AttributeError, AssertionError)  # how the package says that it did not expect an answer
MOST = 500  # results of a search that a wiki gives at once


def search(wire: Wire, words: str, results: int) -> list[str]:
    """Titles, best first."""
    with _speaking_through(wire) as package:
        return list(map(str, package.search(words, results=min(results, MOST))))


def links(wire: Wire, title: str) -> list[str]:
    """Titles of the articles that a page links to, whether they exist or not. `title` is one that does, exactly."""
    with _speaking_through(wire) as package:
        return list(map(str, package.page(title, auto_suggest=False, redirect=False).links))


@contextmanager
def _speaking_through(wire: Wire) -> Iterator[Any]:
    import wikipedia
    from wikipedia import wikipedia as module

    def request(parameters: Mapping[str, Any]) -> dict[str, Any]:
        asked = {"action": "query", **{name: str(value) for name, value in parameters.items()}}
        answer = wire.get(asked)
        for page in answer.get("query", {}).get("pages", {}).values():
            page.setdefault(asked.get("prop", ""), [])  # else a page without links is a KeyError
        return answer

    before = module._wiki_request, module.API_URL
    module._wiki_request, module.API_URL = request, wire.api
    wikipedia.search.clear_cache()
    try:
        yield wikipedia
    except (ApiError, wikipedia.WikipediaException, *_CONFUSED) as error:
        raise NetworkError(f"{wire.api} gives no answer that makes sense ({error!r}). Nothing was changed.") from error
    finally:
        module._wiki_request, module.API_URL = before
