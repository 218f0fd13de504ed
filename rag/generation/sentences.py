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
    """The units between two blank lines. Wrapped lines are joined; rows, list items and headings stand alone."""
    lines = _lines(text, start, end)
    width = max((b - a for a, b in lines), default=0)
    found: list[Unit] = []
    head: tuple[int, int] | None = None
    run: tuple[int, int] | None = None  # wrapped lines of prose, not yet cut into sentences
    for index, (a, b) in enumerate(lines):
        line = text[a:b]
        if is_row(line):
            if run is not None:
                found += _prose(text, run, ends_in_rows=True)
                head, run = (run if _is_head(text, run) else head), None
            if _is_column_head(line):
                head = (head[0] if head and head[1] <= a and text[head[1] : a].isspace() else a, b)
                found.append(Unit(a, b, Kind.HEAD))
            else:
                found.append(Unit(a, b, Kind.ROW, head))
            continue
        if run is not None and (_BULLET.match(line) or _breaks(text, lines[index - 1], (a, b), width)):
            found += _prose(text, run)
            run = None
        run = (a, b) if run is None else (run[0], b)
    return found + (_prose(text, run) if run else [])


def _lines(text: str, start: int, end: int) -> list[tuple[int, int]]:
    spans = [(m.start() + start, m.end() + start) for m in re.finditer(r"[^\n]+", text[start:end])]
    return [trimmed for span in spans if (trimmed := _trim(text, *span))]


def _breaks(text: str, before: tuple[int, int], line: tuple[int, int], width: int) -> bool:
    """Whether a new thought starts on this line: the line before stopped well short of the width, unpunctuated."""
    a, b = before
    short = b - a < 0.6 * width or (b - a < 60 and b - a <= line[1] - line[0])
    return short and text[b - 1] not in ",;-–" and not text[line[0]].islower()


def _prose(text: str, run: tuple[int, int], ends_in_rows: bool = False) -> list[Unit]:
    kind = Kind.HEAD if ends_in_rows and _is_head(text, run) else Kind.PROSE
    if kind is Kind.HEAD:
        return [Unit(*run, Kind.HEAD)]
    found = []
    for a, b in sentences(text, *run):
        is_heading = b - a < 60 and text[b - 1] not in ".!?:;,。" and not _FIGURE.search(text, a, b)
        alone = (a, b) == run and is_heading and not _BULLET.match(text[a:b])
        found.append(Unit(a, b, Kind.HEAD if alone else Kind.PROSE))
    return found


def _is_head(text: str, run: tuple[int, int]) -> bool:
    """A few words above a table's rows are its caption and column heads; a full paragraph is not."""
    return run[1] - run[0] <= 160 and not text[run[0] : run[1]].rstrip().endswith(".")


def _is_column_head(line: str) -> bool:
    """Cells without a figure other than years: "2025 2024 Change", "Product | Price"."""
    figures = [re.sub(r"\D", "", figure) for figure in _FIGURE.findall(line)]
    years = [f for f in figures if len(f) == 4 and f[:2] in ("19", "20")]
    return len(years) == len(figures)


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    piece = text[start:end]
    left = start + len(piece) - len(piece.lstrip())
    right = start + len(piece.rstrip())
    return (left, right) if left < right else None
