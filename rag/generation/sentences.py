"""Text → what can be quoted from it: sentences, list items and table rows, as exact spans.

Offsets matter here: a quotation is `text[start:end]`, so that it can be found again word for word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from rag.generation.tables import FIGURE, is_loose, tables

HEADING_LENGTH = 80  # characters, at most

# A marker as answers carry them: [1], [1, 2], [1-3], [passage 2]. Only ASCII digits are numbers of ours.
MARKER = re.compile(
    r"\[(?:(?:passages?|sources?)\s+)?([0-9]+(?:\s*[,;–-]\s*[0-9]+)*)\]",
    re.IGNORECASE,
)

_MARKERS = r"(?:\s*\[(?:[a-z]+\s+)?[0-9][0-9,;\s–-]*\])*"
_END = re.compile(
    # Before a capital or a digit. " … " between blanks is an omission, inside of a quotation.
    rf"(?:[.!?]|(?<!\s)…)+[\"'”’»)]*{_MARKERS}(?=\s+(?!\[[0-9])[\"'“‘«(\[]?[^\W_a-zß-öø-ÿ])"
    rf"|[.!?…]+[\"'”’»)]*{_MARKERS}(?=\s*$)"
    rf"|[。！？]+[」』”]*{_MARKERS}"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Z]|Mr|Mrs|Ms|Mme|Messrs|Dr|Prof|St|Nos?|vs|ca|approx|Figs?|Art|Secs?|pp?|e\.g|i\.e|cf|al|etc|Jr|Sr|Gen"
    r"|Lt|Capt|Maj|Col|Sgt|Rev|Hon|Rep|Sen|Gov|Pres|Mt|Ft|Ave|Dept|Univ|Vols?|Eds?|Ph|Bros|Sp|(?i:Inc|Ltd|Co|Corp|Bhd)"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|(?:[A-Z]\.)+[A-Z])"
    r"|\b(?i:item|note|section|article|part)\s\d{1,2}[A-Z]?|^\s*\d{1,3})\.$"
)
_BULLET = re.compile(r"\s*(?:[•▪◦‣·*–—-]\s|\(?(?:\d{1,2}|[a-z])[.)]\s)")
_MARK = re.compile(r"[•▪◦‣·*–—-]\s+(?=\S)")  # of a list item, and no part of what it says
_INNER_END = re.compile(r"[.!?]\s+[A-Z]")
_PARAGRAPH_GAP = re.compile(r"\n[ \t]*\n")
_NUMBERING = re.compile(
    r"(?:(?:Table|Figure|Schedule|Section|Part|Annex|Note)\s+)?[A-Z]?\d{0,2}(?:\.\d+)*[.:]?\s+", re.I
)


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


def _block(text: str, start: int, end: int) -> list[Unit]:
    """The units between two blank lines: tables with what stands above them, and the prose before and after."""
    spans = _lines(text, start, end)
    found: list[Unit] = []
    head: tuple[int, int] | None = None  # stays in force below a sub-heading
    past = 0  # spans[:past] are done
    for table in tables([text[a:b] for a, b in spans]):
        found += _prose(text, spans[past : table.top])
        if table.top < table.body:
            head = (spans[table.top][0], spans[table.body - 1][1])
            found.append(Unit(*head, Kind.HEAD))
        found += [Unit(spans[first][0], spans[stop - 1][1], Kind.ROW, head) for first, stop in table.rows]
        past = table.past
    return found + _prose(text, spans[past:])


def _prose(text: str, lines: list[tuple[int, int]]) -> list[Unit]:
    """Wrapped lines are joined and cut into sentences; list items and headings stand alone."""
    width = max((b - a for a, b in lines), default=0)
    listed = len(lines) > 2 and all(_may_be_item(text[a:b]) for a, b in lines)  # wrapped lines are rarely all so
    runs: list[tuple[int, int]] = []
    for index, (a, b) in enumerate(lines):
        starts = listed or not runs or _BULLET.match(text[a:b]) or _breaks(text, lines[index - 1], (a, b), width)
        if starts:
            runs.append((a, b))
        else:
            runs[-1] = (runs[-1][0], b)
    return [unit for run in runs for unit in _sentences_or_heading(text, run)]


def _lines(text: str, start: int, end: int) -> list[tuple[int, int]]:
    spans = [(m.start() + start, m.end() + start) for m in re.finditer(r"[^\n]+", text[start:end])]
    return [trimmed for span in spans if (trimmed := _trim(text, *span))]


def _may_be_item(line: str) -> bool:
    """Whether nothing shows that the line is a part of a longer sentence: a small letter first, or a loose end."""
    return not (line[0].islower() or _INNER_END.search(line) or is_loose(line))


def _breaks(text: str, before: tuple[int, int], line: tuple[int, int], width: int) -> bool:
    """Whether a new thought starts on this line: the line before stopped well short of the width, unpunctuated."""
    a, b = before
    short = b - a < 0.6 * width or (b - a < 60 and b - a <= line[1] - line[0])
    return short and text[b - 1] not in ",;-–" and not text[line[0]].islower()


def _sentences_or_heading(text: str, run: tuple[int, int]) -> list[Unit]:
    spans = sentences(text, *run)
    kind = Kind.HEAD if len(spans) == 1 and _is_heading(text[slice(*spans[0])]) else Kind.PROSE
    a, b = spans[0]
    if mark := _MARK.match(text[a:b]):
        spans[0] = (a + mark.end(), b)
    return [Unit(a, b, kind) for a, b in spans]


def _is_heading(line: str) -> bool:
    """A short line without an end, and without a figure but the number of its chapter."""
    if len(line) > HEADING_LENGTH or line[-1] in ".!?:;,。" or _BULLET.match(line):
        return False
    numbering = _NUMBERING.match(line)
    return not FIGURE.search(line, numbering.end() if numbering else 0)


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    right = start + len(piece.rstrip())
    return (left, right) if left < right else None
