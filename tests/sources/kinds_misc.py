"""PDFs that carry more than pages: signatures, tags, forms, attachments, scripts, object streams, several revisions."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator

import pypdf
from kinds import BROKEN, EMPTY, LEFT, READ, Kind, alike
from kinds_structure import LINES, PLAIN
from pdf_writer import HELVETICA, assemble, show, stream


def document(catalog: bytes = b"", leaf: bytes = b"", *more: bytes, content: bytes = show(*LINES)) -> bytes:
    """One page with the three lines, in object 6; `more` are objects from 8 on."""
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 4 0 R>>>>/Contents 5 0 R%s>>" % leaf
    head = b"<</Type/Catalog/Pages 2 0 R%s>>" % catalog
    tree = b"<</Type/Pages/Kids[6 0 R]/Count 1>>"
    return assemble([head, tree, b"null", HELVETICA, stream(content), page, b"null", *more])


def _written(writer: pypdf.PdfWriter) -> bytes:
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _writer() -> pypdf.PdfWriter:
    return pypdf.PdfWriter(clone_from=io.BytesIO(PLAIN))


def containers() -> Iterator[Kind]:
    """Objects in streams, several revisions, linearised files."""
    held = object_streams(False)
    first = LINES[:1]
    whole = {"packed": object_streams(True), "plain": held, "counts-too-many": held.replace(b"/N 4", b"/N 9")}
    whole["moved"] = b"%" + b"x" * 99 + b"\n" + held.replace(b"startxref\n", b"startxref\n9")
    yield from alike({f"object-stream-{name}": data for name, data in whole.items()}, READ, first)
    left = {
        "object-stream-counts-a-billion": held.replace(b"/N 4", b"/N 999999999"),
        "object-stream-table-lost": held[: held.index(b"8 0 obj")],
        "object-stream-table-of-packed-lost": object_streams(True)[: object_streams(True).index(b"8 0 obj")],
    }
    yield from alike(left, LEFT, first)
    yield Kind("object-stream-first-outside", held.replace(b"/First ", b"/First 9"), BROKEN)
    yield Kind("two-revisions", revised(PLAIN, "Refunds take ten days."), READ, ["Refunds take ten days."])
    twenty = PLAIN
    for n in range(20):
        twenty = revised(twenty, f"Revision {n}.")
    yield Kind("twenty-revisions", twenty, READ, ["Revision 19."])
    yield Kind("second-revision-cut", revised(PLAIN, "Never seen.")[:-80], READ, first)
    linear = b"%PDF-1.4\n99 0 obj\n<</Linearized 1/L 999999/H[0 0]/O 6/E 0/N 3/T 0>>\nendobj\n" + PLAIN[9:]
    yield Kind("linearised-wrongly", linear, READ, LINES)


def object_streams(packed: bool) -> bytes:
    """Catalog, tree, font and page in an object stream (7), and a cross-reference stream (8)."""
    leaf = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>/Contents 6 0 R>>"
    held = {1: b"<</Type/Catalog/Pages 2 0 R>>", 2: b"<</Type/Pages/Kids[4 0 R]/Count 1>>", 3: HELVETICA, 4: leaf}
    index, body = b"", b""
    for number, content in held.items():
        index += b"%d %d " % (number, len(body))
        body += content + b" "
    data = index + body
    filtered = b"/Filter/FlateDecode" if packed else b""
    data = zlib.compress(data) if packed else data
    out = b"%PDF-1.5\n"
    places = {6: len(out)}
    out += b"6 0 obj\n" + stream(show(LINES[0])) + b"\nendobj\n"
    places[7] = len(out)
    out += b"7 0 obj\n" + stream(data, b"/Type/ObjStm/N 4/First %d%s" % (len(index), filtered)) + b"\nendobj\n"
    places[8] = len(out)
    rows = b"\0\0\0\0\xff"
    for number in range(1, 9):
        if number in held:
            rows += b"\2" + (7).to_bytes(3, "big") + bytes([number - 1])
        else:
            rows += (b"\1" if number in places else b"\0") + places.get(number, 0).to_bytes(3, "big") + b"\0"
    out += b"8 0 obj\n" + stream(rows, b"/Type/XRef/Size 9/W[1 3 1]/Root 1 0 R") + b"\nendobj\n"
    return out + b"startxref\n%d\n%%%%EOF" % places[8]


def revised(data: bytes, line: str) -> bytes:
    """The same file with another line on its first page, appended as editors do."""
    before = int(data[data.rindex(b"startxref") :].split()[1])
    changed = b"\n5 0 obj\n" + stream(show(line)) + b"\nendobj\n"  # the contents of the first page of PLAIN
    table = b"xref\n5 1\n%010d 00000 n \ntrailer\n<</Size 12/Root 1 0 R/Prev %d>>\n" % (len(data) + 1, before)
    return data + changed + table + b"startxref\n%d\n%%%%EOF" % (len(data) + len(changed))


def signatures() -> Iterator[Kind]:
    value = b"<</Type/Sig/Filter/Adobe.PPKLite/ByteRange[0 1 2 3]/Contents<%s>>>" % (b"00" * 4000)
    field = b"<</Type/Annot/Subtype/Widget/FT/Sig/T(Signature1)/V 8 0 R/Rect[0 0 0 0]/P 6 0 R>>"
    form = b"/AcroForm<</SigFlags 3/Fields[9 0 R]>>"
    tagged = b"/P<</MCID 0>>BDC " + show(*LINES) + b" EMC"
    root = b"<</Type/StructTreeRoot/K 9 0 R/ParentTree<</Nums[0[9 0 R]]>>>>"
    paragraph = b"<</Type/StructElem/S/P/K 0/P 8 0 R/Pg 6 0 R>>"
    marked = b"/MarkInfo<</Marked true>>/StructTreeRoot 8 0 R/Lang(en)"
    kind = b"/Type/Metadata/Subtype/XML"
    meta = stream(b"<?xpacket begin=''?><x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>", kind)
    intent = b"/Metadata 8 0 R/OutputIntents[<</S/GTS_PDFA1/OutputConditionIdentifier(x)>>]"
    levels = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
    laughs = stream(b'<!DOCTYPE x [<!ENTITY l0 "ha">%s]><x>&l9;</x>' % levels, kind)
    files = {
        "signed": document(form, b"/Annots[9 0 R]", value, field),
        "tagged": document(marked, b"/StructParents 0", root, paragraph, content=tagged),
        "tagged-in-a-loop": document(b"/StructTreeRoot 8 0 R", b"", b"<</Type/StructTreeRoot/K 8 0 R>>"),
        "archival": document(intent, b"", meta),
        "metadata-of-entities": document(b"/Metadata 8 0 R", b"", laughs),
    }
    yield from alike(files, READ, LINES)
    yield Kind("signed-and-blank", document(form, b"/Annots[9 0 R]", value, field, content=b""), EMPTY)


def forms() -> Iterator[Kind]:
    filled = b"<</Type/Annot/Subtype/Widget/FT/Tx/T(Name)/V(Ada)/Rect[60 500 300 520]/P 6 0 R/DA(/F1 12 Tf)>>"
    fields = b"/AcroForm<</Fields[8 0 R]>>"
    files = {
        "form-beside-text": document(fields, b"/Annots[8 0 R]", filled),
        "form-in-a-loop": document(fields, b"", b"<</FT/Tx/T(a)/Kids[8 0 R]/Parent 8 0 R>>"),
        "annotations-in-a-loop": document(b"", b"/Annots 8 0 R", b"[8 0 R 8 0 R]"),
        "annotations-nowhere": document(b"", b"/Annots[99 0 R null 4]"),
    }
    yield from alike(files, READ, LINES)
    note = b"<</Type/Annot/Subtype/Text/Rect[9 9 20 20]/Contents(Call the lawyer)>>"
    blank = {
        "form-alone": document(fields, b"/Annots[8 0 R]", filled, content=b""),
        "note-on-a-blank-page": document(b"", b"/Annots[8 0 R]", note, content=b""),
    }
    yield from alike(blank, EMPTY)
    xfa = stream(b"<xdp:xdp xmlns:xdp='http://ns.adobe.com/xdp/'><template/></xdp:xdp>")
    wait = show("Please wait...", "If this message is not replaced, your viewer may not be able to display this.")
    waiting = document(b"/NeedsRendering true/AcroForm<</XFA 8 0 R/Fields[]>>", b"", xfa, content=wait)
    yield Kind("xfa", waiting, READ, ["Please wait"])


def companions() -> Iterator[Kind]:
    """What else a file carries, which is neither run nor written anywhere."""
    entry = b"<</Title(Loop)/Parent 8 0 R/Next 9 0 R/First 9 0 R/Last 9 0 R/Dest[6 0 R/Fit]>>"
    script = b"/OpenAction<</S/JavaScript/JS(app.alert\\(1\\); this.submitForm\\('http://127.0.0.1:9/'\\))>>"
    files = {
        "script": document(script),
        "launches": document(b"/OpenAction<</S/Launch/F(/bin/sh)>>/AA<</WC<</S/URI/URI(http://127.0.0.1:9/)>>>>"),
        "portfolio": document(b"/Collection<</View/D>>/Names<</EmbeddedFiles<</Names[]>>>>"),
        "outline-in-a-loop": document(b"/Outlines 8 0 R", b"", b"<</First 9 0 R/Last 9 0 R/Count 1>>", entry),
        "labels": document(b"/PageLabels<</Nums[0<</S/r/St 4>>]>>"),
        "labels-in-a-loop": document(b"/PageLabels 8 0 R", b"", b"<</Kids[8 0 R]>>"),
        "labels-of-a-billion-letters": document(b"/PageLabels<</Nums[0<</S/A/St 999999999>>]>>"),
        "names-in-a-loop": document(b"/Names<</Dests 8 0 R>>", b"", b"<</Kids[8 0 R]/Limits[(a)(z)]>>"),
        "catalog-with-strange-keys": document(b"/Loop[<</A/#00#ff>>]/ (no name)"),
    }
    writer = _writer()
    writer.add_attachment("../../evil.exe", b"MZ" + b"\0" * 999)
    writer.add_attachment("notes.txt", b"PWNED-7731")
    files["attachments"] = _written(writer)
    writer = _writer()
    first = writer.add_outline_item(title="Terms", page_number=0)
    writer.add_outline_item(title="Refunds", page_number=1, parent=first)
    writer.add_outline_item(title="\x1b[31mred\u202e", page_number=2)
    files["outline"] = _written(writer)
    writer = _writer()
    writer.metadata = {"/Title": "x" * 10_000 + "\x00\x1b[2J\u202e<script>"}
    files["title-hostile"] = _written(writer)
    yield from alike(files, READ, LINES)
    layers = b"/OCProperties<</OCGs[8 0 R]/D<</OFF[8 0 R]>>>>"
    hidden = b"/OC /L BDC " + show(LINES[0]) + b" EMC"
    made = document(layers, b"", b"<</Type/OCG/Name(Draft)>>", content=hidden)
    named = made.replace(b"/Font<</F1 4 0 R>>", b"/Font<</F1 4 0 R>>/Properties<</L 8 0 R>>")
    yield Kind("layer-switched-off", named, READ, LINES[:1])


def columns() -> Iterator[Kind]:
    rows = [("Year", "Revenue", "Staff"), ("2023", "48.3", "212"), ("2022", "44.7", "201")]
    drawn = b"BT /F1 12 Tf "
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            drawn += b"1 0 0 1 %d %d Tm (%s) Tj " % (60 + 150 * x, 700 - 20 * y, cell.encode())
    yield Kind("table", document(content=drawn + b"ET"), READ, ["2023 48.3 212", "2022 44.7 201"])
    left = ["The left column", "goes on here.", "It ends here."]
    right = ["The right column", "has other words.", "It ends too."]
    two = b"BT /F1 12 Tf "
    for x, column in ((60, left), (330, right)):
        for y, line in enumerate(column):
            two += b"1 0 0 1 %d %d Tm (%s) Tj " % (x, 700 - 16 * y, line.encode())
    yield Kind("two-columns-in-order", document(content=two + b"ET"), READ, ["goes on here. It ends here."])


def all_of_misc() -> Iterator[Kind]:
    for kinds in (containers, signatures, forms, companions, columns):
        yield from kinds()
