"""Small PDFs that would need enormous time or memory, and large ones that do not."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from kinds import ANY, EMPTY, READ, STOPPED, Kind, alike
from kinds_misc import document
from kinds_pictures import image, page
from kinds_structure import LINES
from pdf_writer import HELVETICA, assemble, show, stream


def _flate(size: int, times: int = 1, unit: bytes = b" ") -> bytes:
    packer = zlib.compressobj(9)
    block = unit * ((1 << 20) // len(unit))
    data = b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()
    for _ in range(times - 1):
        data = zlib.compress(data, 9)
    return data


def _content(data: bytes, times: int = 1) -> bytes:
    return document().replace(stream(show(*LINES)), stream(data, b"/Filter[%s]" % (b"/FlateDecode" * times)))


BOX = b"/Type/XObject/Subtype/Form/BBox[0 0 612 792]"
HUGE = image(_flate(64 << 20), b"/Filter/FlateDecode", (100_000, 100_000))
TILE = stream(
    b"0 0 1 1 re f", b"/PatternType 1/PaintType 1/TilingType 1/BBox[0 0 1 1]/XStep .0001/YStep .0001/Resources<<>>"
)
MAPPED = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 8 0 R>>"
MAP = stream(
    b"1 begincodespacerange <00000000> <ffffffff> endcodespacerange "
    b"1 beginbfrange <00000000> <ffffffff> <0000> endbfrange"
)


def bombs() -> Iterator[Kind]:
    blanks = {
        "a-gigabyte-of-blanks": _content(_flate(1 << 30)),
        "a-gigabyte-packed-twice": _content(_flate(1 << 30, 2), 2),
        "a-picture-of-ten-gigapixels": page(b"q 612 0 0 792 0 0 cm /X Do Q", b"/XObject<</X 6 0 R>>", HUGE),
        "dashes-without-number": document(content=b"[.0001 .0001] 0 d " + b"0 0 m 600 700 l S " * 2000),
        "tiles-without-number": page(b"/Pattern cs /P scn 0 0 612 792 re f", b"/Pattern<</P 6 0 R>>", TILE),
    }
    yield from alike(blanks, (*EMPTY, *STOPPED))
    forms = [stream(b"/X Do " * 10, BOX + b"/Resources<</XObject<</X %d 0 R>>>>" % (7 + n)) for n in range(9)]
    forms.append(stream(show("ha"), BOX + b"/Resources<</Font<</F1 4 0 R>>>>"))
    yield Kind("a-billion-laughs", page(b"/X Do", b"/XObject<</X 6 0 R>>", *forms), STOPPED)
    yield Kind("60-mb-of-operators", _content(_flate(60 << 20, 1, b"BT /F1 9 Tf (ha ) Tj ET ")), STOPPED)
    yield from alike(dict(_wordy()), (*READ, *STOPPED))
    itself = stream(b"/X Do " * 9 + show(LINES[0]), BOX + b"/Resources<</XObject<</X 6 0 R>>/Font<</F1 4 0 R>>>>")
    odd = {
        "a-form-of-itself": page(b"/X Do", b"/XObject<</X 6 0 R>>", itself),
        "a-map-of-four-billion-letters": document(b"", b"", MAP).replace(HELVETICA, MAPPED),
        "arrays-100000-deep": document(b"/Deep " + b"[" * 100_000 + b"]" * 100_000),
        "dictionaries-100000-deep": document(b"/Deep " + b"<</a " * 100_000 + b">>" * 100_000),
        "brackets-that-never-end": document(b"/Deep " + b"[" * 500_000),
        "an-inline-picture-that-lies": document(
            content=b"BI /W 99999 /H 99999 /BPC 8 /CS /G ID " + b"x" * 200_000 + b" EI " + show(LINES[0])
        ),
    }
    yield from alike(odd, ANY)


def _wordy() -> Iterator[tuple[str, bytes]]:
    """Pages with words, among so much else that an engine may give up."""
    yield "8-mb-of-operators", _content(_flate(8 << 20, 1, b"(ha ) Tj "))
    predictor = b"/Filter/FlateDecode/DecodeParms<</Predictor 12/Columns 1000000000>>"
    plain = stream(show(*LINES))
    yield "a-row-of-a-billion-columns", document().replace(plain, stream(zlib.compress(show(*LINES)), predictor))
    for name, before in {
        "states-200000-deep": b"q " * 200_000,
        "marks-100000-deep": b"/P BMC " * 100_000,
        "two-million-operands": b"1 " * 2_000_000 + b"m ",
        "a-number-of-500000-digits": b"%s m " % (b"9" * 500_000),
        "a-name-of-500000-letters": b"/%s gs " % (b"N" * 500_000),
        "50000-inline-pictures": b"BI /W 1 /H 1 /BPC 8 /CS /G ID x EI " * 50_000,
    }.items():
        yield name, document(content=before + show(*LINES))


def large() -> Iterator[Kind]:
    """What is large and harmless must be read, and whole."""
    long = b"BT /F1 12 Tf 60 700 Td (" + b"word " * 200_000 + b"end4711) Tj ET"
    yield Kind("a-string-of-a-megabyte", document(content=long), READ, ["end4711"])
    unbroken = b"BT /F1 12 Tf 60 700 Td (" + b"x" * 1_000_000 + b") Tj ET"
    yield Kind("a-word-of-a-megabyte", document(content=unbroken), READ, ["x" * 1000])
    words = b"BT /F1 1 Tf 1 TL " + b"(one two three four five six seven eight nine ten) ' " * 10_000 + b"(end4711) ' ET"
    yield Kind("100000-words-on-a-page", document(content=words), READ, ["end4711"])
    yield Kind("a-tail-of-50-mb", document() + b"%" + b"x" * (50 << 20), READ, LINES)
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>"]
    leaf = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 4 0 R>>>>/Contents 5 0 R>>"
    objects += [leaf, b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>", stream(show(*LINES))]
    objects += [b"<</Nothing %d>>" % n for n in range(100_000)]
    yield Kind("100000-objects", assemble(objects), READ, LINES)


def all_of_bombs() -> Iterator[Kind]:
    yield from bombs()
    yield from large()
