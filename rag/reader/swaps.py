"""Questions that look answerable and are not, made from questions that are.

The kinds are those that people used in writing SQuAD 2.0's (Rajpurkar et al. 2018, arXiv 1806.03822, table 2): an
entity or a number swapped, an antonym, a negation. A swapped-in name or number is one of the same passage if it has
any, so that the passage still looks as if it answered.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_NUMBER = re.compile(r"\d[\d,.]*\d|\d")
_NAME = re.compile(r"(?<![.!?:]\s)(?<=\s)(?:[A-Z][\w'’-]+)(?:\s+(?:of|the|de|van|von|and)?\s*[A-Z][\w'’-]+){0,3}")
_AUXILIARY = re.compile(r"\b(is|are|was|were|did|does|do|has|have|had|can|could|will|would|should)\b", re.IGNORECASE)

_PAIRS = """
first last|largest smallest|biggest smallest|most least|more fewer|more less|highest lowest|higher lower|oldest youngest
older younger|earliest latest|early late|before after|begin end|began ended|start finish|started stopped|open close
opened closed|increase decrease|increased decreased|rise fall|rose fell|gain lose|gained lost|win lose|won lost
north south|northern southern|east west|eastern western|above below|inside outside|inner outer|upper lower|left right
good bad|best worst|better worse|positive negative|strong weak|strengthen weaken|stronger weaker|long short
longest shortest|longer shorter
fast slow|faster slower|hot cold|warm cool|wet dry|hard soft|heavy light|rich poor|public private
male female|men women|man woman|father mother|son daughter|brother sister|husband wife|king queen|boys girls
allow forbid|allowed forbidden|accept reject|accepted rejected|support oppose|supported opposed|agree disagree
agreed disagreed|include exclude|includes excludes|included excluded|create destroy|created destroyed|build demolish
built demolished|found lost|buy sell|bought sold|join leave|joined left|arrive depart|arrived departed|enter exit
like dislike|liked disliked|love hate|legal illegal|possible impossible|common rare|usual unusual|necessary unnecessary
major minor|majority minority|maximum minimum|full empty|new old|modern ancient|future past|same different
similar different|always never|all none|many few|everyone nobody|with without|for against|success failure
successful unsuccessful|domestic foreign|internal external|simple complex|easy difficult|safe dangerous|alive dead
born died|birth death|victory defeat|friend enemy|ally enemy|teacher student|parents children|import export
imports exports|imported exported|day night|morning evening|summer winter|spring autumn|city village|urban rural
"""
ANTONYMS: dict[str, list[str]] = {}
for _pair in _PAIRS.replace("\n", "|").strip("|").split("|"):
    _one, _other = _pair.split()
    ANTONYMS.setdefault(_one, []).append(_other)
    ANTONYMS.setdefault(_other, []).append(_one)


def unanswerable(question: str, context: str, answers: Sequence[str], draw: random.Random) -> str | None:
    """The question, changed so that `context` no longer answers it, or None where no change is at hand."""
    ways: list[tuple[float, Callable[..., str | None]]] = [
        (0.4, _name),
        (0.25, _number),
        (0.25, _antonym),
        (0.1, _negation),
    ]
    while ways:
        way = draw.choices(ways, [weight for weight, _ in ways])[0]
        ways.remove(way)
        changed = way[1](question, context, [answer.casefold() for answer in answers], draw)
        if changed and changed.casefold() != question.casefold():
            return changed
    return None


def _name(question: str, context: str, answers: Sequence[str], draw: random.Random) -> str | None:
    """A name of the question against another of the passage that the answer does not hold."""
    names = list(dict.fromkeys(match.group().strip() for match in _NAME.finditer(context)))
    asked = [name for name in names if _within(name, question)]
    others = [name for name in names if not _within(name, question) and not _touches(name.casefold(), answers)]
    if not asked or not others:
        return None
    return _replaced(question, draw.choice(asked), draw.choice(others))


def _number(question: str, context: str, answers: Sequence[str], draw: random.Random) -> str | None:
    asked = [match.group() for match in _NUMBER.finditer(question)]
    if not asked:
        return None
    old = draw.choice(asked)
    others = [n for n in dict.fromkeys(_NUMBER.findall(context)) if n not in asked and not _touches(n, answers)]
    others = [n for n in others if len(n) == len(old)]
    if others and draw.random() < 0.6:
        return _replaced(question, old, draw.choice(others))
    if not old.isdigit():
        return None
    return _replaced(question, old, str(max(1, int(old) + draw.choice([-30, -10, -3, -2, -1, 1, 2, 3, 10, 30]))))


def _antonym(question: str, context: str, answers: Sequence[str], draw: random.Random) -> str | None:
    words = [word for word in _WORD.findall(question) if word.casefold() in ANTONYMS]
    if not words:
        return None
    word = draw.choice(words)
    return _replaced(question, word, draw.choice(ANTONYMS[word.casefold()]))


def _negation(question: str, context: str, answers: Sequence[str], draw: random.Random) -> str | None:
    found = _AUXILIARY.search(question)
    if not found or re.search(r"\b(?:not|never|no)\b|n't\b", question):
        return None
    verb = found.group()
    if (
        verb in ("is", "was", "are", "were", "did", "does", "has", "had", "would", "could", "should")
        and draw.random() < 0.6
    ):
        return f"{question[: found.start()]}{verb}n't{question[found.end() :]}"
    return f"{question[: found.end()]} {draw.choice(['not', 'never'])}{question[found.end() :]}"


def _within(name: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE) is not None


def _touches(name: str, answers: Sequence[str]) -> bool:
    return any(name in answer or answer in name for answer in answers)


def _replaced(question: str, old: str, new: str) -> str:
    return re.sub(rf"\b{re.escape(old)}\b", lambda _: new, question, count=1, flags=re.IGNORECASE)
