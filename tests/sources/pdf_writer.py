"""Small PDFs written by hand, so that every byte of what the tests read is known."""

from __future__ import annotations

from collections.abc import Sequence

HELVETICA = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


def stream(content: bytes, head: bytes = b"") -> bytes:
    return b"<<%s/Length %d>>stream\n%s\nendstream" % (head, len(content), content)


def show(*lines: str) -> bytes:
    """A content stream that prints `lines` one below the other."""
    body = b"".join(b"(%s) Tj 0 -16 Td " % _escaped(line) for line in lines)
    return b"BT /F1 12 Tf 60 740 Td " + body + b"ET"


def picture(side: int = 8) -> bytes:
    """A content stream that fills half of the page with a grey inline image."""
    return b"q 500 0 0 600 50 100 cm BI /W %d /H %d /CS /G /BPC 8 ID %s EI Q" % (side, side, b"\x80" * side * side)


def write_pdf(pages: Sequence[bytes], catalog: bytes = b"", info: str = "", extra: Sequence[bytes] = ()) -> bytes:
    """A PDF with a page for every content stream. `extra` objects are numbered from 4 on, for `catalog` to name."""
    first = 4 + len(extra)
    kids = b" ".join(b"%d 0 R" % (first + 2 * i) for i in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R %s>>" % catalog,
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(pages)),
        HELVETICA,
        *extra,
    ]
    for i, content in enumerate(pages):
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>/Contents %d 0 R>>"
            % (first + 2 * i + 1)
        )
        objects.append(stream(content))
    if info:
        objects.append(b"<</Title(%s)>>" % _escaped(info))
    return assemble(objects, b"/Info %d 0 R" % len(objects) if info else b"")


def assemble(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """Objects, numbered from 1, as a file; the first is the catalog."""
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return bytes(
        out
    ) + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (
        len(objects) + 1,
        table,
        len(objects) + 1,
        trailer,
        len(out),
    )


def _escaped(text: str) -> bytes:
    return text.encode("cp1252").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
