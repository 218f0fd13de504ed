"""Lines and headings, in reading order → Parts: one for each section, labelled by its heading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rag.sources.clean import normalize
from rag.sources.parts import Part

MAX_HEADING = 120  # characters of a heading; what is longer is a paragraph in large print
DEPTH = 3  # innermost headings that a section's path names

Line = tuple[str, int]  # its text, and its heading level: 1 to 9, or 0 for what is no heading


def sections(lines: Iterable[Line]) -> Iterator[Part]:
    """A Part for what stands before the first heading, and for every heading with what follows it. Lines are joined
    by line breaks, so an empty line makes a paragraph gap."""
    path: list[tuple[int, str]] = []
    gathered: list[str] = []
    for text, level in lines:
        title = " ".join(normalize(text).split())
        if not level or not title or len(title) > MAX_HEADING:
            gathered.append(text)
            continue
        yield from _part(gathered, path)
        path = [above for above in path if above[0] < level] + [(level, title)]
        gathered = [title, ""]
    yield from _part(gathered, path)


def _part(lines: list[str], path: list[tuple[int, str]]) -> Iterator[Part]:
    text = normalize("\n".join(lines)).strip("\n")
    if text.strip():
        label = path[-1][1] if path else ""
        headings = ((0, " > ".join(title for _, title in path[-DEPTH:])),) if path else ()
        yield Part(text, label, headings=headings)


def row(cells: Iterable[str]) -> str:
    """A table's row on one line: "a | b | c". Empty cells at its end are left out."""
    flat = [" ".join(cell.split()) for cell in cells]
    while flat and not flat[-1]:
        flat.pop()
    return " | ".join(flat)
