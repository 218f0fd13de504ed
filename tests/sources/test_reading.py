from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from rag.sources import formats
from rag.sources.isolate import Child, ChildError, DiedError, Limits, TimedOutError
from rag.sources.parts import Facts, Part, State, to_wire
from rag.sources.reading import PDFIUM, PYPDF, gather
from rag.types import Entry

ENTRY = Entry(b"/bomb.pdf", "bomb.pdf", "file:///bomb.pdf", "sha256:0")


class Breaking(Child):
    """Reads a PDF of three pages, and breaks with `error` when one of `engines` comes to the second."""

    def __init__(self, error: ChildError, engines: tuple[str, ...]) -> None:
        super().__init__(Limits())
        self.tries: list[tuple[int, str]] = []
        self._error, self._engines = error, engines

    def ask(
        self, job: Mapping[str, Any], seconds: float | None = None, patience: float | None = None
    ) -> Iterator[dict[str, Any]]:
        self.tries.append((job["first"], job["engine"]))
        yield to_wire(Facts(pages=3, printed=True))
        for page in range(job["first"], (job["last"] or 3) + 1):
            if page == 2 and job["engine"] in self._engines:
                raise self._error
            yield to_wire(Part(f"{job['engine']} {page}", f"p. {page}", page))
        yield {"kind": "end", "outcome": None}


def _texts(child: Breaking) -> list[str]:
    gathered = gather(child, ENTRY, formats.PDF)
    assert gathered.halted is None
    assert [part.state is State.COSTLY for part in gathered.parts] == [not part.text for part in gathered.parts]
    return [part.text for part in gathered.parts]


@pytest.mark.fault(14)
def test_a_page_on_which_pdfium_crashes_is_read_by_pypdf() -> None:
    child = Breaking(DiedError(-signal.SIGSEGV), (PDFIUM,))
    assert _texts(child) == ["pdfium 1", "pypdf 2", "pdfium 3"]
    assert child.tries == [(1, PDFIUM), (2, PYPDF), (3, PDFIUM)]


def test_a_page_on_which_both_crash_is_left_out() -> None:
    child = Breaking(DiedError(-signal.SIGSEGV), (PDFIUM, PYPDF))
    assert _texts(child) == ["pdfium 1", "", "pdfium 3"]
    assert child.tries == [(1, PDFIUM), (2, PYPDF), (3, PDFIUM)]


@pytest.mark.fault(15)
@pytest.mark.parametrize("error", [DiedError(-signal.SIGABRT), TimedOutError()])
def test_a_page_that_wants_too_much_is_left_out_at_once(error: ChildError) -> None:
    child = Breaking(error, (PDFIUM,))
    assert _texts(child) == ["pdfium 1", "", "pdfium 3"]
    assert child.tries == [(1, PDFIUM), (3, PDFIUM)]


def test_time_that_is_used_up_ends_the_tries_and_says_so() -> None:
    child = Breaking(DiedError(-signal.SIGSEGV), (PDFIUM,))
    child.spent = child.limits.seconds + 1
    gathered = gather(child, ENTRY, formats.PDF)
    assert gathered.halted is not None
    assert gathered.halted.reason == "Stopped after 30 s; 1 of 3 pages are read"
