"""What archives and their child processes say to one another: a page listed, and a page read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of an archive before it is read. `name` is what the archive finds it by (a page id, or a path); `revision`
    is 0 where it does not tell. Redirects and pages that only tell articles apart are listed to be counted."""

    name: str
    title: str
    namespace: int = 0
    revision: int = 0
    timestamp: str = ""
    size: int = 0
    redirect: bool = False
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class About:
    """What an archive says of itself. `site` names the wiki ("enwiki", "wikipedia_en_all"), `base` is where it is on
    the web ("https://en.wikipedia.org"; "" where that is not said), `date` is the archive's."""

    site: str
    language: str
    base: str
    date: str = ""
