"""Sentences of documents that give orders to whoever reads them with a machine. Pure.

They stay in the documents and in the prompt, as quotations; but they are shown as what they are, and nothing that an
answer says is borne out by them. Only telling phrases are known here: what code enforces elsewhere (no turn can be
opened, no passage closed, no source cited that was not offered) holds for every text, recognised or not.
"""

from __future__ import annotations

import re
import unicodedata

from rag.generation.sentences import units

_WORDS = {
    "READER": r"(?:an?|the|any|all|every)?\ ?(?:ai|assistants?|(?:large\ )?language\ models?|llms?|chat\ ?bots?|gpt)",
    "RULES": r"(?:instructions?|rules?|prompts?|directions?|guidelines?|directives?|commands?|constraints?|training)",
    "EARLIER": r"(?:above|previous|prior|earlier|preceding|before\ this|told|said)",
    "OVER": r"(?:ignore|disregard|forget|override|bypass|discard|overrule|(?:stop|do\ not|don't)\ follow(?:ing)?)",
    "MUST": r"(?:must|shall|should|ha(?:s|ve)\ to|(?:is|are)\ to|needs?\ to|(?:is|are)\ required|will\ now)",
    "SAY": r"(?:say|reply|respond|answer|print|output|write|repeat|append|include|state|return|emit|tell|begin|end)",
    "AT_ONCE": r"(?:(?:please|now|always|only|just|instead,?|first|then|you\ (?:must|should|will|shall))\ )*",
    "ALL": r"(?:only|exactly|nothing\ but|verbatim|every\ (?:question|answer)|all\ questions|any\ question)",
    "TEXT": r"the\ (?:exact\ )?(?:word|phrase|string|token|code|text)",
}
_PHRASES = r"""
    \b{OVER}\b.{{0,60}}\b(?:{RULES}|{EARLIER})\b
    | \b(?:note|notice|message|memo|instructions?|attention|dear|hey|hello|warning|reminder)
      \ ?(?:to|for|,|:)?\ ?{READER}\b
    | \b{READER}\b(?:\ (?:reading|processing|answering|that|who|which)\b.{{0,40}})?,?\ {MUST}\b
    | \b(?:if|when|since|because)\ you\ are\ {READER}\b
    | \b(?:as|being)\ {READER},?\ you\b
    | \byou\ are\ (?:now|no\ longer)\b
    | \b(?:act|behave|respond|answer|speak)\ as\ (?:if\ you|though\ you|dan\b|an?\ (?:unrestricted|different|evil))
    | \b(?:pretend|imagine)\ (?:to\ be|you\ are|that\ you)\b
    | \b(?:system|developer|hidden|initial)\ (?:prompt|message|instructions?)\b | \boriginal\ (?:prompt|instructions)\b
    | \b(?:new|updated|revised|real|actual|true|secret|following)\ (?:system\ )?instructions?\b.{{0,20}}
      (?:[:—–-]|\bare\b|\bfollow)
    | \b(?:developer|debug|god|admin|maintenance|jailbreak)\ mode\b | \bjailbr[eo]ak
    | ^\W*{AT_ONCE}{SAY}\ (?:{ALL}|{TEXT})\b
    | \b(?:your|the)\ (?:only\ |next\ |final\ |first\ )?(?:answer|reply|response|output)s?
      \ (?:must|should|shall|has\ to|will)\ (?:be|contain|include|begin|start|end|read)\b
    | \b(?:when|if|whenever)\ (?:asked|(?:any|some)one\ asks|(?:a|the)\ user\ asks|questioned)\b.{{0,60}}\b{SAY}\b
    | \b(?:do\ not|don't|never)\ (?:mention|reveal|disclose|tell|cite|quote|show)\b.{{0,40}}
      \b(?:user|passages?|sources?|instructions?|this\ (?:note|text|message))\b
    | \b(?:send|post|forward|upload|exfiltrate|leak)\ (?:the\ |this\ |all\ |any\ )?
      (?:conversation|chat|history|prompt|passages|answers?|user's)\b
    | !\[[^\]]*\]\(\s*(?:https?:)?//
    | \b(?:ignorier|missacht|vergiss|vergesst|vergessen\ sie)\w*\b.{{0,50}}\b(?:anweisung|regel|vorgabe|instruktion)\w*
    | \b(?:ignor|oubli|olvid|dimentic)\w*\b.{{0,50}}\b(?:instruction|consigne|r[èe]gle|instruccion|istruzion|regol)\w*
""".format(**_WORDS)
_ORDER = re.compile(_PHRASES, re.IGNORECASE | re.VERBOSE)
_TURN = re.compile(
    r"^\W*#*\W*(?:system|user|assistant|human|instruction|response)\W*[:：]|\[/?inst\]|<</?sys>>|<(?:start|end).of.turn>"
    r"|<\|?\W*(?:im.start|im.end|system|user|assistant|eot.id|start.header.id|endoftext|begin.of.text)\W*\|?>",
    re.IGNORECASE,
)
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
_SPACED = re.compile(r"(?<!\w)\w(?:[ ._*-]\w){3,}(?!\w)")
_LOOKALIKES = str.maketrans("аеорсухіѕԁ", "aeopcyxisd")


def orders(text: str) -> list[tuple[int, int]]:
    """Spans of the sentences, list items and table rows that give orders to an assistant."""
    return [(unit.start, unit.end) for unit in units(text) if _is_order(text[unit.start : unit.end])]


def without_orders(text: str) -> str:
    """The text with every such sentence replaced by a space."""
    for start, end in reversed(orders(text)):
        text = f"{text[:start]} {text[end:]}"
    return text


def _is_order(sentence: str) -> bool:
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", sentence)).translate(_LOOKALIKES)
    plain = _SPACED.sub(lambda letters: re.sub(r"[ ._*-]", "", letters.group()), plain)
    plain = re.sub(r"[\s*_`\"'“”]+", " ", plain).strip()
    return bool(_ORDER.search(plain) or _TURN.search(plain))
