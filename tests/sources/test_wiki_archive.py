"""Whole Wikipedias from files: ZIM archives and XML dumps, streamed, resumed, and told what is wrong with them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from archives import page_xml, write_dump, write_zim
from conftest import Shelf, WordEmbedder, contents

from rag.cli import main
from rag.errors import UsageError
from rag.index import stream
from rag.index.collection import Collection
from rag.sources.wiki.archive import Archive
from rag.sources.wiki.wikitext import read_wikitext
from rag.types import Origin, SyncReport

pytest.importorskip("libzim", reason="the `archives` extra is not installed")

ANT = "Ants are small.\n\nhills"
PAGES = [
    page_xml(1, "Ant", "'''Ants''' are small.\n== Nests ==\nhills", 11),
    page_xml(2, "Emmet", "#REDIRECT [[Ant]]", 12, redirect="Ant"),
    page_xml(3, "Talk:Ant", "gossip", 13, namespace=1),
    page_xml(4, "Mercury", "{{Disambiguation}}", 14),
    page_xml(5, "Bee & Co", "Bees make honey.", 15),
]
HTML = [
    ("Ant", "<p>Ants are small.</p><h2>Nests</h2><p>hills</p>"),
    ("Bee & Co", "<p>Bees make honey.</p>"),
    ("Mercury", '<div class="dmbox"></div><p>x</p>'),
    ("Old", '<meta http-equiv="refresh" content="0;url=Ant">'),
]


def zim(path: Path) -> Path:
    write_zim(path.with_suffix(".zim"), HTML, {"Emmet": "Ant"})
    return path.with_suffix(".zim")


def multistream(path: Path) -> Path:
    write_dump(path.with_suffix(".xml.bz2"), PAGES)
    return path.with_suffix(".xml.bz2")


def single_stream(path: Path) -> Path:
    write_dump(path.with_suffix(".xml.bz2"), PAGES, a_stream=0)
    return path.with_suffix(".xml.bz2")


def plain(path: Path) -> Path:
    write_dump(path.with_suffix(".xml"), PAGES)
    return path.with_suffix(".xml")


KINDS = (zim, multistream, single_stream, plain)


@pytest.mark.parametrize("made", KINDS)
def test_articles_are_indexed_and_what_is_none_is_counted(
    made: Callable[[Path], Path], tmp_path: Path, collection: Collection, embedder: WordEmbedder
) -> None:
    path = made(tmp_path / "wiki")
    report = collection.sync(Archive(path), embedder)
    assert report.exit_code == 0
    assert "1 disambiguation page passed over" in report.notes
    assert any("redirect" in note for note in report.notes)
    found = contents(collection)
    assert found == {("Ant", "Ants are small."), ("Ant", "hills"), ("Bee & Co", "Bees make honey.")}
    passage = collection.index().keyword("hills", 1)[0].passage
    assert (passage.place, passage.origin) == ("Nests", Origin.WIKIPEDIA)
    assert passage.article is not None
    assert passage.article.link.startswith("https://en.wikipedia.org/w")
    assert passage.article.timestamp.startswith("2026-01-02")
    again = collection.sync(Archive(path), embedder)
    assert (again.added, again.changed, again.removed, again.embedded) == (0, 0, 0, 0)
    assert not collection.verify()


def test_namespaces_and_limit(tmp_path: Path, collection: Collection, embedder: WordEmbedder) -> None:
    path = multistream(tmp_path / "wiki")
    assert collection.sync(Archive(path, limit=1), embedder).added == 1
    report = collection.sync(Archive(path, namespaces=(0, 1)), embedder)
    assert (report.added, report.unchanged) == (2, 1)
    report = collection.sync(Archive(path), embedder)  # what was not asked for stays
    assert (report.unchanged, report.removed, report.withheld) == (2, 0, 0)
    assert collection.sync(Archive(path, limit=1), embedder).removed == 0
    assert {name for name, _ in contents(collection)} == {"Ant", "Bee & Co", "Talk:Ant"}


def test_a_newer_dump_replaces_the_older_and_touches_nothing_else(
    tmp_path: Path, collection: Collection, embedder: WordEmbedder
) -> None:
    collection.sync(Shelf({"own.txt": "our words"}), embedder)
    many = [page_xml(100 + i, f"Page {i}", f"This is page {i}.", 200 + i) for i in range(8)]
    write_dump(tmp_path / "old.xml.bz2", [*PAGES, *many])
    collection.sync(Archive(tmp_path / "old.xml.bz2"), embedder)
    newer = page_xml(1, "Ant", "Ants are strong.", 99)
    write_dump(tmp_path / "new.xml.bz2", [newer, *many])
    report = collection.sync(Archive(tmp_path / "new.xml.bz2"), embedder)
    assert (report.changed, report.unchanged, report.removed, report.withheld) == (1, 8, 1, 0)
    assert {name for name, _ in contents(collection)} == {"own.txt", "Ant", *(f"Page {i}" for i in range(8))}
    newest = page_xml(1, "Ant", "Ants are stronger still.", 100)
    write_dump(tmp_path / "newest.xml.bz2", [newest, *many])
    assert collection.sync(Archive(tmp_path / "newest.xml.bz2"), embedder).changed == 1
    assert collection.info()["documents"] == 10, "what it said before is not kept"
    write_dump(tmp_path / "cut.xml.bz2", [newest])
    report = collection.sync(Archive(tmp_path / "cut.xml.bz2"), embedder)
    assert (report.removed, report.withheld) == (0, 8)  # so many at once are not believed
    assert collection.sync(Archive(tmp_path / "cut.xml.bz2"), embedder, prune=True).removed == 8


KILLED = """
import os, signal, sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from conftest import WordEmbedder
from rag.index import stream
from rag.index.collection import Collection
from rag.sources.wiki.archive import Archive

class Mortal(WordEmbedder):
    def embed_passages(self, texts):
        if len(self.texts) >= 20:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed_passages(texts)

stream.SLICE = 8
Collection(Path({indexes!r}), "default").sync(Archive(Path({path!r}), workers=1), Mortal())
"""


@pytest.mark.parametrize("kind", ["zim", "dump"])
def test_a_killed_run_goes_on_where_it_was(
    kind: str, tmp_path: Path, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ("wiki.zim" if kind == "zim" else "wiki.xml.bz2")
    if kind == "zim":
        write_zim(path, [(f"Page {i}", f"<p>This is page {i}.</p>") for i in range(40)])
    else:
        write_dump(path, [page_xml(i, f"Page {i}", f"This is page {i}.", 100 + i) for i in range(1, 41)], a_stream=5)
    code = KILLED.format(tests=str(Path(__file__).parents[1]), indexes=str(tmp_path / "indexes"), path=str(path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    collection = Collection(tmp_path / "indexes", "default")
    report: SyncReport = collection.sync(Archive(path), embedder)
    assert (report.unchanged, report.added, report.embedded) == (24, 16, 16)
    assert len(contents(collection)) == 40
    assert not collection.verify()
    collection.close()


def test_slices_and_forgotten_blocks(
    tmp_path: Path, collection: Collection, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SLICE", 3)
    write_dump(tmp_path / "a.xml", [page_xml(i, f"Page {i}", f"This is page {i}.", 100 + i) for i in range(1, 11)])
    assert collection.sync(Archive(tmp_path / "a.xml"), embedder).added == 10


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.zim", b""),
        ("a.zim", b"ZIM\x04" + b"\0" * 60),
        ("a.zim", b"no archive at all, but long enough to hold a header, or nearly" * 9),
        ("a.xml.bz2", b""),
        ("a.xml.bz2", b"BZh91AY&SYgarbage"),
        ("a.xml", b"<html><page></page></html>"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=r"cannot be read.*Nothing was changed"):
        Archive(tmp_path / name)


def test_a_dump_that_was_cut_off_keeps_what_it_had(
    tmp_path: Path, collection: Collection, embedder: WordEmbedder
) -> None:
    write_dump(tmp_path / "a.xml.bz2", [page_xml(i, f"Page {i}", f"This is page {i}.", 100 + i) for i in range(1, 11)])
    whole = (tmp_path / "a.xml.bz2").read_bytes()
    (tmp_path / "a.xml.bz2").write_bytes(whole[: int(len(whole) * 0.7)])
    with pytest.raises(UsageError, match=r"damaged.*What was read before is indexed"):
        collection.sync(Archive(tmp_path / "a.xml.bz2", workers=1), embedder)
    assert 0 < len(contents(collection)) < 10


def test_wikitext_with_its_structure() -> None:
    article = read_wikitext(
        """{{Infobox settlement | name = Fresno | population_total = 542,107<ref>x</ref>
| leader = [[Jerry Dyer|J. Dyer]]<br>[[B]] | image_skyline = x.jpg }}
'''Fresno''' ({{lang|es|ash tree}}) is a ''city''<ref name="a">{{cite web|title=x}}</ref> of {{convert|5|km|mi}} &amp;
<math>E=mc^2</math>.{{citation needed}}

Second [[File:a.jpg|thumb|Caption]]part.<!-- no -->
== History ==
=== Founding ===
* one
* two
{| class="wikitable"
|+ Mayors
! Year !! Mayor
|-
| rowspan=2 | 1905 || A
|-
| B
|}
== References ==
{{reflist}}
[[Category:Cities]]"""
    )
    assert article.text.split("\n") == [
        "name | Fresno",
        "population total | 542,107",
        "leader | J. Dyer, B",
        "",
        "Fresno (ash tree) is a city of 5 km & E=mc^2.",
        "",
        "Second part.",
        "",
        "- one",
        "- two",
        "",
        "Mayors",
        "Year | Mayor",
        "1905 | A",
        "1905 | B",
    ]
    assert [mark.label for mark in article.marks] == ["History > Founding"]


@pytest.mark.parametrize("source", ["", "{{", "[[", "{|", "<ref>", "{{{{{{", "== ", "[[File:", "{|\n|-\n|" * 50])
def test_broken_wikitext_never_fails(source: str) -> None:
    read_wikitext(source)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("[[Star Trek: Voyager]] ran", "Star Trek: Voyager ran"),
        ("[[Star Trek: Voyager|It]] ran", "It ran"),
        ("[[:Category:Cities|Cities]] grow", "Cities grow"),
        ("[[Datei:A.jpg|mini|Ein [[Bild]]]]Seen", "Seen"),
        ("[[fr:Paris]]Seen", "Seen"),
        ("a[[b]]s<ref>x</ref> <ref name=x /> <ref name=y>[[z]] {{cite|a}}</ref>c", "abs c"),
        ("x <math>a<b</math>", "x a<b"),
    ],
)
def test_links_and_references(source: str, text: str) -> None:
    assert read_wikitext(source).text == text


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("rag.compose.embedder", lambda config: WordEmbedder())
    path, home = zim(tmp_path / "wiki"), str(tmp_path / "indexes")

    def index(*arguments: str) -> int:
        return main(["index", *arguments, "--indexes", home])

    assert index(str(path), "--limit", "1") == 0
    assert "1 new, 0 changed" in capsys.readouterr().out
    assert index(str(path), "--dry-run") == 0
    assert "3 new, 0 changed, 0 renamed, 0 removed, 1 unchanged" in capsys.readouterr().out  # two are no articles
    assert index(str(path)) == 0
    assert "2 redirects passed over" in capsys.readouterr().out
    assert index(str(tmp_path), "--limit", "1") == 2
    assert "--limit and --namespace are for ZIM archives" in capsys.readouterr().err
    assert Collection(Path(home), "default").info()["articles"] == 2
