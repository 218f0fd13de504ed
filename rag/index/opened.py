"""A document as a collection holds it, for people to read: whole, or a page of it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rag.index.seams import Holdings
from rag.types import Article, Cited, Mark


@dataclass(frozen=True, slots=True)
class Opened:
    """`pages` counts those of its file; it is 0 where there are none. `key` and `version` are the Entry's."""

    name: str
    uri: str
    title: str
    text: str
    marks: tuple[Mark, ...]
    article: Article | None
    key: bytes
    version: str
    pages: int

    def page(self, number: int) -> Cited:
        """A page to be drawn, on which nothing is cited."""
        return Cited(self.key, self.version, number, "", 0, 0)


def opened(ledger: Holdings, name: str, uri: str = "") -> Opened | None:
    """The document at `uri` or, where that is not known, of this name, with folders in front where names are equal
    (see `names`); None for one that is gone, or that nothing could be read of."""
    found = None
    for key, own, *file, pages, title, text, marks, article in ledger.opened(name, uri):
        if found is None or own == name or os.fsdecode(key).endswith(f"/{name}"):
            place, version = file
            found = Opened(name or own, place, title, text, marks, article, key, version, pages or 0)
    return found
