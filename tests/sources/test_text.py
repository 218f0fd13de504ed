from __future__ import annotations

import pytest

from rag.sources import formats, text
from rag.sources.parts import Facts, Part, RefusedError
from rag.types import Status


def _parts(data: bytes, format_: str) -> list[Part]:
    return [message for message in text.read(data, format_) if isinstance(message, Part)]


def _facts(data: bytes, format_: str) -> Facts:
    return next(message for message in text.read(data, format_) if isinstance(message, Facts))


GERMAN = "Die Größe der Fläche beträgt fünf Quadratmeter. Über die Änderung wird später entschieden."
RUSSIAN = "Размер выручки компании за прошлый год составил пять миллионов рублей."
JAPANESE = "会社の売上高は前年度より増加しました。これは輸出の拡大によるものです。"


@pytest.mark.parametrize(
    ("words", "encoding"),
    [
        (GERMAN, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-32"),
        (GERMAN, "cp1252"),
        ("A naïve visitor of the café paid with a card, “quoted” below, for five coffees – 15 €.", "cp1252"),
        ("Přílohu této smlouvy tvoří ceník výrobků a služeb, který lze měnit jen písemně.", "cp1250"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "utf-16"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc_jp"),
    ],
)
def test_encodings_are_found(words: str, encoding: str) -> None:
    assert text.decode(words.encode(encoding)) == words


def test_what_a_page_declares_counts_when_it_fits() -> None:
    assert text.decode("żółw".encode("iso8859_2"), "iso-8859-2") == "żółw"
    assert text.decode("żółw".encode(), "no-such-encoding") == "żółw"


@pytest.mark.parametrize("data", [bytes(range(256)) * 20, b"\x7fELF\0\0\0\0" * 100])
def test_binary_files_are_no_text(data: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        _parts(data, formats.PLAIN)
    assert refused.value.outcome.status is Status.UNSUPPORTED


def test_an_empty_file_has_no_text() -> None:
    with pytest.raises(RefusedError) as refused:
        _parts(b"", formats.MARKDOWN)
    assert refused.value.outcome.status is Status.NO_TEXT


def test_plain_text_is_normalised_and_joined() -> None:
    assert _parts(b"The infor-\r\nmation\r\nstands.\x07\r\n", formats.PLAIN) == [Part("The information\nstands.")]


def test_markdown_sections() -> None:
    data = (
        b"---\ntitle: 'Front matter'\ntags: x\n---\nIntro with a [link](http://x.y/z_(a) \"t\").\n"
        b"# One #\n![logo](l.png) text <!-- hidden -->\n\n## Two\n\n| a | b |\n|---|:-:|\n| 1 | 2 |\n\n"
        b"```sh\n# no heading\n```\nThree\n=====\nbody\n\nFour\n----\nend\n---\n"
    )
    assert _facts(data, formats.MARKDOWN) == Facts("Front matter")
    assert _parts(data, formats.MARKDOWN) == [
        Part("Intro with a link."),
        Part("One\n\nlogo text", "One", headings=((0, "One"),)),
        Part("Two\n\na | b\n1 | 2\n\n# no heading", "Two", headings=((0, "One > Two"),)),
        Part("Three\n\nbody", "Three", headings=((0, "Three"),)),
        Part("Four", "Four", headings=((0, "Three > Four"),)),
        Part("end", "end", headings=((0, "Three > end"),)),
    ]


def test_html_as_it_is_read() -> None:
    data = b"""<html><head><title> My\n page </title><script>alert(1)</script><style>p{}</style></head><body>
    <nav>Menu</nav><h1>Top</h1><p>Hello <b>bold</b>ly&nbsp;you.<br>Next line</p><!-- no -->
    <h2>Sub</h2><ul><li>one</li><li>two <a href=x>link</a></li></ul>
    <table><tr><th>Year</th><th>Sales</th></tr><tr><td>2024</td><td><b>48</b>.3</td></tr></table>
    <table><tr><td><table><tr><td>in</td><td>side</td></tr></table></td></tr></table>
    <p style="display: none">hidden</p><p hidden>hidden too</p><pre>a  b
c</pre><img alt="A chart" src="http://evil/x.png">tail</body></html>"""
    assert _facts(data, formats.HTML) == Facts("My page")
    assert _parts(data, formats.HTML) == [
        Part("Top\n\nHello boldly you.\nNext line", "Top", headings=((0, "Top"),)),
        Part(
            "Sub\n\n- one\n- two link\n\nYear | Sales\n2024 | 48.3\n\nin | side\n\na  b\nc\n\nA charttail",
            "Sub",
            headings=((0, "Top > Sub"),),
        ),
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<div>" * 1_500 + b"deep" + b"</div>" * 1_500, "deep"),
        ('<meta charset="iso-8859-2"><p>żółw</p>'.encode("iso8859_2"), "żółw"),
        ('<?xml version="1.0" encoding="utf-8"?><html><body><p>żółw</p></body></html>'.encode(), "żółw"),
        (b"just words", "just words"),
    ],
)
def test_html_of_many_kinds_is_read(data: bytes, words: str) -> None:
    assert [part.text for part in _parts(data, formats.HTML)] == [words]


DEEP = b"<p>before</p>" + b"<div>" * 50_000 + b"deep" + b"</div>" * 50_000 + b"<p>after</p>"


@pytest.mark.fault(15)
def test_html_that_is_nested_too_deeply_is_said_to_be_cut() -> None:
    messages = text.read(DEEP, formats.HTML)
    assert [next(messages), next(messages)] == [Facts(), Part("before")]
    with pytest.raises(RefusedError, match="Only its beginning") as refused:
        next(messages)
    assert refused.value.outcome.status is Status.LIMIT
    assert refused.value.outcome.remedy


def test_mail_that_is_nested_too_deeply_keeps_its_head() -> None:
    messages = text.read(MAIL % (b"text/html", DEEP), formats.EMAIL)
    _, part = next(messages), next(messages)
    assert isinstance(part, Part)
    assert part.text.startswith("Subject: Grüße\n")
    assert part.text.endswith("before")
    with pytest.raises(RefusedError, match="Only its beginning"):
        next(messages)


def test_html_without_anything_gives_nothing() -> None:
    assert _parts(b"<!-- -->", formats.HTML) == []


@pytest.mark.parametrize(
    "data",
    [
        b'name;note\nBolt;"long; thin"\n\nNut;4\n',
        b'name\tnote\nBolt\t"long; thin"\nNut\t4\n',
        b"name,note\nBolt,long; thin\nNut,4\n",
    ],
)
def test_csv_rows(data: bytes) -> None:
    assert _parts(data, formats.CSV) == [Part("name | note\nBolt | long; thin\nNut | 4")]


MAIL = b"""Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r
From: Ann <a@example.org>\r
To: b@example.org\r
Date: Mon, 1 Jan 2024 10:00:00 +0000\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary=X\r
\r
--X\r
Content-Type: %s; charset=iso-8859-1\r
\r
%s\r
--X\r
Content-Type: application/pdf\r
Content-Disposition: attachment; filename="invoice.pdf"\r
\r
JVBERi0=\r
--X--\r
"""


@pytest.mark.parametrize(
    ("kind", "body"),
    [(b"text/plain", b"Sch\xf6ne Feiertage!"), (b"text/html", b"<p>Sch&ouml;ne <b>Feiertage</b>!</p>")],
)
def test_mail_with_its_head_and_its_attachments_names(kind: bytes, body: bytes) -> None:
    data = MAIL % (kind, body)
    assert _facts(data, formats.EMAIL) == Facts("Grüße")
    assert _parts(data, formats.EMAIL) == [
        Part(
            "Subject: Grüße\nFrom: Ann <a@example.org>\nTo: b@example.org\nDate: Mon, 01 Jan 2024 10:00:00 +0000\n"
            "Attachments: invoice.pdf\n\nSchöne Feiertage!"
        )
    ]
