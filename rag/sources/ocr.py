"""Optical character recognition of pages without a text layer: which engine there is, and a document's pages sent
through it, in child processes of their own.

tesseract is the faster and the better reader of Latin text, and is a system package; rapidocr comes from PyPI with
its models in its wheel. Nothing is fetched by either.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from rag.sources import formats
from rag.sources.isolate import Child, ChildError, Limits
from rag.sources.pool import Pool
from rag.types import Entry

MAX_LANGUAGES = 4  # each one costs time on every page

# The models of rapidocr and the libraries that run them want some 2 GiB of addresses, half of it for real.
LIMITS = Limits(seconds=120.0, memory=6 << 30)


class PageCache(Protocol):
    """Remembers what OCR made of a page, by the file's version, the page's number and the engine's name."""

    def get(self, version: str, page: int, engine: str) -> str | None: ...

    def put(self, version: str, page: int, engine: str, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Engine:
    """`name` is the engine with its version and languages: what a page's text depends on. `program` is tesseract's
    path, "" for rapidocr."""

    name: str
    program: str = ""
    languages: str = ""
    finds_orientation: bool = True

    @property
    def workers(self) -> int:
        """Processes that pay: tesseract runs on one core, rapidocr on all (and holds 800 MB)."""
        return (os.cpu_count() or 1) if self.program else 1


def find_engine() -> Engine | None:
    """tesseract if it is on PATH and has a language, else rapidocr if it is installed, else None."""
    return _tesseract() or _rapidocr()


def _tesseract() -> Engine | None:
    program = shutil.which("tesseract")
    if program is None:
        return None
    version = re.search(r"tesseract v?([\w.-]+)", _output(program, "--version"))
    installed = set(re.findall(r"^(?:[a-z]{3}(?:_\w+)?)$", _output(program, "--list-langs"), re.M))
    languages = sorted(installed - {"osd", "equ"}, key=lambda language: (language != "eng", language))
    if version is None or not languages:
        return None
    chosen = "+".join(languages[:MAX_LANGUAGES])
    return Engine(f"tesseract {version.group(1)} {chosen}", program, chosen, "osd" in installed)


def _output(*command: str) -> str:
    """What a program prints, "" if it cannot be run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr  # older versions of tesseract answer on standard error


def _rapidocr() -> Engine | None:
    if importlib.util.find_spec("rapidocr") is None or importlib.util.find_spec("onnxruntime") is None:
        return None
    return Engine(f"rapidocr {importlib.metadata.version('rapidocr')}")


class Recogniser:
    """Reads pages by `engine`. Its children and their models are kept from one document to the next; `close` ends
    them."""

    def __init__(self, engine: Engine, cache: PageCache | None, limits: Limits = LIMITS) -> None:
        self.engine = engine
        self._cache = cache
        self._pool = Pool(self._ask, engine.workers, limits)

    def read(self, entry: Entry, pages: Sequence[int]) -> Iterator[tuple[int, str]]:
        """The text of each of the PDF's `pages`, in any order; "" where nothing was recognised. What the cache
        holds is not read again; a page at which the engine failed is not put there."""
        asked = 0
        for page in pages:
            known = self._cache.get(entry.version, page, self.engine.name) if self._cache else None
            if known is None:
                self._pool.submit((entry, page))
                asked += 1
            else:
                yield page, known
        for _ in range(asked):
            page, text = self._pool.result()
            if text is not None and self._cache is not None:
                self._cache.put(entry.version, page, self.engine.name, text)
            yield page, text or ""

    def close(self) -> None:
        self._pool.close()

    def _ask(self, child: Child, job: tuple[Entry, int]) -> tuple[int, str | None]:
        entry, page = job
        question = {
            "path": os.fsdecode(entry.key),
            "version": entry.version,
            "format": formats.PICTURES,
            "page": page,
            "program": self.engine.program,
            "languages": self.engine.languages,
            "finds_orientation": self.engine.finds_orientation,
        }
        try:
            answers = list(child.ask(question))
        except ChildError:
            return page, None
        return page, next((str(message["text"]) for message in answers if message["kind"] == "part"), None)
