"""Text as extracted → text fit to be stored, searched and shown. Pure.

Compatibility characters are resolved where they hide a word from a search (ligatures, full-width and half-width
forms, Arabic presentation forms, Kangxi radicals, mathematical letters, Roman numeral signs, every kind of space)
and kept where they carry meaning: ½, ², ™, ㎡ and … stay as they are, because NFKC would make 10² into 102.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import pairwise

# Without other evidence in the document, "self-\nservice" and "long-\nterm" keep the hyphen of their line's end,
# and "un-\nrelated" does not.
_COMPOUND_STARTS = frozenset({"self", "non"})
_COMPOUND_ENDS = frozenset({"term", "based", "related", "owned", "bearing", "backed", "adjusted", "specific", "year"})
_CONJUNCTIONS = frozenset({"and", "or", "und", "oder", "et", "ou"})
_PREFIXES = frozenset({"un", "in", "inter", "re", "cor", "de", "dis", "mis"})

# PDFium marks a hyphen at a line's end, where it joins the lines, by U+FFFE (older versions by U+0002).
_PDFIUM_HYPHEN = re.compile(r"(?<=\S)[\ufffe\x02](?=\w)")
_SOFT_HYPHEN = re.compile(r"\xad(?:[ \t]*\n[ \t]*(?=\w))?")
# Joiners matter between letters of Arabic and Indic scripts and inside emoji, nowhere else.
_STRAY_JOINER = re.compile(
    "(?<![\u0600-\u0dff\u1000-\u109f\u1780-\u17ff\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])[\u200c\u200d]"
)
_MANY_BLANK_LINES = re.compile(r"\n{3,}")
_DIVIDED = re.compile(r"(?<![^\W\d_])[^\W\d_]+-\n[^\W\d_]+")  # from a word's beginning: a long one is walked once
_LAST_WORD = re.compile(r"([^\W\d_]-)?([^\W\d_]+|\d+)\Z")
_FIRST_WORD = re.compile(r"\w+")
MAX_WORD = 40  # letters before a hyphen that are looked at
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")

_JOINERS = frozenset("\u200c\u200d")
_MENDED = {
    "\x0b": "\n", "\x0c": "\n", "\x1c": "\n", "\x1d": "\n", "\x1e": "\n", "\x85": "\n", "\u2028": "\n", "\u2029": "\n",
    "\xa0": " ", "\u1680": " ", "\u202f": " ", "\u205f": " ", "\u2010": "-", "\u2011": "-",
    "\uf0b7": "•", "\uf0a7": "▪", "\uf0d8": "➢", "\uf0fc": "✓", "\uf0e0": "→", "\uf0a8": "◦",
}  # fmt: skip
_COMPATIBILITY = (
    range(0x0132, 0x0134),  # ĳ
    range(0x2000, 0x200B),  # spaces
    range(0x2160, 0x2180),  # Ⅳ
    range(0x2E80, 0x2FD6),  # radicals
    range(0x3000, 0x3001),  # ideographic space
    range(0xFB00, 0xFB18),  # ﬁ and its like, Latin and Armenian
    range(0xFB50, 0xFE00),  # Arabic presentation forms
    range(0xFE70, 0xFEFD),
    range(0xFF01, 0xFFEF),  # full-width and half-width forms
    range(0x1D400, 0x1D800),  # mathematical letters
)
_INVISIBLE = (
    range(0x09),
    range(0x0E, 0x20),
    range(0x7F, 0xA0),
    range(0x061C, 0x061D),
    range(0x180E, 0x180F),
    range(0x200B, 0x2010),
    range(0x202A, 0x202F),
    range(0x2060, 0x2070),
    range(0xE000, 0xF900),  # private use
    range(0xFEFF, 0xFF00),
    range(0xFFF0, 0xFFFC),
    range(0xFFFE, 0x10000),
    range(0xE0000, 0xE1000),  # tags
    range(0xF0000, 0x110000),  # private use
)


def normalize(text: str) -> str:
    """Text without what a store, a terminal or a search would stumble over. Idempotent.

    Characters are mended, invisible ones removed, line ends made "\\n", trailing spaces and runs of blank lines cut.
    Hyphens that PDFium marks as standing at a line's end become "-\\n", for `join_hyphens` to judge.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    present = set(text)
    if any("\ud800" <= char <= "\udfff" for char in present):  # pairs become their character, lone ones go
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
        present = set(text)
    if present & {"\ufffe", "\x02"}:
        text = _PDFIUM_HYPHEN.sub("-\n", text)
    if "\xad" in present:
        text = _SOFT_HYPHEN.sub("", text)
    if present & _JOINERS:
        text = _STRAY_JOINER.sub("", text)
    for char in present:
        better = mended(char)
        if better != char:
            text = text.replace(char, better)
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    text = "\n".join(map(str.rstrip, text.split("\n")))
    return _MANY_BLANK_LINES.sub("\n\n", text)


@cache
def mended(char: str) -> str:
    """A character by itself as `normalize` would have it, "" for one that goes."""
    if " " <= char <= "~" or char in "\n\t" or char in _JOINERS:
        return char
    if char in _MENDED:
        return _MENDED[char]
    code = ord(char)
    if any(code in codes for codes in _INVISIBLE):
        return ""
    if any(code in codes for codes in _COMPATIBILITY):
        return unicodedata.normalize("NFKC", char)
    return char


def vocabulary(texts: list[str]) -> frozenset[str]:
    """The words of a document, lower case, compounds whole, without what line ends have divided: what `join_hyphens`
    judges by."""
    words: set[str] = set()
    for text in texts:
        words.update(_WORD.findall(_DIVIDED.sub(" ", text.lower())))
    return frozenset(words)


def join_hyphens(text: str, words: frozenset[str] = frozenset()) -> str:
    """Words that a line's end had divided made whole: "infor-\\nmation" is "information", but "2019-\\n2020",
    "Pre-\\nRetirement" and "long-\\nterm" keep the hyphen. `words` is the document's vocabulary: a word that it
    spells elsewhere settles the matter."""
    pieces = text.split("-\n")
    for i, (before, after) in enumerate(pairwise(pieces)):
        left, right = _LAST_WORD.search(before[-MAX_WORD:]), _FIRST_WORD.match(after)
        if left is None or right is None:
            pieces[i] += "-\n"
            continue
        goes_on = after.startswith("-", right.end()) and len(right.group()) <= len("and")  # "cash-\nand-carry"
        if right.group().lower() in _CONJUNCTIONS and not goes_on:
            pieces[i] += "- "  # "short- and long-term"
        elif goes_on or not _is_one_word(left.group(2), right.group(), bool(left.group(1)), words):
            pieces[i] += "-"
    return "".join(pieces)


def _is_one_word(left: str, right: str, in_compound: bool, words: frozenset[str]) -> bool:
    """`in_compound`: `left` ends a compound ("percentage-of")."""
    if left.isdigit() or not right.isalpha():
        return False
    whole, compound = (left + right).lower(), f"{left}-{right}".lower()
    if whole in words or compound in words:
        return whole in words
    if right[0].isupper():
        return left.isupper() and right.isupper() and len(left) > 2
    if in_compound or len(left) == 1 or (left.lower() in words and right in words):
        return False
    return left.lower() not in _COMPOUND_STARTS and (right not in _COMPOUND_ENDS or left.lower() in _PREFIXES)
