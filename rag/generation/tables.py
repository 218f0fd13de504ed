"""Tables as they look in extracted text: which lines are rows, and what stands above them.

A PDF gives no grid, only lines such as "Finance costs (880) (905)"; office formats give cells set apart by bars.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag.generation.terms import STOPWORDS

HEAD_LINES = 5  # above a table's first row, at most: a caption, a unit, column heads that wrap
HEAD_LENGTH = 100  # characters of a line of it, at most

FIGURE = re.compile(r"(?<![\w.])[($€£¥+-]*\d[\d,.']*%?\)?(?!\w)|(?<=\s)[–—-](?=\s|$)")
_WORD = re.compile(r"[^\W\d_]{2,}")
_DATE = re.compile(r"\b(?:\d{1,2}\.? )?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?(?:,? \d{4})?\b")
_ENDS = re.compile(r"[.:]\s+[A-Z]|[.;]$")  # of a sentence, or a list of things
_UNIT_WORDS = 2  # behind the last figure of a row, at most: "6 hours", "2 Working Days"


@dataclass(frozen=True, slots=True)
class Table:
    """Lines[top:body] are its head, which may be empty; `rows` are (first, past) lines, for a row can wrap."""

    top: int
    body: int
    rows: tuple[tuple[int, int], ...]

    @property
    def past(self) -> int:
        return self.rows[-1][1]


def tables(lines: Sequence[str]) -> Iterator[Table]:
    """The tables among the lines of a block, in order. A single row is one as well."""
    past = 0
    while (first := _next_row(lines, past)) is not None:
        stop = first
        while stop < len(lines) and is_row(lines[stop]):
            stop += 1 + _wraps(lines, stop + 1)
        start = first - 1 if first > past and _continues(lines[first - 1], lines[first]) else first
        top = _first_head(lines, past, start)
        body = start + (_column_heads(lines[start:stop]) if start == first else 0)
        yield Table(top, body, tuple(_joined(lines, body, stop)))
        past = stop


def is_row(line: str) -> bool:
    """Cells set apart by bars or tabs, or a few words with figures behind them that are not a sentence's."""
    if " | " in line or "\t" in line:
        return True
    figures = list(FIGURE.finditer(_DATE.sub(lambda date: "x" * len(date.group()), line)))
    words = _WORD.findall(line)
    if len(figures) < 2 or len(figures) * 4 < len(words) or _ENDS.search(line) or is_loose(line):
        return False
    prose = sum(word.casefold() in STOPWORDS for word in words)
    return len(line[figures[-1].end() :].split()) <= _UNIT_WORDS and prose * 5 <= len(words) * 2


def _next_row(lines: Sequence[str], start: int) -> int | None:
    return next((i for i in range(start, len(lines)) if is_row(lines[i])), None)


def _wraps(lines: Sequence[str], index: int) -> int:
    """1 when the line at `index` is the first half of a row whose figures stand on the next line."""
    return int(
        index + 1 < len(lines)
        and not is_row(lines[index])
        and is_row(lines[index + 1])
        and _continues(lines[index], lines[index + 1])
    )


def _continues(line: str, following: str) -> bool:
    """Whether a cell's text runs on from one line to the next."""
    if line.endswith((".", ":", ";")) or len(line) > HEAD_LENGTH:
        return False
    return following[0].islower() or is_loose(line)


def is_loose(line: str) -> bool:
    """Whether something must follow: a line does not end in a comma or in "of"."""
    return line.endswith((",", "-")) or line.rpartition(" ")[2].casefold() in STOPWORDS


def _joined(lines: Sequence[str], body: int, stop: int) -> list[tuple[int, int]]:
    rows: list[tuple[int, int]] = []
    open_row = False
    for index in range(body, stop):
        if open_row:
            rows[-1] = (rows[-1][0], index + 1)
        else:
            rows.append((index, index + 1))
        open_row = index + 1 < stop and _continues(lines[index], lines[index + 1])
    return rows


def _first_head(lines: Sequence[str], floor: int, table: int) -> int:
    first = table
    while first > floor and table - first < HEAD_LINES:
        line = lines[first - 1]
        if len(line) > HEAD_LENGTH or line.endswith((".", ";")) or line.startswith(("•", "- ", "* ")):
            break
        first -= 1
    runs_on = first > floor and lines[first - 1][-1] not in ".!?:"
    return min(first + 1, table) if runs_on and lines[first][0].islower() else first


def _column_heads(rows: Sequence[str]) -> int:
    """How many of the first rows are column heads: they hold years and dates, or words where the others have
    figures."""
    count = 0
    while count < min(2, len(rows) - 1) and _is_column_head(rows[count], rows[count + 1]):
        count += 1
        if " | " in rows[0] or "\t" in rows[0]:
            break  # in a table of words, every row looks like one
    return count


def _is_column_head(line: str, following: str) -> bool:
    figures = [re.sub(r"\D", "", figure) for figure in FIGURE.findall(_DATE.sub(" ", line))]
    if all(len(figure) == 4 and figure[:2] in ("19", "20") for figure in figures if figure.strip("0")):  # not "£'000"
        return True
    return line[-1].isalpha() and not following[-1].isalpha()
