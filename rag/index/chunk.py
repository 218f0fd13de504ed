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
from itertools import groupby, pairwise
from math import ceil

from rag.types import Document, Mark, Passage, Tokens

VERSION = "2"  # raise it when the same document gives other passages: it is part of every collection's fingerprint

SPECIAL_TOKENS = 2  # [CLS] and [SEP] take their places in the window as well
HEADS_SHARE = 0.16  # of the window: a table's caption and column heads, repeated above each further piece of it
LABEL_SHARE = 0.12  # of the window: a section's title
HEAD_LINES = 4  # how many lines above a table's rows can be its caption and column heads
ENOUGH = 0.3  # of the window: a passage this full takes in no further paragraph
STUMP = 0.15  # of the window: less than this is not left alone, even before a heading or a long paragraph

_SENTENCE_END = re.compile(r"(?<=[.!?。！？])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[^\Wa-z_])|(?<=[。！？])")
_ABBREVIATION = re.compile(
    r"\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Inc|Ltd|Co|Corp|vs|approx|Fig|Art|Sec|e\.g|i\.e|U\.S|U\.K)\.\s*$"
)
_NUMERIC_CELL = re.compile(r"(?<![\w.])[($€£¥-]{0,4}\d[\d,.]*\d?%?\)?(?!\w)|(?<=\s)[—–-](?=\s|$)")
_YEARS_ONLY = re.compile(r"(?:[^\d\n]*\b(?:FY\s?)?(?:19|20)\d\d\b)+[^\d\n]*", re.IGNORECASE)  # a row of column heads
_LINE = re.compile(r"[^\n]*\S[^\n]*")
_PARAGRAPH_GAP = re.compile(r"\n[ \t]*\n")


@dataclass(frozen=True, slots=True)
class _Unit:
    """The smallest piece that a passage is made of: a sentence or a table row."""

    start: int
    end: int
    block: int  # paragraph or table it belongs to: passages prefer to end where this changes
    topic: int  # the heading it stands under
    heads: tuple[int, int] | None = None  # where the caption and column heads of its table stand


def chunk(document: Document, tokens: Tokens, max_tokens: int) -> list[Passage]:
    """Passages of at most `max_tokens` tokens, heading and special tokens included, in reading order."""
    text = document.text
    breaks = [heading.offset for heading in document.headings]
    sections = [(mark, list(_units(text, start, end, breaks))) for mark, start, end in _sections(document)]
    counts = iter(tokens.count([text[u.start : u.end] for _, units in sections for u in units]))
    headings = _Headings(document, tokens, max_tokens)
    passages = []
    for mark, units in sections:
        room = max_tokens - SPECIAL_TOKENS - headings.tokens(mark, units)
        sized = [(unit, next(counts)) for unit in units]
        for group in _pack(_split_long(sized, text, tokens, room), room, headings.heads_limit):
            passages.append(_passage(document, mark, group, headings))
    return passages


def _passage(document: Document, mark: Mark, group: Sequence[_Unit], headings: _Headings) -> Passage:
    start, end = group[0].start, group[-1].end
    return Passage(
        document=document.name,
        uri=document.uri,
        title=document.title,
        heading=headings.above(start, mark, group[0].heads),
        place=mark.label,
        page=mark.page,
        start=start,
        end=end,
        text=document.text[start:end],
        article=document.article,
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


def _units(text: str, start: int, end: int, breaks: Sequence[int]) -> Iterator[_Unit]:
    block = 0
    for lines in _paragraphs(text, start, end, breaks):
        for is_table, run in _runs(text, lines):
            block += 1
            topic = bisect_right(breaks, run[0][0])
            if is_table:
                heads = _heads(text, run)
                for first, last in run:
                    yield _Unit(first, last, block, topic, heads if first > heads[1] else None)
            else:
                for first, last in _sentences(text, run[0][0], run[-1][1]):
                    yield _Unit(first, last, block, topic)


def _paragraphs(text: str, start: int, end: int, breaks: Sequence[int]) -> Iterator[list[tuple[int, int]]]:
    """Stretches between blank lines and headings, as lists of non-empty lines (start, end)."""
    position = start
    for gap in [m.span() for m in _PARAGRAPH_GAP.finditer(text, start, end)] + [(end, end)]:
        lines = []
        for match in re.finditer(r"[^\n]+", text[position : gap[0]]):
            line = match.group()
            if line.strip():
                left = position + match.start() + len(line) - len(line.lstrip())
                lines.append((left, left + len(line.strip())))
        for _, under in groupby(lines, key=lambda line: bisect_right(breaks, line[0])):
            yield list(under)
        position = gap[1]


def _runs(text: str, lines: list[tuple[int, int]]) -> Iterator[tuple[bool, list[tuple[int, int]]]]:
    """Lines grouped into tables and prose. A table is two rows or more; single lines between rows (a sub-heading,
    a label that wraps) belong to it, and so do the caption and column heads above."""
    rows = [is_row(text[a:b]) for a, b in lines]
    tables: list[tuple[int, int]] = []
    i = 0
    while i < len(lines):
        if not rows[i]:
            i += 1
            continue
        last = i
        while (ahead := _next_row(text, lines, rows, last)) is not None:
            last = ahead
        if sum(rows[i : last + 1]) >= 2:
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


def _is_title(line: str) -> bool:
    """Short, mostly letters, and no sentence."""
    letters = sum(char.isalpha() for char in line)
    return (
        len(line.split()) <= 14 and not line.endswith((".", ",", ";")) and letters >= 0.6 * len(line.replace(" ", ""))
    )


def _is_prose(line: str) -> bool:
    return len(line) > 90 or (len(line) > 40 and line.rstrip().endswith((".", ";", ",")))


def is_row(line: str) -> bool:
    """Whether a line looks like a row of a table: cells set apart by bars, or a label followed by figures."""
    if " | " in line or "\t" in line:
        return True
    cells = _NUMERIC_CELL.findall(line)
    words = re.findall(r"[^\W\d_]{2,}", line)
    return len(cells) >= 2 and len(cells) * 4 >= len(words) and not line.endswith(".")


def _heads(text: str, run: list[tuple[int, int]]) -> tuple[int, int]:
    """The span above a table's second row: captions and column heads, or the first row where there is nothing."""
    for index, (a, b) in enumerate(run):
        if is_row(text[a:b]) and not _YEARS_ONLY.fullmatch(text[a:b]):
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


def _split_long(sized: Sequence[tuple[_Unit, int]], text: str, tokens: Tokens, room: int) -> list[tuple[_Unit, int]]:
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
        result += [
            (_Unit(a, b, unit.block, unit.topic, unit.heads), n) for (a, b), n in zip(words, counts, strict=True)
        ]
    return result


def _pack(sized: Sequence[tuple[_Unit, int]], room: int, heads: int) -> Iterator[list[_Unit]]:
    """Units into groups of at most `room` tokens. Short paragraphs are put together until there is enough; a
    paragraph or table longer than a passage is cut into pieces of about the same size."""
    group: list[tuple[_Unit, int]] = []
    for _, members in groupby(sized, key=lambda item: item[0].block):
        block = list(members)
        used, size = _size(group), _size(block)
        turns = bool(group) and group[-1][0].topic != block[0][0].topic
        if used >= ENOUGH * room or (used > STUMP * room and (turns or used + size > room)):
            yield [unit for unit, _ in group]
            group = []
        group += block
        if _size(group) > room:
            yield from _evenly(group, room - heads if any(unit.heads for unit, _ in group) else room)
            group = []
    if group:
        yield [unit for unit, _ in group]


def _evenly(block: Sequence[tuple[_Unit, int]], room: int) -> Iterator[list[_Unit]]:
    left = _size(block)
    target = left / ceil(left / room)
    group: list[_Unit] = []
    used = 0
    for unit, count in block:
        if group and (used + count > room or used + count / 2 > target):
            yield group
            left -= used
            target = left / ceil(left / room)
            group, used = [], 0
        group.append(unit)
        used += count
    if group:
        yield group


def _size(units: Sequence[tuple[_Unit, int]]) -> int:
    return sum(count for _, count in units)


class _Headings:
    """What stands above a passage: its section, by Mark or by outline, and its table's caption and column heads."""

    def __init__(self, document: Document, tokens: Tokens, max_tokens: int) -> None:
        self._document = document
        self._count = tokens.count
        self._offsets = [heading.offset for heading in document.headings]
        self._title = sum(tokens.count([document.title]))
        self._label_limit = int(max_tokens * LABEL_SHARE)
        self._most = max_tokens // 2
        self.heads_limit = int(max_tokens * HEADS_SHARE)
        marks = document.marks
        self._ends = {a.offset: b.offset for a, b in pairwise([*marks, Mark(len(document.text), "")])}
        self._page_heads: dict[int, tuple[int, str]] = {}
        self._clipped: dict[tuple[str, int], tuple[str, int]] = {}

    def tokens(self, mark: Mark, units: Sequence[_Unit]) -> int:
        """The most that title and heading take, for any passage of a section."""
        starts = {
            units[0].start,
            units[-1].start,
            *self._offsets[self._first(units[0].start) : self._first(units[-1].start)],
        }
        longest = max(self._clip(self._section(start, mark), self._label_limit)[1] for start in starts)
        return min(self._title + longest + 1, self._most)

    def above(self, start: int, mark: Mark, heads: tuple[int, int] | None) -> str:
        section, _ = self._clip(self._section(start, mark), self._label_limit)
        if not heads:
            return section
        table, _ = self._clip(" ".join(self._document.text[heads[0] : heads[1]].split()), self.heads_limit - 1)
        return f"{section} > {table}" if section else table

    def _first(self, start: int) -> int:
        return bisect_right(self._offsets, start)

    def _section(self, start: int, mark: Mark) -> str:
        if mark.page is None:
            return mark.label
        index = self._first(start) - 1
        if index >= 0:
            return self._document.headings[index].label
        end, head = self._page_head(mark)
        return head if start >= end else ""

    def _page_head(self, mark: Mark) -> tuple[int, str]:
        """Where a page's first title-like lines end, and what they say: without an outline, they are what stands above
        the rest of the page ("Consolidated balance sheets")."""
        if mark.offset not in self._page_heads:
            end = mark.offset
            lines: list[str] = []
            for match in _LINE.finditer(self._document.text, mark.offset, self._ends[mark.offset]):
                if len(lines) == 3 or not _is_title(match.group().strip()):
                    break
                end = match.end()
                lines.append(match.group().strip())
            self._page_heads[mark.offset] = (end, " ".join(lines))
        return self._page_heads[mark.offset]

    def _clip(self, text: str, limit: int) -> tuple[str, int]:
        """As many leading words as fit into `limit` tokens, and their number of tokens."""
        if (text, limit) not in self._clipped:
            words = text.split()
            total, kept = 0, 0
            for count in self._count(words):
                if total + count > limit:
                    break
                total, kept = total + count, kept + 1
            self._clipped[text, limit] = (" ".join(words[:kept]), total)
        return self._clipped[text, limit]
