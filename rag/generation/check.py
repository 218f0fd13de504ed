"""An answer's sentences against the passages they cite. Pure: the same text gives the same verdict, always.

A sentence is supported when it quotes a cited passage word for word, or when every number and name in it occurs in
the passages it cites and most of its content words do; fewer of them will do where an embedder finds it close to one of
their sentences. Sentences of a passage that give orders to an assistant bear out nothing. This finds swapped citations,
invented figures and names; it cannot see a lost "not" or a wrong verb between right words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from rag.generation.injection import without_orders
from rag.generation.sentences import MARKER, sentences, units
from rag.generation.terms import Terms, stem, terms
from rag.types import Citation, Passage

# Chosen by tests/benchmarks/bench_check.py; SIMILAR is a cosine of all-MiniLM-L6-v2.
WORDS_NEEDED = 0.6  # share of a sentence's content words that its passages must contain, one being forgiven anyway
WORDS_WITH_SIMILARITY = 0.3  # the same, where one of their sentences is similar
SIMILAR = 0.7
REPAIR_WORDS = 0.6  # to be given a citation, a sentence needs more
OMISSION = " … "  # between two pieces of one quotation

_SPACE_BEFORE_MARKER = re.compile(r"[ \t]+$")
_LIST_NUMBER = re.compile(r"^\s*\(?[0-9]{1,2}[.)]\s+")
_LONG_RANGE = 50  # markers: a longer one is a mistake or mischief, and only its ends are looked at

Alike = Callable[[str, Sequence[str]], float]  # the best cosine of a claim and any of some sentences


@dataclass(frozen=True, slots=True)
class Checked:
    """`text` is the answer with markers as [n] only, and only such as were offered. `citations` stand in the order
    of their first use; `dropped_markers` are the numbers taken out, one for each time. `repaired` are sentences whose
    citation was missing or wrong, and now names the only passage that bears them out."""

    text: str
    citations: tuple[Citation, ...]
    unsupported: tuple[str, ...]
    dropped_markers: tuple[int, ...]
    repaired: tuple[str, ...] = ()


def check(text: str, passages: Sequence[Passage], alike: Alike | None = None, repair: bool = True) -> Checked:
    """`passages[n - 1]` is what [n] names. A sentence without a marker is measured by all that the answer cites.
    Nothing is set right where `repair` is False."""
    text, dropped = _clean_markers(text, len(passages))
    evidence = [_Evidence(passage) for passage in passages]
    text, repaired = _repaired(text, evidence, alike) if repair else (text, [])
    cited = list(dict.fromkeys(numbers_in(text)))
    unsupported: list[str] = []
    doubtful: set[int] = set()
    for start, end in _claims(text):
        sentence = text[start:end]
        own = numbers_in(sentence)
        if not _is_supported(_claim(sentence), [evidence[n - 1] for n in own or cited], alike):
            unsupported.append(sentence)
            doubtful.update(own)
    citations = tuple(Citation(n, passages[n - 1], n not in doubtful) for n in cited)
    return Checked(text, citations, tuple(unsupported), tuple(dropped), tuple(repaired))


def numbers_in(text: str) -> list[int]:
    """The numbers of all markers, in order: "[2] and [1, 3-4]" → [2, 1, 3, 4]."""
    return [n for marker in MARKER.finditer(text) for n in _expand(marker.group(1))]


def unmarked(text: str) -> str:
    """A document's own bracketed numbers in parentheses, so that a [n] in an answer is always ours."""
    return MARKER.sub(lambda marker: f"({marker.group(0)[1:-1]})", text)


def normal(text: str) -> str:
    """A text as quotations are compared: one space for any white space, bracketed numbers in parentheses."""
    return " ".join(unmarked(text).split())


class _Evidence:
    """What a passage bears out: its text, and what stands above it."""

    def __init__(self, passage: Passage) -> None:
        said = without_orders(passage.text)
        whole = f"{passage.document.replace('_', ' ')}\n{passage.place}\n{passage.title}\n{passage.heading}\n{said}"
        self.text = normal(said)
        self.heading = normal(f"{passage.title} {passage.heading}")
        self.terms = terms(whole)
        self._said = said

    @property
    def sentences(self) -> list[str]:
        return [" ".join(self._said[unit.start : unit.end].split()) for unit in units(self._said)]


def _repaired(text: str, evidence: Sequence[_Evidence], alike: Alike | None) -> tuple[str, list[str]]:
    """The text with a citation set right, or added, wherever exactly one passage bears a sentence out by itself."""
    repaired: list[str] = []
    for start, end in reversed(_claims(text)):
        sentence = text[start:end]
        claim, own = _claim(sentence), numbers_in(sentence)
        if own and _is_supported(claim, [evidence[n - 1] for n in own], alike):
            continue
        able = [n for n, passage in enumerate(evidence, start=1) if _bears_out(claim, passage)]
        if len(able) == 1:
            mended = _with_marker(sentence, able[0])
            text = text[:start] + mended + text[end:]
            repaired.insert(0, mended)
    return text, repaired


def _bears_out(claim: str, passage: _Evidence) -> bool:
    """Stricter than support: a sentence that says next to nothing is at home everywhere."""
    says = terms(_LIST_NUMBER.sub("", claim))
    found = says.all & passage.terms.all
    enough = len(found) >= 2 and len(says.words & passage.terms.words) >= REPAIR_WORDS * len(says.words)
    return enough and _is_supported(claim, [passage], None)


def _with_marker(sentence: str, number: int) -> str:
    """The sentence with this marker only, where its first one stood, or else before its full stop."""
    if first := MARKER.search(sentence):
        rest = re.sub(rf"[ \t]*{MARKER.pattern}", "", sentence[first.end() :], flags=re.IGNORECASE)
        return f"{sentence[: first.start()]}[{number}]{rest}"
    body = sentence.rstrip(".!?…。！？\"'”’»)")
    return f"{body} [{number}]{sentence[len(body) :]}"


def _claim(sentence: str) -> str:
    return " ".join(MARKER.sub(" ", sentence).split())


def _clean_markers(text: str, offered: int) -> tuple[str, list[int]]:
    pieces: list[str] = []
    dropped: list[int] = []
    position = 0
    for marker in MARKER.finditer(text):
        numbers = _expand(marker.group(1))
        kept = [n for n in numbers if 1 <= n <= offered]
        dropped += [n for n in numbers if not 1 <= n <= offered]
        before = text[position : marker.start()]
        pieces.append(before if kept else _SPACE_BEFORE_MARKER.sub("", before))
        pieces += [f"[{n}]" for n in dict.fromkeys(kept)]
        position = marker.end()
    return ("".join(pieces) + text[position:]).strip(), dropped


def _expand(numbers: str) -> list[int]:
    found: list[int] = []
    for part in re.split(r"\s*[,;]\s*", numbers):
        ends = [int(digits[:9]) for digits in re.split(r"\s*[–-]\s*", part)]
        first, last = ends[0], ends[-1]
        found += range(first, last + 1) if first < last <= first + _LONG_RANGE else dict.fromkeys(ends)
    return found


def _claims(text: str) -> list[tuple[int, int]]:
    """The sentences of an answer that say something, line by line; a bare marker says nothing."""
    spans = []
    for line in re.finditer(r"[^\n]+", text):
        spans += sentences(text, line.start(), line.end())
    return [(a, b) for a, b in spans if re.search(r"[^\W_]", MARKER.sub(" ", text[a:b]))]


def _is_supported(claim: str, cited: Sequence[_Evidence], alike: Alike | None) -> bool:
    if not cited:
        return False
    if any(_is_quotation(claim, evidence) for evidence in cited):
        return True
    claim = _LIST_NUMBER.sub("", claim)
    says, known = terms(claim), reduce(or_, (evidence.terms for evidence in cited))
    if not says.names <= known.words or not all(_is_number_known(n, known) for n in says.numbers):
        return False
    found = len(says.words & known.words)
    words = len(says.words) + _opens_with_a_stranger(claim, says, known)
    if found >= min(WORDS_NEEDED * words, max(1, words - 1)):  # one word may always be another
        return True
    if alike is None or found < WORDS_WITH_SIMILARITY * words:
        return False
    return any(alike(claim, evidence.sentences) >= SIMILAR for evidence in cited)


def _is_quotation(claim: str, evidence: _Evidence) -> bool:
    """Whether every piece of the claim stands in the passage word for word, or, a caption, in its heading. Whole
    words and numbers only: "5 per cent" is no quotation from "15 per cent"."""
    pieces = [piece.strip(" \"“”'‘’") for piece in claim.split(OMISSION)]
    whole = [rf"(?<!\w)(?<!\d[.,]){re.escape(piece)}(?!\w)(?![.,]\d)" for piece in pieces if piece]
    return bool(whole) and all(re.search(p, evidence.text) or re.search(p, evidence.heading) for p in whole)


def _opens_with_a_stranger(claim: str, says: Terms, known: Terms) -> bool:
    """Whether the first word is in no passage. It may be a name: a capital does not tell, there it is the rule."""
    first = re.search(r"\w+", claim)
    return first is not None and first.group()[0].isupper() and stem(first.group()) in says.words - known.words


def _is_number_known(number: str, known: Terms) -> bool:
    """ "1577 million" is known where it is written so, and in a table of 1,577s that is headed "in millions"."""
    if number in known.numbers:
        return True
    value, _, measure = number.partition(" ")
    return (
        measure != ""
        and value in known.numbers
        and stem(measure) in known.words
        and not any(other.startswith(f"{value} ") for other in known.numbers)
    )
