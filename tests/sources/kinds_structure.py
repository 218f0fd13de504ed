"""PDFs whose structure is wrong: cross-reference tables, page trees, streams. Each says what it may come to."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator

from kinds import BROKEN, LEFT, READ, Kind
from pdf_writer import HELVETICA, assemble, show, stream, write_pdf

from rag.types import Status

LINES = ("The notice period is ninety days.", "Refunds are paid within thirty days.", "Carriage costs forty euro.")
PLAIN = write_pdf([show(line) for line in LINES], info="Terms of sale")


def _table(data: bytes) -> int:
    return data.rindex(b"\nxref\n") + 1


def _startxref(value: bytes) -> bytes:
    return re.sub(rb"startxref\n\d+", b"startxref\n" + value, PLAIN)


def _trailer(change: Callable[[bytes], bytes]) -> bytes:
    head, mark, tail = PLAIN.rpartition(b"trailer\n")
    return head + mark + change(tail)


def _offsets(change: Callable[[int], int]) -> bytes:
    at = _table(PLAIN)
    moved = re.sub(rb"(\d{10}) 00000 n", lambda m: b"%010d 00000 n" % change(int(m.group(1))), PLAIN[at:])
    return PLAIN[:at] + moved


def cross_references() -> Iterator[Kind]:
    """All of them hold readable text, which is found by looking for objects."""
    at = _table(PLAIN)
    yield Kind("xref-missing", PLAIN[:at] + PLAIN[PLAIN.index(b"trailer") :], READ, LINES)
    yield Kind("xref-and-trailer-missing", PLAIN[:at] + b"%%EOF", LEFT, LINES)
    yield Kind("xref-shifted", b"\n\n\n" + PLAIN, READ, LINES)
    for name, offset in {"one-off": 1, "far-off": 10**6, "zero": None, "negative": -7}.items():
        moved = _offsets(lambda was, by=offset: max(was + by, 0) if by is not None else 0)  # type: ignore[misc]
        yield Kind(f"xref-offsets-{name}", moved, READ, LINES)
    for value in (b"0", b"-1", b"99999999999", b"12abc", b"", b"1"):
        yield Kind(f"startxref-{value.decode() or 'empty'}", _startxref(value), READ, LINES)
    yield Kind("startxref-missing", PLAIN.replace(b"startxref", b"startxxxx"), READ, LINES)
    yield Kind("xref-counts-too-few", PLAIN.replace(b"xref\n0 11", b"xref\n0 3"), READ, LINES)
    yield Kind("xref-counts-a-billion", PLAIN.replace(b"xref\n0 11", b"xref\n0 999999999"), READ, LINES)
    yield Kind("xref-starts-at-one", PLAIN.replace(b"xref\n0 11", b"xref\n1 11"), READ, LINES)
    yield Kind("xref-entries-of-19-bytes", PLAIN[:at] + PLAIN[at:].replace(b" \n", b"\n"), READ, LINES)
    yield Kind("xref-all-free", PLAIN[:at] + PLAIN[at:].replace(b" n ", b" f "), READ, LINES)
    yield Kind("trailer-without-root", _trailer(lambda t: t.replace(b"/Root 1 0 R", b"")), READ, LINES)
    yield Kind("trailer-root-is-a-page", _trailer(lambda t: t.replace(b"/Root 1 0 R", b"/Root 5 0 R")), READ, LINES)
    yield Kind("trailer-without-size", _trailer(lambda t: re.sub(rb"/Size \d+", b"", t)), READ, LINES)
    yield Kind("trailer-size-a-billion", _trailer(lambda t: re.sub(rb"/Size \d+", b"/Size 999999999", t)), READ, LINES)
    loop = b"/Prev %d" % at
    yield Kind("xref-prev-loop", _trailer(lambda t: t.replace(b"/Root", loop + b"/Root")), READ, LINES)
    yield Kind("xref-prev-outside", _trailer(lambda t: t.replace(b"/Root", b"/Prev 99999999/Root")), READ, LINES)
    yield Kind("xref-stream-named-missing", _trailer(lambda t: t.replace(b"/Root", b"/XRefStm 7/Root")), READ, LINES)


def wrappings() -> Iterator[Kind]:
    """What mail programs, web servers and disks do to a file."""
    yield Kind("header-after-mail", b"Content-Type: application/pdf\r\n\r\n" + PLAIN, READ, LINES)
    yield Kind("header-after-a-kilobyte", b"x" * 1000 + b"\n" + PLAIN, READ, LINES)
    yield Kind("header-of-another-version", PLAIN.replace(b"%PDF-1.4", b"%PDF-9.9"), READ, LINES)
    yield Kind("header-cut", PLAIN[5:], READ, LINES)
    yield Kind("nulls-behind", PLAIN + b"\0" * 5000, READ, LINES)
    yield Kind("page-of-a-server-behind", PLAIN + b"<html>" + b"<p>The end</p>" * 200, READ, LINES)
    yield Kind("end-mark-missing", PLAIN.removesuffix(b"%%EOF"), READ, LINES)
    yield Kind("two-files-in-one", PLAIN + PLAIN, READ, LINES)
    yield Kind("line-ends-made-crlf", PLAIN.replace(b"\n", b"\r\n"), READ, LINES)
    yield Kind("line-ends-made-cr", PLAIN.replace(b"\n", b"\r"), READ, LINES)
    yield Kind("only-its-header", b"%PDF-1.7\n", BROKEN)
    yield Kind("nothing-but-nulls", b"\0" * 4096, BROKEN)
    for percent, whole in {15: 0, 30: 0, 45: 1, 60: 2, 80: 3, 95: 3}.items():
        cut = PLAIN[: len(PLAIN) * percent // 100]
        yield Kind(f"cut-at-{percent}", cut, LEFT if whole else BROKEN, LINES[:whole])
    yield Kind("cut-at-its-last-bytes", PLAIN[:-9], READ, LINES)
    half = len(PLAIN) // 2
    yield Kind("its-first-half-zeroed", b"\0" * half + PLAIN[half:], LEFT, LINES[2:])


# ---------------------------------------------------------------------------------------------- page tree


def _tree(pages: bytes, *more: bytes, catalog: bytes = b"<</Type/Catalog/Pages 2 0 R>>") -> bytes:
    """Object 4 is a font, 5 a stream of the first line, 6 a page of it below object 2."""
    leaf = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 4 0 R>>>>/Contents 5 0 R>>"
    return assemble([catalog, pages, b"null", HELVETICA, stream(show(LINES[0])), leaf, *more])


def page_trees() -> Iterator[Kind]:
    first = LINES[:1]
    yield Kind("tree-count-0", _tree(b"<</Type/Pages/Kids[6 0 R]/Count 0>>"), READ, first)
    yield Kind("tree-count-negative", _tree(b"<</Type/Pages/Kids[6 0 R]/Count -5>>"), READ, first)
    yield Kind("tree-count-missing", _tree(b"<</Type/Pages/Kids[6 0 R]>>"), READ, first)
    yield Kind("tree-count-a-name", _tree(b"<</Type/Pages/Kids[6 0 R]/Count/Many>>"), READ, first)
    yield Kind("tree-count-too-many", _tree(b"<</Type/Pages/Kids[6 0 R]/Count 5>>"), LEFT, first)
    yield Kind("tree-count-a-billion", _tree(b"<</Type/Pages/Kids[6 0 R]/Count 999999999>>"), READ, first)
    yield Kind("tree-kids-missing", _tree(b"<</Type/Pages/Count 1>>"), LEFT, first)
    yield Kind("tree-kids-null", _tree(b"<</Type/Pages/Kids[null 99 0 R 6 0 R]/Count 3>>"), LEFT, first)
    yield Kind("tree-kids-not-a-list", _tree(b"<</Type/Pages/Kids 6 0 R/Count 1>>"), LEFT, first)
    yield Kind("tree-without-types", _tree(b"<</Kids[6 0 R]/Count 1>>").replace(b"/Type/Page/", b"/"), READ, first)
    yield Kind("tree-is-one-page", _tree(b"null", catalog=b"<</Type/Catalog/Pages 6 0 R>>"), READ, first)
    yield Kind("tree-missing", _tree(b"null", catalog=b"<</Type/Catalog>>"), LEFT, first)
    yield Kind("tree-page-repeated", _tree(b"<</Type/Pages/Kids[6 0 R 6 0 R 6 0 R]/Count 3>>"), READ, first)
    yield Kind("tree-parent-of-itself", _tree(b"<</Type/Pages/Kids[2 0 R]/Parent 2 0 R/Count 1>>"), LEFT, first)
    cycle = _tree(b"<</Type/Pages/Kids[7 0 R 6 0 R]/Count 2>>", b"<</Type/Pages/Parent 2 0 R/Kids[2 0 R]/Count 1>>")
    yield Kind("tree-cycle-beside-a-page", cycle, LEFT, first)
    for depth in (50, 2000):
        below = [b"<</Type/Pages/Kids[%d 0 R]/Count 1>>" % (8 + n) for n in range(depth)]
        below[-1] = b"<</Type/Pages/Kids[6 0 R]/Count 1>>"
        deep = _tree(b"<</Type/Pages/Kids[7 0 R]/Count 1>>", *below)
        yield Kind(f"tree-{depth}-deep", deep, READ if depth < 100 else LEFT, first)
    yield Kind("tree-wide", _tree(b"<</Type/Pages/Kids[%s]/Count 3000>>" % (b"6 0 R " * 3000)), READ, first)
    direct = b"<</Type/Page/MediaBox[0 0 612 792]/Resources<</Font<</F1 4 0 R>>>>/Contents 5 0 R>>"
    yield Kind("tree-page-not-an-object", _tree(b"<</Type/Pages/Kids[%s]/Count 1>>" % direct), READ, first)
    inherited = b"<</Type/Pages/Kids[7 0 R]/Count 1/MediaBox[0 0 612 792]/Resources<</Font<</F1 4 0 R>>>>>>"
    yield Kind("tree-inherited", _tree(inherited, b"<</Type/Page/Parent 2 0 R/Contents 5 0 R>>"), READ, first)
    orphan = b"<</Type/Page/MediaBox[0 0 612 792]/Resources<</Font<</F1 4 0 R>>>>/Contents 5 0 R>>"
    yield Kind("tree-page-without-parent", _tree(b"<</Type/Pages/Kids[7 0 R]/Count 1>>", orphan), READ, first)


def pages() -> Iterator[Kind]:
    """One page, drawn by unusual contents."""
    first = LINES[:1]

    def page(attributes: bytes, *more: bytes) -> bytes:
        leaf = b"<</Type/Page/Parent 2 0 R/Resources<</Font<</F1 4 0 R>>>>%s>>" % attributes
        return _tree(b"<</Type/Pages/Kids[7 0 R]/Count 1>>", leaf, *more)

    box = b"/MediaBox[0 0 612 792]"
    yield Kind("page-without-box", page(b"/Contents 5 0 R"), READ, first)
    yield Kind("page-box-empty", page(b"/MediaBox[0 0 0 0]/Contents 5 0 R"), READ, first)
    yield Kind("page-box-upside-down", page(b"/MediaBox[612 792 0 0]/Contents 5 0 R"), READ, first)
    yield Kind("page-box-huge", page(b"/MediaBox[0 0 99999999 99999999]/Contents 5 0 R"), READ, first)
    yield Kind("page-box-not-numbers", page(b"/MediaBox[/a/b/c/d]/Contents 5 0 R"), READ, first)
    yield Kind("page-cropped-to-nothing", page(box + b"/CropBox[0 0 9 9]/Contents 5 0 R"), READ, first)
    for turn in (90, 180, 270, 45, -90):
        yield Kind(f"page-turned-by-{turn}", page(box + b"/Rotate %d/Contents 5 0 R" % turn), READ, first)
    yield Kind("page-unit-a-million", page(box + b"/UserUnit 1000000/Contents 5 0 R"), READ, first)
    yield Kind("page-contents-missing", page(box), (Status.NO_TEXT,))
    yield Kind("page-contents-nowhere", page(box + b"/Contents 99 0 R"), BROKEN)
    yield Kind("page-contents-with-gaps", page(box + b"/Contents[null 99 0 R 5 0 R 1 0 R]"), READ, first)
    halves = show(LINES[0]).partition(b"ninety")
    cut = page(box + b"/Contents[8 0 R 9 0 R]", stream(halves[0] + b"ninety)"), stream(b"Tj (" + halves[2]))
    yield Kind("page-contents-in-pieces", cut, READ, ("The notice period is ninety",))
    bare = _tree(b"<</Type/Pages/Kids[7 0 R]/Count 1>>", b"<</Type/Page/Parent 2 0 R%s/Contents 5 0 R>>" % box)
    yield Kind("page-without-resources", bare, READ, first)


# ---------------------------------------------------------------------------------------------- streams


def _content(body: bytes, head: bytes, length: int | None = None) -> bytes:
    """A document whose only page is drawn by `body`, said to be encoded as `head` says."""
    size = len(body) if length is None else length
    drawn = b"<<%s/Length %d>>stream\n%s\nendstream" % (head, size, body)
    return _tree(b"<</Type/Pages/Kids[6 0 R]/Count 1>>").replace(stream(show(LINES[0])), drawn)


def streams() -> Iterator[Kind]:
    first = LINES[:1]
    raw, packed = show(LINES[0]), zlib.compress(b"\n".join([show(f"{LINES[0]} {n**7}") for n in range(200)]))
    flate = b"/Filter/FlateDecode"
    yield Kind("length-0", _content(raw, b"", 0), READ, first)
    yield Kind("length-too-short", _content(raw, b"", 20), READ, first)
    yield Kind("length-too-long", _content(raw, b"", 10**6), READ, first)
    yield Kind("length-negative", _content(raw, b"", -1), READ, first)
    yield Kind("length-nowhere", _content(raw, b"").replace(b"/Length %d" % len(raw), b"/Length 99 0 R"), READ, first)
    yield Kind("length-itself", _content(raw, b"").replace(b"/Length %d" % len(raw), b"/Length 5 0 R"), READ, first)
    yield Kind("stream-without-end", PLAIN.replace(b"endstream", b""), READ, LINES)
    yield Kind("object-without-end", PLAIN.replace(b"endobj\n", b""), READ + LEFT, LINES)
    yield Kind("flate", _content(packed, flate), READ, first)
    yield Kind("flate-checksum-wrong", _content(packed[:-4] + b"\0\0\0\0", flate), READ, first)
    yield Kind("flate-cut", _content(packed[: len(packed) // 2], flate), READ, first)
    yield Kind("flate-without-header", _content(packed[2:], flate), BROKEN)
    noise = bytes(b ^ 0x5A if n > 30 else b for n, b in enumerate(packed))
    yield Kind("flate-garbage-after-30-bytes", _content(noise, flate), BROKEN)
    yield Kind("flate-named-but-plain", _content(raw, flate), READ, first)
    yield Kind("filter-unknown", _content(raw, b"/Filter/BrotliDecode"), READ, first)
    yield Kind("filter-hex", _content(raw.hex().encode() + b">", b"/Filter/ASCIIHexDecode"), READ, first)
    twice = raw.hex().encode().hex().encode()
    yield Kind("filter-hex-twice", _content(twice + b">", b"/Filter[/AHx/ASCIIHexDecode]"), READ, first)
    yield Kind("filter-abbreviated", _content(packed, b"/Filter/Fl"), READ, first)
    many = raw
    for _ in range(20):
        many = zlib.compress(many)
    yield Kind("filter-20-deep", _content(many, b"/Filter[%s]" % (b"/FlateDecode" * 20)), READ, first)


def all_of_structure() -> Iterator[Kind]:
    for kinds in (cross_references, wrappings, page_trees, pages, streams):
        yield from kinds()
