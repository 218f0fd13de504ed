"""A real browser on the real page, and what it does behind everybody's back."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Locator, Page, expect, sync_playwright

PATIENCE = 90_000  # milliseconds for what takes a few seconds on a quiet machine
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
expect.set_options(timeout=PATIENCE)


@contextmanager
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        except Error as error:
            pytest.skip(f"Chromium does not start: {error}")
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page, the requests that it made to other places than its own server, the dialogs that opened, and what went
    wrong in its scripts."""

    page: Page
    origin: str
    elsewhere: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def person(browser: Browser, **how: Any) -> Iterator[BrowserContext]:
    """A browser of somebody's own: what one keeps, another does not have. `how` is Playwright's."""
    made = browser.new_context(**how)
    made.set_default_timeout(PATIENCE)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def watched(context: BrowserContext, url: str) -> Iterator[Watched]:
    """A tab, not yet at the page."""
    page = context.new_page()
    seen = Watched(page, url)

    def requested(address: str) -> None:
        if not address.startswith((url, url.replace("http", "ws", 1), "data:", "blob:")):
            seen.elsewhere.append(address)

    def asked(dialog: Any) -> None:
        seen.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("request", lambda request: requested(request.url))
    page.on("popup", lambda other: seen.elsewhere.append(f"a window: {other.url}"))
    page.on("websocket", lambda socket: requested(socket.url))
    page.on("dialog", asked)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    try:
        yield seen
    finally:
        page.close()


def ask(page: Page, question: str) -> None:
    box = page.get_by_role("textbox", name="Ask your documents")
    box.fill(question)
    box.press("Enter")


def is_settled(page: Page) -> None:
    """Waits until Streamlit has drawn everything that it was asked for."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    page.wait_for_function("[...document.images].every(image => image.complete)")


def sheet(page: Page) -> Locator:
    """The page that is drawn in the evidence, once it is there."""
    found = page.get_by_role("dialog").locator(".sheet")
    image = found.locator("img")
    image.wait_for()
    page.wait_for_function("image => image.complete && image.naturalWidth > 0", arg=image.element_handle())
    return found


@dataclass
class Trap:
    """A server that nobody has a reason to ask."""

    port: int
    sprung: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def trap() -> Iterator[Trap]:
    class Listening(BaseHTTPRequestHandler):
        def _taken(self) -> None:
            made.sprung.append(self.path)
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST = do_OPTIONS = do_HEAD = _taken  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Listening)
    server.daemon_threads = True
    made = Trap(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
