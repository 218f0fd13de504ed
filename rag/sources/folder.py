"""A folder of files as a Source: walked, hashed, and read in child processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from rag.errors import UsageError
from rag.sources import formats, title
from rag.sources.assemble import Gathered, assemble, judge
from rag.sources.divided import Found, Lead, Share
from rag.sources.isolate import Child, Limits
from rag.sources.ocr import Engine, PageCache, Recogniser
from rag.sources.parts import State
from rag.sources.pool import run
from rag.sources.reading import gather
from rag.sources.walk import Walk, identify, size_of
from rag.types import Document, Entry, Outcome, Reading, Status

PARSER = "2"  # raise it when the same files give other documents, so that they are read again

OnPage = Callable[[str, int, int], None]


class Folder:
    """The files below `root`, of which `scope` (a folder or a single file, default: all) are read.

    A symbolic link that is named is followed, those found below it are not; special files, hidden ones, Office's lock
    files and folders that hold a collection are skipped. `include` and `exclude` are globs over the path relative to
    `root` or the file's name; `**` spans folders, case does not matter. Pages without text are read by `ocr` if there
    is one; `page_cache` remembers what it read, and `on_page(name, done, of)` is told of every page. Raises UsageError
    if `scope` does not lie in `root`.

    After a scan, `skipped` says what was passed over.
    """

    def __init__(
        self,
        root: Path,
        scope: Path | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        ocr: Engine | None = None,
        page_cache: PageCache | None = None,
        on_page: OnPage | None = None,
        workers: int | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self.root, self.scope = _located(root, root if scope is None else scope)
        self._walk = Walk(os.fsencode(self.root), os.fsencode(self.scope), include, exclude)
        self._ocr = ocr
        self._page_cache = page_cache
        self._on_page: OnPage = on_page or (lambda name, done, of: None)
        self._workers = workers or os.cpu_count() or 1
        self._limits = limits
        self.skipped: list[str] = []

    @property
    def reader(self) -> str:
        """What makes the documents: what failed under one reader is worth another try under another."""
        return f"parser {PARSER}, {self._ocr.name if self._ocr else 'no OCR'}"

    @property
    def unreadable_dirs(self) -> list[bytes]:
        """After a scan: folders (absolute paths) that could not be listed, so that nothing is known of their files."""
        return self._walk.unreadable_dirs

    @property
    def unread(self) -> list[str]:
        """After a scan: the same folders, as their files would be named."""
        return self._walk.unread()

    def scan(self) -> Iterator[Entry]:
        """Every file, folder by folder and by name. Raises UsageError if there is no such folder, or it cannot be
        opened."""
        for path in self._walk.files():
            entry = identify(path, os.fsencode(self.root))
            if entry is not None:
                yield entry
        self.skipped = self._walk.notes()

    @property
    def prefix(self) -> bytes:
        """What every key begins with."""
        return os.fsencode(self.scope) + (b"" if self.scope.is_file() else b"/")

    def shares(self, wanted: int) -> Sequence[Share]:
        """One: names are listed far faster than files are read."""
        return [(0, 1)]

    def leads(self, share: Share) -> Iterator[Lead]:
        """Paths. Raises UsageError as `scan` does."""
        return (Lead(path, 1, size_of(path)) for path in self._walk.files())

    def entries(self, leads: Sequence[Lead]) -> Iterator[Entry]:
        found = (identify(lead.what, os.fsencode(self.root)) for lead in leads)
        return (entry for entry in found if entry is not None)

    def found(self) -> Found:
        return self._walk.found()

    def believe(self, found: Sequence[Found]) -> None:
        self._walk.believe(found)
        self.skipped = self._walk.notes()

    def covers(self, key: bytes) -> bool:
        """After a scan: whether a file of this path would have been found, so that its absence means it is gone."""
        return self._walk.covers(key)

    def excludes(self, key: bytes) -> bool:
        """Whether a file of this path is left out on purpose: it matches `exclude`, or lies in a collection."""
        return self._walk.excludes(key)

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]:
        """Readings as they finish: files in parallel, each in a child process with limits; last the files that OCR
        has to read, one after the other."""
        yield from (Reading(entry, entry.problem) for entry in entries if entry.problem is not None)
        readable = [entry for entry in entries if entry.problem is None]
        pictured = []
        for reading in run(readable, self._read, self._workers, self._limits):
            if isinstance(reading, Entry):
                pictured.append(reading)
            else:
                yield reading
        if self._ocr is not None and pictured:
            yield from self._read_pictured(pictured, Recogniser(self._ocr, self._page_cache))

    def _read(self, child: Child, entry: Entry) -> Reading | Entry:
        """The entry itself if OCR is to read some of its pages."""
        try:
            with open(entry.key, "rb") as file:
                format_ = formats.recognise(entry.name, file.read(formats.HEAD))
        except OSError as error:
            what = "Vanished while it was read" if isinstance(error, FileNotFoundError) else str(error.strerror)
            return Reading(entry, Outcome(Status.UNREADABLE, what, "Run again."))
        if isinstance(format_, Outcome):
            return Reading(entry, format_)
        gathered = gather(child, entry, format_)
        return entry if self._ocr is not None and gathered.pictured() else _reading(entry, gathered, None)

    def _read_pictured(self, entries: Sequence[Entry], recogniser: Recogniser) -> Iterator[Reading]:
        """PDFs with pages for OCR. They are read again rather than kept, since there may be thousands of them."""
        try:
            for entry in entries:
                for gathered in run([entry], lambda child, it: gather(child, it, formats.PDF), 1, self._limits):
                    self._recognise(entry, gathered, recogniser)
                    yield _reading(entry, gathered, recogniser.engine.name)
        finally:
            recogniser.close()

    def _recognise(self, entry: Entry, gathered: Gathered, recogniser: Recogniser) -> None:
        pages = gathered.pictured()
        for done, (page, text) in enumerate(recogniser.read(entry, list(pages)), 1):
            if text:
                index = pages[page]
                gathered.parts[index] = replace(gathered.parts[index], text=text, state=State.TEXT)
            self._on_page(entry.name, done, len(pages))


def _located(root: Path, scope: Path) -> tuple[Path, Path]:
    """Both without symbolic links, so that a file has one path however it is named. A scope that leads out of its
    root by a link has a root of its own."""
    true_root, true_scope = Path(os.path.realpath(root)), Path(os.path.realpath(scope))
    if true_scope.is_relative_to(true_root):
        return true_root, true_scope
    if Path(os.path.abspath(scope)).is_relative_to(os.path.abspath(root)):
        return true_scope if true_scope.is_dir() else true_scope.parent, true_scope
    raise UsageError(f"{scope} does not lie in {root}. Nothing was read. Name a path inside it.")


def _reading(entry: Entry, gathered: Gathered, ocr: str | None) -> Reading:
    outcome = judge(gathered, ocr)
    body = assemble(gathered)
    if not body.text:
        return Reading(entry, outcome)
    own_headings = () if gathered.facts.printed else tuple(mark.label for mark in body.headings)
    document = Document(
        name=entry.name,
        uri=entry.uri,
        title=title.choose(gathered.facts.title, own_headings, PurePosixPath(entry.name).stem),
        text=body.text,
        marks=body.marks,
        headings=body.headings,
    )
    return Reading(entry, outcome, document)
