"""What in a document gives orders to whoever reads it with a machine. Pure.

It stays in the document and in the prompt, as a quotation; but nothing that an answer says is borne out by it, and
people are told. Only telling phrases are known here: what code enforces elsewhere (no turn can be
opened, no passage closed, no source cited that was not offered) holds for every text, recognised or not.
"""

from __future__ import annotations

import re
import unicodedata

from rag.generation.sentences import units

_WORDS = {
    "READER": r"(?:(?:an?|the|any|all)\ )?(?:(?:ai\ )?(?:assistants?|language\ models?|chat\ ?bots?)|ai|llms?|gpt)",
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
_TURN = re.compile(  # "System:" alone is a label in many documents
    r"#\W*(?:system|user|assistant|human|instruction|response)\W*[:：]|^\W*assistant\W*[:：]|\[/?inst\]|<</?sys>>"
    r"|<(?:start|end).of.turn>|<\|?\W*(?:im.start|im.end|system|user|assistant|eot.id|start.header.id|endoftext"
    r"|begin.of.text)\W*\|?>",
    re.IGNORECASE,
)
_PARAGRAPH_GAP = re.compile(r"\n[ \t]*\n|$")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
_SPACED = re.compile(r"(?<!\w)\w(?:[ ._*-]\w){3,}(?!\w)")
_LOOKALIKES = str.maketrans("аеорсухіѕԁ", "aeopcyxisd")


def orders(text: str) -> list[tuple[int, int]]:
    """Spans of what gives orders to an assistant: from the sentence that does to the end of its paragraph; to the end
    of the text where it opens a turn of its own."""
    spans: list[tuple[int, int]] = []
    for unit in units(text):
        if spans and unit.start < spans[-1][1]:
            continue
        plain = _plain(text[unit.start : unit.end])
        if _TURN.search(plain):
            return [*spans, (unit.start, len(text))]
        if _ORDER.search(plain):
            gap = _PARAGRAPH_GAP.search(text, unit.end)
            spans.append((unit.start, gap.start() if gap else len(text)))
    return spans


def without_orders(text: str) -> str:
    """The text with a space in the place of each of them."""
    for start, end in reversed(orders(text)):
        text = f"{text[:start]} {text[end:]}"
    return text


def _plain(sentence: str) -> str:
    """What a model reads in spite of look-alike letters, invisible characters, spaced letters and markup."""
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", sentence)).translate(_LOOKALIKES)
    plain = _SPACED.sub(lambda letters: re.sub(r"[ ._*-]", "", letters.group()), plain)
    return re.sub(r"[\s*_`\"'“”]+", " ", plain).strip()
