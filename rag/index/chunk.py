"""Document → Passages: pure text work, no model but a token counter.

A passage never crosses a Mark, so its page is never in doubt. It is cut at the ends of paragraphs, sentences and
table rows, in this order of preference, and its pieces are evened out: a page of 300 tokens becomes two passages
of 150, not one of 250 and a stump. Rows of a table stay together; when a table must be cut, what stands above it
(its caption, units and column heads) becomes part of the heading of every further piece, as element-aware
chunking does (arXiv 2402.05131).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from rag.types import Document, Mark, Passage, Tokens

VERSION = "1"  # raise it when the same document gives other passages: it is part of every collection's fingerprint

SPECIAL_TOKENS = 2  # [CLS] and [SEP] take their places in the window as well
HEAD_SHARE = 0.25  # of the window, at most, goes to title and heading
HEAD_LINES = 4  # how many lines above a table's rows can be its caption and column heads

_SENTENCE_END = re.compile(r"(?<=[.!?。！？])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[^\Wa-z_])|(?<=[。！？])")
_ABBREVIATION = re.compile(
    r"\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Inc|Ltd|Co|Corp|vs|approx|Fig|Art|Sec|e\.g|i\.e|U\.S|U\.K)\.\s*$"
)
_NUMERIC_CELL = re.compile(r"(?<![\w.])[($€£¥-]*\d[\d,.]*\d?%?\)?(?!\w)|(?<=\s)[—–-](?=\s|$)")
_PARAGRAPH_GAP = re.compile(r"\n[ \t]*\n")


@dataclass(frozen=True, slots=True)
class _Unit:
    """The smallest piece that a passage is made of: a sentence or a table row."""

    start: int
    end: int
    block: int  # paragraph or table it belongs to: passages prefer to end where this changes
    heads: tuple[int, int] | None = None  # where the caption and column heads of its table stand


def chunk(document: Document, tokens: Tokens, max_tokens: int) -> list[Passage]:
    """Passages of at most `max_tokens` tokens, heading and special tokens included, in reading order."""
    text = document.text
    sections = list(_sections(document))
    units = [list(_units(text, start, end)) for _, start, end in sections]
    flat = [text[u.start : u.end] for section in units for u in section]
    counts = iter(tokens.count(flat))
    titles = _Headings(document, tokens, int(max_tokens * HEAD_SHARE))
    passages = []
    for (mark, _, _), section in zip(sections, units, strict=True):
        sized = [(unit, next(counts)) for unit in section]
        room = max_tokens - SPECIAL_TOKENS - titles.reserve(section)
        for group in _pack(_split_long(sized, text, tokens, room), room):
            passages.append(_passage(document, mark, group, titles))
    return passages


def _passage(document: Document, mark: Mark, group: Sequence[_Unit], titles: _Headings) -> Passage:
    start, end = group[0].start, group[-1].end
    return Passage(
        document=document.name,
        uri=document.uri,
        title=document.title,
        heading=titles.above(start, mark, group[0].heads),
        place=mark.label,
        page=mark.page,
        start=start,
        end=end,
        text=document.text[start:end],
    )


# ------------------------------------------------------------------------------------------- text → units


def _sections(document: Document) -> Iterator[tuple[Mark, int, int]]:
    """The stretches between Marks, each with its Mark; text before the first Mark has an empty label."""
    marks = list(document.marks)
    if not marks or marks[0].offset > 0:
        marks.insert(0, Mark(0, ""))
    ends = [mark.offset for mark in marks[1:]] + [len(document.text)]
    for mark, end in zip(marks, ends, strict=True):
        if document.text[mark.offset : end].strip():
            yield mark, mark.offset, end


def _units(text: str, start: int, end: int) -> Iterator[_Unit]:
    block = 0
    for lines in _paragraphs(text, start, end):
        for is_table, run in _runs(text, lines):
            block += 1
            if is_table:
                heads = _heads(text, run)
                for first, last in run:
                    yield _Unit(first, last, block, heads if first > heads[1] else None)
            else:
                for first, last in _sentences(text, run[0][0], run[-1][1]):
                    yield _Unit(first, last, block)


def _paragraphs(text: str, start: int, end: int) -> Iterator[list[tuple[int, int]]]:
    """Stretches between blank lines, as lists of non-empty lines (start, end)."""
    position = start
    for gap in [m.span() for m in _PARAGRAPH_GAP.finditer(text, start, end)] + [(end, end)]:
        lines = []
        for match in re.finditer(r"[^\n]+", text[position : gap[0]]):
            line = match.group()
            if line.strip():
                left = position + match.start() + len(line) - len(line.lstrip())
                lines.append((left, left + len(line.strip())))
        if lines:
            yield lines
        position = gap[1]


def _runs(text: str, lines: list[tuple[int, int]]) -> Iterator[tuple[bool, list[tuple[int, int]]]]:
    """Lines grouped into tables and prose. A table is two rows or more; single lines between rows (a sub-heading,
    a label that wraps) belong to it, and so do the caption and column heads above."""
    rows = [is_row(text[a:b]) for a, b in lines]
    tables = []
    i = 0
    while i < len(lines):
        if not rows[i]:
            i += 1
            continue
        last = i
        while (ahead := _next_row(text, lines, rows, last)) is not None:
            last = ahead
        if sum(rows[i : last + 1]) >= 2:  # noqa: PLR2004 - two rows make a table
            floor = tables[-1][1] if tables else 0
            tables.append((_first_head(text, lines, i, floor), last + 1))
        i = last + 1
    position = 0
    for first, past in tables:
        if position < first:
            yield False, lines[position:first]
        yield True, lines[first:past]
        position = past
    if position < len(lines):
        yield False, lines[position:]


def _next_row(text: str, lines: list[tuple[int, int]], rows: list[bool], last: int) -> int | None:
    """The next row of the table that `last` is in: the following line, or one after up to two short lines."""
    for ahead in range(last + 1, min(last + 4, len(lines))):
        if rows[ahead]:
            return ahead
        a, b = lines[ahead]
        if _is_prose(text[a:b]):
            return None
    return None


def _first_head(text: str, lines: list[tuple[int, int]], row: int, floor: int) -> int:
    first = row
    while first > floor and row - first < HEAD_LINES:
        a, b = lines[first - 1]
        if _is_prose(text[a:b]):
            break
        first -= 1
    return first


def _is_prose(line: str) -> bool:
    return len(line) > 90 or (len(line) > 40 and line.rstrip().endswith((".", ";", ",")))  # noqa: PLR2004


def is_row(line: str) -> bool:
    """Whether a line looks like a row of a table: cells set apart by bars, or a label followed by figures."""
    if " | " in line or "\t" in line:
        return True
    cells = _NUMERIC_CELL.findall(line)
    words = re.findall(r"[^\W\d_]{2,}", line)
    return len(cells) >= 2 and len(cells) * 4 >= len(words) and not line.endswith(".")  # noqa: PLR2004


def _heads(text: str, run: list[tuple[int, int]]) -> tuple[int, int]:
    """The span above a table's second row: captions and column heads, or the first row where there is nothing."""
    for index, (a, b) in enumerate(run):
        if is_row(text[a:b]):
            last = max(index - 1, 0)
            return run[0][0], run[last][1]
    return run[0]


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    position = start
    for match in _SENTENCE_END.finditer(text, start, end):
        if _ABBREVIATION.search(text, max(position, match.start() - 8), match.start() + 1):
            continue
        if match.start() > position:
            yield position, match.start() + len(match.group().rstrip())
        position = match.end()
    if position < end:
        yield position, end


# ---------------------------------------------------------------------------------------- units → passages


def _split_long(
    sized: Sequence[tuple[_Unit, int]], text: str, tokens: Tokens, room: int
) -> list[tuple[_Unit, int]]:
    """Units longer than a passage are cut between words, and a word longer than one, between characters."""
    result: list[tuple[_Unit, int]] = []
    for unit, count in sized:
        if count <= room:
            result.append((unit, count))
            continue
        step = max(room, 16)  # a token is one character or more, so that a word of this length always fits
        words = [
            (unit.start + m.start() + i, min(unit.start + m.end(), unit.start + m.start() + i + step))
            for m in re.finditer(r"\S+", text[unit.start : unit.end])
            for i in range(0, len(m.group()), step)
        ]
        counts = tokens.count([text[a:b] for a, b in words])
        result += [(_Unit(a, b, unit.block, unit.heads), n) for (a, b), n in zip(words, counts, strict=True)]
    return result


def _pack(sized: Sequence[tuple[_Unit, int]], room: int) -> Iterator[list[_Unit]]:
    """Units into groups of at most `room` tokens and about the same size."""
    total = sum(count for _, count in sized)
    target = total / max(1, ceil(total / room))
    group: list[_Unit] = []
    used = 0
    for unit, count in sized:
        full = used + count > room
        ripe = used >= target * 0.8 and group and unit.block != group[-1].block
        if group and (full or ripe):
            yield group
            group, used = [], 0
        group.append(unit)
        used += count
    if group:
        yield group


class _Headings:
    """What stands above a passage, within its share of the window."""

    def __init__(self, document: Document, tokens: Tokens, limit: int) -> None:
        self._document = document
        self._tokens = tokens
        self._offsets = [mark.offset for mark in document.headings]
        self._limit = limit

    def reserve(self, units: Sequence[_Unit]) -> int:
        return self._limit

    def above(self, start: int, mark: Mark, heads: tuple[int, int] | None) -> str:
        parts = []
        if mark.page is None and mark.label:
            parts.append(mark.label)
        index = bisect_right(self._offsets, start) - 1
        if index >= 0:
            parts.append(self._document.headings[index].label)
        if heads:
            parts.append(" ".join(self._document.text[heads[0] : heads[1]].split()))
        return " > ".join(parts)
