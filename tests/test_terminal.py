"""What people see: the bar, counts in the right number, and foreign text made harmless."""

from __future__ import annotations

import io
import re
from collections.abc import Generator, Sequence

import pytest

from rag import terminal
from rag.types import Answer, Article, Citation, FileReport, Hit, Outcome, Passage, Status, SyncReport


class Screen(io.StringIO):
    """A terminal that keeps what is written on it."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        """What was drawn, without what moved the cursor and chose colours."""
        return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue()))


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return Screen()


def last(screen: Screen) -> str:
    return next(line for line in reversed(screen.lines()) if line.strip())


def test_the_bar_shows_files_bytes_and_the_name(screen: Screen) -> None:
    with terminal.SyncProgress(screen) as bar:
        bar.plan(2_000_000, 3)
        bar.documents(500_000, 2_000_000, "sub/a[1].pdf")
    assert "1 of 3 files" in last(screen)
    assert "0.5/2.0 MB" in last(screen)
    assert "sub/a[1].pdf" in last(screen)


def test_the_bar_knows_its_total_and_the_name_before_anything_is_stored(screen: Screen) -> None:
    with terminal.SyncProgress(screen) as bar:
        bar.plan(2_000_000, 3)
        bar.reading("b.pdf")
    assert "0 of 3 files 0.0/2.0 MB" in last(screen)
    assert "b.pdf" in last(screen)


def test_syncs_in_a_row_add_up(screen: Screen) -> None:
    with terminal.SyncProgress(screen) as bar:
        bar.plan(1_000_000, 1)
        bar.documents(1_000_000, 1_000_000, "a")
        bar.plan(3_000_000, 2)
        bar.documents(2_000_000, 3_000_000, "b")
        assert bar.stopped() == "Stopped. 2 of 3 files are done; run the same command again to go on."
    assert "2 of 3 files 3.0/4.0 MB" in last(screen)


def test_the_bar_neutralises_names_and_shows_pages(screen: Screen) -> None:
    with terminal.SyncProgress(screen) as bar:
        bar.plan(10, 1)
        bar.pages("a\n\x1b[2J.pdf", 3, 40)
    assert "\x1b[2J" not in screen.getvalue()
    assert "a  [2J.pdf: page 3 of 40 by OCR" in last(screen)


def test_elsewhere_the_bar_is_silent_and_still_counts() -> None:
    log = io.StringIO()
    with terminal.SyncProgress(log) as bar:
        assert bar.stopped() == ""
        bar.plan(10, 1)
        assert bar.stopped() == "Stopped. 0 of 1 file is done; run the same command again to go on."
        bar.documents(10, 10, "a")
    assert bar.stopped().startswith("Stopped. 1 of 1 file is done;")
    assert log.getvalue() == ""


def shown(withheld: int = 0, passages: int = 0, files: Sequence[FileReport] = ()) -> str:
    report = SyncReport("default", 0, 0, 0, 0, 0, withheld, passages, 0, 1.0, tuple(files))
    stream = io.StringIO()
    terminal.show_sync(report, [], stream, dry=False)
    return stream.getvalue()


@pytest.mark.parametrize(("withheld", "says"), [(1, "1 file is missing, more"), (3, "3 files are missing, more")])
def test_missing_files_are_counted_in_words_that_fit(withheld: int, says: str) -> None:
    assert says in shown(withheld=withheld)


def test_passages_and_files_are_counted_in_words_that_fit() -> None:
    file = FileReport("a", Outcome(Status.INDEXED))
    assert "1 passage in collection" in shown(passages=1)
    assert "2 passages in collection" in shown(passages=2)
    assert "1 file: 1 indexed." in shown(files=[file])
    assert "2 files: 2 indexed." in shown(files=[file, file])


def test_no_files_are_not_listed() -> None:
    assert "0 files" not in shown()


def test_pairs_show_lists_and_mappings_as_people_write_them() -> None:
    stream = io.StringIO()
    terminal.show_pairs({"statuses": {"indexed": 2, "damaged": 1}, "roots": ["/a", "/b"], "gone": []}, stream)
    assert stream.getvalue().splitlines() == ["statuses:     indexed: 2, damaged: 1", "roots:        /a, /b", "gone:"]


def test_what_was_not_read_is_shown() -> None:
    hits = tuple(Hit(Passage(f"{n}.pdf", "", "", "", f"p. {n}", n, 0, 1, "x"), 1.0) for n in (1, 2, 3))

    def written() -> Generator[str, None, Answer]:
        yield "Leave is 28 days."
        return Answer("How long?", "Leave is 28 days.", False, "model", hits=hits, offered=1, notes=("No room.",))

    shown = io.StringIO()
    terminal.show_answer(written(), shown)
    assert shown.getvalue().splitlines() == [
        "Leave is 28 days.",
        "No room.",
        "1 of 3 passages were read; the others had no room, or were not needed.",
    ]


def test_every_citation_wears_a_badge_and_an_article_its_licence() -> None:
    article = Article(
        "en", 1, 2, "2026-01-02T03:04:05Z", "https://en.wikipedia.org/w/index.php?oldid=2", "CC BY-SA 4.0"
    )
    own = Passage("a.pdf", "", "", "", "p. 3", 3, 0, 1, "x")
    ant = Passage("Ant", "", "Ant", "", "Life > Nests", None, 0, 1, "y", article)
    answer = Answer("?", "x [1] y [2]", False, "m", (Citation(1, own, True), Citation(2, ant, True)))

    def pieces() -> Generator[str, None, Answer]:
        yield answer.text
        return answer

    shown = io.StringIO()
    terminal.show_answer(pieces(), shown)
    assert shown.getvalue().splitlines()[2:] == [
        "[1] a.pdf, p. 3  [private]",
        "[2] Ant, Life > Nests  [Wikipedia]",
        "    https://en.wikipedia.org/w/index.php?oldid=2  (Wikipedia contributors, CC BY-SA 4.0, as of 2026-01-02)",
    ]
