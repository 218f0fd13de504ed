"""What people see in a terminal: tables, answers, progress. Foreign text is made harmless before it is printed."""

from __future__ import annotations

import codecs
import json
import sys
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO

from rag.notes import notes
from rag.types import Origin, Status

if TYPE_CHECKING:
    from rag.types import Answer, FileReport, Hit, Passage, SyncReport

    Pieces = Generator[str, None, Answer]  # of an answer that is being written

WIDTH = 120  # of tables that go to a file
SNIPPET = 300  # characters of a passage that a list of hits shows


def plain(text: str) -> str:
    """Without anything that a terminal would act on (escapes, direction overrides) or that would break a line."""
    return "".join(c if c.isprintable() else " " for c in text)


def say(message: str) -> None:
    """A line on standard error, whatever foreign text it carries. When nobody can be told, the exit code has to do."""
    stream = sys.stderr
    with suppress(OSError):
        print(plain(message), file=stream)


def waiting(holder: str) -> None:
    say(f"rag: Another process is writing ({holder}); waiting until it has ended. Ctrl-C stops waiting.")


def show_json(value: object, stream: TextIO) -> None:
    """In ASCII where the stream could not show the rest, so that what is read back is what was written."""
    is_unicode = codecs.lookup(stream.encoding or "ascii").name == "utf-8"
    print(json.dumps(value, ensure_ascii=not is_unicode, indent=2), file=stream)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


class StepProgress:
    """A training's steps, its losses and the time left: a bar on a terminal, elsewhere a line every so many steps."""

    def __init__(self, stream: TextIO, every: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(file=stream)
        text = TextColumn("{task.description}", markup=False)
        columns = (BarColumn(bar_width=16), MofNCompleteColumn(), TimeRemainingColumn(), text)
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=None)
        self._every = 0 if console.is_terminal else every

    def __enter__(self) -> StepProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, step: int, steps: int, losses: Mapping[str, float]) -> None:
        told = " ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
        self._bar.update(self._task, completed=step, total=steps, description=told)
        if self._every and (step % self._every == 0 or step == steps):
            say(f"step {step:,} of {steps:,}: {told}")


def show_trained(what: str, steps: int, seconds: float, use: str, stream: TextIO) -> None:
    done = f"trained in {counted(steps, 'step')} and {seconds:,.0f} s" if steps else "was trained to its end before"
    print(plain(f"{what}: {done}."), file=stream)
    print(plain(f"Ask with it: {use}"), file=stream)


class SyncProgress:
    """A bar with files, bytes, rate and time left on a terminal; nothing elsewhere, so that logs stay readable.

    Several syncs in a row are one bar: each plan adds to what there is to do.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.progress import TransferSpeedColumn as SpeedColumn
        from rich.table import Column

        columns = (
            BarColumn(bar_width=16),
            TextColumn("{task.fields[files]}", table_column=Column(no_wrap=True)),
            DownloadColumn(table_column=Column(no_wrap=True)),
            SpeedColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, ratio=1)),
        )
        console = Console(file=stream)
        self._bar = Progress(*columns, console=console, transient=True, expand=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=None, files="")
        self._files = self._files_done = 0
        self._bytes = self._bytes_before = 0  # planned, of which before the sync that runs now

    def __enter__(self) -> SyncProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def plan(self, total: int, files: int) -> None:
        """So many bytes, in so many files, are to be read."""
        self._bytes_before = self._bytes
        self._bytes += total
        self._files += files
        self._bar.update(self._task, completed=self._bytes_before, total=self._bytes, files=self._count())

    def reading(self, name: str) -> None:
        """This document has been read."""
        self._bar.update(self._task, description=plain(name))

    def documents(self, done: int, total: int, name: str) -> None:
        """So many bytes of the documents planned last are in the ledger; `name` was the last of them."""
        self._files_done += 1
        completed = self._bytes_before + done
        self._bar.update(self._task, completed=completed, files=self._count(), description=plain(name))

    def pages(self, name: str, done: int, of: int) -> None:
        """So many pages of a document were read by OCR."""
        self._bar.update(self._task, description=plain(f"{name}: page {done} of {of} by OCR"))

    def stopped(self) -> str:
        return stopped(self._files_done, self._files)

    def _count(self) -> str:
        return f"{self._files_done} of {counted(self._files, 'file')}"


def stopped(done: int, files: int) -> str:
    """How far a sync got, for whoever stops it. Empty when it had not begun."""
    if not files:
        return ""
    are = "is" if files == 1 else "are"
    return f"Stopped. {done} of {counted(files, 'file')} {are} done; run the same command again to go on."


def combined(reports: Sequence[SyncReport]) -> SyncReport:
    """Several sources synced in a row, as one report."""
    first, *others = reports
    for other in others:
        first = replace(
            first,
            added=first.added + other.added,
            changed=first.changed + other.changed,
            renamed=first.renamed + other.renamed,
            removed=first.removed + other.removed,
            unchanged=first.unchanged + other.unchanged,
            withheld=first.withheld + other.withheld,
            passages=other.passages,
            embedded=first.embedded + other.embedded,
            seconds=first.seconds + other.seconds,
            files=first.files + other.files,
            notes=first.notes + other.notes,
            unread=first.unread + other.unread,
        )
    return first


def show_sync(report: SyncReport, actions: Sequence[Mapping[str, str]], stream: TextIO, dry: bool) -> None:
    verb = "Would be: " if dry else ""
    counts = (
        ("new", report.added),
        ("changed", report.changed),
        ("renamed", report.renamed),
        ("removed", report.removed),
    )
    parts = [f"{count:,} {what}" for what, count in counts] + [f"{report.unchanged:,} unchanged"]
    print(f"{verb}{', '.join(parts)}.", file=stream)
    for action in actions:
        print(f"  {action['action']:8} {plain(action['document'])}", file=stream)
    if report.withheld:
        missing = f"{counted(report.withheld, 'file')} {'is' if report.withheld == 1 else 'are'} missing"
        print(
            f"{missing}, more than a fifth: nothing was removed. Is a drive not mounted? Use --prune if it is meant.",
            file=stream,
        )
    for note in report.notes:
        print(plain(note), file=stream)
    if not dry:
        _show_statuses(report.files, stream)
        print(
            f"{counted(report.passages, 'passage')} in collection {report.collection!r}; "
            f"{report.embedded:,} embedded now, in {report.seconds:.1f} s.",
            file=stream,
        )


def _show_statuses(files: Sequence[FileReport], stream: TextIO) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    if not files:
        return
    counts = Counter(file.outcome.status for file in files)
    listed = ", ".join(f"{counts[status]:,} {status.value}" for status in Status if status in counts)
    print(f"{counted(len(files), 'file')}: {listed}.", file=stream)
    awkward = [file for file in files if file.outcome.status is not Status.INDEXED]
    if awkward:
        table = Table("file", "status", "reason", "what to do", box=SIMPLE_HEAD)
        for file in awkward:
            outcome = file.outcome
            table.add_row(*map(_escaped, (file.document, outcome.status.value, outcome.reason, outcome.remedy)))
        Console(file=stream, width=None if stream.isatty() else WIDTH).print(table)


def show_hits(hits: Sequence[Hit], stream: TextIO) -> None:
    if not hits:
        print("Nothing found.", file=stream)
    for rank, hit in enumerate(hits, 1):
        print(f"{rank:2}. {_named(hit.passage)}  ({hit.score:.3f})", file=stream)
        text = plain(" ".join(hit.passage.text.split()))
        print(f"    {text[:SNIPPET]}{'…' if len(text) > SNIPPET else ''}", file=stream)
        _show_article(hit.passage, stream)


def show_answer(pieces: Pieces, stream: TextIO) -> Answer:
    """The answer as it is written, then what it cites."""
    while True:
        try:
            piece = next(pieces)
        except StopIteration as end:
            answer: Answer = end.value
            break
        print("\n".join(map(plain, piece.split("\n"))), end="", flush=True, file=stream)
    print(file=stream)
    if answer.citations:
        print(file=stream)
    for citation in answer.citations:
        doubt = "" if citation.supported else "  (does not bear out the sentence that cites it)"
        passage = citation.passage
        print(f"[{citation.number}] {_named(passage)}{doubt}", file=stream)
        _show_article(passage, stream)
    for note in notes(answer):
        print(plain(note), file=stream)
    if answer.abstained and answer.hits:
        print("\nNearest passages:", file=stream)
        show_hits(answer.hits[:3], stream)
    return answer


def show_sources(answer: Answer, stream: TextIO) -> None:
    """The passages that an answer cites, in full."""
    for citation in answer.citations:
        passage = citation.passage
        print(f"[{citation.number}] {_named(passage)}", file=stream)
        print("    " + "\n    ".join(map(plain, passage.text.splitlines())), file=stream)


def show_lines(lines: Sequence[str], stream: TextIO) -> None:
    for line in lines:
        print(plain(line), file=stream)


def show_pairs(pairs: Mapping[str, Any], stream: TextIO) -> None:
    for name, value in pairs.items():
        parts = [f"{k}: {v}" for k, v in value.items()] if isinstance(value, dict) else value
        shown = ", ".join(map(str, parts)) if isinstance(parts, list) else str(parts)
        print(f"{name + ':':13} {plain(shown)}".rstrip(), file=stream)


BADGES = {Origin.PRIVATE: "private", Origin.WIKIPEDIA: "Wikipedia"}


def _named(passage: Passage) -> str:
    """Document and place, with a badge that says which of the two kinds of knowledge it is."""
    place = f", {plain(passage.place)}" if passage.place else ""
    return f"{plain(passage.document)}{place}  [{BADGES[passage.origin]}]"


def _show_article(passage: Passage, stream: TextIO) -> None:
    """What an article's licence asks for: where it is from, for good, and by whom."""
    if article := passage.article:
        dated = f", as of {article.timestamp[:10]}" if article.timestamp else ""
        print(plain(f"    {article.link}  ({article.attribution}{dated})"), file=stream)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(plain(text))
