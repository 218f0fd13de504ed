"""Parts → Document and Outcome: pages joined, cleaned as a whole, marked, and judged. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from rag.sources.clean import join_hyphens, vocabulary
from rag.sources.parts import UNSAFE, Bookmark, Facts, Part, State
from rag.sources.running import drop_running
from rag.types import Mark, Outcome, Status

MAX_TEXT = 64 << 20  # characters of one document; what comes after is not read
REACH = 20_000  # characters in which an entry of the outline is looked for on its page

_SENTENCE_END = tuple(".!?:;。！？)]”\"'")


@dataclass(slots=True)
class Gathered:
    """What has come of a file so far. `halted` says why there is no more, None if it was read to its end."""

    facts: Facts = field(default_factory=Facts)
    parts: list[Part] = field(default_factory=list)
    halted: Outcome | None = None
    characters: int = 0

    def add(self, message: Part | Facts) -> None:
        if isinstance(message, Facts):
            self.facts = self.facts if self.facts.pages else message
        else:
            self.parts.append(message)
            self.characters += len(message.text)

    def pictured(self) -> dict[int, int]:
        """Pages that OCR may read, with their places in `parts`: of a PDF that was read to its end."""
        if self.halted is not None or not self.facts.printed:
            return {}
        states = (State.PICTURE, State.GARBLED)
        return {part.page: i for i, part in enumerate(self.parts) if part.page is not None and part.state in states}


@dataclass(frozen=True, slots=True)
class Body:
    """A document without its name."""

    text: str
    marks: tuple[Mark, ...]
    headings: tuple[Mark, ...]


def assemble(gathered: Gathered) -> Body:
    """The parts as one text. In print, running headers and footers go and divided words are joined."""
    parts = gathered.parts
    if gathered.facts.printed:
        parts = _mended(parts)
    pieces: list[str] = []
    marks: list[Mark] = []
    headings: list[Mark] = []
    offset = 0
    for part in parts:
        if not part.text:
            continue
        if pieces:
            gap = "\n\n" if pieces[-1].endswith(_SENTENCE_END) or not part.text[:1].islower() else "\n"
            pieces.append(gap)
            offset += len(gap)
        if part.label:
            marks.append(Mark(offset, part.label, part.page))
        headings += [Mark(offset + at, path, part.page) for at, path in part.headings]
        pieces.append(part.text)
        offset += len(part.text)
    text = "".join(pieces)
    headings += _placed(gathered.facts.outline, text, marks)
    return Body(text, tuple(marks), tuple(sorted(headings, key=lambda mark: mark.offset)))


def _mended(parts: Sequence[Part]) -> list[Part]:
    texts = drop_running([part.text for part in parts])
    words = vocabulary(texts) if any("-\n" in text for text in texts) else frozenset()
    return [replace(part, text=join_hyphens(text, words)) for part, text in zip(parts, texts, strict=True)]


def _placed(outline: Sequence[Bookmark], text: str, marks: Sequence[Mark]) -> list[Mark]:
    """The outline's entries where their words stand on their page, or at its beginning if they do not."""
    starts = {mark.page: mark.offset for mark in marks}
    ends = {mark.page: after.offset for mark, after in pairwise([*marks, Mark(len(text), "")])}
    placed = []
    position: dict[int, int] = {}  # on each page, entries stand in their order
    for bookmark in outline:
        if bookmark.page not in starts:
            continue
        start = position.get(bookmark.page, starts[bookmark.page])
        words = r"\s+".join(map(re.escape, bookmark.title.split()))
        match = re.compile(words, re.I).search(text, start, min(ends[bookmark.page], start + REACH))
        offset = match.start() if match else start
        position[bookmark.page] = match.end() if match else start
        placed.append(Mark(offset, bookmark.path, bookmark.page))
    return placed


# ------------------------------------------------------------------------------------------------ outcome


def judge(gathered: Gathered, ocr: str | None) -> Outcome:
    """The one status that a file ends in. `ocr` names the engine that read its pictures, None if there is none."""
    pages = gathered.facts.pages
    empty = tuple(part.page for part in gathered.parts if part.page is not None and _is_defect(part))
    if gathered.halted is not None:
        return replace(gathered.halted, pages=pages, pages_without_text=empty)
    if any(part.text for part in gathered.parts):
        if not empty:
            return Outcome(Status.INDEXED, pages=pages)
        reason, remedy = _defects(gathered.parts, gathered.facts.printed, ocr)
        return Outcome(Status.PARTLY, reason, remedy, pages, empty)
    everything = tuple(part.page for part in gathered.parts if part.page is not None)
    if not any(map(_is_defect, gathered.parts)):
        return Outcome(Status.NO_TEXT, *_blankness(gathered), pages, everything)
    reason, remedy = _defects(gathered.parts, gathered.facts.printed, ocr)
    return Outcome(_status_of_none(gathered.parts), reason, remedy, pages, everything)


def _is_defect(part: Part) -> bool:
    return part.state not in (State.TEXT, State.BLANK, State.ANNOTATED)


def _blankness(gathered: Gathered) -> tuple[str, str]:
    """Reason and remedy where there is nothing to read, and no page is at fault."""
    if any(part.state is State.ANNOTATED for part in gathered.parts):
        remedy = "Print it to a new PDF, which makes them part of its pages, and index that."
        return "No text: its pages hold only annotations or form fields, which are not read", remedy
    what = "its pages are blank" if gathered.facts.pages else "it holds no words"
    return f"No text: {what}", "Nothing to do if it is meant to be empty."


def _status_of_none(parts: Sequence[Part]) -> Status:
    """Of a file without any text, by the best that can be said of a page of it."""
    states = {part.state for part in parts}
    if State.PICTURE in states:
        return Status.NO_TEXT
    if State.GARBLED in states:
        return Status.GARBLED
    return Status.LIMIT if State.COSTLY in states else Status.DAMAGED


def _defects(parts: Sequence[Part], printed: bool, ocr: str | None) -> tuple[str, str]:
    """Reason and remedy, such as "No text on 1 of 3 pages (2): scanned image. OCR is off"."""
    reasons, remedies = [], []
    for state, (what, why) in _EXPLANATIONS.items():
        numbers = [part.page for part in parts if part.state is state and part.page is not None]
        if numbers:
            of = f"{len(numbers)} of {len(parts)} page{'s' * (len(parts) != 1)}"
            reasons.append(f"{what} on {of} ({ranges(numbers)}): {why}")
    if any(part.state in (State.PICTURE, State.GARBLED) for part in parts):
        if not printed:
            remedies.append("Save it as PDF to have its pictures read by OCR.")
        elif ocr:
            reasons.append(f"OCR ({ocr}) found no words there")
            remedies.append("Nothing to do if they show none; else scan them again, larger or sharper.")
        else:
            reasons.append("OCR is off")
            remedies.append("Install tesseract or rapidocr (the `ocr` extra) and index again.")
    if any(part.state is State.FAILED for part in parts):
        remedies.append("Open the file in a viewer and save it again.")
    if any(part.state is State.COSTLY for part in parts):
        remedies.append(UNSAFE)
    return ". ".join(reasons), " ".join(remedies)


_EXPLANATIONS = {
    State.PICTURE: ("No text", "scanned image or drawing"),
    State.GARBLED: ("Unreadable text layer", "its characters are not those that are shown"),
    State.FAILED: ("Nothing", "the page is broken"),
    State.COSTLY: ("Nothing", "it needs more time or memory than a file may use"),
}


def ranges(numbers: Sequence[int]) -> str:
    """[1, 2, 3, 7] → "1-3, 7", cut short after ten runs."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    named = [f"{first}-{last}" if first != last else str(first) for first, last in runs[:10]]
    return ", ".join(named) + (", …" if len(runs) > 10 else "")
