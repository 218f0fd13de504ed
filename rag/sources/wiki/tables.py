"""Tables and infoboxes → rows of text, each cell under its head: "a | b | c", what spans several cells said in each.

The first rows are the column heads; whoever cuts a table into passages repeats what stands above its rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.sources.sections import row

if TYPE_CHECKING:
    from lxml.html import HtmlElement

LINE = "\ue000"  # private use: stands for a line break until the whole text is taken
MOST_CELLS, MOST_COLUMNS = 100_000, 1000  # of a table, spans counted in full; further rows are read as they are

_DATA = frozenset({"infobox", "wikitable", "infobox_v2", "infobox_v3", "vcard", "biota", "sortable"})
_ROWS = "./tr|./tbody/tr|./thead/tr|./tfoot/tr"
_APART = ("p", "div", "li", "dd", "dt", "br", "tr", "td", "th", "ul")


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell says, and how many columns and rows it spans."""

    text: str
    is_head: bool
    columns: int
    rows: int


def flatten(table: HtmlElement) -> None:
    """Puts the rows of a table into it as text, in place of its elements. A table that only lays out a page becomes
    blocks."""
    rows = table.xpath(_ROWS)
    classes = set((table.get("class") or "").split())
    if not classes & _DATA and (table.get("role") == "presentation" or table.find(".//table") is not None):
        for element in (table, *rows, *(cell for tr in rows for cell in tr)):
            element.tag = "div"
        return
    caption = table.find("caption")
    cells = [[_cell(cell) for cell in tr.iterchildren("td", "th")] for tr in rows]
    lines = [_text(caption)] if caption is not None else []
    lines += infobox(cells) if "infobox" in classes else rows_of(cells)
    tail = table.tail
    table.clear()
    table.text, table.tail = LINE.join(lines), tail


def infobox(rows: Sequence[Sequence[Cell]]) -> Iterator[str]:
    """A label and its value on a line. What spans the box is its title, or a head of the rows below, which each of them
    repeats: "Population (2020) > Total | 542,107"."""
    head = ""
    for number, cells in enumerate(rows):
        texts = [cell.text for cell in cells if cell.text]
        if number and len(cells) == 1 and cells[0].is_head:
            head = cells[0].text
        elif len(texts) > 1 and cells[0].is_head:
            label = texts[0].lstrip("•· ")
            yield row([f"{head} > {label}" if head else label, *texts[1:]])
        elif texts:
            yield row(texts)


def rows_of(rows: Sequence[Sequence[Cell]]) -> Iterator[str]:
    """The column heads, joined where they stand in several rows, then every row."""
    grid = _grid(rows)
    heads = 0
    while heads < len(rows) and rows[heads] and all(cell.is_head for cell in rows[heads]):
        heads += 1
    if 0 < heads < len(rows) and len(set(grid[0])) > 1:
        yield row(" ".join(dict.fromkeys(filter(None, column))) for column in zip(*_even(grid[:heads]), strict=True))
        grid = grid[heads:]
    for texts in grid:
        if any(texts):
            yield texts[0] if len(set(texts)) == 1 else row(texts)


def _even(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    width = max(map(len, rows))
    return [[*texts, *[""] * (width - len(texts))] for texts in rows]


def _grid(rows: Sequence[Sequence[Cell]]) -> list[list[str]]:
    """The text at each row and column. A cell that spans several is said in each, as far as there is room."""
    grid: list[list[str]] = []
    hanging: dict[int, tuple[str, int]] = {}  # column → text that reaches down from the row above, and how far
    room = MOST_CELLS
    for cells in rows:
        line: list[tuple[str, int]] = []
        waiting = list(reversed(cells))
        while (waiting or len(line) in hanging) and len(line) < room:
            if len(line) in hanging:
                line.append(hanging[len(line)])
            else:
                cell = waiting.pop()
                line += [(cell.text, cell.rows)] * min(cell.columns, MOST_COLUMNS - len(line), room - len(line))
        hanging = {column: (text, left - 1) for column, (text, left) in enumerate(line) if left > 1}
        room -= len(line)
        grid.append([text for text, _ in line] or [cell.text for cell in cells])
    return grid


def _cell(element: HtmlElement) -> Cell:
    columns, rows = span(element.get("colspan") or "1"), span(element.get("rowspan") or "1")
    return Cell(_text(element), element.tag == "th", columns, rows)


def span(value: str) -> int:
    """How many columns or rows, of an attribute that may be nonsense."""
    value = value.strip()
    return max(1, min(int(value), 1000)) if value.isascii() and value.isdigit() and len(value) < 6 else 1


def _text(element: HtmlElement) -> str:
    """On one line: blocks apart, the items of a list by commas."""
    for part in element.iter(*_APART):
        if part is not element:
            comma = part.tag == "li" and part.getprevious() is not None
            part.text = (", " if comma else " ") + (part.text or "")
            part.tail = " " + (part.tail or "")
    return " ".join(element.text_content().split()).replace(" ,", ",")
