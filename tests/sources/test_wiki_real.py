"""The real thing: MediaWiki, Wikipedia's own software, started on loopback by the tool beside the practice data."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import WordEmbedder, contents

from rag.cli import main
from rag.errors import UsageError
from rag.index.collection import Collection
from rag.sources.wiki.api import Wiki
from rag.sources.wiki.articles import Articles, refreshing
from rag.sources.wiki.find import Wanted, asked
from rag.types import SyncReport

INSTALLED = Path("/usr/share/mediawiki/api.php")
ARTICLES = {
    "Ant": "Ants are small.",
    "Bee": "Bees make honey.",
    "Kal": "Kal is a village.",
    "Creativity": "It creates.",
}
CITIES = """{| class="infobox"
! colspan="2" | Fresno
|-
! Population
| 542,107<ref>Census</ref>
|}
'''Fresno''' is a city.<ref>Atlas</ref>
== History ==
=== Founding ===
It was founded in 1872, see [[Ant]] and [[Bee]] and [[Nowhere]].
{| class="wikitable"
! Year !! Mayor
|-
| 1901 || Lyon
|}
== References ==
<references />
== See also ==
* [[Kal]]"""


class Editor:
    """Makes, edits, moves and deletes pages as the administrator that the tool made."""

    def __init__(self, api: str) -> None:
        self.api = api
        self._session = requests.Session()
        token = self._post(action="query", meta="tokens", type="login")["query"]["tokens"]["logintoken"]
        self._post(action="login", lgname="Admin", lgpassword="loopback-only-1", lgtoken=token)
        self._token = self._post(action="query", meta="tokens")["query"]["tokens"]["csrftoken"]

    def _post(self, **parameters: str) -> dict[str, Any]:
        reply = self._session.post(self.api, data={**parameters, "format": "json"}, timeout=60)
        answer = reply.json()
        assert "error" not in answer, answer
        return answer

    def await_extension(self, name: str) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            about = self._post(action="query", meta="siteinfo", siprop="extensions")
            if any(extension["name"] == name for extension in about["query"]["extensions"]):
                return
        pytest.fail(f"the wiki never loaded {name}")

    def write(self, title: str, text: str) -> None:
        self._post(action="edit", title=title, text=text, token=self._token)

    def move(self, title: str, to: str) -> None:
        self._post(action="move", **{"from": title}, to=to, token=self._token)

    def delete(self, title: str) -> None:
        self._post(action="delete", title=title, token=self._token)


@pytest.fixture(scope="module")
def editor(practice: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    """A wiki with a few articles. Installs nothing: .ci/run prepares the machine."""
    tool = practice.resolve().parent / "tools" / "mediawiki"
    if not tool.is_file():
        pytest.skip(f"no tool at {tool} to start a MediaWiki with")
    if not INSTALLED.exists():
        pytest.skip(f"no MediaWiki at {INSTALLED}: .ci/run installs it, as root")
    folder = tmp_path_factory.mktemp("articles")
    for title, text in ARTICLES.items():
        (folder / f"{title}.md").write_text(f"# {title}\n\n{text}\n", encoding="utf-8")
    environment = {**os.environ, "MEDIAWIKI_HOME": str(tmp_path_factory.mktemp("mediawiki") / "home")}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = subprocess.run(
        [tool, "start", str(port), str(folder)], env=environment, capture_output=True, text=True, timeout=300
    )
    try:
        assert started.returncode == 0, started.stderr
        settings = Path(environment["MEDIAWIKI_HOME"], "wiki", "LocalSettings.php")
        settings.write_text(settings.read_text() + "wfLoadExtension( 'Cite' );\n$wgRightsText = 'CC BY-SA 4.0';\n")
        made = Editor(started.stdout.strip().splitlines()[-1])
        made.await_extension("Cite")  # PHP looks for changed files every two seconds
        made.write("Fresno", CITIES + "\n[[Category:Cities]]")
        made.write("Emmet", "#REDIRECT [[Ant]]")
        made.write("Template:Disambiguation", "''disambiguation''")
        made.write("Mercury", "May be:\n* [[Ant|the insect]]\n* [[Bee]]\n* [[Nowhere]]\n{{Disambiguation}}")
        made.write("Town", "A town is small.\n[[Category:Towns]]")
        made.write("Category:Towns", "[[Category:Cities]]")
        made.write("Category:Cities", "[[Category:Towns]]")  # a circle, as there are many
        yield made
    finally:
        subprocess.run([tool, "stop"], env=environment, capture_output=True, timeout=60)


@pytest.fixture
def add(editor: Editor, collection: Collection, embedder: WordEmbedder):
    def added(*titles: str, **wanted: Any) -> SyncReport:
        source = Articles(Wiki(editor.api), lambda wiki: asked(wiki, Wanted(titles, **wanted)))
        return collection.sync(source, embedder)

    return added


def documents(collection: Collection) -> set[str]:
    return {name for name, _ in contents(collection)}


def test_an_article_with_its_structure(collection: Collection, add) -> None:
    assert add("Fresno").exit_code == 0
    found = {hit.passage.place: hit.passage for hit in collection.index().keyword("fresno 1872 mayor", 9)}
    assert set(found) == {"", "History > Founding"}
    assert found[""].text.split("\n") == ["Fresno", "Population | 542,107", "", "Fresno is a city."]
    assert any("Year | Mayor\n1901 | Lyon" in text for _, text in contents(collection))
    article = found[""].article
    assert article is not None
    page = requests.get(article.link, timeout=60)
    assert page.status_code == 200
    assert "Revision as of" in page.text
    assert article.attribution == "Wikipedia contributors, CC BY-SA 4.0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", article.timestamp)


def test_titles_are_exact_redirects_followed_and_choices_shown(collection: Collection, add) -> None:
    report = add("Kale", "emmet", "creativity", "Mercury")
    assert documents(collection) == {"Ant", "Creativity"}
    assert report.unread == ("Kale", "Mercury")
    assert '"emmet" redirects to "Ant"' in report.notes
    assert any("Ant; Bee." in note for note in report.notes)
    with pytest.raises(UsageError, match=r"Ant; Bee\..*Nothing was changed"):
        add("Mercury")


def test_search_category_and_links(collection: Collection, add) -> None:
    add(searches=["Creativity"])
    assert documents(collection) == {"Creativity"}
    add(categories=["Cities"])
    assert documents(collection) == {"Creativity", "Fresno"}
    add(categories=["Category:Cities"], depth=5)
    assert documents(collection) == {"Creativity", "Fresno", "Town"}
    report = add(links_from=["Fresno"], limit=2)
    assert documents(collection) == {"Creativity", "Fresno", "Town", "Ant", "Bee"}
    assert any("--limit takes more" in note for note in report.notes)


def test_refresh_follows_edits_moves_and_deletions(
    editor: Editor, collection: Collection, embedder: WordEmbedder, add
) -> None:
    for title in ("Ox", "Cow", "Pig"):
        editor.write(title, f"The {title.lower()} is an animal.")
    add("Ox", "Cow", "Pig")
    editor.write("Ox", "Oxen are strong.")
    editor.move("Cow", "Cattle")
    editor.delete("Pig")
    (source,), _ = refreshing(collection.titles(b"wiki:"), editor.api, "")
    report = collection.sync(source, embedder)
    assert (report.changed, report.removed, report.withheld) == (2, 1, 0)
    assert '"Cow" is now called "Cattle"' in report.notes
    assert any('"Pig" was deleted' in note for note in report.notes)
    assert {text for _, text in contents(collection)} == {"Oxen are strong.", "The cow is an animal."}
    (source,), _ = refreshing(collection.titles(b"wiki:"), editor.api, "")
    assert collection.sync(source, embedder).unchanged == 2


def test_the_command_from_end_to_end(editor: Editor, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def rag(*arguments: str) -> tuple[int, dict[str, Any]]:
        code = main([*arguments, "--indexes", str(tmp_path), "--json"])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else {"error": said.err}

    code, report = rag("wikipedia", "Bee", "Mercury", "Emmet", "--api", editor.api)
    assert (code, report["added"], report["redirects"]) == (3, 2, {"Emmet": "Ant"})
    assert report["unsettled"] == {"Mercury": ["Ant", "Bee"]}
    code, answer = rag("ask", "What do bees make?", "--only", "wikipedia")
    assert (code, answer["answer"]) == (0, "Bees make honey. [1]")
    citation = answer["citations"][0]
    assert citation["origin"] == "wikipedia"
    assert citation["article"]["attribution"] == "Wikipedia contributors, CC BY-SA 4.0"
    assert "oldid=" in citation["article"]["link"]
    code, told = rag("ask", "What do bees make?", "--only", "private")
    assert (code, "--only private" in told["error"]) == (2, True)
    assert rag("wikipedia", "--refresh", "--api", editor.api)[1]["unchanged"] == 2
    assert rag("wikipedia", "--refresh")[0] == 2  # of a wiki that is not a Wikipedia, and that nobody named
    assert rag("wikipedia", "Kale", "--api", editor.api)[0] == 2
