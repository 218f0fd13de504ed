"""What a question asks for, read off its words: which of them search, and which documents it names."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from heapq import nlargest
from pathlib import PurePosixPath

from rag.types import Card

# Words that say how something is asked, not what is asked about. English, as the keyword index's stemmer is.
STOP_WORDS = frozenset(
    """a about above after again all also am an and any are as at be because been before being below between both but
    by can could did do does doing down during each few for from further had has have having he her here hers him his
    how i if in into is it its itself just me more most my no nor not of off on once only or other our ours out over
    own please same she should so some such than that the their theirs them then there these they this those through
    to too under until up very was we were what when where whether which while who whom whose why will with would you
    your yours""".split()
)
OPENING_WEIGHT = 0.25  # of a word that stands on a document's first page but not in its name
SAMPLED = 500  # documents whose first pages tell how rare a word is there: of a large collection, evenly drawn ones
LOOKED_AT = 32  # of a large collection, the likeliest documents by their names, whose first pages are looked at
MOST_KEPT = 2000  # of those pages, whose words are kept for the next question

_WORD = re.compile(r"[^\W_]+")
_FORM = re.compile(r"\b(\d{1,2})-([a-z])\b")  # 10-K and 8-K are written 10K and 8K in file names
_SHORT_YEAR = re.compile(r"\bfy\s?'?(\d\d)\b")
_YEAR = re.compile(r"(?:19|20)\d\d")
# What decides stands first, and what must stand before it is looked for behind: many first pages are read this way.
_NEW_WORD = re.compile(r"[A-Z](?<=[a-z][A-Z])")  # in AnnualReport
_WHOLE_YEAR = re.compile(r"(?:19|20)\d\d(?<!\d\d{4})(?!\d)")


def keywords(question: str) -> str:
    """The words of a question that are worth matching; the question itself where none would be left."""
    kept = [word for word in question.split() if word.strip("\"'?!.,;:()").lower() not in STOP_WORDS]
    return " ".join(kept) or question


def name_terms(text: str) -> list[str]:
    """The words of a name or a question, written alike: "FY2023Q2" and "Q2 of FY 2023" share "2023" and "q2"."""
    lowered = _NEW_WORD.sub(r" \g<0>", text).lower()
    lowered = _SHORT_YEAR.sub(r"20\1", _FORM.sub(r"\1\2", lowered))
    return _WORD.findall(_WHOLE_YEAR.sub(r" \g<0> ", lowered))


def _asked(question: str) -> dict[str, float]:
    """Terms of a question that may name a document, with weights: single words, neighbours written together
    ("Best Buy" is BESTBUY in a file name), and years, of which the latest counts most: its report covers the others."""
    words = name_terms(question)
    terms = {word: 1.0 for word in words if word not in STOP_WORDS}
    for size in (2, 3):
        for i in range(len(words) - size + 1):
            joined = words[i : i + size]
            if not STOP_WORDS.intersection(joined):
                terms["".join(joined)] = 1.0
    years = [term for term in terms if _YEAR.fullmatch(term)]
    for year in years:
        terms[year] = 1.0 if year == max(years) else 0.5
    return terms


class Names:
    """Which documents a question names, as file names, titles and first pages tell.

    A term counts by how rare it is among the names (its idf), and a name by how much of it the question says, so
    that "the PepsiCo 10-K of 2022" means PEPSICO_2022_10K, and "war" hardly means "French and Indian War".
    `openings` gives the text of documents' first pages by their ids; of more than `SAMPLED` documents not all are read.
    """

    def __init__(self, cards: Sequence[Card], openings: Callable[[Sequence[int]], Mapping[int, str]]) -> None:
        self._scale = math.log(len(cards) + 1)
        self._read = openings
        self._cards: dict[int, list[Card]] = defaultdict(list)
        for card in cards:
            self._cards[card.id].append(card)
        self._named = _Postings({id_: _name_words(held) for id_, held in self._cards.items()}, len(cards))
        ids = list(self._cards)
        self._openings = self._opened(ids[:: math.ceil(len(ids) / SAMPLED) or 1])
        self._kept: dict[int, set[str]] = {}
        frequency = Counter(term for words in self._openings.values() for term in words)
        expected = (len(cards) + 1) * len(self._openings) / max(1, len(ids))
        self._opening_idf = {term: math.log(expected / n) for term, n in frequency.items()}
        self._rarest = math.log(expected / 0.5) if expected else 0.0  # of a word that no page has that was read

    def affinity(self, question: str) -> dict[int, float]:
        """Document id → how surely the question names it, from 0 up to about 1; documents at 0 are left out."""
        if not self._scale:
            return {}
        asked = _asked(question)
        named = self._named.matches(asked)
        found = {id_: share * matched / self._scale for id_, (matched, share) in named.items()}
        for id_, words in self._first_pages(found).items():
            opened = sum(weight * self._rarity(term) for term, weight in asked.items() if term in words)
            found[id_] += named[id_][1] * OPENING_WEIGHT * opened / self._scale
        return found

    def _first_pages(self, found: Mapping[int, float]) -> dict[int, set[str]]:
        """The words of the first pages that are known, and of those of the likeliest documents."""
        known = {id_: words for id_, words in self._openings.items() if id_ in found}
        likeliest = [id_ for id_ in nlargest(LOOKED_AT, found, key=found.__getitem__) if id_ not in known]
        if unread := [id_ for id_ in likeliest if id_ not in self._kept]:
            if len(self._kept) > MOST_KEPT:
                self._kept = {id_: self._kept[id_] for id_ in likeliest if id_ in self._kept}
            self._kept |= self._opened(unread)
        return known | {id_: self._kept[id_] for id_ in likeliest if id_ in self._kept}

    def _opened(self, ids: Sequence[int]) -> dict[int, set[str]]:
        """The words of first pages that are not in the documents' names."""
        return {
            id_: set(name_terms(text)) - STOP_WORDS - _name_words(self._cards[id_])
            for id_, text in self._read(ids).items()
        }

    def _rarity(self, term: str) -> float:
        return self._opening_idf.get(term, self._rarest)


def _name_words(cards: Sequence[Card]) -> set[str]:
    """Those of the names and titles of one document."""
    stems = (PurePosixPath(card.name).with_suffix("").as_posix() for card in cards)
    named = (name_terms(f"{stem} {card.title}") for stem, card in zip(stems, cards, strict=True))
    return {word for words in named for word in words} - STOP_WORDS


class _Postings:
    """Term → documents, weighted by idf, in arrays: a word can stand in the names of thousands."""

    def __init__(self, terms: Mapping[int, set[str]], count: int) -> None:
        import numpy as np

        self._ids = list(terms)
        places: dict[str, list[int]] = defaultdict(list)
        for place, words in enumerate(terms.values()):
            for term in words:
                places[term].append(place)
        self._documents = {term: np.asarray(held, np.int32) for term, held in places.items()}
        self._idf = {term: math.log((count + 1) / len(held)) for term, held in places.items()}
        self._mass = np.asarray([sum(self._idf[term] for term in words) for words in terms.values()])

    def matches(self, asked: Mapping[str, float]) -> dict[int, tuple[float, float]]:
        """Document id → the weight of what is asked for that is in its name, and that as a share of the whole name."""
        import numpy as np

        scores = np.zeros(len(self._ids))
        for term, weight in asked.items():
            if term in self._documents:
                scores[self._documents[term]] += weight * self._idf[term]
        found = np.flatnonzero(scores)
        matched, shares = scores[found], scores[found] / self._mass[found]
        weighed = zip(matched.tolist(), shares.tolist(), strict=True)
        return dict(zip((self._ids[place] for place in found.tolist()), weighed, strict=True))
