"""Whatever stands in documents, file names, questions and answers is text: nothing is fetched, nothing runs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from browser import Trap, Watched, ask, chromium, is_settled, person, trap, watched
from fault_server import Script, answer, serving, status
from payloads import as_names, payloads
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect
from serving import Served, environment, served

QUESTION = "What is the code of the harbour gate?"
FACT = "The code of the harbour gate is 4711."
pytestmark = pytest.mark.fault(26)
EACH = 7  # payloads of a document
MADE_OF = ("src", "href", "srcset", "data", "action", "poster", "background", "ping", "srcdoc", "onerror", "style")


@pytest.fixture(scope="module")
def listening() -> Iterator[Trap]:
    with trap() as made:
        yield made


@pytest.fixture(scope="module")
def script() -> Iterator[Script]:
    with serving(Script()) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def trusting(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that does not heed the server's policy, which would hide that something wants to be fetched."""
    with person(browser, bypass_csp=True) as made:
        yield made


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, listening: Trap, script: Script, browser: Browser
) -> Iterator[Served]:
    """The page over documents that are named after payloads and filled with them, and a model that writes them."""
    home = tmp_path_factory.mktemp("home")
    documents = home / "documents"
    documents.mkdir()
    for number, name in enumerate(as_names(listening.url)):
        held = "\n\n".join(written(number, listening))
        (documents / f"{number} {name}.txt").write_text(f"{FACT} Copy {number}.\n\n{held}\n")
    command = [sys.executable, "-m", "rag.cli", "index", str(documents), "--indexes", str(home / "indexes")]
    subprocess.run(command, cwd=home, env=environment(home), check=True, capture_output=True)
    model = {"RAG_MODEL": "openai:fake", "RAG_API_BASE": script.base, "RAG_API_WINDOW": "400000"}
    searched = {"RAG_PASSAGES": "500", "RAG_RERANK": "none"}
    with served(home, "--indexes", str(home / "indexes"), variables={**model, **searched}) as running:
        yield running


def written(number: int, listening: Trap) -> list[str]:
    """The payloads in a document."""
    all_of_them = payloads(listening.url)
    first = EACH * number % len(all_of_them)
    return all_of_them[first : first + EACH]


@pytest.fixture
def seen(site: Served, trusting: BrowserContext, listening: Trap) -> Iterator[Watched]:
    listening.sprung.clear()
    with watched(trusting, site.url) as tab:
        yield tab


def check(seen: Watched, listening: Trap) -> None:
    """Nothing on the page is made of a payload, nothing was fetched, no script of theirs ran."""
    is_settled(seen.page)
    assert (
        seen.page.locator(", ".join(f"[{name}*='{word}' i]" for name in MADE_OF for word in ("leak", "sprung"))).count()
        == 0
    )
    assert seen.page.locator("iframe, object, embed, form[action]").count() == 0
    assert seen.page.evaluate("window.sprung") is None
    assert (seen.elsewhere, seen.dialogs, listening.sprung) == ([], [], [])


def shown(page: Page) -> str:
    """All text that is on the page but for the numbers of sources, without white space."""
    text: str = page.evaluate(
        """() => {
          const texts = [];
          const walk = (node) => {
            if (node.className === "source") return;
            if (node.shadowRoot) walk(node.shadowRoot);
            if (node.value) texts.push(node.value);
            for (const child of node.childNodes) child.nodeType === 3 ? texts.push(child.data) : walk(child);
          };
          walk(document.body);
          return texts.join("");
        }"""
    )
    return bare(text)


def bare(text: str) -> str:
    return "".join(text.split())


def careless(listening: Trap) -> str:
    return f"document.body.insertAdjacentHTML('beforeend', '<img src={listening.url}/leak.png>')"


def test_the_trap_is_sprung_by_a_careless_page(seen: Watched, site: Served, listening: Trap) -> None:
    def leaks(request: Request) -> bool:
        return "leak" in request.url

    seen.page.goto(site.url)
    is_settled(seen.page)
    with seen.page.expect_event("requestfinished", leaks):
        seen.page.evaluate(careless(listening))
    assert listening.sprung == ["/leak.png"]
    assert seen.elsewhere == [f"{listening.url}/leak.png"]
    with pytest.raises(AssertionError):
        check(seen, listening)


def test_the_policy_would_hold_even_then(site: Served, browser: Browser, listening: Trap) -> None:
    listening.sprung.clear()
    with person(browser) as context, watched(context, site.url) as seen:
        seen.page.goto(site.url)
        is_settled(seen.page)
        with seen.page.expect_console_message(lambda said: "Content Security Policy" in said.text):
            seen.page.evaluate(careless(listening))
    assert listening.sprung == []


def test_answers_names_and_passages(seen: Watched, site: Served, script: Script, listening: Trap) -> None:
    """All payloads in one answer that cites all that it may, so that names are shown; then documents that hold all
    payloads are opened."""
    page, all_of_them = seen.page, payloads(listening.url)
    markers = "".join(f"[{number}]" for number in range(1, 400))
    script.chat.append(answer([f"{FACT} {markers}\n\n", *(f"{payload}\n\n" for payload in all_of_them)]))
    page.goto(site.url)
    ask(page, QUESTION)
    page.get_by_role("button", name="Ask again").wait_for()
    check(seen, listening)
    text = shown(page)
    assert not [payload for payload in all_of_them if bare(payload) not in text]
    named = [name for name in as_names(listening.url) if bare(name) in text]
    assert len(named) > 0.5 * len(all_of_them), "of the documents that are called so, most are cited"
    for number in range(len(all_of_them) // EACH):
        page.locator("[class*=st-key-source] button").filter(has_text=re.compile(rf"^\d+ {number} ")).first.click()
        page.get_by_role("dialog").get_by_text("The passage as text").wait_for()
        check(seen, listening)
        text = shown(page)
        assert not [payload for payload in written(number, listening) if bare(payload) not in text]
        page.keyboard.press("Escape")
        page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_role("button", name="How it was answered").click()
    for part in ("Prompt", "Timings", "Passages"):
        page.get_by_role("tab", name=part).click()
        check(seen, listening)


def test_questions_titles_and_errors(seen: Watched, site: Served, script: Script, listening: Trap) -> None:
    page, some = seen.page, payloads(listening.url)[::3]
    script.chat += [answer([FACT, " [1]"]), status(400, " ".join(some)[:280])]
    page.goto(site.url)
    question = f"{QUESTION} {' '.join(some)}"[:3_900]
    for turn in range(2):
        ask(page, question)
        page.locator(f".st-key-again-{turn} button").wait_for()
        check(seen, listening)
    assert shown(page).count(bare(question)) >= 2
    page.get_by_role("button", name="Conversation", exact=True).click()
    page.get_by_role("textbox", name="Title").wait_for()
    check(seen, listening)


@pytest.mark.parametrize("parameter", ["document", "documents", "collection", "chat"])
def test_links(parameter: str, seen: Watched, site: Served, listening: Trap) -> None:
    for path in ("/", "/library"):
        seen.page.goto(f"{site.url}{path}?{parameter}={quote(' '.join(payloads(listening.url)[::5])[:900])}")
        check(seen, listening)


def test_the_library(seen: Watched, site: Served, listening: Trap) -> None:
    """Names in its table and in what is said of a document, and those of files that are not taken."""
    page, names = seen.page, as_names(listening.url)
    page.goto(f"{site.url}/library")
    page.get_by_role("textbox", name="Find").wait_for()
    check(seen, listening)
    for number in (26, 0):
        page.get_by_role("textbox", name="Find").fill(f"{number} {names[number]}")
        page.keyboard.press("Enter")
        expect(page.locator("[data-testid=stDataFrame] [role=row]")).to_have_count(2)  # its heads, and one document
        page.locator("[data-testid=stDataFrame] .dvn-scroller").first.click(position={"x": 16, "y": 54})
        page.get_by_role("button", name="Ask about it").wait_for()
        check(seen, listening)
        assert bare(names[number]) in shown(page)
    page.get_by_text("Add documents").click()
    files = [{"name": f"{name}.png", "mimeType": "image/png", "buffer": b"\x89PNG"} for name in names]
    page.locator("input[type=file]").set_input_files(files)  # type: ignore[arg-type]
    page.get_by_text("was not taken").first.wait_for()
    check(seen, listening)
    text = shown(page).replace("%22", '"')  # as browsers send it
    assert not [name for name in names if bare(name) not in text]
