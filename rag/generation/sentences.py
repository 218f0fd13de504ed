"""Text → what can be quoted from it: sentences, list items and table rows, as exact spans.

Offsets matter here: a quotation is `text[start:end]`, so that it can be found again word for word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

# A marker as answers carry them: [1], [1, 2], [1-3], [passage 2]. Only ASCII digits are numbers of ours.
MARKER = re.compile(
    r"\[(?:(?:passages?|sources?)\s+)?([0-9]+(?:\s*[,;–-]\s*[0-9]+)*)\]",
    re.IGNORECASE,
)

_MARKERS = r"(?:\s*\[(?:[a-z]+\s+)?[0-9][0-9,;\s–-]*\])*"
_END = re.compile(
    rf"[.!?…]+[\"'”’»)]*{_MARKERS}(?=\s+[\"'“‘«(\[]?[^\W_a-zß-öø-ÿ])"  # before a capital or a digit
    rf"|[.!?…]+[\"'”’»)]*{_MARKERS}(?=\s*$)"
    rf"|[。！？]+[」』”]*{_MARKERS}"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|Nos?|Inc|Ltd|Co|Corp|vs|ca|approx|Figs?|Art|Sec|pp?|e\.g|i\.e|etc|Jr|Sr|Gen"
    r"|Lt|Col|Sgt|Rev|Hon|Mt|Ave|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|(?:[A-Z]\.)+[A-Z])|^\s*\d{1,3})\.$"
)
HEAD_LINES = 3  # above a table's first row, at most
HEAD_LENGTH = 60  # characters of a heading's line, at most

_BULLET = re.compile(r"\s*(?:[•▪◦‣·*–—-]\s|\(?(?:\d{1,2}|[a-z])[.)]\s)")
_PARAGRAPH_GAP = re.compile(r"\n[ \t]*\n")
_FIGURE = re.compile(r"(?<![\w.])[($€£¥+-]*\d[\d,.']*%?\)?(?!\w)")
_WORD = re.compile(r"[^\W\d_]{2,}")


class Kind(Enum):
    PROSE = "prose"
    ROW = "row"  # of a table
    HEAD = "head"  # a caption, column heads, or a heading


@dataclass(frozen=True, slots=True)
class Unit:
    """`text[start:end]` is a sentence, a list item or a table row; a row may stand under a `head` (a span)."""

    start: int
    end: int
    kind: Kind = Kind.PROSE
    head: tuple[int, int] | None = None


def sentences(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Spans of the sentences of a paragraph; markers right after a full stop belong to the sentence before."""
    end = len(text) if end is None else end
    spans = []
    position = start
    for match in _END.finditer(text, start, end):
        stop = match.group().rstrip().rfind(".")
        if match.group().startswith(".") and stop == 0 and _ABBREVIATION.search(text[position : match.start() + 1]):
            continue
        spans.append((position, match.end()))
        position = match.end()
    spans.append((position, end))
    return [trimmed for span in spans if (trimmed := _trim(text, *span))]


def units(text: str) -> list[Unit]:
    """Everything in a passage that can be quoted, in order."""
    found: list[Unit] = []
    position = 0
    for gap in [m.span() for m in _PARAGRAPH_GAP.finditer(text)] + [(len(text), len(text))]:
        found += _block(text, position, gap[0])
        position = gap[1]
    return found


def is_row(line: str) -> bool:
    """Whether a line looks like a row of a table: cells set apart by bars or tabs, or a label with figures."""
    if " | " in line or "\t" in line:
        return True
    figures = len(_FIGURE.findall(line))
    return figures >= 2 and figures * 4 >= len(_WORD.findall(line)) and not line.endswith(".")


def _block(text: str, start: int, end: int) -> list[Unit]:
    """The units between two blank lines: tables with what stands above them, and the prose before and after."""
    lines = _lines(text, start, end)
    rows = [is_row(text[a:b]) for a, b in lines]
    found: list[Unit] = []
    head: tuple[int, int] | None = None  # stays in force below a sub-heading
    past = 0  # lines[:past] are done
    while True in rows[past:]:
        table = rows.index(True, past)
        stop = rows.index(False, table) if False in rows[table:] else len(rows)
        top = _first_head(text, lines, past, table)
        body = _first_body(text, lines[table:stop]) + table
        found += _prose(text, lines[past:top])
        if top < body:
            head = (lines[top][0], lines[body - 1][1])
        found += [Unit(a, b, Kind.HEAD) for a, b in lines[top:body]]
        found += [Unit(a, b, Kind.ROW, head) for a, b in lines[body:stop]]
        past = stop
    return found + _prose(text, lines[past:])


def _first_head(text: str, lines: list[tuple[int, int]], floor: int, table: int) -> int:
    """The index of the first of the short lines right above a table: its caption, its units, its column heads."""
    first = table
    while first > floor and table - first < HEAD_LINES:
        a, b = lines[first - 1]
        if b - a > HEAD_LENGTH or text[b - 1] == "." or _BULLET.match(text[a:b]):
            break
        first -= 1
    continues = first > floor and text[lines[first - 1][1] - 1] not in ".!?:"
    return min(first + 1, table) if continues and text[lines[first][0]].islower() else first


def _first_body(text: str, lines: list[tuple[int, int]]) -> int:
    """How many of a table's first rows are column heads: cells without a figure other than years."""
    count = 0
    while count < 2 and _is_column_head(text[slice(*lines[count])]) and count + 1 < len(lines):
        count += 1
        if " | " in text[slice(*lines[0])] or "\t" in text[slice(*lines[0])]:
            break  # in a table of words alone, every row looks like one
    return count


def _is_column_head(line: str) -> bool:
    figures = [re.sub(r"\D", "", figure) for figure in _FIGURE.findall(line)]
    return all(len(figure) == 4 and figure[:2] in ("19", "20") for figure in figures)


def _prose(text: str, lines: list[tuple[int, int]]) -> list[Unit]:
    """Wrapped lines are joined and cut into sentences; list items and headings stand alone."""
    width = max((b - a for a, b in lines), default=0)
    runs: list[tuple[int, int]] = []
    for index, (a, b) in enumerate(lines):
        if runs and not _BULLET.match(text[a:b]) and not _breaks(text, lines[index - 1], (a, b), width):
            runs[-1] = (runs[-1][0], b)
        else:
            runs.append((a, b))
    return [unit for run in runs for unit in _sentences_or_heading(text, run)]


def _lines(text: str, start: int, end: int) -> list[tuple[int, int]]:
    spans = [(m.start() + start, m.end() + start) for m in re.finditer(r"[^\n]+", text[start:end])]
    return [trimmed for span in spans if (trimmed := _trim(text, *span))]


def _breaks(text: str, before: tuple[int, int], line: tuple[int, int], width: int) -> bool:
    """Whether a new thought starts on this line: the line before stopped well short of the width, unpunctuated."""
    a, b = before
    short = b - a < 0.6 * width or (b - a < 60 and b - a <= line[1] - line[0])
    return short and text[b - 1] not in ",;-–" and not text[line[0]].islower()


def _sentences_or_heading(text: str, run: tuple[int, int]) -> list[Unit]:
    spans = sentences(text, *run)
    a, b = spans[0]
    short = len(spans) == 1 and b - a < HEAD_LENGTH and text[b - 1] not in ".!?:;,。"
    is_heading = short and not _FIGURE.search(text, a, b) and not _BULLET.match(text[a:b])
    return [Unit(a, b, Kind.HEAD if is_heading else Kind.PROSE) for a, b in spans]


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    right = start + len(piece.rstrip())
    return (left, right) if left < right else None
