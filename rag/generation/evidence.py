"""How well each sentence of the passages bears on a question: features that a person can check.

No language model: similarity of sentence embeddings, words that question and sentence share, and whether what is
asked for (a number, a date, a name) is there and is not merely the question's own. Pure, given the similarities.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import exp, log2
from typing import TYPE_CHECKING

from rag.generation.check import OMISSION, unmarked
from rag.generation.sentences import Kind, units
from rag.generation.terms import Terms, terms
from rag.types import Extract, Hit, Passage

if TYPE_CHECKING:
    from rag.types import Vectors

FEATURES = (
    "similarity",  # cosine of question and sentence
    "passage",  # the best similarity of any sentence of the same passage
    "words",  # share of the question's content words in the sentence, rare ones weighing more
    "before",  # the same with the sentence before it, which "it" and "they" refer to
    "around",  # the same in the whole passage (a table row stands for itself), its title and its heading
    "names",  # share of the question's names and numbers in the same
    "there",  # 1 when the question asks for a number, date or name and the sentence has one of its own
    "missing",  # 1 when it asks for one and the sentence has none
    "rank",  # 1, 1/2, 1/3 ... by the passage's rank
    "named",  # share of the question's names and numbers in the sentence itself, or in title and heading
    "numbered",  # the same of its numbers
    "other row",  # share of its names and numbers that a table row lacks; 0 for a sentence
    "answers",  # a reader's log odds that the passage answers, 0 where none has read it
    "words of it",  # 1 when the words that a reader takes for the answer stand here
    "surely",  # the same times how likely it holds them, from 0 to 1
)


class Asked(Enum):
    """What kind of thing would answer a question."""

    NUMBER = "number"
    DATE = "date"
    NAME = "name"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence or table row that could be quoted: `start` and `end` are its offsets in the text of the passage with
    the index `passage`, `quote` is the text as it would be quoted: word for word, white space evened out, a table's
    head before its row. `head` is None for a sentence."""

    passage: int
    start: int
    end: int
    quote: str
    head: str | None = None

    @property
    def is_row(self) -> bool:
        return self.head is not None


_NUMBER = re.compile(
    r"\bhow (?:many|much|long|old|far|high|tall|large|big|deep|often|fast|wide|soon|quickly|late|early)\b"
    r"|\b(?:percent(?:age)?|prices?|costs?|number of|amount|population|rate|fee|salary|revenue|turnover|total|size|age"
    r"|level|length|height|speed|temperature|margin|ratio|share|limit|penalty|deposit|discount|tax|budget)\b",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\bwhen\b|\b(?:what|which|in what|in which) (?:\w+ )?(?:year|date|day|month|century|decade|time|era|period)\b"
    r"|\bdeadline\b|\bsince (?:when|what)\b|\bhow long ago\b",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"\bwho(?:m|se)?\b|\bwhere\b|\b(?:what|which) (?:\w+ )?(?:person|company|country|city|state|town|place|"
    r"organi[sz]ation|group|king|president|author|scientist|university|school|team|river|region|area)\b",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\b(?:1\d{3}|20\d\d)s?\b|\b\d{1,2}(?:st|nd|rd|th)\b|\bcentur(?:y|ies)\b|\b(?:january|february|march|april|may|june|july|"
    r"august|september|october|november|december|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b"
    r"|\b(?:days?|weeks?|months?|years?|hours?|quarters?|decades?)\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b",
    re.IGNORECASE,
)


_MANNER = re.compile(r"\bwhy\b|\bhow (?:do|does|did|is|are|was|were|can|could|should|would|will|to)\b", re.IGNORECASE)
_KINDS = {Asked.DATE: _DATE, Asked.NUMBER: _NUMBER, Asked.NAME: _NAME, Asked.OTHER: _MANNER}


def asked(question: str) -> Asked:
    """By what is asked first: "Which country has the highest price?" asks for a name."""
    found = ((pattern.search(question), kind) for kind, pattern in _KINDS.items())
    first = min(((match.start(), kind) for match, kind in found if match), key=lambda it: it[0], default=None)
    return first[1] if first else Asked.OTHER


def candidates(passages: Sequence[Passage]) -> list[Candidate]:
    """What could be quoted from the passages, in their order. Headings are no answers by themselves."""
    found = []
    for index, passage in enumerate(passages):
        for unit in units(passage.text):
            if unit.kind is Kind.HEAD:
                continue
            quote = _even(passage.text[unit.start : unit.end])
            head = _head(passage, unit.head) if unit.kind is Kind.ROW else None
            if head:
                quote = f"{head}{OMISSION}{quote}"
            found.append(Candidate(index, unit.start, unit.end, quote, head))
    return found


def shortlist(question: str, found: Sequence[Candidate], most: int) -> list[int]:
    """The indices of the `most` candidates that share most with the question, in order; embedding costs time."""
    wanted = terms(question).all
    order = sorted(range(len(found)), key=lambda i: -len(wanted & terms(found[i].quote).all))
    return sorted(order[:most])


def features(question: str, found: Sequence[Candidate], hits: Sequence[Hit], similarity: Sequence[float]) -> Vectors:
    """One row per candidate, columns as in FEATURES; `similarity` is the cosine of question and candidate."""
    import numpy as np

    passages = [hit.passage for hit in hits]
    wanted, kind = terms(question), asked(question)
    named = dict.fromkeys(wanted.names | wanted.numbers, 1.0)
    own = [terms(candidate.quote) for candidate in found]
    above = [terms(f"{p.document.replace('_', ' ')}\n{p.place}\n{p.title}\n{p.heading}").all for p in passages]
    within = [terms(p.text).all for p in passages]
    weights = _weights(wanted.all, own)
    best = _best(found, similarity)
    rows = []
    for index, candidate in enumerate(found):
        inside = own[index].all
        follows = index > 0 and found[index - 1].passage == candidate.passage
        itself = above[candidate.passage] | inside
        whole = itself if candidate.is_row else itself | within[candidate.passage]
        there = _is_there(kind, wanted, own[index], candidate.quote, question)
        names = _share(named, itself, nothing=1.0)
        row = {
            "similarity": similarity[index],
            "passage": best[candidate.passage],
            "words": _share(weights, inside),
            "before": _share(weights, inside | own[index - 1].all if follows else inside),
            "around": _share(weights, whole),
            "names": _share(named, whole, nothing=1.0),
            "there": there is True,
            "missing": there is False,
            "rank": 1 / (1 + candidate.passage),
            "named": names,
            "numbered": _share(dict.fromkeys(wanted.numbers, 1.0), itself, nothing=1.0),
            "other row": 1 - names if candidate.is_row else 0.0,
            **_read(candidate, hits[candidate.passage].extract),
        }
        rows.append([row[name] for name in FEATURES])
    return np.asarray(rows, dtype=np.float32).reshape(-1, len(FEATURES))


def _read(candidate: Candidate, extract: Extract | None) -> dict[str, float]:
    """What a reader of the candidate's passage says of it."""
    if extract is None:
        return {"answers": 0.0, "words of it": 0.0, "surely": 0.0}
    inside = extract.start < candidate.end and candidate.start < extract.end
    return {"answers": extract.answers, "words of it": inside, "surely": inside * exp(extract.likely)}


def _best(found: Sequence[Candidate], similarity: Sequence[float]) -> dict[int, float]:
    best: dict[int, float] = {}
    for candidate, cosine in zip(found, similarity, strict=True):
        best[candidate.passage] = max(cosine, best.get(candidate.passage, cosine))
    return best


def _is_there(kind: Asked, wanted: Terms, own: Terms, quote: str, question: str) -> bool | None:
    """Whether a thing of the kind asked for stands in the quote and not in the question; None for other kinds."""
    if kind is Asked.NUMBER:
        return bool(own.numbers - wanted.numbers)
    if kind is Asked.DATE:
        return bool({t.casefold() for t in _TIME.findall(quote)} - {t.casefold() for t in _TIME.findall(question)})
    if kind is Asked.NAME:
        return bool(own.names - wanted.words)
    return None


def _weights(wanted: frozenset[str], own: Sequence[Terms]) -> dict[str, float]:
    """A word that few of the sentences found contain tells more; the collection's own counts are not needed."""
    counts = Counter(word for found in own for word in found.all & wanted)
    return {word: 1 / log2(2 + counts[word]) for word in wanted}


def _share(weights: Mapping[str, float], there: frozenset[str], nothing: float = 0.0) -> float:
    """The share of the weights whose words are there; `nothing` when there are no words to look for."""
    total = sum(weights.values())
    return sum(weight for word, weight in weights.items() if word in there) / total if total else nothing


def _head(passage: Passage, span: tuple[int, int] | None) -> str:
    """A table's caption and column heads: above the row, or in the heading when the table began before it."""
    if span is not None:
        return _even(passage.text[span[0] : span[1]])
    return _even(passage.heading.rpartition(" > ")[2])


def _even(text: str) -> str:
    return " ".join(unmarked(text).split())
