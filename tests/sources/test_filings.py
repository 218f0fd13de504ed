"""Real annual reports, when the practice data is there."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from rag.sources.folder import Folder
from rag.types import Document, Status

PRACTICE = Path(os.environ.get("RAG_PRACTICE_DATA", Path(__file__).parents[3] / "shared/data")) / "financebench/pdfs"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def documents() -> dict[str, Document]:
    if not PRACTICE.is_dir():
        pytest.skip(f"there is no {PRACTICE}: name the practice data by RAG_PRACTICE_DATA")
    folder = Folder(PRACTICE)
    found = {}
    pages = 0
    for reading in folder.read(list(folder.scan())):
        assert reading.outcome.status in (Status.INDEXED, Status.PARTLY), reading.outcome
        assert len(reading.outcome.pages_without_text) <= 1, "two of the filings hold one page that is a chart"
        assert reading.document is not None
        pages += reading.outcome.pages or 0
        found[reading.entry.name.removesuffix(".pdf")] = reading.document
    assert pages == 3535
    return found


def _page(document: Document, number: int) -> str:
    marks = [*document.marks, None]
    for mark, following in pairwise(marks):
        if mark is not None and mark.page == number:
            return document.text[mark.offset : following.offset if following else None]
    raise LookupError(number)


def test_every_title_can_be_found_by_its_files_name(documents: dict[str, Document]) -> None:
    for name, document in documents.items():
        assert set(name.replace("_", " ").split()) <= set(document.title.replace("(", " ").replace(")", " ").split())


def test_rows_stay_whole(documents: dict[str, Document]) -> None:
    assert "Merchandise inventories 5,409 5,209" in _page(documents["BESTBUY_2019_10K"], 52)
    assert "Total Assets $ 92,187 $ 92,377" in _page(documents["PEPSICO_2022_10K"], 66)
    assert "Footwear $ 33,135 $ 29,143 14 % 20 % $ 28,021 4 % 4 %" in _page(documents["NIKE_2023_10K"], 36)


def test_running_lines_are_gone_and_headings_are_not(documents: dict[str, Document]) -> None:
    for name in ("BESTBUY_2019_10K", "MICROSOFT_2016_10K", "NIKE_2021_10K", "PEPSICO_2022_10K"):
        assert documents[name].text.count("Table of Contents") < 12, name  # links back to it, on other lines
    assert "2023 FORM 10-K 51" not in documents["NIKE_2023_10K"].text
    assert _page(documents["BESTBUY_2019_10K"], 52).startswith("Consolidated Balance Sheets\n$ in millions, except per")


def test_the_outline_leads_to_its_words(documents: dict[str, Document]) -> None:
    document = documents["NIKE_2023_10K"]
    assert len(document.headings) > 30
    at_their_words = sum(
        document.text[mark.offset :].lower().startswith(mark.label.rpartition(" > ")[2].lower()[:5])
        for mark in document.headings
    )
    assert at_their_words > 0.7 * len(document.headings)


def test_divided_words_are_whole(documents: dict[str, Document]) -> None:
    text = documents["LOCKHEEDMARTIN_2022_10K"].text
    assert "percentage-of-completion cost-to-cost" in text
    assert "\ufffe" not in "".join(document.text for document in documents.values())
