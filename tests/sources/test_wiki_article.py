"""An article's HTML, as wikis of several ages write it, to text and section paths."""

from __future__ import annotations

import pytest

from rag.sources.wiki.article import choices, is_ambiguous, is_redirect, read_article

ENIGMA = """<div class="mw-parser-output"><div class="shortdescription" style="display:none">Machine</div>
<div role="note" class="hatnote">For other uses, see Riddle.</div>
<p>The <b>Enigma</b> machine is a cipher de<i>vice</i>.<sup class="reference"><a href="#c">[1]</a></sup> It was
broken.<style>.x{}</style></p>
<div id="toc" class="toc"><h2>Contents</h2></div>
<div class="mw-heading mw-heading2"><h2 id="History">History</h2><span class="mw-editsection">[edit]</span></div>
<p>Built by Scherbius.</p>
<h3><span class="mw-headline">Breaking</span><span class="mw-editsection">[edit]</span></h3>
<p>In Poland.</p><ul><li>Rejewski<ul><li>first</li></ul></li><li>Zygalski</li></ul>
<h2>References</h2><div class="reflist"><ol class="references"><li>Kahn</li></ol></div>
<h3>Primary</h3><p>Some book.</p>
<h2>Legacy</h2><p>Famous<span style="display:none">sort key</span>.</p>
<h2>Empty</h2>
<div role="navigation" class="navbox"><table><tr><td>Ciphers</td></tr></table></div></div>"""


def test_text_and_section_paths_without_references_and_navigation() -> None:
    article = read_article(ENIGMA)
    assert article.text == (
        "The Enigma machine is a cipher device. It was broken.\n\nBuilt by Scherbius.\n\n"
        "In Poland.\n\n- Rejewski\n- first\n- Zygalski\n\nFamous."
    )
    places = {mark.label: article.text[mark.offset :].partition("\n")[0] for mark in article.marks}
    assert places == {"History": "Built by Scherbius.", "History > Breaking": "In Poland.", "Legacy": "Famous."}


def rows(html: str) -> list[str]:
    return [line for line in read_article(f'<div class="mw-parser-output">{html}</div>').text.split("\n") if line]


def test_an_infobox_is_label_and_value_under_its_heads() -> None:
    box = """<table class="infobox vcard"><tbody><tr><th colspan="2">Fresno</th></tr>
    <tr><td colspan="2"><img src="x"></td></tr>
    <tr><th>Country</th><td>United States<sup class="reference">[2]</sup></td></tr>
    <tr><th colspan="2">Population (2020)</th></tr><tr><th>•&nbsp;City</th><td>542,107</td></tr>
    <tr><th>Mayors</th><td><ul><li>A. Brand</li><li>J. Dyer</li></ul></td></tr></tbody></table>"""
    assert rows(box) == [
        "Fresno",
        "Country | United States",
        "Population (2020) > City | 542,107",
        "Population (2020) > Mayors | A. Brand, J. Dyer",
    ]


def test_cells_that_span_are_said_under_each_head() -> None:
    table = """<table class="wikitable"><caption>Medals</caption>
    <tr><th rowspan="2">Games</th><th colspan="2">Medals</th></tr><tr><th>Gold</th><th>Silver</th></tr>
    <tr><td rowspan="2">1912</td><td>1</td><td>2</td></tr><tr><td>3</td><td>4</td></tr>
    <tr><td>1920</td><td colspan="2">none</td></tr><tr><td colspan="3">Held in war years</td></tr></table>"""
    assert rows(table) == [
        "Medals",
        "Games | Medals Gold | Medals Silver",
        "1912 | 1 | 2",
        "1912 | 3 | 4",
        "1920 | none | none",
        "Held in war years",
    ]


def test_a_table_that_only_lays_out_a_page_is_read_as_blocks() -> None:
    inner = "<table class=wikitable><tr><th>a</th><td>1</td></tr></table>"
    assert rows(f"<table><tr><td><p>Left.</p></td><td>{inner}</td></tr></table>") == ["Left.", "a | 1"]


@pytest.mark.parametrize("span", ["0", "-3", "1e9", "99999999999", "٣", ""])
def test_spans_without_sense_do_no_harm(span: str) -> None:
    assert rows(f'<table><tr><td colspan="{span}" rowspan="{span}">a</td><td>b</td></tr><tr><td>c</td></tr></table>')


def test_a_table_of_a_million_cells_has_bounds() -> None:
    row = '<tr><td colspan="1000" rowspan="1000">x</td></tr>'
    assert len(read_article(f"<table>{row * 1000}</table>").text) < 3_000_000


@pytest.mark.parametrize(
    "formula",
    [
        '<span class="mwe-math-element"><span class="mwe-math-mathml-inline" style="display: none;"><math alttext="x">'
        "<semantics><mrow><mi>E</mi></mrow>"
        '<annotation encoding="application/x-tex">{\\displaystyle E=mc^{2}}</annotation></semantics>'
        '</math></span><img class="mwe-math-fallback-image-inline" alt="{\\displaystyle E=mc^{2}}"></span>',
        '<img class="mwe-math-fallback-image-inline" alt="{\\displaystyle E=mc^{2}}">',
        '<math alttext="E=mc^{2}"><mi>E</mi></math>',
    ],
)
def test_mathematics_is_its_tex(formula: str) -> None:
    assert rows(f"<p>Thus {formula} holds.</p>") == ["Thus E=mc^{2} holds."]


@pytest.mark.parametrize(
    "html", ["", " ", "<", "<!-- x -->", "\x00", "<p>\ue000\ue001\ue0022x</p>", "<table>", "&#x1F600;"]
)
def test_what_makes_no_sense_gives_little_and_never_fails(html: str) -> None:
    assert read_article(html).marks == ()


def test_deep_nesting_is_no_recursion() -> None:
    read_article("<div>" * 20_000 + "x")


def test_choices_of_a_disambiguation_page_are_the_articles_that_exist() -> None:
    page = """<ul><li><a href="/wiki/Mercury" title="Mercury (planet)">Mercury</a>, a <a title="Planet">planet</a></li>
    <li><a href="/w?action=edit&amp;redlink=1" title="Mercury (dog) (page does not exist)">dog</a></li>
    <li>no link</li></ul>"""
    assert choices(page) == ["Mercury (planet)"]


def test_pages_of_archives_that_are_no_articles() -> None:
    assert is_ambiguous('<div class="dmbox metadata" id="disambigbox">')
    assert is_ambiguous('<meta property="mw:PageProp/disambiguation"/>')
    assert not is_ambiguous(ENIGMA)
    assert is_redirect('<html><head><meta http-equiv="refresh" content="0;url=B">')
    assert not is_redirect(ENIGMA)
