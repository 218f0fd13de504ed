"""HTML → Parts: what a reader of the page would read, in its order, tables as "a | b" rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rag.sources.clean import normalize
from rag.sources.parts import Facts, Part, RefusedError
from rag.sources.sections import Line, row, sections
from rag.types import Status

_UNREAD_TAGS = "script style template noscript nav svg math iframe object head button select textarea"
_LINE_TAGS = "li tr td th dt dd caption thead tbody tfoot figcaption legend option summary hr br"
_PARAGRAPH_TAGS = (
    "address article aside blockquote body details dialog div dl fieldset figure footer form header html main ol p "
    "pre section table ul"
)
_UNREAD, _LINES, _PARAGRAPHS = (frozenset(tags.split()) for tags in (_UNREAD_TAGS, _LINE_TAGS, _PARAGRAPH_TAGS))
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.I)
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")


if TYPE_CHECKING:
    from lxml.html import HtmlElement


def read_html(text: str) -> Iterator[Part | Facts]:
    """Raises RefusedError at the end if the page had to be cut: libxml2 gives up where elements are nested some 2,000
    deep, keeps what stands before, and says so in its log alone."""
    import lxml.html

    parser = lxml.html.HTMLParser(remove_comments=True, remove_pis=True, huge_tree=True)  # else at 256
    try:
        root = lxml.html.document_fromstring(_DECLARATION.sub("", text), parser=parser)
    except lxml.etree.ParserError:  # there is no element in it
        yield Facts()
        return
    yield Facts(title=" ".join(normalize(root.findtext(".//title") or "").split()))
    yield from sections(_lines(root))
    if parser.error_log.filter_from_fatals():
        reason = "Only its beginning is read: then its elements are nested too deeply"
        raise RefusedError(Status.LIMIT, reason, "Open it in a browser and print it to a PDF.")


def _lines(root: HtmlElement) -> Iterator[Line]:
    """The lines of the page. A walk and no recursion: elements may be nested ten thousand deep."""
    from lxml import etree

    words: list[str] = []
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        tag = element.tag
        whole = _whole(element) if event == "start" else None
        if tag in _LINES or tag in _PARAGRAPHS or whole:
            yield from _flushed(words)
        if event == "end":
            if tag in _PARAGRAPHS:
                yield "", 0
            words.append(element.tail or "")
        elif whole is not None:
            yield from whole
            walk.skip_subtree()
        else:
            words.append("- " if tag == "li" else element.get("alt") or "" if tag == "img" else "")
            words.append(element.text or "")
    yield from _flushed(words)


def _whole(element: HtmlElement) -> list[Line] | None:
    """The lines of an element that is read in one go (none, for what is not shown), None for all others."""
    tag = element.tag
    if tag in _UNREAD or "hidden" in element.attrib or _HIDDEN.search(element.get("style") or ""):
        return []
    if tag in _HEADINGS:
        return [(_text(element), _HEADINGS[tag])]
    if tag == "pre":
        return [(line, 0) for line in element.text_content().split("\n")]
    if tag == "tr" and element.find(".//table") is None:  # a row that holds a table lays out the page
        return [(row(_text(cell) for cell in element.iterchildren("td", "th")), 0)]
    return None


def _text(element: HtmlElement) -> str:
    """On one line: words of different blocks apart, pieces of one word together."""
    from lxml import etree

    words: list[str] = []
    for event, node in etree.iterwalk(element, events=("start", "end")):
        if node.tag in _LINES or node.tag in _PARAGRAPHS:
            words.append(" ")
        if event == "start":
            words.append(node.text or "")
        elif node is not element:
            words.append(node.tail or "")
    return " ".join("".join(words).split())


def _flushed(words: list[str]) -> Iterator[Line]:
    line = " ".join("".join(words).split())
    words.clear()
    if line and line != "-":
        yield line, 0
