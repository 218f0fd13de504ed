"""HTML that is safe by construction: whatever is not `Html` already is text, and is escaped where it enters.

A page is one file that loads nothing, runs nothing and follows the reader's light or dark setting.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from rag.terminal import plain

CSP = "default-src 'none'; style-src 'unsafe-inline'"
VOID = {"meta", "br", "line", "rect", "circle", "path", "polyline"}

CSS = """
:root { color-scheme: light dark; --paper: #fafaf7; --card: #ffffff; --ink: #1b1d21; --soft: #62676f; --line: #e2e2dc;
  --one: #1d5fae; --two: #c2540a; --three: #2b7d56; --good: #22774d; --bad: #b3352c }
@media (prefers-color-scheme: dark) { :root { --paper: #131518; --card: #1b1e22; --ink: #e7e8ea; --soft: #9ba1a9;
  --line: #30343a; --one: #74aef0; --two: #f29b5c; --three: #6ecb9a; --good: #6ecb9a; --bad: #f08a80 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 80px }
h1 { font-size: 28px; line-height: 1.2; letter-spacing: -.01em; margin: 0 0 6px; overflow-wrap: anywhere }
h2 { font-size: 19px; margin: 44px 0 12px; letter-spacing: -.005em }
h3 { font-size: 14px; margin: 0 0 10px; font-weight: 600 }
p { margin: 0 0 12px; max-width: 72ch } .soft { color: var(--soft) } small { font-size: 13px }
.tiles { display: grid; gap: 12px; margin: 24px 0 0;
  grid-template-columns: repeat(auto-fit, minmax(min(46%, 208px), 1fr)) }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 16px }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px; min-width: 0 }
.tile b { display: block; font-size: 27px; font-weight: 650; line-height: 1.25; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums }
.tile span { display: block; color: var(--soft); font-size: 12.5px; font-variant-numeric: tabular-nums }
.wide { overflow-x: auto; padding: 4px 18px 8px }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th { text-align: left; font-weight: 600; font-size: 12.5px; color: var(--soft); padding: 9px 18px 7px 0;
  border-bottom: 1px solid var(--line) }
td { padding: 6px 18px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top;
  mso-number-format: "\\@" } /* text, no formula, where Excel opens the page */
tr:last-child td { border-bottom: 0 }
td:last-child, th:last-child { padding-right: 0 }
td.number, th.number { text-align: right; white-space: nowrap }
td.group { padding-top: 16px; font-weight: 600 } .plain { font-weight: 400; white-space: pre-wrap }
.card + p { margin-top: 14px } .under { display: block; line-height: 1.2; font-size: 11.5px }
code { font: 13px/1.4 ui-monospace, "SF Mono", Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere }
svg { display: block; width: 100%; height: auto; overflow: visible }
svg.bar { width: 130px; height: 16px } svg text { fill: var(--soft); font-size: 11.5px }
svg text.label { fill: var(--ink) } .axis { stroke: var(--line); stroke-width: 1 }
.one { stroke: var(--one); fill: var(--one) } .two { stroke: var(--two); fill: var(--two) }
.three { stroke: var(--three); fill: var(--three) } .curve { fill: none; stroke-width: 2; stroke-linejoin: round }
.curve.two { stroke-dasharray: 5 4 } .flat { stroke: none }
.faint { fill-opacity: .12 } .band { stroke-width: 5; opacity: .3 } td code { white-space: nowrap }
.key { display: flex; flex-wrap: wrap; gap: 2px 16px; font-size: 12.5px; color: var(--soft); margin-top: 8px }
.key i { display: inline-block; width: 14px; height: 3px; border-radius: 2px; margin-right: 6px; vertical-align: 3px }
i.one { background: var(--one) }
i.two { background: repeating-linear-gradient(90deg, var(--two) 0 5px, transparent 5px 9px) }
i.three { background: var(--three) }
details { background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin: 0 0 8px }
summary { cursor: pointer; padding: 11px 18px; margin-left: 18px; overflow-wrap: anywhere }
summary small { color: var(--soft); display: block }
details > div { padding: 4px 18px 14px; display: grid; gap: 4px 24px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)) }
.quote { margin: 0 0 10px; padding-left: 12px; border-left: 2px solid var(--line); overflow-wrap: anywhere }
.quote.right { border-color: var(--good) } .quote.wrong { border-color: var(--bad) }
.good { color: var(--good) } .bad { color: var(--bad) }
@media print { body { background: none } details { break-inside: avoid } }
"""


class Html(str):
    """Markup. Only `tag`, `join` and `page` make it."""

    __slots__ = ()


def tag(name: str, *content: str, **attributes: object) -> Html:
    """`<name attributes>content</name>`. A trailing underscore of an attribute's name goes (class_), other ones become
    dashes."""
    named = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None)
    head = "".join(f' {key}="{html.escape(str(value))}"' for key, value in named)
    if name in VOID:
        return Html(f"<{name}{head}/>")
    return Html(f"<{name}{head}>{join(content)}</{name}>")


def join(pieces: Iterable[str]) -> Html:
    return Html("".join(piece if isinstance(piece, Html) else html.escape(plain(piece)) for piece in pieces))


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> Html:
    """`numbers` are the columns set flush right. A row of one cell is a heading of those below it."""
    body = []
    for row in rows:
        if len(row) == 1:
            body.append(tag("tr", tag("td", row[0], class_="group", colspan=len(head))))
        else:
            body.append(tag("tr", *_cells("td", row, numbers)))
    whole = tag("table", tag("thead", tag("tr", *_cells("th", head, numbers))), tag("tbody", *body))
    return tag("div", whole, class_="card wide")


def _cells(name: str, row: Sequence[str], numbers: Sequence[int]) -> list[Html]:
    return [tag(name, cell, class_="number" if i in numbers else None) for i, cell in enumerate(row)]


def tile(value: str, title: str, note: str) -> Html:
    return tag("div", tag("span", title), tag("b", value), tag("span", note), class_="card tile")


def page(title: str, *content: str) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=CSP),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(CSS)),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, tag('body', tag('main', *content)), lang='en')}\n"
