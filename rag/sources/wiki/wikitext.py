"""An article's wikitext → its text and section paths, as `article` makes them of HTML. Pure.

Templates are programs of the wiki, which a dump does not run: those that only wrap words give their words, infoboxes
give their rows, and all others give nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rag.sources.sections import row
from rag.sources.wiki.article import GAP, Text, heading, structured, without_marks
from rag.sources.wiki.tables import LINE, Cell, rows_of, span

if TYPE_CHECKING:
    from mwparserfromhell.nodes import Tag, Template
    from mwparserfromhell.wikicode import Wikicode

_UNREAD = frozenset("ref references gallery style script timeline imagemap syntaxhighlight templatestyles".split())
# Links that show a file, sort the page, or lead to the same article in another language.
_ELSEWHERE = re.compile(
    r"\s*(?:(?:file|image|media|category|datei|bild|kategorie|fichier|catégorie|archivo|imagen|categoría|categoria|immagine"
    r"|ficheiro|imagem|bestand|afbeelding|categorie|plik|grafika|kategoria|файл|категория|ファイル|カテゴリ|文件|分类)\s*:"
    r"|[a-z]{2,3}(?:-[a-z]+)*:\S)",
    re.I,
)
# What most of any article's marks are: taken out by pattern, a parser has a third of the work.
_SIMPLE_REFERENCE = re.compile(r"<ref\b[^<>]*(?:/>|(?<!/)>[^<]*</ref>)", re.I)
_SIMPLE_LINK = re.compile(r"\[\[(?:[^\[\]|:{}<>\n]*\|)?([^\[\]|:{}<>\n]+)\]\]")
_LAST = frozenset(  # templates that only wrap words, which are their last unnamed parameter, or their first
    "lang transl transliteration smaller larger nbsp interlanguage link script tq".split()
)
_FIRST = frozenset("nowrap nobr small big abbr ill sic circa c. ipa ipac-en".split())
_JOINED = frozenset("convert cvt val".split())  # a number and its unit
_AMBIGUOUS = re.compile(
    r"\{\{\s*(?:[\w -]*disambig[\w -]*|dab|hndis|geodis|begriffsklärung|homonymie|desambiguación|disambigua)\s*[|}]"
    r"|__DISAMBIG__",
    re.I,
)
_MAGIC = re.compile(r"__[A-Z]{3,20}__")


def is_ambiguous(source: str) -> bool:
    """Whether it is a page that only tells articles of like names apart."""
    return _AMBIGUOUS.search(source) is not None


def read_wikitext(source: str) -> Text:
    import mwparserfromhell

    simpler = _SIMPLE_LINK.sub(r"\1", _SIMPLE_REFERENCE.sub("", _MAGIC.sub("", without_marks(source))))
    code = mwparserfromhell.parse(simpler, skip_style_tags=True)
    return structured("".join(_pieces(code)).replace("'''", "").replace("''", ""))


def _pieces(code: Wikicode) -> Iterator[str]:
    for node in code.nodes:
        yield _READERS[type(node).__name__](node)


def _text(code: Any) -> str:
    return "".join(_pieces(code)) if code is not None else ""


def _plain(node: Any) -> str:
    """Blank lines part paragraphs."""
    return re.sub(r"\n\s*\n", GAP, str(node))


def _link(node: Any) -> str:
    if _ELSEWHERE.match(str(node.title)) and not str(node.title).startswith(":"):
        return ""
    return _text(node.text) if node.text is not None else str(node.title).lstrip(":")


def _template(node: Template) -> str:
    name = str(node.name).strip().lower()
    values = [_text(p.value).strip() for p in node.params if not p.showkey]
    if name.startswith(("infobox", "taxobox", "automatic taxobox")):
        return GAP + LINE.join(_infobox(node)) + GAP
    if name in _JOINED:
        return " ".join(values[:2])
    if not values or name not in _LAST | _FIRST:
        return ""
    return values[0] if name in _FIRST else values[-1]


def _infobox(node: Template) -> Iterator[str]:
    for parameter in node.params:
        label = str(parameter.name).strip().replace("_", " ")
        value = " ".join(_text(parameter.value).replace(GAP, " ").replace(LINE, ", ").split()).strip(" ,")
        if value and not re.search(r"image|caption|logo|map|signature|alt$|size|width|footnote", label):
            yield row([label, value])


def _tag(node: Tag) -> str:
    name = str(node.tag).strip().lower()
    if name in _UNREAD:
        return ""
    if name == "math":
        return " ".join(str(node.contents).split())
    if name == "table":
        return GAP + LINE.join(_table(node)) + GAP
    if name in {"li", "dd", "dt"}:  # one of the signs "*", "#", ":" and ";", before its text
        return f"{LINE}- " if name == "li" else LINE
    if name in {"br", "hr"}:
        return LINE
    inner = _text(node.contents)
    return f"{GAP}{inner}{GAP}" if name in {"p", "div", "blockquote", "center", "pre"} else inner


def _table(node: Tag) -> Iterator[str]:
    rows: list[list[Cell]] = []
    for part in node.contents.nodes:
        tag = str(getattr(part, "tag", "")).strip().lower()
        if tag == "tr":
            rows.append(_cells(part.contents))
        elif tag in {"td", "th"}:  # the first row needs no sign of its own
            rows = rows or [[]]
            rows[0] += [_cell(part)]
    if rows and rows[0] and rows[0][0].text.startswith("+"):  # a caption, which looks like a cell
        yield rows[0].pop(0).text.lstrip("+ ")
    yield from rows_of([cells for cells in rows if cells])


def _cells(code: Any) -> list[Cell]:
    return [_cell(part) for part in code.nodes if str(getattr(part, "tag", "")).strip().lower() in {"td", "th"}]


def _cell(part: Tag) -> Cell:
    words = " ".join(_text(part.contents).replace(GAP, " ").replace(LINE, " ").split())
    return Cell(words, str(part.tag).strip().lower() == "th", _span(part, "colspan"), _span(part, "rowspan"))


def _span(part: Tag, name: str) -> int:
    return span(str(part.get(name).value)) if part.has(name) else 1


_READERS: dict[str, Callable[[Any], str]] = {
    "Text": _plain,
    "Wikilink": _link,
    "ExternalLink": lambda node: _text(node.title),
    "Template": _template,
    "Tag": _tag,
    "Heading": lambda node: heading(str(node.level), _text(node.title)) if node.level > 1 else GAP,
    "HTMLEntity": lambda node: node.normalize(),
    "Comment": lambda node: "",
    "Argument": lambda node: "",
}
