"""One file, read in a child process: its Parts gathered, with another try where an engine died on a page."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, replace

from rag.sources import formats
from rag.sources.assemble import Gathered
from rag.sources.isolate import Child, ChildError, DiedError, TimedOutError, TooLongError
from rag.sources.parts import UNSAFE, Part, State, from_wire
from rag.types import Entry, Outcome, Status

PDFIUM, PYPDF = "pdfium", "pypdf"
MAX_TEXT = 64 << 20  # characters of one document; what comes after is not read
MAX_TRIES = 10  # jobs for one file, until it is given up
PATIENCE = 1 / 3  # of the time limit may pass between two pages: then it is the page's fault, and the others go on


@dataclass(frozen=True, slots=True)
class _Try:
    """Pages `first` to `last` (None: all that follow) by `engine` first."""

    first: int = 1
    last: int | None = None
    engine: str = PDFIUM


def gather(child: Child, entry: Entry, format_: str) -> Gathered:
    """All that can be had of the file within the child's limits; `Gathered.halted` says what is missing.

    A page that makes PDFium crash is tried with pypdf in a fresh process, and given up if that does no better. One that
    takes too long or too much memory is given up at once: pypdf, the slower of the two, has its own limits within a
    page, and would pass off the beginning of a bomb as the whole. The time limit holds for all tries together.
    """
    gathered = Gathered()
    seconds = child.limits.seconds
    why = "Stopped: too many of its pages break their reader"
    attempt = _Try()
    for _ in range(MAX_TRIES):
        try:
            gathered.halted = _ask(child, entry, format_, attempt, seconds, gathered)
            following = None if gathered.halted else _rest(attempt, gathered)
        except ChildError as error:
            gathered.halted = _limit(_why(error, child.limits.seconds), gathered)
            following = _around(attempt, error, gathered) if format_ == formats.PDF else None
        if following is None:
            return gathered
        seconds -= child.spent
        if seconds <= 0:
            why = _why(TimedOutError(), child.limits.seconds)
            break
        attempt = following
    gathered.halted = _limit(why, gathered)
    return gathered


def _ask(child: Child, entry: Entry, format_: str, attempt: _Try, seconds: float, gathered: Gathered) -> Outcome | None:
    """Adds what the child sends to `gathered`. Returns why it stopped short, None if it did not."""
    job = {
        "path": os.fsdecode(entry.key),
        "version": entry.version,
        "format": format_,
        "first": attempt.first,
        "last": attempt.last,
        "engine": attempt.engine,
    }
    patience = PATIENCE * child.limits.seconds if format_ == formats.PDF else None
    for message in child.ask(job, seconds, patience):
        if message["kind"] == "end":
            outcome = message["outcome"]
            return outcome and Outcome(Status(outcome["status"]), str(outcome["reason"]), str(outcome["remedy"]))
        part = from_wire(message)
        if isinstance(part, Part) and gathered.characters + len(part.text) > MAX_TEXT:
            gathered.add(replace(part, text=part.text[: MAX_TEXT - gathered.characters], headings=()))
            return Outcome(Status.LIMIT, f"Only its first {MAX_TEXT:,} characters are read", "Split the file.")
        gathered.add(part)
    raise AssertionError("a child's answer has an end")


def _rest(attempt: _Try, gathered: Gathered) -> _Try | None:
    """What is to do after a try that ended well: after a single page by pypdf, the others by PDFium."""
    if attempt.last is None or attempt.last >= (gathered.facts.pages or 0):
        return None
    return _Try(attempt.last + 1)


def _around(attempt: _Try, error: ChildError, gathered: Gathered) -> _Try | None:
    """What is to do after a try in which the child died or was killed."""
    page = len(gathered.parts) + 1
    if isinstance(error, TooLongError):
        return None
    if gathered.facts.pages is None:  # it was opening the file
        return _Try(engine=PYPDF) if attempt.engine == PDFIUM else None
    if attempt.last is None and isinstance(error, DiedError) and error.code != -signal.SIGABRT:  # no memory: it aborts
        return _Try(page, page, PYPDF)
    gathered.add(Part("", f"p. {page}", page, State.COSTLY))
    gathered.halted = None
    return _rest(_Try(page, page), gathered)


def _why(error: ChildError, seconds: float) -> str:
    if isinstance(error, TimedOutError):
        return f"Stopped after {seconds:g} s"
    if isinstance(error, TooLongError):
        return "Stopped: it unpacks to more than a document may hold"
    return "Stopped: it needs more memory than a file may use, or breaks its reader"


def _limit(reason: str, gathered: Gathered) -> Outcome:
    done = len(gathered.parts)
    kept = f"; {done} of {gathered.facts.pages} pages are read" if done and gathered.facts.pages else ""
    return Outcome(Status.LIMIT, f"{reason}{kept}", UNSAFE)
