"""Archives of a few articles, written as Wikipedia's are."""

from __future__ import annotations

import bz2
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
  <siteinfo><sitename>Wikipedia</sitename><dbname>enwiki</dbname><base>https://en.wikipedia.org/wiki/Main_Page</base>
  </siteinfo>
"""


def page_xml(id_: int, title: str, text: str, revision: int, namespace: int = 0, redirect: str = "") -> str:
    leads = f'<redirect title="{escape(redirect)}" />' if redirect else ""
    return f"""  <page><title>{escape(title)}</title><ns>{namespace}</ns><id>{id_}</id>{leads}
    <revision><id>{revision}</id><timestamp>2026-01-02T03:04:05Z</timestamp><contributor><username>x</username><id>1</id>
    </contributor><model>wikitext</model><format>text/x-wiki</format><text xml:space="preserve">{escape(text)}</text>
    <sha1>x</sha1></revision></page>
"""


def write_dump(path: Path, pages: Sequence[str], a_stream: int = 2) -> None:
    """As pages-articles-multistream.xml.bz2: the head, some pages a stream, the end. With 0 pages a stream, one stream
    of all; without compression if it is called .xml."""
    whole = [HEAD, *pages, "</mediawiki>\n"]
    if path.suffix != ".bz2":
        path.write_text("".join(whole), encoding="utf-8")
        return
    streams = [HEAD] + ["".join(pages[i : i + a_stream]) for i in range(0, len(pages), a_stream or 1)] + [whole[-1]]
    path.write_bytes(b"".join(bz2.compress(s.encode()) for s in (streams if a_stream else ["".join(whole)])))


def write_zim(path: Path, articles: Iterable[tuple[str, str]], redirects: Mapping[str, str] | None = None) -> None:
    """(title, HTML) each; as mwoffliner calls it, in clusters of some 16 kB."""
    from libzim.writer import Creator, Hint, Item, StringProvider

    class Page(Item):
        def __init__(self, title: str, html: str) -> None:
            super().__init__()
            self._title, self._html = title, html

        def get_path(self) -> str:
            return self._title.replace(" ", "_")

        def get_title(self) -> str:
            return self._title

        def get_mimetype(self) -> str:
            return "text/html"

        def get_contentprovider(self) -> StringProvider:
            return StringProvider(self._html)

        def get_hints(self) -> dict[Hint, bool]:
            return {Hint.FRONT_ARTICLE: True, Hint.COMPRESS: True}

    with Creator(path).config_clustersize(16_384) as creator:
        for title, html in articles:
            creator.add_item(Page(title, html))
        for source, target in (redirects or {}).items():
            creator.add_redirection(source, source, target, {Hint.FRONT_ARTICLE: True})
        for name, value in {
            "Name": "wikipedia_en_test",
            "Language": "eng",
            "Date": "2026-01-02",
            "Title": "Test",
        }.items():
            creator.add_metadata(name, value)
