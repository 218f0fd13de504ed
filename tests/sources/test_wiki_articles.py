"""Articles from a wiki into a collection: what is found, told, stored, refreshed, and left alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import Shelf, WordEmbedder, contents
from wiki_server import FakeWiki, serving

from rag.errors import UsageError
from rag.index.collection import Collection
from rag.sources.wiki import http
from rag.sources.wiki.api import Wiki
from rag.sources.wiki.articles import Articles, refreshing
from rag.sources.wiki.find import Wanted, asked
from rag.types import Origin, Status, SyncReport

PLANETS = """<div class="disambig"><ul><li><a title="Mercury (planet)">M</a></li>
<li><a title="Mercury (god)">M</a></li></ul></div>"""


@pytest.fixture
def wiki(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWiki]:
    monkeypatch.setattr(http, "INTERVAL", 0.0)
    monkeypatch.setattr(http, "BACKOFF", 0.0)
    pages = {
        "Ant": (1, 11, "<p>Ants are small.</p><h2>Nests</h2><p>Ants build hills.</p>"),
        "Bee": (2, 12, "<p>Bees make honey.</p>"),
        "Cow": (3, 13, "<p>Cows give milk.</p>"),
        "Mercury": (9, 19, PLANETS),
    }
    with serving(FakeWiki(pages, {"Emmet": "Ant"})) as served:
        yield served


@pytest.fixture
def add(wiki: FakeWiki, collection: Collection, embedder: WordEmbedder):
    def added(*titles: str) -> SyncReport:
        source = Articles(Wiki(wiki.api), lambda w: asked(w, Wanted(titles)))
        return collection.sync(source, embedder)

    return added


@pytest.fixture
def refresh(wiki: FakeWiki, collection: Collection, embedder: WordEmbedder):
    def refreshed() -> SyncReport:
        (source,), _ = refreshing(collection.titles(b"wiki:"), wiki.api, "")
        return collection.sync(source, embedder)

    return refreshed


def test_a_passage_knows_its_revision_section_and_licence(wiki: FakeWiki, collection: Collection, add) -> None:
    report = add("Emmet")
    assert (report.added, report.exit_code, report.notes) == (1, 0, ('"Emmet" redirects to "Ant"',))
    hit = collection.index().keyword("hills", 1)[0]
    article = hit.passage.article
    assert article is not None
    assert (hit.passage.document, hit.passage.place, hit.passage.origin) == ("Ant", "Nests", Origin.WIKIPEDIA)
    assert (article.language, article.page, article.revision, article.redirect) == ("en", 1, 11, "Emmet")
    assert article.timestamp == "2026-01-02T03:04:05Z"
    assert article.link == wiki.api.replace("api.php", "index.php?title=Ant&oldid=11") == hit.passage.uri
    assert article.attribution == "Wikipedia contributors, CC BY-SA 4.0"


@pytest.mark.fault(22)
def test_what_a_title_does_not_settle_is_told_and_the_rest_is_indexed(collection: Collection, add) -> None:
    report = add("Bee", "Mercury", "Kale")
    assert (report.added, report.exit_code, report.unread) == (1, 3, ("Mercury", "Kale"))
    assert any("Mercury (planet); Mercury (god)" in note for note in report.notes)
    assert any('"Kale"' in note and "no such article" in note for note in report.notes)


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("title", "told"), [("Mercury", "Mercury .planet.; Mercury .god."), ("Kale", "no such article")]
)
def test_nothing_at_all_is_an_error_that_changes_nothing(collection: Collection, add, title: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"{told}.*Nothing was changed"):
        add(title)
    assert not collection.exists()


@pytest.mark.parametrize("title", ["", "  ", "a|b", "a#b", "x" * 300, "a\x1fb"])
def test_what_cannot_be_a_title_is_never_sent(wiki: FakeWiki, add, title: str) -> None:
    with pytest.raises(UsageError, match="no such article"):
        add(title)
    assert wiki.asked == []


def test_articles_add_up_and_leave_folders_alone(collection: Collection, embedder: WordEmbedder, add) -> None:
    files = {"own.txt": "our own words"}
    collection.sync(Shelf(files), embedder)
    add("Ant")
    report = add("Bee")
    assert (report.added, report.removed, report.withheld) == (1, 0, 0)
    assert [file.document for file in report.files] == ["Bee"]
    report = collection.sync(Shelf(files), embedder)
    assert (report.unchanged, report.removed, report.withheld) == (1, 0, 0)
    assert {name for name, _ in contents(collection)} == {"own.txt", "Ant", "Bee"}
    assert collection.info()["articles"] == 2


def test_only_one_kind_is_searched(collection: Collection, embedder: WordEmbedder, add) -> None:
    collection.sync(Shelf({"own.txt": "ants are ours"}), embedder)
    add("Ant")

    def found(only: Origin | None) -> set[str]:
        view = collection.index(only=only)
        dense = {hit.passage.document for hit in view.dense(embedder.embed_questions(["ants"])[0], 9)}
        assert dense >= {hit.passage.document for hit in view.keyword("ants", 9)}
        return dense

    assert found(None) == {"own.txt", "Ant"}
    assert found(Origin.PRIVATE) == {"own.txt"}
    assert found(Origin.WIKIPEDIA) == {"Ant"}
    assert collection.index("B*", Origin.WIKIPEDIA).cards() == []


def test_refresh_asks_for_revisions_in_one_request_and_fetches_what_changed(
    wiki: FakeWiki, collection: Collection, add, refresh
) -> None:
    add("Ant", "Bee", "Cow")
    wiki.asked.clear()
    assert (refresh().unchanged, wiki.fetched(), len(wiki.asked)) == (3, [], 2)  # revisions, and the wiki's language
    wiki.pages["Bee"] = (2, 22, "<p>Bees dance.</p>")
    report = refresh()
    assert (report.changed, report.unchanged, wiki.fetched()) == (1, 2, ["22"])
    assert collection.index().keyword("dance", 1)[0].passage.article.revision == 22
    assert not collection.verify()


def test_deleted_renamed_and_merged_pages_are_told(wiki: FakeWiki, collection: Collection, add, refresh) -> None:
    add("Ant", "Bee")
    del wiki.pages["Ant"]
    wiki.pages["Honey bee"] = (2, 32, wiki.pages.pop("Bee")[2])
    report = refresh()
    assert (report.changed, report.removed, report.withheld) == (1, 1, 0)
    assert any('"Ant" was deleted' in note for note in report.notes)
    assert any('"Bee" is now called "Honey bee"' in note for note in report.notes)
    assert {name for name, _ in contents(collection)} == {"Honey bee"}


@pytest.mark.fault(22)
def test_an_article_that_cannot_be_had_now_answers_from_its_old_revision(
    wiki: FakeWiki, collection: Collection, add, refresh
) -> None:
    add("Ant", "Bee")
    wiki.pages["Ant"] = (1, 21, "<p>Ants are big.</p>")
    wiki.faults = [None, None, *[(503, {}, b"")] * 4]
    report = refresh()
    outcome = {file.document: file.outcome for file in report.files}["Ant"]
    assert (outcome.status, report.exit_code) == (Status.UNREADABLE, 3)
    assert "retried 3 times" in outcome.reason
    assert "still answers" in outcome.reason
    assert collection.index().keyword("small", 1)[0].passage.text == "Ants are small."
    assert refresh().exit_code == 0
    assert collection.index().keyword("big", 1)[0].passage.text == "Ants are big."
    assert collection.index().keyword("small", 1) == []
    assert not collection.verify()


def test_a_wiki_that_gives_nothing_is_left_alone_after_three(wiki: FakeWiki, add, collection: Collection) -> None:
    wiki.pages |= {f"P{i}": (100 + i, 200 + i, f"<p>page {i}</p>") for i in range(6)}
    wiki.faults = [None, None, *[(503, {}, b"")] * 12]
    report = add(*(f"P{i}" for i in range(6)))
    assert [file.outcome.status for file in report.files] == [Status.UNREADABLE] * 6
    assert len(wiki.fetched()) == 12
    assert contents(collection) == set()
    assert add(*(f"P{i}" for i in range(6))).exit_code == 0
    assert len(contents(collection)) == 6


def test_other_wikis_are_not_asked_on_refresh_unless_allowed(wiki: FakeWiki, collection: Collection, add) -> None:
    add("Ant")
    wiki.asked.clear()
    sources, notes = refreshing(collection.titles(b"wiki:"), "", "")
    assert (sources, wiki.asked) == ([], [])
    assert "--api allows it" in notes[0]
