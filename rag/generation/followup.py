"""Follow-up questions: which are, and what they mean in words that stand alone, by rules. Pure. English.

The rules take nothing from anywhere but the questions asked so far: "And in 2024?" swaps the year of the one before,
"What about Severn?" what stood in the same place, "Is it waterproof?" takes the one thing that the question before
spoke of. Where that is not clear, the question before is put in front: longer than a person would say it, and still
right for a search. People see the result and can say it better.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.types import Exchange

LONGEST = 400  # characters of earlier questions that are put in front

_LEAD = re.compile(
    r"^\W*(?:(?:and|but|or|so|then|ok(?:ay)?|also|now|well)[\s,]+)*(?:(?:what|how) about\b[\s,]*|same for\b)?",
    re.IGNORECASE,
)
_OPENS_AS_FOLLOW_UP = re.compile(
    r"^\W*(?:(?:and|but|or|so|then|ok(?:ay)?)\b|(?:what|how) about\b|same\b|why(?: not)?\W*$"
    r"|(?:what|who|how|which) else\b|(?:more|details?|explain|elaborate|continue|go on|really|are you sure"
    r"|(?:tell|show) me more)\b\W*(?:\w+\W*){0,3}$)",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"\b(it|its|they|them|their|theirs|he|him|his|she|hers?|this|that|these|those)\b(?![-'’])", re.I)
_REFERENCE = re.compile(
    r"\b(?:the (?:same|former|latter|others?|first one|second one|last one|above)|(?:that|this|those|these|such"
    r" an?|the said) (?:one|ones|agreement|contract|company|report|document|person|man|woman|figure|amount|case|date"
    r"|period|number|policy|rule|place|city|country|team|product|price|time|event|law|act|treaty|war|battle|theory"
    r"|method|word|term)s?)\b",
    re.IGNORECASE,
)
_PERSON = frozenset({"he", "him", "his", "she", "her", "hers"})
_POSSESSIVE = frozenset({"its", "their", "his", "her"})
_DETERMINES = re.compile(  # "this year": the word belongs to a noun
    r"^\s+(?!(?:still|also|too|always|true|right|correct|so|the|an?|mean|change|apply|happen|work)\b)"
    r"[^\W\d_]"
)
_NOT_REFERRING = re.compile(  # "it" of "how long does it take to", "that" of "a rule that forbids"
    r"\b(?:is|was|does|did|will|would|can|could|should|must) it\b(?= (?:\w+ )?(?:(?:take|cost) (?:\w+ ){0,2}to|possible"
    r"|allowed|true|necessary|legal|ok|okay|important|rain|snow|better|safe|normal|to)\b)|\bwhat time is it\b"
    r"|(?<=\w )(?<!\bis )(?<!\bwas )(?<!\bdo )(?<!\bdoes )(?<!\bdid )that(?= \w)",
    re.IGNORECASE,
)
_ANTECEDENT = re.compile(
    r"\b(?:the|an?|our|my|your|each|every|any|all) \w+|(?<!^)(?<![.?!] )\b[A-Z][\w&-]+|\b(?!does\b|this\b)\w{3,}s\b"
)
_ASKS_FOR_OWNER = re.compile(r"^\W*(?:who|which|what)\b", re.IGNORECASE)  # "Who gave their name to Normandy?"
_NAME = re.compile(r"(?<![.?!]\s)(?<!^)\b(?!I\b)[A-Z][\w&'’-]*(?:\s+(?:of|the|de|and|&)?\s*[A-Z0-9][\w&'’-]*)*")
_SWAPS = (
    re.compile(r"\b(?:19|20)\d\d\b"),
    re.compile(r"\bQ[1-4]\b|\b(?:first|second|third|fourth) quarter\b", re.IGNORECASE),
    re.compile(
        r"\b(?:January|February|March|April|May|June|July|August|September|October|November|December)\b", re.IGNORECASE
    ),
)
_PREPOSITIONS = "for|in|at|of|to|by|from|with|on|under|during|against|between|per"
_PREPOSITION = re.compile(rf"^({_PREPOSITIONS})\s+\S", re.IGNORECASE)
_CLAUSE = re.compile(
    r"\b(?:wh(?:at|ich|o|om|ose|en|ere|y)|how|is|are|was|were|do|does|did|has|have|had|can|could|will|would|shall|should|must"
    r"|may|might)\b",
    re.IGNORECASE,
)
_ANY_PREPOSITION = re.compile(rf"\b(?:{_PREPOSITIONS})\b", re.IGNORECASE)
_THING = re.compile(r"\b(?:the|an?|our|my|your|their|his|her)\s+[^\W\d_]", re.IGNORECASE)


class RuleRewriter:
    """A Rewriter without a model."""

    def rewrite(self, question: str, history: Sequence[Exchange]) -> str:
        before = ""
        for earlier in history:
            before = standalone(earlier.question, before)
        return standalone(question, before)


def is_follow_up(question: str) -> bool:
    """Whether it cannot be understood without what was said before, as far as its words tell."""
    if _OPENS_AS_FOLLOW_UP.search(question) or _REFERENCE.search(question):
        return True
    if _PREPOSITION.match(question) and not _CLAUSE.search(question):
        return True
    rest = _NOT_REFERRING.sub(lambda match: "x" * len(match.group()), question)
    return any(_refers(pronoun, rest) for pronoun in _PRONOUN.finditer(rest)) or _is_swap_only(question)


def standalone(question: str, before: str) -> str:
    """`before` is the question before, in words that stand alone."""
    if not before or not is_follow_up(question):
        return question
    rest = _LEAD.sub("", question).strip()
    if _CLAUSE.match(rest) and len(rest.split()) > 2 and not is_follow_up(rest):
        return rest[0].upper() + rest[1:]  # "and" was all that tied it to what was said
    return _swapped(rest, before) or _named(question, before) or f"{before[-LONGEST:]} {question}"


def _refers(pronoun: re.Match[str], question: str) -> bool:
    """Whether a pronoun means something outside of its question."""
    word = pronoun.group().lower()
    if word in ("this", "that", "these", "those") and _DETERMINES.match(question[pronoun.end() :]):
        return False  # "this year"; what is named so and was spoken of is a _REFERENCE
    if word in _POSSESSIVE and word != "its" and _ASKS_FOR_OWNER.match(question):
        return False
    return not _ANTECEDENT.search(question[: pronoun.start()])


def _is_swap_only(question: str) -> bool:
    bare = question.strip(" ?.!")
    return any(swap.fullmatch(bare) for swap in _SWAPS)


def _swapped(rest: str, before: str) -> str:
    """The question before, with what `rest` says in the place of what stood there; "" when that place is not clear."""
    bare = rest.strip(" ?.!")
    if len(bare.split()) > 8 or _PRONOUN.search(bare):
        return ""
    for kind in _SWAPS:
        there, here = kind.findall(before), kind.findall(bare)
        if len(set(there)) == len(here) == 1 and re.fullmatch(r"(?:in|for|of|by|at)?", kind.sub("", bare).strip()):
            return kind.sub(here[0], before)
    if preposition := _PREPOSITION.match(bare):
        return _with_tail(before, preposition[1], bare)
    names = _NAME.findall(before)
    if re.match(r"[A-Z]", bare) and len(names) == 1:
        return before.replace(names[0], bare)
    return ""


def _with_tail(before: str, preposition: str, phrase: str) -> str:
    """The question before with its last phrase replaced, where that is the only one with this preposition."""
    found = list(re.finditer(rf"\b{preposition}\b", before, re.IGNORECASE))
    if len(found) != 1:
        return ""
    tail = before[found[0].end() :].strip(" ?.!")
    if not tail or _ANY_PREPOSITION.search(tail) or "," in tail:
        return ""
    return f"{before[: found[0].start()]}{phrase}?"


def _named(question: str, before: str) -> str:
    """The question with its pronouns replaced by the one thing that the question before speaks of; "" when that is not
    clear. People are named in answers more often than in questions, so "she" is never guessed."""
    pronouns = [match for match in _PRONOUN.finditer(question) if _refers(match, question)]
    names = list(dict.fromkeys(_NAME.findall(before)))
    if (
        len(names) != 1
        or _THING.search(before.replace(names[0], ""))
        or not pronouns
        or any(match.group().lower() in _PERSON for match in pronouns)
    ):
        return ""
    text = question
    for match in reversed(pronouns):
        possessive = match.group().lower() in _POSSESSIVE
        text = f"{text[: match.start()]}{names[0]}{chr(39) + 's' if possessive else ''}{text[match.end() :]}"
    return re.sub(r"^\W*(?:and|but|so|then)[\s,]+(\w)", lambda m: m[1].upper(), text, flags=re.IGNORECASE)
