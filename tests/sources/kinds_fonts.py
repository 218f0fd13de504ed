"""PDFs whose letters are hard to tell: other scripts, ligatures, fonts that map glyphs wrongly."""

from __future__ import annotations

import io
import os
import string
from collections.abc import Iterator, Sequence

from kinds import READ, Kind
from pdf_writer import assemble, show, stream
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen import canvas

from rag.types import Status

DEJAVU = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
SENTENCE = "The notice period for all managers is ninety days, and the refund of the company is paid within thirty. "

CJK = {
    "STSong-Light": "通知期为九十天。退款在三十天内支付。",
    "MSung-Light": "通知期為九十天。退款在三十天內支付。",
    "HeiseiMin-W3": "解約の予告期間は九十日です。返金は三十日以内。",
    "HYSMyeongJo-Medium": "통지 기간은 구십일입니다. 환불은 삼십일 이내.",
}
# Encodings of their own, by the name of the map that PDF readers know them by.
CMAPS = [
    ("GBK-EUC-H", "GB1", "gbk", "通知期为九十天"),
    ("UniGB-UCS2-H", "GB1", "utf-16-be", "通知期为九十天"),
    ("ETen-B5-H", "CNS1", "big5", "通知期為九十天"),
    ("90ms-RKSJ-H", "Japan1", "cp932", "予告期間は九十日"),
    ("UniJIS-UTF16-H", "Japan1", "utf-16-be", "予告期間は九十日"),
    ("KSCms-UHC-H", "Korea1", "cp949", "통지기간은구십일"),
    ("UniKS-UCS2-V", "Korea1", "utf-16-be", "통지기간은구십일"),
]


def _page(font: bytes, content: bytes, *more: bytes) -> bytes:
    """A page in font 4; `more` are objects from 7 on."""
    leaf = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 4 0 R>>>>/Contents 5 0 R>>"
    tree = b"<</Type/Pages/Kids[6 0 R]/Count 1>>"
    return assemble([b"<</Type/Catalog/Pages 2 0 R>>", tree, b"null", font, stream(content), leaf, *more])


def _lines(texts: Sequence[str], font: str) -> bytes:
    out = io.BytesIO()
    drawn = canvas.Canvas(out, invariant=True)
    drawn.setFont(font, 12)
    for n, text in enumerate(texts):
        drawn.drawString(60, 740 - 20 * n, text)
    drawn.save()
    return out.getvalue()


def scripts() -> Iterator[Kind]:
    for font, text in CJK.items():
        pdfmetrics.registerFont(UnicodeCIDFont(font))
        yield Kind(f"cjk-{font}", _lines([text], font), READ, [text[:6]])
    for cmap, ordering, encoding, text in CMAPS:
        system = b"/CIDSystemInfo<</Registry(Adobe)/Ordering(%s)/Supplement 2>>" % ordering.encode()
        below = b"<</Type/Font/Subtype/CIDFontType0/BaseFont/Any%s/DW 1000/FontDescriptor 8 0 R>>" % system
        above = b"<</Type/Font/Subtype/Type0/BaseFont/Any/Encoding/%s/DescendantFonts[7 0 R]>>" % cmap.encode()
        descriptor = b"<</Type/FontDescriptor/FontName/Any/Flags 6/FontBBox[0 0 1000 1000]/Ascent 800/StemV 80>>"
        content = b"BT /F1 12 Tf 60 700 Td <%s> Tj ET" % text.encode(encoding).hex().encode()
        yield Kind(f"cmap-{cmap}", _page(above, content, below, descriptor), READ, [text])
    if not os.path.exists(DEJAVU):
        return
    pdfmetrics.registerFont(TTFont("DejaVu", DEJAVU))
    for name, text in {
        "russian": "Срок уведомления составляет девяносто дней.",
        "greek": "Η προθεσμία ειδοποίησης είναι ενενήντα ημέρες.",
        "polish": "Okres wypowiedzenia wynosi dziewięćdziesiąt dni.",
        "vietnamese": "Thời hạn thông báo là chín mươi ngày.",
    }.items():
        yield Kind(f"script-{name}", _lines([text], "DejaVu"), READ, [text])
    for name, text in {"arabic": "فترة الإشعار تسعون يوما", "hebrew": "תקופת ההודעה תשעים יום"}.items():
        yield Kind(f"rtl-{name}", _lines([text[::-1]], "DejaVu"), READ, [text])  # as pages are drawn: from the left


def letters() -> Iterator[Kind]:
    simple = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica%s>>"
    ligatures = b"/Encoding<</Type/Encoding/Differences[1/fi/fl/ff/ffi/ffl]>>"
    content = b"BT /F1 12 Tf 60 700 Td (The \\001nal o\\003er, e\\004cient and a\\005uent.) Tj ET"
    words = ["The final offer, efficient and affluent."]
    yield Kind("ligatures-by-name", _page(simple % ligatures, content), READ, words)
    upper = b"/Encoding<</Type/Encoding/BaseEncoding/WinAnsiEncoding/Differences[65/uni0041/u0042/C]>>"
    yield Kind("letters-by-code", _page(simple % upper, show("ABC is a code")), READ, ["ABC is a code"])
    for name in (b"StandardEncoding", b"MacRomanEncoding", b"MacExpertEncoding", b"PDFDocEncoding", b"NoEncoding"):
        made = _page(simple % (b"/Encoding/" + name), show(SENTENCE))
        yield Kind(f"encoding-{name.decode()}", made, READ, ["notice period"])
    kerned = b"BT /F1 12 Tf 60 700 Td [(The) -300 (no) 20 (tice) -280 (per) 10 (iod) -300 (is) -300 (ninety)] TJ ET"
    yield Kind("kerned", _page(simple % b"", kerned), READ, ["The notice period is ninety"])
    apart = b"BT /F1 12 Tf 5 Tc 60 700 Td (Notice) Tj ET"
    yield Kind("letter-spaced", _page(simple % b"", apart), READ)
    spread = (b"1 0 0 1 %d 700 Tm (%c) Tj" % (60 + 7 * n, letter) for n, letter in enumerate(b"nounce"))
    placed = b"BT /F1 12 Tf %s ET" % b" ".join(spread)
    yield Kind("letters-placed-one-by-one", _page(simple % b"", placed), READ, ["nounce"])
    bold = b"BT /F1 12 Tf 1 0 0 1 60 700 Tm (Total 4711) Tj 1 0 0 1 60.3 700 Tm (Total 4711) Tj ET"
    yield Kind("bold-printed-twice", _page(simple % b"", bold), READ, ["Total 4711"])
    unseen = b"BT /F1 12 Tf 3 Tr 60 700 Td (Invisible notice period) Tj ET"
    yield Kind("invisible", _page(simple % b"", unseen), READ, ["Invisible notice period"])
    for size in (b"0", b"-12", b"100000"):
        odd = b"BT /F1 %s Tf 60 700 Td (The notice period is ninety days.) Tj ET" % size
        yield Kind(f"size-{size.decode()}", _page(simple % b"", odd), READ, ["notice period"])
    actual = b"/Span<</ActualText(ninety)>>BDC BT /F1 12 Tf 60 700 Td (90 days of notice) Tj ET EMC"
    yield Kind("actual-text", _page(simple % b"", actual), READ)
    nothing = b"BT /F9 12 Tf 60 700 Td (The notice period is ninety days.) Tj ET"
    yield Kind("font-not-there", _page(simple % b"", nothing), READ, ["notice period"])
    for name, font in {"null": b"null", "empty": b"<<>>", "itself": b"4 0 R", "number": b"42"}.items():
        yield Kind(f"font-is-{name}", _page(font, show(SENTENCE)), READ, ["notice period"])
    procedure = stream(b"1000 0 0 0 750 750 d1 0 0 750 750 re f")
    glyphs = b"/FontBBox[0 0 750 750]/FontMatrix[.001 0 0 .001 0 0]/FirstChar 97/LastChar 98/Widths[1000 1000]"
    names = b"/CharProcs<</a 7 0 R/b 7 0 R>>/Encoding<</Type/Encoding/Differences[97/a/b]>>"
    drawn = b"<</Type/Font/Subtype/Type3%s%s>>" % (glyphs, names)
    yield Kind("type-3-with-letters", _page(drawn, show("abba baba abab"), procedure), READ, ["abba"])


def _mapped(pairs: Sequence[tuple[int, str]]) -> bytes:
    lines = b"\n".join(b"<%02x> <%s>" % (code, text) for code, text in ((c, t.encode()) for c, t in pairs))
    return stream(b"/CIDInit/ProcSet findresource begin 12 dict begin begincmap 1 begincodespacerange <00> <ff> "
                  b"endcodespacerange %d beginbfchar\n%s\nendbfchar endcmap end end" % (len(pairs), lines))  # fmt: skip


def _with_map(text: str, glyph: dict[str, str]) -> bytes:
    """Text whose font says that each character is what `glyph` makes of it (in hexadecimal UTF-16)."""
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 7 0 R>>"
    pairs = [(ord(char), glyph[char]) for char in sorted(set(text)) if char in glyph]
    lines = [text[n : n + 80] for n in range(0, len(text), 80)]
    return _page(font, show(*lines), _mapped(pairs))


def garbled() -> Iterator[Kind]:
    """Text layers that do not say what is shown, which must not be indexed as if they did."""
    flagged = (Status.GARBLED,)
    text = SENTENCE * 8
    letters_ = [char for char in set(text) if char != " "]
    yield Kind("to-private-use", _with_map(text, {c: f"{0xE000 + ord(c):04x}" for c in letters_}), flagged)
    yield Kind("to-controls", _with_map(text, {c: f"{1 + ord(c) % 8:04x}" for c in letters_}), flagged)
    yield Kind("to-replacement", _with_map(text, dict.fromkeys(letters_, "fffd")), flagged)
    yield Kind("to-surrogates", _with_map(text, dict.fromkeys(letters_, "d800")), flagged)
    yield Kind("to-symbols", _with_map(text, {c: f"{0xA1 + ord(c) % 30:04x}" for c in letters_}), flagged)
    shifted = {c: f"{ord(c) - 29 if ord(c) > 61 else ord(c) + 64:04x}" for c in letters_}
    yield Kind("to-letters-29-before", _with_map(text, shifted), flagged)
    small = string.ascii_lowercase
    swapped = {c: f"{ord(d):04x}" for c, d in zip(small, small[9:] + small[:9], strict=True)}
    yield Kind("to-other-letters", _with_map(text, swapped), flagged)
    # What is right although the map looks odd.
    yield Kind("map-with-several-letters", _with_map("The 1nal offer.", {"1": "00660069"}), READ, ["final"])
    yield Kind("map-empty", _with_map(text, {}), READ, ["notice period"])
    yield Kind("map-of-a-few", _with_map(text, {"T": "0054"}), READ, ["notice period"])


def all_of_fonts() -> Iterator[Kind]:
    for kinds in (scripts, letters, garbled):
        yield from kinds()
