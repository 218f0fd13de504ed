"""Hits against evidence: which hit is a right one, and at which rank each evidence is first found.

Everything that is measured of a ranking follows from these ranks.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache

from rag.types import Evidence, Hit

HALF = 0.5  # of an evidence's words that a hit must cover
RUN = 3  # words in a row: words alone are shared by any two paragraphs on one subject

_WORD = re.compile(r"\w+")


class Level(StrEnum):
    """What is ranked: the passages as they were found, or the different pages or documents that they are from, each
    where its first passage stands."""

    PASSAGE = "passage"
    PAGE = "page"
    DOCUMENT = "document"


def matches(hit: Hit, evidence: Evidence) -> bool:
    """Whether the hit is from the evidence's document and page or, where no page is given, covers at least half of
    its words. Where no text is given either, the document will do."""
    if not same_document(hit.passage.document, evidence.document):
        return False
    if evidence.page is not None:
        return hit.passage.page == evidence.page
    return not evidence.text or coverage(hit.passage.text, evidence.text) >= HALF


def same_document(found: str, wanted: str) -> bool:
    """Whether two names mean one document. One may have more folders in front, and the wanted one may lack its
    extension; underscores are spaces, as in the titles of articles."""
    ours, theirs = _parts(found), _parts(wanted)
    shared = min(len(ours), len(theirs))
    if ours[len(ours) - shared : -1] != theirs[len(theirs) - shared : -1]:
        return False
    return theirs[-1] in (ours[-1], ours[-1].rpartition(".")[0])


def unknown_documents(wanted: Iterable[str], held: Iterable[str]) -> list[str]:
    """Which of the wanted names mean none of the documents held: nothing can ever be found for them."""
    by_end: dict[str, list[str]] = {}
    for name in held:
        end = _parts(name)[-1]
        for key in {end, end.rpartition(".")[0]}:
            by_end.setdefault(key, []).append(name)
    return [
        name
        for name in dict.fromkeys(wanted)
        if not any(same_document(other, name) for other in by_end.get(_parts(name)[-1], ()))
    ]


def coverage(text: str, evidence: str) -> float:
    """The share of the evidence's words that stand in the text in the same company: in a run of `RUN` words that
    both have, as often as both have it. (Counted one by one, a third of the words of any English paragraph stand in
    any other.)"""
    wanted = _words(evidence)
    size = min(RUN, len(wanted))
    if not size:
        return 0.0
    left = _runs(_words(text), size)
    covered: set[int] = set()
    for start in range(len(wanted) - size + 1):
        run = wanted[start : start + size]
        if left[run]:
            left[run] -= 1
            covered.update(range(start, start + size))
    return len(covered) / len(wanted)


def targets(evidence: Sequence[Evidence], level: Level) -> list[Evidence]:
    """The different things to be found at a level, with the best grade of each. Evidence without a page is no
    target where pages are ranked."""
    found: dict[object, Evidence] = {}
    for item in evidence:
        if level is Level.PAGE and item.page is None:
            continue
        key: object = item.document
        if level is not Level.DOCUMENT:
            key = (item.document, item.page, item.text if item.page is None else "")
        if key not in found or found[key].grade < item.grade:
            found[key] = item
    return list(found.values())


def ranks(hits: Sequence[Hit], wanted: Sequence[Evidence], level: Level) -> list[int | None]:
    """For each of the wanted (as `targets` gives them) the rank, from 1, of the first that matches it; None where
    it was not found."""
    first: list[int | None] = [None] * len(wanted)
    units: dict[object, int] = {}
    for place, hit in enumerate(hits, 1):
        rank = units.setdefault(_unit(hit, level, place), len(units) + 1)
        for index, evidence in enumerate(wanted):
            if first[index] is None and _found(hit, evidence, level):
                first[index] = rank
    return first


def _unit(hit: Hit, level: Level, place: int) -> object:
    match level:
        case Level.DOCUMENT:
            return hit.passage.document
        case Level.PAGE:
            return (hit.passage.document, hit.passage.page)
    return place


def _found(hit: Hit, evidence: Evidence, level: Level) -> bool:
    if level is Level.DOCUMENT:
        return same_document(hit.passage.document, evidence.document)
    return matches(hit, evidence)


@lru_cache(maxsize=4096)
def _parts(name: str) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", name).replace("_", " ").split("/"))


@lru_cache(maxsize=1024)
def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def _runs(words: Sequence[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + size]) for i in range(len(words) - size + 1))
