"""PDFs whose pages are pictures, whatever the picture is made of, and pages that only look as if they were."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator

from kinds import LEFT, READ, Kind
from kinds_structure import LINES
from pdf_writer import assemble, show, stream
from PIL import Image, ImageDraw

from rag.types import Status

FLAGGED = (Status.NO_TEXT,)
FULL = b"q 612 0 0 792 0 0 cm /X Do Q"


def scan() -> Image.Image:
    """A page of print as a scanner sees it."""
    image = Image.new("L", (612, 792), 255)
    pen = ImageDraw.Draw(image)
    for n in range(8):
        pen.text((60, 80 + 40 * n), LINES[n % 3], fill=0, font_size=24)
    return image


def page(content: bytes, resources: bytes = b"/XObject<</X 6 0 R>>", *more: bytes) -> bytes:
    """One page. Object 4 is Helvetica, `more` are objects from 6 on."""
    leaf = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 4 0 R>>%s>>/Contents 5 0 R>>"
    tree = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
    font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    return assemble([b"<</Type/Catalog/Pages 2 0 R>>", tree, leaf % resources, font, stream(content), *more])


def image(data: bytes, head: bytes, side: tuple[int, int] = (612, 792), color: bytes = b"/DeviceGray") -> bytes:
    size = b"/Width %d/Height %d" % side
    return stream(data, b"/Type/XObject/Subtype/Image%s/ColorSpace%s/BitsPerComponent 8%s" % (size, color, head))


def _saved(form: str, **how: object) -> bytes:
    out = io.BytesIO()
    scan().save(out, form, **how)
    return out.getvalue()


def scans() -> Iterator[Kind]:
    raw = scan().tobytes()
    for name, made in {
        "raw": image(raw, b""),
        "flate": image(zlib.compress(raw), b"/Filter/FlateDecode"),
        "jpeg": image(_saved("JPEG"), b"/Filter/DCTDecode"),
        "jpeg-cut": image(_saved("JPEG")[:3000], b"/Filter/DCTDecode"),
        "jpeg-in-flate": image(zlib.compress(_saved("JPEG")), b"/Filter[/FlateDecode/DCTDecode]"),
        "jpeg-2000": image(_saved("JPEG2000"), b"/Filter/JPXDecode"),
        "jpeg-2000-broken": image(b"\0\0\0\x0cjP  not one", b"/Filter/JPXDecode"),
        "jbig2-broken": image(b"\0\0\0\0garbage", b"/Filter/JBIG2Decode"),
        "fax-broken": image(b"\x26\xa0\x40" * 50, b"/Filter/CCITTFaxDecode/DecodeParms<</K -1/Columns 612>>"),
        "of-unknown-filter": image(b"nobody knows", b"/Filter/WebPDecode"),
        "without-data": image(b"", b""),
        "a-billion-pixels-wide": image(b"x", b"", (10**9, 1)),
        "of-color-space-itself": image(raw, b"", color=b" 6 0 R"),
    }.items():
        yield Kind(f"scan-{name}", page(FULL, b"/XObject<</X 6 0 R>>", made), FLAGGED)
    grey = image(zlib.compress(raw), b"/Filter/FlateDecode")
    inline = b"q 612 0 0 792 0 0 cm BI /W 612 /H 792 /CS /G /BPC 8 /F /Fl ID " + zlib.compress(raw) + b" EI Q"
    yield Kind("scan-inline", page(inline, b""), FLAGGED)
    box = b"/Type/XObject/Subtype/Form/BBox[0 0 612 792]/Resources<</XObject<</X 7 0 R>>>>"
    yield Kind("scan-in-a-form", page(b"/X Do", b"/XObject<</X 6 0 R>>", stream(FULL, box), grey), FLAGGED)
    strips = b"".join(b"q 612 0 0 99 0 %d cm /X Do Q " % (99 * n) for n in range(8))
    yield Kind("scan-in-strips", page(strips, b"/XObject<</X 6 0 R>>", grey), FLAGGED)
    tile = b"/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 612 792]/XStep 612/YStep 792"
    tile += b"/Resources<</XObject<</X 7 0 R>>>>"
    painted = b"/Pattern cs /P scn 0 0 612 792 re f"
    yield Kind("scan-as-a-pattern", page(painted, b"/Pattern<</P 6 0 R>>", stream(FULL, tile), grey), FLAGGED)
    layer = FULL + b" BT /F1 12 Tf 3 Tr 60 700 Td (%s) Tj ET" % LINES[0].encode()
    yield Kind("scan-over-invisible-text", page(layer, b"/XObject<</X 6 0 R>>", grey), READ, LINES[:1])
    numbered = page(FULL + show("- 12 -"), b"/XObject<</X 6 0 R>>", grey)
    yield Kind("scan-with-a-page-number", numbered, LEFT, ["12"])
    yield Kind("scan-upside-down", page(b"q -612 0 0 -792 612 792 cm /X Do Q", b"/XObject<</X 6 0 R>>", grey), FLAGGED)
    outside = page(b"q 612 0 0 792 5000 0 cm /X Do Q", b"/XObject<</X 6 0 R>>", grey)
    yield Kind("scan-beside-the-page", outside, (Status.NO_TEXT,))


def outlines() -> Iterator[Kind]:
    """Letters that are drawn and not written."""
    strokes = b"".join(b"%d 700 m %d 712 l S " % (60 + 9 * n, 60 + 9 * n) for n in range(60))
    yield Kind("drawn-letters", page(strokes, b""), FLAGGED)
    one_path = b"".join(b"%d 700 m %d 712 l %d 700 l " % (60 + 9 * n, 64 + 9 * n, 68 + 9 * n) for n in range(60)) + b"S"
    yield Kind("drawn-letters-in-one-path", page(one_path, b""), FLAGGED)


def blanks() -> Iterator[Kind]:
    """What is meant to be blank is not called a picture."""
    for name, content in {
        "blank": b"",
        "blank-state-only": b"q 1 0 0 1 0 0 cm 0 g Q",
        "blank-marked-content": b"/Artifact<</Type/Pagination>>BDC EMC",
        "blank-white-box": b"1 g 0 0 612 792 re f",
        "blank-frame": b"36 36 540 720 re S",
        "blank-spaces": b"BT /F1 12 Tf 60 700 Td (      ) Tj ET",
    }.items():
        yield Kind(name, page(content, b""), FLAGGED)


def all_of_pictures() -> Iterator[Kind]:
    for kinds in (scans, outlines, blanks):
        yield from kinds()
