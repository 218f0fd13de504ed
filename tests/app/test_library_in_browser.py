"""The library in a real browser: files are handed over, a job outlives the page that began it, and is stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import WIDE, chromium, person, watched
from playwright.sync_api import Browser, BrowserContext, Page, expect
from programs import ended
from serving import served

from app import uploads
from rag.jobs.desk import Desk
from rag.jobs.job import LOCK, Job, State

HERON = b"The grey heron stands by the weir at dawn."
QUIET = {"RAG_OCR": "off"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with person(browser, viewport=WIDE) as made:
        yield made


def hand_over(page: Page, *files: tuple[str, bytes]) -> None:
    page.locator("input[type=file]").first.set_input_files(
        [{"name": name, "mimeType": "text/plain", "buffer": data} for name, data in files]
    )


def held(indexes: Path) -> Job:
    """The job that runs, stopped in its tracks by a signal that it cannot heed: so it runs until it is let go."""
    (job,) = Desk(indexes / ".jobs").running()
    while not (pid := (job.folder / LOCK).read_text()):
        os.sched_yield()
    os.kill(int(pid), signal.SIGSTOP)
    return job


def let_go(job: Job) -> None:
    os.kill(int((job.folder / LOCK).read_text()), signal.SIGCONT)


def test_a_job_outlives_its_tab_and_its_page_and_is_stopped_from_another(
    tmp_path: Path, context: BrowserContext
) -> None:
    indexes = tmp_path / "indexes"
    with served(tmp_path, variables=QUIET) as first, watched(context, first.url) as tab:
        tab.page.goto(f"{first.url}/library")
        expect(tab.page.get_by_text("No documents yet")).to_be_visible()
        hand_over(tab.page, ("../../heron <b>.txt", HERON), ("report.pdf", b"<html>no</html>"), ("empty.txt", b""))
        expect(tab.page.get_by_text("Indexing uploads")).to_be_visible()
        job = held(indexes)
        expect(tab.page.get_by_text("It is not a PDF: it begins with '<html>no</ht'.")).to_be_visible()
        expect(tab.page.get_by_text("empty.txt was not taken. It is empty.")).to_be_visible()
        first.process.kill()
    assert job.state is State.RUNNING
    with served(tmp_path, variables=QUIET) as second, watched(context, second.url) as tab:
        tab.page.goto(f"{second.url}/library")
        expect(tab.page.get_by_text("Indexing uploads")).to_be_visible()
        let_go(job)
        expect(tab.page.get_by_text("Indexed uploads")).to_be_visible()
        assert ended(job).exit_code == 0, job.log()
        assert uploads.names(uploads.folder(indexes, "default")) == ["heron _b_.txt"]
        hand_over(tab.page, ("owl.txt", b"The barn owl nests in old towers."))
        expect(tab.page.get_by_text("Indexing uploads")).to_be_visible()
        job = held(indexes)
        tab.page.get_by_role("button", name="Stop").click()
        expect(tab.page.get_by_text("Stopping …")).to_be_visible()
        let_go(job)
        expect(tab.page.get_by_text("stopped; what was done is safe")).to_be_visible()
        assert ended(job).state is State.STOPPED
        assert not [*tab.elsewhere, *tab.dialogs, *tab.errors]


@pytest.mark.fault(28)
def test_what_is_too_large_never_arrives(tmp_path: Path, context: BrowserContext) -> None:
    with served(tmp_path, "--upload-limit", "1", variables=QUIET) as page, watched(context, page.url) as tab:
        tab.page.goto(f"{page.url}/library")
        expect(tab.page.get_by_text("No documents yet")).to_be_visible()
        hand_over(tab.page, ("big.txt", b"x" * (3 << 20)))
        expect(tab.page.get_by_text("must be 1.0MB or smaller")).to_be_visible()
        raw = context.request.put(f"{page.url}/_stcore/upload_file/a/b", data=b"x" * (3 << 20))
        assert raw.status in (403, 413)
        assert not (tmp_path / "indexes" / ".uploads").exists()
