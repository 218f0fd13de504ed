"""How long people wait for the page itself: until it is there, and at each touch, beside model and search.

    python tests/benchmarks/bench_page.py

A server of its own over the sample, warmed by one question; then tabs that are opened (in a browser that has been here
before), and touches of a conversation of 20 answers, from the click to what it shows, by the browser's own clock.
Beside them, the server's share: one run of the script for such a page, without a browser.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "app")]

from browser import chromium  # noqa: E402
from playwright.sync_api import Page  # noqa: E402
from serving import environment, served  # noqa: E402

ROUNDS = 15
TURNS = 20
QUESTION = "How many days of annual leave does a full-time employee have?"


def indexed(home: Path) -> None:
    command = [sys.executable, "-m", "rag.cli", "index", str(ROOT / "data/sample"), "--collection", "sample"]
    subprocess.run(
        [*command, "--indexes", str(home / "indexes")],
        env=environment(home, RAG_OCR="off"),
        capture_output=True,
        check=False,
    )


def said(name: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    worst = ordered[int(0.95 * (len(ordered) - 1))]
    print(f"{name:<52} median {1000 * statistics.median(ordered):6.0f} ms   95 % {1000 * worst:6.0f} ms")


def asked(page: Page, turns: int) -> None:
    for number in range(turns):
        question = f"{QUESTION} ({number})"
        box = page.get_by_test_id("stChatInputTextArea")
        box.fill(question)
        box.press("Enter")
        page.locator("[data-testid=stText]", has_text=question).wait_for(timeout=20_000)
        page.get_by_role("button", name="Ask again").wait_for(timeout=20_000)


def painted(page: Page, url: str) -> tuple[float, float]:
    """Seconds until something is seen, and until a question can be typed."""
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.get_by_test_id("stChatInputTextArea").wait_for(timeout=60_000)
    whole = time.perf_counter() - began
    first = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
    return first / 1000, whole


TOUCH = """([name, selector, gone]) => new Promise(resolve => {
  const buttons = [...document.querySelectorAll("button")].filter(one => one.innerText.includes(name));
  const began = performance.now();
  const look = () =>
    Boolean(document.querySelector(selector)) !== gone ? resolve(performance.now() - began) : setTimeout(look, 1);
  buttons.at(-1).click();
  look();
})"""


def touched(page: Page, button: str, selector: str, gone: bool = False) -> float:
    """Seconds from a click on the last button of this name until the page shows what it leads to."""
    return float(page.evaluate(TOUCH, [button, selector, gone])) / 1000


def in_browser(home: Path) -> None:
    arguments = ["--indexes", str(home / "indexes"), "--collection", "sample"]
    with served(home, *arguments) as site, chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        painted(page, site.url)
        asked(page, TURNS)
        link = page.url
        first, whole = zip(*(painted(page, site.url) for _ in range(ROUNDS)), strict=True)
        said("a new tab: first paint", list(first))
        said("a new tab: ready for a question", list(whole))
        page.goto(link)
        page.get_by_role("button", name="Ask again").wait_for(timeout=60_000)
        edit, cancel = [], []
        for _ in range(ROUNDS):
            edit.append(touched(page, "Edit", ".st-key-cancel"))
            page.wait_for_timeout(400)
            cancel.append(touched(page, "Cancel", ".st-key-cancel", gone=True))
            page.wait_for_timeout(400)
        said(f"a touch in a conversation of {TURNS} (edit)", edit)
        said(f"a touch in a conversation of {TURNS} (cancel)", cancel)


def without_browser(home: Path) -> None:
    os.environ.update({"RAG_INDEXES": str(home / "indexes"), "RAG_COLLECTION": "sample"})
    import logging

    logging.disable(logging.WARNING)
    from tab import ask, tab

    test = tab().run()
    for _ in range(TURNS):
        ask(test, QUESTION)
    took, worked = [], []
    for _ in range(ROUNDS):
        began, cpu = time.perf_counter(), time.process_time()
        test.run()
        took.append(time.perf_counter() - began)
        worked.append(time.process_time() - cpu)
    said(f"the server's share of {TURNS} answers (AppTest, time)", took)
    said(f"the server's share of {TURNS} answers (AppTest, CPU)", worked)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        indexed(Path(folder))
        without_browser(Path(folder))
        in_browser(Path(folder))


if __name__ == "__main__":
    main()
