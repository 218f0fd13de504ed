"""What crosses the pipe from a child process to its parent: nouns that become JSON lines and back.

A reader (one module per format, inside the child) yields Parts and Facts and raises RefusedError; nothing else of a
file ever reaches the parent, so a hostile file can send text and numbers and no code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from rag.types import Outcome, Status

UNSAFE = "Left out as unsafe to read: split the file, or print it to a new PDF, if you trust it."


class State(StrEnum):
    """What a page gave."""

    TEXT = "text"
    BLANK = "blank"  # nothing is drawn on it: no defect
    ANNOTATED = "annotated"  # blank but for annotations or form fields: no defect either
    PICTURE = "picture"  # something is drawn on it, but no text (or next to none) lies under the drawing
    GARBLED = "garbled"  # its text layer maps glyphs to the wrong characters
    FAILED = "failed"  # no engine could open it
    COSTLY = "costly"  # it needs more time or memory than a file may use


@dataclass(frozen=True, slots=True)
class Part:
    """A page, slide, sheet or section. `headings` are (offset in `text`, section path)."""

    text: str
    label: str = ""
    page: int | None = None
    state: State = State.TEXT
    headings: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Bookmark:
    """An entry of a PDF's outline: `path` is its title under its parents' ("Part I > Item 1"), `page` 1-based."""

    title: str
    path: str
    page: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says about itself: its title, its number of pages (None: no pages), its outline. `printed`: its
    lines are lines of print, with running headers and words divided at line ends."""

    title: str = ""
    pages: int | None = None
    outline: tuple[Bookmark, ...] = ()
    printed: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """A page for people to see: a PNG in base64, the corners (left, top, right, bottom) of what is marked in it, and
    why something is not."""

    png: str
    width: int
    height: int
    lines: tuple[tuple[int, int, int, int], ...] = ()
    span: tuple[tuple[int, int, int, int], ...] = ()
    problem: str = ""


class RefusedError(Exception):
    """A reader's verdict that a file (or the rest of it) gives nothing, and why."""

    def __init__(self, status: Status, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.outcome = Outcome(status, reason, remedy)


def needs_password() -> RefusedError:
    return RefusedError(Status.PASSWORD, "Protected by a password", "Save it without one and index again.")


def is_empty() -> RefusedError:
    return RefusedError(Status.DAMAGED, "The file is empty (0 bytes)", "Fetch it again from where it came.")


def to_wire(message: Part | Facts | Drawing) -> dict[str, Any]:
    return {"kind": type(message).__name__.lower(), **asdict(message)}


def from_wire(line: Mapping[str, Any]) -> Part | Facts:
    """The inverse of `to_wire`, after JSON has made lists of tuples. Raises KeyError, TypeError or ValueError on
    anything else."""
    if line["kind"] == "facts":
        outline = tuple(Bookmark(**bookmark) for bookmark in line["outline"])
        return Facts(str(line["title"]), line["pages"], outline, bool(line["printed"]))
    headings = tuple((int(offset), str(path)) for offset, path in line["headings"])
    return Part(str(line["text"]), str(line["label"]), line["page"], State(line["state"]), headings)
