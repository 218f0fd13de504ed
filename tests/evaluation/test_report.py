"""The report opens offline, says what it must, and takes nothing from documents for markup."""

from __future__ import annotations

import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest
from markup import parsed
from oracle import EXAMPLES, Oracle, hit, one_second

from rag.evaluation.page import join, page, table, tag
from rag.evaluation.plots import ticks
from rag.evaluation.questions import BadRow
from rag.evaluation.run import evaluate
from rag.types import Answer, Citation, Evidence, Example, Passage

PAYLOADS = [
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "\"><svg onload=document.title='owned'>",
    '\'><a href="javascript:alert(1)">',
    "</title></style><iframe src=http://127.0.0.1:9/>",
    "![x](http://127.0.0.1:9/x.png)",
    "&lt;b&gt; &#x3c;script&#x3e;",
    "<!-- -->]]>",
    "\u202egnp.exe\x1b[31m\x00",
]
ALLOWED = set(
    """html head meta title style body main h1 h2 h3 p b i br small span div code table thead tbody tr th td details
    summary svg line rect circle polyline text""".split()
)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A run in which every text is an attack."""
    examples = [
        Example(f"id {text}", f"Why {text}?", (text,), True, (Evidence(f"{text}.pdf", None, text),))
        for text in PAYLOADS
    ]

    def ask(question: str) -> Answer:
        text = next(text for text in PAYLOADS if text in question)
        passage = Passage(text, text, text, text, text, 1, 0, len(text), text)
        hits = (hit(1, 0.5, text, text),)
        return Answer(question, f"{text} [1]", False, text, (Citation(1, passage, True),), hits, 1)

    skipped = [BadRow(text, text) for text in PAYLOADS]
    settings = {text: text for text in PAYLOADS}
    evaluate(examples, ask, tmp_path / "run", settings=settings, skipped=skipped, clock=one_second)
    return tmp_path / "run" / "report.html"


def test_text_stays_text(hostile: Path) -> None:
    found = parsed(hostile.read_text(encoding="utf-8"))
    assert found.tags <= ALLOWED
    assert not {name for name in found.attributes if name.startswith("on") or name in ("src", "href", "style")}
    text = " ".join(found.text)
    for payload in PAYLOADS[:-1]:
        assert payload in text
    assert not any(c in text for c in "\u202e\x1b\x00")


@pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed")
@pytest.mark.slow
def test_nothing_runs_in_a_browser(hostile: Path) -> None:
    browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", hostile.as_uri()]
    done = subprocess.run(browser, capture_output=True, text=True, timeout=120, check=True)
    title = done.stdout.partition("<title>")[2].partition("</title>")[0]
    assert title == "Evaluation: run"


def test_shows_what_went_wrong_and_what_was_expected(tmp_path: Path) -> None:
    evaluate(EXAMPLES, Oracle().ask, tmp_path / "my run", settings={"model": "oracle"}, clock=one_second)
    text = " ".join(parsed((tmp_path / "my run" / "report.html").read_text(encoding="utf-8")).text)
    assert "4 questions, 3 answerable. Intervals" in text
    assert "The worst questions (3)" in text
    assert text.index("What does a cow cost?") < text.index("What does an ant cost?")  # lost, and found at 2
    assert "2 euros" in text
    assert "b.pdf, p. 9" in text
    assert "It is 7 euros [1]." in text
    assert "The surest answers to what has no answer (1)" in text
    for title in ("Recall over the number retrieved", "Risk over coverage", "Time a question takes"):
        assert title in text
    assert "oracle" in text


def test_a_page_loads_nothing() -> None:
    html = page("Title", tag("p", "text"))
    assert "default-src 'none'" in unescape(html)
    assert "url(" not in html
    assert "http" not in html.replace("http-equiv", "")


def test_markup_by_hand() -> None:
    assert tag("p", "a < b & c", class_="x") == '<p class="x">a &lt; b &amp; c</p>'
    assert tag("p", tag("b", "x"), "<i>") == "<p><b>x</b>&lt;i&gt;</p>"
    assert tag("line", x1=1, class_=None, text_anchor='"') == '<line x1="1" text-anchor="&quot;"/>'
    assert join(["a\nb", tag("br")]) == "a b<br/>"
    assert table(("a", "b"), [("head",), ("1", "2")], numbers=(1,)).count("number") == 2


@pytest.mark.parametrize(
    ("low", "high", "whole", "expected"),
    [
        (0, 1, False, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1, 20, True, [5, 10, 15, 20]),
        (1, 2, True, [1, 2]),
        (0, 0.13, False, [0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12]),
        (3, 3, False, [3]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, whole: bool, expected: list[float]) -> None:
    assert ticks(low, high, whole) == pytest.approx(expected)
