"""What a sentence claims that can be looked up: its numbers, its names, its content words.

Everything is normalised so that equal things are equal strings: 1,577 and 1577.00 are "1577", "three" is "3",
Notices and notice are "notic". Formatting is forgiven, values are not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"(?<![^\W_])\d+(?:[.,]\d+)*|[^\W_]+(?:['’][^\W_]+)*")
_GROUP_SPACE = re.compile(r"(?<=\d)[\u00a0\u202f\u2009'’](?=\d{3}(?!\d))")
_SUFFIX = re.compile(r"(?<=[^\W\d_]{3})(?:ations?|ments?|ings?|edly|ed|ers?|ors?|ions?|ives?|ly|e?s|e)$")

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SPELLED = {word: str(n) for n, word in enumerate(_SMALL.split())} | {
    word: str(10 * n) for n, word in enumerate(_TENS.split(), start=2)
}
# A number with another of these behind it is another number.
_MEASURES = {
    "thousand": "thousand",
    "k": "thousand",
    "million": "million",
    "mn": "million",
    "mio": "million",
    "m": "million",
    "billion": "billion",
    "bn": "billion",
    "b": "billion",
    "trillion": "trillion",
} | {
    unit + s: unit
    for unit in ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
    for s in ("", "s")
}

_GRAMMAR = """
a about above according across after again all along also am among an and another any are around as at be because
been before behind being below besides between both but by called can could despite did do does doing down during
each either else etc even ever every except few for from further get gets give given got had has have having he her
here hers him his how however i if in instead into is it its itself just known list many may me might more most much
must my name named near no nor not now of off on once only onto or other our ours out over own per percent please
rather same several shall she should since so some still such tell than that the their theirs them then there these
they this those though through to too toward towards under unless until up upon us very via was we were what when
where whereas whether which while who whom whose why will with within without would yet you your yours
"""
STOPWORDS = frozenset(_GRAMMAR.split())


@dataclass(frozen=True, slots=True)
class Terms:
    """`numbers` with their scale or unit of time where one follows ("3", "3 month"), `names` (capitalised inside a
    sentence, acronyms, codes such as q3), `words` (stems of content words, names among them)."""

    numbers: frozenset[str]
    names: frozenset[str]
    words: frozenset[str]

    @property
    def all(self) -> frozenset[str]:
        return self.words | self.numbers

    def __or__(self, other: Terms) -> Terms:
        return Terms(self.numbers | other.numbers, self.names | other.names, self.words | other.words)


def terms(text: str) -> Terms:
    numbers: set[str] = set()
    names: set[str] = set()
    words: set[str] = set()
    previous: list[str] = []  # the values of the token before, for "3" + "months"
    position = 0
    text = _GROUP_SPACE.sub("", text)
    for match in _TOKEN.finditer(text):
        token = match.group()
        folded = _possessive(token.casefold())
        values = _values(token) if token[0].isdigit() else [_SPELLED[folded]] if folded in _SPELLED else []
        if previous and folded in _MEASURES and text[position : match.start()].strip(" -–\n") == "":
            numbers.add(f"{previous[-1]} {_MEASURES[folded]}")
        if values and folded != "one":  # "one" is a pronoun more often than a number
            numbers.update(values)
        elif not values and _is_content(folded):
            words.add(stem(folded))
            if _is_name(token, text, match.start()):
                names.add(stem(folded))
        previous, position = values, match.end()
    return Terms(frozenset(numbers), frozenset(names), frozenset(words))


def stem(word: str) -> str:
    """A word without its most common English endings: crude, the same on both sides of every comparison."""
    word = _possessive(word.casefold())
    if word.endswith("ies") and len(word) > 4:  # not "dies"
        return word[:-3] + "y"
    return _SUFFIX.sub("", word) if len(word) > 3 else word


def _possessive(word: str) -> str:
    return re.sub(r"['’]s?$", "", word)


def _is_content(folded: str) -> bool:
    return folded not in STOPWORDS and (len(folded) > 1 or not folded.isascii())


def _is_name(token: str, text: str, start: int) -> bool:
    if any(c.isdigit() for c in token) or (len(token) > 1 and token.isupper()):
        return True
    before = text[max(0, start - 20) : start].rstrip(" \t\n\"'“‘«([•*–-")
    return token[0].isupper() and before != "" and before[-1] not in ".!?:…。|"


def _values(token: str) -> list[str]:
    """The value of a written number; several for a date or a version ("01.07.2022"), which are no one number."""
    groups = re.split(r"[.,]", token)
    separators = re.findall(r"[.,]", token)
    if not separators:
        return [_plain(token)]
    last = separators[-1]
    if len(set(separators)) == 1:
        thousands = len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
        if thousands and (last == "," or len(separators) > 1):
            return [_plain("".join(groups))]
        if len(separators) > 1:
            return [_plain(group) for group in groups]
    return [_plain("".join(groups[:-1]), groups[-1])]


def _plain(whole: str, fraction: str = "") -> str:
    whole, fraction = whole.lstrip("0") or "0", fraction.rstrip("0")
    return f"{whole}.{fraction}" if fraction else whole
