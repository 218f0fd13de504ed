"""Running headers and footers: recognised across the pages of a document, and taken out. Pure.

Only a page's outermost lines are looked at, inwards, and only lines that its neighbours have as well at the same
edge. Numbers count as equal when they count along with the pages, so "2023 FORM 10-K 37" is found and a table's
"Total 37" is not. A line at the top that table rows follow is the table's column heads, and stays; a line that only
some of the pages have (a chapter's name, the heads of a long table) stays on the first of them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

DEPTH = 5  # lines looked at from each edge; where all of them repeat it is the page that repeats, and it stays
REACH = 4  # pages to either side that count as neighbours; at the ends, as many in all
REPEATS = 4  # a running line stands on this many of the neighbours and the page itself
MAX_LENGTH = 200
MAX_ROW = 1000  # characters at the end of a line that tell whether it is a table's row
MAX_DIGITS = 5  # of a page number

_NUMBER = re.compile(r"\d+")
_ROMAN = re.compile(r"(?<![a-z])[ivxlc]+(?![a-z])")
_PAGE = r"\W*(?:page|p|seite|página|pagina)?\W*"
_OF_PAGES = r"(?:\s*(?:/|of|von|de|sur)\s*\d{1,5})?\W*"
_ONLY_NUMBER = re.compile(_PAGE + r"(\d{1,5})" + _OF_PAGES, re.I)
_ROW = re.compile(r"(?:(?:^|\s)(?:[$€£(–—-]*\d[\d.,]*[%)]*|[—–-])){2,}\s*$")
_ROMAN_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}

_Key = tuple[str, int | None]  # a line with one number out, and that number less its page's; or a line as it is
_Seen = Mapping[_Key, set[int]]  # the pages (from 0) on which a key stands at the edge


def drop_running(pages: Sequence[str]) -> list[str]:
    """`pages` (in order, one text each, "" where there is none) without their running headers and footers."""
    split = [page.split("\n") for page in pages]
    tops = _peel(split, from_top=True)
    bottoms = _peel([lines[top:] for lines, top in zip(split, tops, strict=True)], from_top=False)
    return [
        "\n".join(lines[top : len(lines) - bottom]).strip("\n")
        for lines, top, bottom in zip(split, tops, bottoms, strict=True)
    ]


def _peel(pages: list[list[str]], from_top: bool) -> list[int]:
    """How many lines of each page's edge are running lines."""
    edges = [lines[:DEPTH] if from_top else lines[: -DEPTH - 1 : -1] for lines in pages]
    keys = [[list(_keys(line, number)) for line in lines] for number, lines in enumerate(edges)]
    seen: dict[_Key, set[int]] = defaultdict(set)
    for number, of_lines in enumerate(keys):
        for key in chain.from_iterable(of_lines):
            seen[key].add(number)
    depths = []
    for number, lines in enumerate(edges):
        depth = 0
        while depth < len(lines) and _runs(lines[depth], keys[number][depth], seen, number, len(pages)):
            depth += 1
        heads_follow = from_top and depth < len(lines) and _ROW.search(lines[depth][-MAX_ROW:])
        if depth == len(lines) or heads_follow:
            depth = int(len(lines) > 1 and _is_page_number(lines[0], number))
        depths.append(depth)
    return depths


def _runs(line: str, keys: list[_Key], seen: _Seen, number: int, pages: int) -> bool:
    if not line.strip() or _is_page_number(line, number):
        return True
    start = max(0, min(number - REACH, pages - 2 * REACH - 1))
    neighbours = range(start, start + 2 * REACH + 1)
    for key in keys:
        on = seen[key]
        is_first_of_few = key[1] is None and 2 * len(on) < pages and min(on) >= number
        if sum(n in on for n in neighbours) >= REPEATS and not is_first_of_few:
            return True
    return False


def _is_page_number(line: str, number: int) -> bool:
    """True for the page's own number (pages being counted from 0 here) alone on its line."""
    match = _ONLY_NUMBER.fullmatch(line) if len(line) <= MAX_LENGTH else None  # its cost is the length squared
    return match is not None and int(match.group(1)) == number + 1


def _keys(line: str, number: int) -> Iterator[_Key]:
    line = " ".join(line.lower().split())
    if not line or len(line) > MAX_LENGTH:
        return
    yield line, None
    for match in _NUMBER.finditer(line):
        if len(match.group()) <= MAX_DIGITS:
            yield f"{line[: match.start()]}#{line[match.end() :]}", int(match.group()) - number
    for match in _ROMAN.finditer(line):
        yield f"{line[: match.start()]}#{line[match.end() :]}", _roman(match.group()) - number


def _roman(numeral: str) -> int:
    values = [_ROMAN_VALUES[letter] for letter in numeral]
    return sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))
