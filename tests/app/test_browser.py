"""What people do at the page, in a real browser: from a PDF of theirs to the lines that an answer comes from."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from browser import NARROW, WIDE, Watched, ask, chromium, is_settled, person, sheet, watched
from fault_server import Script, hangs, said, serving
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, ViewportSize, expect
from reportlab.pdfgen.canvas import Canvas
from serving import Served, served

from rag.index.collection import Collection

QUESTION = "When was the pump of the works at Kendal stopped?"
ANSWER = "The pump of the works at Kendal was stopped on 12 March at noon."
SIZE, LEFT, TOP, LEADING, FONT = (612, 792), 60, 740, 16, 11
LINES = [
    *(f"Line {n} of the log tells of meters that were read, and of nothing that was out of order." for n in range(14)),
    ANSWER,
    *(f"Remark {n}: the shift was handed over in time, the hall was swept and the gate locked." for n in range(14)),
]
Scheme = Literal["light", "dark"]
Tab = Callable[..., Page]
YELLOW = 60  # by how much blue falls short of red where something is marked


def log_book(path: Path) -> Path:
    """A PDF whose second page has the lines, at known places."""
    canvas = Canvas(str(path), pagesize=SIZE, invariant=True)
    canvas.drawString(LEFT, TOP, "Log book of the works")
    canvas.showPage()
    canvas.setFont("Helvetica", FONT)
    for number, line in enumerate(LINES):
        canvas.drawString(LEFT, TOP - LEADING * number, line)
    canvas.save()
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One person's browser, which keeps the page's scripts."""
    with person(browser) as made:
        yield made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def site(home: Path, context: BrowserContext) -> Iterator[Served]:
    """The page over a collection into which somebody has put the log book, by the page itself."""
    with served(home, "--indexes", str(home / "indexes")) as running:
        with watched(context, running.url) as seen:
            page = seen.page
            page.goto(running.url)
            page.get_by_role("link", name="Go to the Library").click()
            page.locator("input[type=file]").set_input_files(log_book(home / "log book.pdf"))
            expect(page.get_by_text("Indexed uploads: done")).to_be_visible()
            assert not seen.elsewhere + seen.errors
        yield running


@pytest.fixture
def tab(site: Served, context: BrowserContext) -> Iterator[Callable[..., Watched]]:
    """Opens the page in a tab. Whatever happens there, nothing else than the page's own server is asked."""
    with ExitStack() as stack:
        opened: list[Watched] = []

        def tabbed(path: str = "/", size: ViewportSize = WIDE, scheme: Scheme = "light") -> Page:
            seen = stack.enter_context(watched(context, site.url))
            opened.append(seen)
            seen.page.set_viewport_size(size)
            seen.page.emulate_media(color_scheme=scheme)
            seen.page.goto(site.url + path)
            return seen.page

        yield tabbed
        for seen in opened:
            assert (seen.elsewhere, seen.errors, seen.dialogs) == ([], [], [])


def answered(page: Page) -> None:
    ask(page, QUESTION)
    expect(source(page)).to_be_visible()


def source(page: Page) -> Locator:
    return page.get_by_role("button", name="Source 1: log book.pdf, p. 2").first


def marked_lines(page: Page) -> tuple[set[int], set[int]]:
    """The numbers of the lines whose ground is marked, and of those where nothing is."""
    drawn = sheet(page).locator("img").get_attribute("src") or ""
    png = base64.b64decode(drawn.removeprefix("data:image/png;base64,"))
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    scale = pixels.shape[1] / SIZE[0]
    is_marked = pixels[:, :, 0] - pixels[:, :, 2] > YELLOW
    marked, clear = set(), set()
    for number, line in enumerate(LINES):
        baseline = (SIZE[1] - TOP + LEADING * number) * scale
        right = (LEFT + len(line) * FONT * 0.4) * scale  # within the line, whatever its letters
        ground = is_marked[round(baseline - FONT * 0.6 * scale) : round(baseline), round(LEFT * scale) : round(right)]
        if ground.mean() > 0.5:
            marked.add(number)
        elif not ground.any():
            clear.add(number)
    return marked, clear


def in_sight(page: Page) -> int:
    """How many pixels of the screen have the colours of marks."""
    pixels = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    return int((pixels[:, :, 0] - pixels[:, :, 2] > YELLOW).sum())


def cited_lines(home: Path) -> set[int]:
    """The lines of the passage that answers."""
    collection = Collection(home / "indexes", "default")
    passages = [hit.passage for hit in collection.index().keyword("pump Kendal stopped", 10)]
    collection.close()
    (passage,) = [passage for passage in passages if "12 March" in passage.text]
    return {number for number, line in enumerate(LINES) if line in passage.text}


def test_from_a_pdf_to_the_lines_of_it_that_answer(home: Path, tab: Tab) -> None:
    page = tab()
    answered(page)
    expect(page.get_by_text(ANSWER)).to_be_visible()
    source(page).click()
    wanted = cited_lines(home)
    assert {14} <= wanted < set(range(len(LINES)))
    assert marked_lines(page) == (wanted, set(range(len(LINES))) - wanted)
    assert in_sight(page) > 2_000  # without anybody scrolling
    page.get_by_role("button", name="Larger").click()
    page.get_by_role("button", name="Smaller").wait_for()
    assert in_sight(page) > 2_000


def test_a_reload_shows_the_same_view_again(home: Path, tab: Tab) -> None:
    page = tab()
    answered(page)
    source(page).click()
    sheet(page)
    page.reload()
    assert marked_lines(page)[0] == cited_lines(home)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text(ANSWER)).to_be_visible()


def test_it_works_by_keyboard_alone(home: Path, tab: Tab) -> None:
    page = tab()
    is_settled(page)
    box = page.get_by_role("textbox", name="Ask your documents")
    tabbed_to(page, box)
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    source(page).wait_for()
    is_settled(page)
    tabbed_to(page, source(page), backwards=True)
    page.keyboard.press("Enter")
    assert marked_lines(page)[0] == cited_lines(home)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def tabbed_to(page: Page, wanted: Locator, backwards: bool = False) -> None:
    for _ in range(40):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        if wanted.evaluate("it => it.getRootNode().activeElement === it"):
            return
    raise AssertionError("it cannot be reached by the tabulator key")


PAGES = ["/", "/library", "/evaluate", "/settings"]


@pytest.mark.parametrize("path", PAGES)
def test_a_narrow_screen_is_not_left_sideways(path: str, tab: Tab) -> None:
    page = tab(path, NARROW)
    page.get_by_role("heading").or_(page.get_by_role("textbox")).first.wait_for()
    is_settled(page)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= NARROW["width"]
    wide = page.locator("button:visible, input:visible, textarea:visible").evaluate_all(
        "all => all.map(it => it.getBoundingClientRect()).filter(it => it.width && it.right > innerWidth + 1).length"
    )
    assert wide == 0


def test_evidence_on_a_narrow_screen(home: Path, tab: Tab) -> None:
    page = tab(size=NARROW)
    answered(page)
    source(page).click()
    assert marked_lines(page)[0] == cited_lines(home)
    assert in_sight(page) > 1_000
    assert page.evaluate("document.scrollingElement.scrollWidth") <= NARROW["width"]


@pytest.mark.parametrize("path", PAGES)
def test_whoever_likes_it_dark_gets_it_dark(path: str, tab: Tab) -> None:
    grounds = []
    for scheme in ("dark", "light"):
        page = tab(path, scheme=scheme)
        page.get_by_role("heading").or_(page.get_by_role("textbox")).first.wait_for()
        is_settled(page)
        pixels = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L"))
        grounds.append(float(np.median(pixels)))
    assert grounds[0] < 60
    assert grounds[1] > 220


def test_an_answer_can_be_stopped(home: Path, site: Served, context: BrowserContext) -> None:
    """By a model that has begun to answer and then falls silent."""
    script = Script()
    script.chat.append(hangs(script, said("The pump "), said("was stopped")))
    with serving(script):
        model = {"RAG_MODEL": "openai:slow", "RAG_API_BASE": script.base, "RAG_API_WINDOW": "4096"}
        with (
            served(home, "--indexes", str(home / "indexes"), variables=model) as running,
            watched(context, running.url) as seen,
        ):
            page = seen.page
            page.goto(running.url)
            ask(page, QUESTION)
            expect(page.get_by_text("The pump was stopped")).to_be_visible()
            page.locator(".st-key-stop button").click()
            expect(page.get_by_text("Stopped.")).to_be_visible()
            expect(page.get_by_role("button", name="Ask again")).to_be_enabled()
            assert not seen.elsewhere
