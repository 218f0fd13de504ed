"""An article's HTML → its text and section paths: what a reader reads, without references and navigation. Pure.

Marks are put into the tree where lines, paragraphs and headings begin; then libxml2 gives the text of the whole at
once. That is several times faster than a walk through all elements in Python, and whole Wikipedias are read so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag.sources.clean import normalize
from rag.sources.wiki.tables import LINE, flatten
from rag.types import Mark

if TYPE_CHECKING:
    from lxml.html import HtmlElement

PARSER = "1"  # raise it when the same HTML gives another text, so that articles are read again

GAP, _HEADING = "\ue001", "\ue002"  # private use: no text has them, for `_without_marks` takes them out
_OUR_MARKS = re.compile(f"[{LINE}{GAP}{_HEADING}]")
_UNREAD_TAGS = (
    "style script noscript template svg button input select textarea object iframe audio video map head h1 title nav"
)
_UNREAD = tuple(_UNREAD_TAGS.split())
_UNREAD_CLASSES = frozenset(
    """reference references reflist mw-references-wrap refbegin mw-editsection toc navbox navbox-styles vertical-navbox
    sidebar noprint metadata ambox ombox tmbox sistersitebox side-box portal portalbox hatnote dablink rellink noexcerpt
    mw-jump-link mw-empty-elt shortdescription authority-control catlinks printfooter mw-cite-backlink Z3988 stub
    mw-indicators error mw-ext-cite-error magnify geo-nondefault nowraplinks navigation-not-searchable mw-parser-error
    succession-box""".split()
)
_BLOCK_TAGS = (
    "address article aside blockquote body center details dd div dl dt figcaption figure footer header main ol p pre"
    " section summary table ul"
)
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_LINES = ("li", "tr", "caption", "br", "dd", "dt")
_HEADINGS = tuple(f"h{level}" for level in range(2, 7))
_HIDDEN = re.compile(r"display\s*:\s*none", re.I)
_TEX_STYLE = re.compile(r"^\{\\(?:display|text)style\s*(.*)\}$", re.S)
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_REDIRECT = re.compile(r"""http-equiv=["']?refresh""", re.I)
_AMBIGUOUS = re.compile(r"""class="[^"]*\b(?:mw-disambig|disambigbox|dmbox|dmbox-disambig)\b|PageProp/disambiguation""")

# Sections that name sources and lead elsewhere, by the languages that most articles are written in.
_LEFT_OUT = frozenset(
    """references|external links|see also|further reading|notes and references|citations|footnotes|bibliography
    einzelnachweise|weblinks|literatur|siehe auch|références|liens externes|voir aussi|notes et références|bibliographie
    referencias|enlaces externos|véase también|bibliografía|note|collegamenti esterni|voci correlate|altri progetti
    bibliografia|referências|ligações externas|ver também|externe links|zie ook|bronnen, noten en/of referenties
    przypisy|linki zewnętrzne|zobacz też|примечания|ссылки|литература|см. также|脚注|外部リンク|関連項目|参考文献
    参考资料|外部链接|参见|參考資料|外部連結|參見|المراجع|مراجع|وصلات خارجية|انظر أيضًا""".replace("\n", "|").split("|")
)
LEFT_OUT = frozenset(title.strip() for title in _LEFT_OUT)


@dataclass(frozen=True, slots=True)
class Text:
    """What an article says. A Mark's label is its section's path ("Early life > School"); what stands before the
    first section has none."""

    text: str
    marks: tuple[Mark, ...]


def read_article(html: str) -> Text:
    """Never fails: HTML that makes no sense gives little text or none."""
    root = _parsed(html)
    if root is None:
        return Text("", ())
    if "<math" in html or "mwe-math" in html:
        _write_formulas(root)
    _drop_unread(root)
    for table in root.xpath("//table"):
        flatten(table)
    _put_marks(root)
    return structured(root.text_content())


def is_ambiguous(html: str) -> bool:
    """Whether it is a page that only tells articles of like names apart."""
    return _AMBIGUOUS.search(html) is not None


def is_redirect(html: str) -> bool:
    return _REDIRECT.search(html, 0, 1000) is not None


def choices(html: str) -> list[str]:
    """The articles that a disambiguation page names: the first link of each of its items that exists."""
    root = _parsed(html)
    found = []
    for item in root.iter("li") if root is not None else ():
        link = next((a for a in item.iter("a") if a.get("title") and "redlink=1" not in (a.get("href") or "")), None)
        if link is not None and not link.get("title").startswith(("Edit section", "Category:", "Special:")):
            found.append(" ".join(link.get("title").split()))
    return list(dict.fromkeys(found))


def structured(marked: str) -> Text:
    """Text with marks for lines, paragraphs and headings, as `heading` and its like make them, without the marks."""
    return _joined(_paths(_blocks(marked)))


def heading(level: str, title: str) -> str:
    return f"{GAP}{_HEADING}{level}{' '.join(title.split())}{GAP}"


def without_marks(text: str) -> str:
    return _OUR_MARKS.sub("", text) if any(mark in text for mark in (LINE, GAP, _HEADING)) else text


def _joined(sections: Iterable[tuple[tuple[str, ...], str]]) -> Text:
    """(path, text) of each section, in reading order, as one text. Those without a text, or that only name sources or
    lead elsewhere, are left out with all that is below them."""
    pieces: list[str] = []
    marks: list[Mark] = []
    offset = 0
    for path, raw in sections:
        text = normalize(raw).strip()
        if not text or any(title.casefold() in LEFT_OUT for title in path):
            continue
        if path or marks:
            marks.append(Mark(offset, " > ".join(path)))
        pieces.append(text)
        offset += len(text) + 2
    return Text("\n\n".join(pieces), tuple(marks))


def _parsed(html: str) -> HtmlElement | None:
    import lxml.html

    parser = lxml.html.HTMLParser(remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        root = lxml.html.document_fromstring(without_marks(_DECLARATION.sub("", html)), parser=parser)
    except lxml.etree.ParserError:  # there is no element in it
        return None
    found = root.xpath("//div[contains(@class, 'mw-parser-output')]")
    return found[0] if len(found) == 1 else root


def _write_formulas(root: HtmlElement) -> None:
    """Mathematics as its TeX, which is what editors wrote and people can read."""
    for element in [*root.iter("math")]:
        note = element.find(".//{*}annotation")
        _replace(element, _tex(note.text if note is not None else element.get("alttext")))
    for image in root.xpath("//img[contains(@class, 'mwe-math')]"):
        beside = image.getprevious()  # the same in MathML
        told = beside is not None and "math" in (beside.get("class") or "") and beside.text_content().strip()
        _replace(image, "" if told else _tex(image.get("alt")))
    for hidden in root.xpath("//*[contains(@class, 'mwe-math-mathml')]"):
        hidden.attrib.pop("style", None)


def _tex(source: str | None) -> str:
    source = " ".join((source or "").split())
    styled = _TEX_STYLE.match(source)
    return (styled.group(1) if styled else source).strip()


def _replace(element: HtmlElement, text: str) -> None:
    tail = element.tail
    element.clear()
    element.tag = "span"
    element.text, element.tail = text, tail


def _drop_unread(root: HtmlElement) -> None:
    doomed = [*root.iter(*_UNREAD)]
    for element in root.xpath(".//*[@class and not(self::a)]"):
        if not _UNREAD_CLASSES.isdisjoint(element.get("class").split()):
            doomed.append(element)
    doomed += [element for element in root.xpath(".//*[@style]") if _HIDDEN.search(element.get("style"))]
    for element in doomed:
        if element.getparent() is not None:
            element.drop_tree()


def _put_marks(root: HtmlElement) -> None:
    for element in list(root.iter("pre")):
        _replace(element, element.text_content().replace("\n", LINE))
        element.tag = "p"
    for element in root.iter(*_BLOCKS):
        mark = LINE if element.getparent() is not None and element.getparent().tag in _LINES else GAP
        element.text, element.tail = mark + (element.text or ""), mark + (element.tail or "")
    for element in root.iter(*_LINES):
        if element.tag == "br":
            element.tail = LINE + (element.tail or "")
        else:
            element.text = f"{LINE}- {element.text or ''}" if element.tag == "li" else LINE + (element.text or "")
    for element in list(root.iter(*_HEADINGS)):
        _replace(element, heading(element.tag[1], element.text_content()))


def _blocks(marked: str) -> Iterator[tuple[int, str]]:
    """(level, title) of each heading, and (0, text) of what stands between, lines parted by line breaks."""
    for block in marked.split(GAP):
        if block.startswith(_HEADING):
            yield int(block[1]), block[2:]
        else:
            lines = (" ".join(line.split()) for line in block.split(LINE))
            yield 0, "\n".join(line for line in lines if line and line != "-")


def _paths(blocks: Iterable[tuple[int, str]]) -> Iterator[tuple[tuple[str, ...], str]]:
    path: list[tuple[int, str]] = []
    gathered: list[str] = []
    for level, text in blocks:
        if level and text:
            yield tuple(title for _, title in path), "\n\n".join(gathered)
            path = [above for above in path if above[0] < level] + [(level, text)]
            gathered = []
        elif text:
            gathered.append(text)
    yield tuple(title for _, title in path), "\n\n".join(gathered)
