"""A passage of normalised text → where it is printed: characters first, then a rectangle for each line. Pure.

What normalising and assembling may change (spaces, line ends, hyphens, compatibility forms) is left out of both texts;
what remains is compared letter by letter, so that a place is found exactly or not at all.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rag.sources.clean import mended

SAME_LINE = 0.5  # of the lower one's height: two characters that overlap so much stand on one line
TOUCHES = 0.2  # of a character's area inside a rectangle: it would be marked, too
PAD = 2.0  # pixels around a line, where there is room

Box = tuple[float, float, float, float]  # left, top, right, bottom


class NotPlacedError(Exception):
    """Why there is no telling where a passage stands, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Glyph:
    """A printed character: the box of its ink, and that of its line's full height. `standing` ones are read from top to
    bottom, or from the bottom up; it is None where a line runs aslant."""

    ink: Box
    full: Box
    standing: bool | None = False


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is cited, and what is printed before and after it on the same lines."""

    before: Sequence[Glyph]
    cited: Sequence[Glyph]
    after: Sequence[Glyph]


# ------------------------------------------------------------------------------------- passage → characters


def find(printed: str, text: str, start: int, end: int) -> tuple[int, int]:
    """The first character of `printed`, the page as an engine gives it, that belongs to `text[start:end]`, and the one
    after the last. `text` is what was made of that page, so that it tells which of equal passages is meant. Raises
    NotPlacedError."""
    page, places = _skeleton(printed)
    read, origins = _skeleton(text)
    first, last = bisect_left(origins, start), bisect_left(origins, end)
    wanted = read[first:last]
    if not wanted:
        raise NotPlacedError("it holds no letters")
    whole = list(_occurrences(page, read))
    if len(whole) == 1:
        found = whole[0] + first
    else:
        found = _same_of_equals(page, wanted, list(_occurrences(read, wanted)).index(first), read)
    return places[found], places[found + len(wanted) - 1] + 1


def _same_of_equals(page: str, wanted: str, turn: int, read: str) -> int:
    """Where the page was read otherwise than it is now: the passage in its turn, if it stands there as often."""
    here = list(_occurrences(page, wanted))
    if not here:
        raise NotPlacedError("the page's text layer reads otherwise than what was indexed")
    if len(here) != len(list(_occurrences(read, wanted))):
        raise NotPlacedError("the same words stand in several places of the page")
    return here[turn]


def _skeleton(text: str) -> tuple[str, list[int]]:
    """The letters of a text without what may change on its way into the ledger, and where each of them stood."""
    letters: list[str] = []
    places: list[int] = []
    marks = False
    for place, char in enumerate(text):
        if "!" <= char <= "~":
            if char != "-":
                letters.append(char)
                places.append(place)
            continue
        for letter in unicodedata.normalize("NFD", mended(char)):
            if not (letter.isspace() or letter in "-\xad\u200c\u200d" or "\ud800" <= letter <= "\udfff"):
                letters.append(letter)
                places.append(place)
                marks = marks or unicodedata.combining(letter) > 0
    return (_ordered(letters, places) if marks else "".join(letters)), places


def _ordered(letters: list[str], places: list[int]) -> str:
    """Runs of combining marks in their canonical order, as composing and decomposing would leave them."""
    at = 0
    while at < len(letters):
        past = at
        while past < len(letters) and unicodedata.combining(letters[past]):
            past += 1
        if past - at > 1:
            order = sorted(range(at, past), key=lambda i: unicodedata.combining(letters[i]))
            letters[at:past], places[at:past] = [letters[i] for i in order], sorted(places[i] for i in order)
        at = max(past, at + 1)
    return "".join(letters)


def _occurrences(text: str, wanted: str) -> Iterator[int]:
    at = text.find(wanted)
    while at >= 0:
        yield at
        at = text.find(wanted, at + 1)


# -------------------------------------------------------------------------------------- characters → lines


def lines(stretch: Stretch, others: Iterable[Box]) -> list[Box]:
    """A box for each line of what is cited, in their order, that touches no `others`. Raises NotPlacedError."""
    if not stretch.cited:
        raise NotPlacedError("it leaves no ink")
    if any(glyph.standing is None for glyph in stretch.cited):
        raise NotPlacedError("it is printed aslant")
    block = _wider(_around(glyph.ink for glyph in stretch.cited))
    near = [box for box in others if _shared(box, block) > 0]
    boxes: list[Box] = []
    for part in _lines(stretch.cited):
        whole = _levelled(part, [*stretch.before, *stretch.after])
        boxes += _pieces(part, near) if _touched(whole, near) else [whole]
    return [_padded(box, near) for box in boxes]


def _lines(glyphs: Iterable[Glyph]) -> Iterator[list[Glyph]]:
    line: list[Glyph] = []
    for glyph in glyphs:
        if line and not _on_one_line(line[-1], glyph):
            yield line
            line = []
        line.append(glyph)
    if line:
        yield line


def _levelled(line: Sequence[Glyph], beside: Iterable[Glyph]) -> Box:
    """Around a line, as high as all that is printed on it: then "no" is marked no lower than "Not" would be."""
    left, top, right, bottom = _around(glyph.ink for glyph in line)
    level = _around(glyph.ink for glyph in [*line, *(glyph for glyph in beside if _on_one_line(line[0], glyph))])
    return (level[0], top, level[2], bottom) if line[0].standing else (left, level[1], right, level[3])


def _on_one_line(before: Glyph, glyph: Glyph) -> bool:
    if before.standing != glyph.standing:
        return False
    a, b = (0, 2) if glyph.standing else (1, 3)
    low, high = max(before.full[a], glyph.full[a]), min(before.full[b], glyph.full[b])
    return high - low >= SAME_LINE * min(before.full[b] - before.full[a], glyph.full[b] - glyph.full[a])


def _pieces(line: Sequence[Glyph], others: Sequence[Box]) -> list[Box]:
    """A line that others stand in the way of, in as few pieces as go around them."""
    pieces: list[Box] = []
    for glyph in line:
        longer = _around([pieces[-1], glyph.ink]) if pieces else glyph.ink
        if pieces and not _touched(longer, others):
            pieces[-1] = longer
        else:
            pieces.append(glyph.ink)
    return pieces


def _padded(box: Box, others: Sequence[Box]) -> Box:
    wider = _wider(box)
    return box if any(_shared(wider, other) > _shared(box, other) for other in others) else wider


def _wider(box: Box) -> Box:
    return box[0] - PAD, box[1] - PAD, box[2] + PAD, box[3] + PAD


def _touched(box: Box, others: Iterable[Box]) -> bool:
    return any(_shared(box, other) > TOUCHES * _area(other) for other in others)


def _around(boxes: Iterable[Box]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _shared(a: Box, b: Box) -> float:
    """The area that two boxes have in common."""
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
