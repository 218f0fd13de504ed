"""What a question asks for, read off its words: which of them search, and which documents it names."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
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

_WORD = re.compile(r"[^\W_]+")
_FORM = re.compile(r"\b(\d{1,2})-([a-z])\b")  # 10-K and 8-K are written 10K and 8K in file names
_SHORT_YEAR = re.compile(r"\bfy\s?'?(\d\d)\b")
_GLUED_YEAR = re.compile(r"(?<=[a-z])(?=(?:19|20)\d\d(?!\d))|(?<=(?<!\d)(?:19|20)\d\d)(?=[a-z])")
_YEAR = re.compile(r"(?:19|20)\d\d")


def keywords(question: str) -> str:
    """The words of a question that are worth matching; the question itself where none would be left."""
    kept = [word for word in question.split() if word.strip("\"'?!.,;:()").lower() not in STOP_WORDS]
    return " ".join(kept) or question


def name_terms(text: str) -> list[str]:
    """The words of a name or a question, written alike: "FY2023Q2" and "Q2 of FY 2023" share "2023" and "q2"."""
    lowered = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()
    lowered = _SHORT_YEAR.sub(r"20\1", _FORM.sub(r"\1\2", lowered))
    return _WORD.findall(_GLUED_YEAR.sub(" ", lowered))


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
    """

    def __init__(self, cards: Sequence[Card]) -> None:
        self._scale = math.log(len(cards) + 1)
        names: dict[int, set[str]] = defaultdict(set)
        openings: dict[int, set[str]] = defaultdict(set)
        for card in cards:
            stem = PurePosixPath(card.name).with_suffix("").as_posix()
            names[card.id] |= set(name_terms(f"{stem} {card.title}")) - STOP_WORDS
            openings[card.id] |= set(name_terms(card.opening)) - STOP_WORDS
        self._named = _Postings(names, len(cards))
        self._opened = _Postings({id_: words - names[id_] for id_, words in openings.items()}, len(cards))

    def affinity(self, question: str) -> dict[int, float]:
        """Document id → how surely the question names it, from 0 up to about 1; documents at 0 are left out."""
        if not self._scale:
            return {}
        asked = _asked(question)
        opened = self._opened.matches(asked)
        found = {}
        for id_, matched in self._named.matches(asked).items():
            share = matched / self._named.mass[id_]
            found[id_] = share * (matched + OPENING_WEIGHT * opened.get(id_, 0.0)) / self._scale
        return {id_: score for id_, score in found.items() if score > 0}


class _Postings:
    """Term → documents, weighted by idf. `mass` is the sum over a document's terms."""

    def __init__(self, terms: dict[int, set[str]], count: int) -> None:
        frequency = Counter(term for words in terms.values() for term in words)
        self._idf = {term: math.log((count + 1) / n) for term, n in frequency.items()}
        self._documents: dict[str, list[int]] = defaultdict(list)
        for id_, words in terms.items():
            for term in words:
                self._documents[term].append(id_)
        self.mass = {id_: sum(self._idf[term] for term in words) for id_, words in terms.items()}

    def matches(self, asked: dict[str, float]) -> dict[int, float]:
        scores: dict[int, float] = defaultdict(float)
        for term, weight in asked.items():
            for id_ in self._documents.get(term, ()):
                scores[id_] += weight * self._idf[term]
        return scores
