"""Is a page's text layer readable, or did the file map its glyphs to the wrong characters? Pure.

A wrong "garbled" hides a good page, a missed one fills an index with noise. So each test asks for plain evidence:
characters that stand for nothing, glyph names in place of letters, Latin letters in proportions that no language has,
or words that nobody can say. Other scripts, tables, codes and short labels pass.
"""

from __future__ import annotations

import math
import re
import unicodedata
from functools import cache

MIN_CHARACTERS = 12  # shorter text is a label, and labels may be anything
MIN_LETTERS = 20  # for the test of tokens
MIN_WORDS = 50  # for the test of language
MEANINGLESS = 0.3  # of the characters, at least
COMMON_WORDS = 0.04  # of the tokens, at least: then it is language, whatever else it is
MIN_LONG_WORDS = 8  # for the test of speech
UNSPEAKABLE = 0.25  # of the different long words, at least: up to 0.19 in any language written in Latin script
LANGUAGE = 1.25  # mean logarithm of the letters' frequencies: 1.3 to 1.8 in any language, letters swapped below 1.3

_GLYPH_NAMES = re.compile(r"/(?:[gGcCaA]|cid|uni|glyph|index|H)\d{1,5}(?![\w.])|\(cid:\d+\)")
_LATIN_WORD = re.compile(r"[A-Za-zÀ-ɏ]{2,}")
_LONG_WORD = re.compile(r"[A-Za-zÀ-ɏ]{4,}")
_SPEAKABLE = re.compile(r"(?!.*[^aeiouy]{5}|.*[aeiouy]{4}).*[aeiouy]")
_SYMBOL_IN_WORD = re.compile(r"\w[^\w\s'’./:&@,;_-]+[^\W\d_]|[^\W\d_]\d[^\W\d_]|[a-zß-ÿ][A-ZÀ-Þ]|[A-ZÀ-Þ]{2}[a-zß-ÿ]")
_CODE = re.compile(r"(?=\S*\d)[A-Z\d./-]+[.,;:]?")  # part and serial numbers are no words, and no garbage
_LATIN_1_SYMBOLS = frozenset(map(chr, range(0xA1, 0xC0))) - set("£§©«®°±²³·»½¼¾º")
# Percent of the letters, roughly, over the languages written in Latin script.
_PERCENT = {
    "e": 12.0, "a": 9.0, "i": 7.5, "n": 7.0, "o": 6.5, "r": 6.5, "s": 6.5, "t": 6.5, "l": 4.5, "d": 4.0, "u": 4.0,
    "m": 3.0, "c": 3.0, "h": 2.5, "p": 2.2, "g": 2.0, "k": 2.0, "v": 1.6, "b": 1.5, "f": 1.5, "y": 1.3, "z": 1.2,
    "w": 1.2, "j": 0.8, "q": 0.3, "x": 0.3,
}  # fmt: skip
# Of three letters and more: swapped letters make a common word of two too often.
_COMMON_WORDS = (
    "the and for that with are from was this not our has have will which its any were been all may "  # English
    "les des une que pour dans est sur par los las por con del para una más como che per non della sono dos das uma "
    "der die das und den von mit ist für auf ein eine dem nicht het een van voor niet met "  # Germanic
    "det som till för och att til med ikke nie się jest jej dla jako hogy nem egy için ile bir että oli dan yang untuk"
)
_COMMON = frozenset(_COMMON_WORDS.split())


def is_garbled(text: str) -> bool:
    """True if `text`, as a PDF engine gave it and before it was normalised, is no text."""
    tokens = text.split()
    solid = sum(map(len, tokens))
    if solid < MIN_CHARACTERS:
        return False
    if _meaningless(text) > MEANINGLESS * solid or sum(map(len, _GLYPH_NAMES.findall(text))) > MEANINGLESS * solid:
        return True
    if sum(token.lower() in _COMMON for token in tokens) > COMMON_WORDS * len(tokens):
        return False
    return _is_wrong_latin(tokens)


def _meaningless(text: str) -> int:
    """How many characters stand for nothing: controls, private use, unassigned, lone surrogates, U+FFFD, and the
    symbols of Latin-1 that no text is made of."""
    return sum(text.count(char) for char in set(text) if _is_meaningless(char))


@cache
def _is_meaningless(char: str) -> bool:
    if char == "\ufffd" or char in _LATIN_1_SYMBOLS:
        return True
    return not char.isspace() and unicodedata.category(char) in {"Cc", "Co", "Cn", "Cs"}


def _is_unspeakable(text: str) -> bool:
    """Words that nobody can say, without a vowel or with five consonants in a row: letters swapped for one another."""
    words = {_unaccented(word) for word in _LONG_WORD.findall(text) if not word.isupper()}  # acronyms are spelt
    if len(words) < MIN_LONG_WORDS:
        return False
    return sum(not _SPEAKABLE.match(word) for word in words) > UNSPEAKABLE * len(words)


def _unaccented(word: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", word.lower()) if not unicodedata.combining(c))


def _is_wrong_latin(tokens: list[str]) -> bool:
    """Words that nobody can say, or Latin letters in proportions that no language has, in enough words to tell or in
    tokens that are no words: a font without a Unicode map gives "3HQČåQtSURVWĜHGN\\QD~þWHFK"."""
    tokens = [token for token in tokens if not _CODE.fullmatch(token)]
    letters = [char for char in "".join(tokens) if char.isalpha()]
    latin = [char for char in letters if char < "\u0250"]
    if len(latin) < MIN_LETTERS or len(latin) < 0.5 * len(letters):
        return False
    if _is_unspeakable(" ".join(tokens)):
        return True
    if sum(map(_weight, latin)) >= LANGUAGE * len(latin):
        return False
    odd = sum(len(token) for token in tokens if _SYMBOL_IN_WORD.search(token))
    words = sum(_LATIN_WORD.search(token) is not None for token in tokens)
    return odd > 0.3 * sum(map(len, tokens)) or words >= MIN_WORDS


@cache
def _weight(char: str) -> float:
    """The logarithm of the letter's frequency, its accent left out."""
    return math.log(_PERCENT.get(unicodedata.normalize("NFD", char)[0].lower(), 1.0))
