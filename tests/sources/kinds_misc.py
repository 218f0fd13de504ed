"""PDFs that carry more than pages: signatures, tags, forms, attachments, scripts, object streams, several revisions."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator

import pypdf
from kinds import READ, Kind
from kinds_structure import LINES, PLAIN
from pdf_writer import HELVETICA, assemble, show, stream
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, TextStringObject

from rag.types import Status

EXTRA = 8  # the number of the first of `more` in `document`


def document(catalog: bytes = b"", leaf: bytes = b"", *more: bytes, content: bytes = show(*LINES)) -> bytes:
    """One page with the three lines, in object 6; object 7 is null."""
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
    """Objects in streams, several revisions, linearised and hybrid files."""
    for name, raw in {"packed": True, "plain": False}.items():
        yield Kind(f"object-stream-{name}", object_streams(raw), READ, LINES[:1])
    flipped = bytearray(object_streams(False))
    at = flipped.index(b"/ObjStm") + 8
    yield Kind("object-stream-counts-too-many", bytes(flipped).replace(b"/N 4", b"/N 9"), tuple(Status), LINES[:1])
    yield Kind("object-stream-counts-a-billion", bytes(flipped).replace(b"/N 4", b"/N 999999999"), tuple(Status), ())
    yield Kind("object-stream-first-outside", bytes(flipped).replace(b"/First ", b"/First 9"), tuple(Status), ())
    yield Kind("object-stream-extends-itself", bytes(flipped[:at]) + b"/Extends 7 0 R" + bytes(flipped[at:]), (Status.INDEXED,), LINES[:1])
    yield Kind("two-revisions", revised(PLAIN, b"Refunds are paid within ten days."), READ, ["Refunds are paid within ten days."])
    twenty = PLAIN
    for n in range(20):
        twenty = revised(twenty, b"Revision %d." % n)
    yield Kind("twenty-revisions", twenty, READ, ["Revision 19."])
    yield Kind("second-revision-cut", revised(PLAIN, b"Never seen.")[:-80], READ, LINES[:1])
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


def revised(data: bytes, line: bytes) -> bytes:
    """The same file with another line on its first page, appended as editors do."""
    before = int(data[data.rindex(b"startxref") :].split()[1])
    at = len(data) + 1
    changed = b"\n6 0 obj\n" + stream(show(line.decode())) + b"\nendobj\n"
    table = b"xref\n6 1\n%010d 00000 n \ntrailer\n<</Size 12/Root 1 0 R/Prev %d>>\n" % (at, before)
    # In PLAIN the first page is object 4 and its contents object 5.
    changed, table = changed.replace(b"\n6 0 obj", b"\n5 0 obj"), table.replace(b"xref\n6 1", b"xref\n5 1")
    return data + changed + table + b"startxref\n%d\n%%%%EOF" % (len(data) + len(changed))


def signatures() -> Iterator[Kind]:
    value = b"<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/adbe.pkcs7.detached/ByteRange[0 10 20 30]/Contents<%s>>>" % (b"00" * 4000)
    field = b"<</Type/Annot/Subtype/Widget/FT/Sig/T(Signature1)/V 8 0 R/Rect[0 0 0 0]/P 6 0 R>>"
    signed = document(b"/AcroForm<</SigFlags 3/Fields[9 0 R]>>", b"/Annots[9 0 R]", value, field)
    yield Kind("signed", signed, READ, LINES)
    empty = document(b"/AcroForm<</SigFlags 3/Fields[9 0 R]>>", b"/Annots[9 0 R]", value, field, content=b"")
    yield Kind("signed-and-blank", empty, (Status.NO_TEXT,))
    tagged = b"/P<</MCID 0>>BDC " + show(*LINES) + b" EMC"
    root = b"<</Type/StructTreeRoot/K 9 0 R/ParentTree<</Nums[0[9 0 R]]>>>>"
    yield Kind("tagged", document(b"/MarkInfo<</Marked true>>/StructTreeRoot 8 0 R/Lang(en)", b"/StructParents 0", root, b"<</Type/StructElem/S/P/K 0/P 8 0 R/Pg 6 0 R>>", content=tagged), READ, LINES)
    loop = b"<</Type/StructTreeRoot/K 8 0 R>>"
    yield Kind("tagged-in-a-loop", document(b"/StructTreeRoot 8 0 R", b"", loop), READ, LINES)
    meta = stream(b"<?xpacket begin=''?><x:xmpmeta xmlns:x='adobe:ns:meta/'></x:xmpmeta>", b"/Type/Metadata/Subtype/XML")
    yield Kind("archival", document(b"/Metadata 8 0 R/OutputIntents[<</S/GTS_PDFA1/OutputConditionIdentifier(x)>>]", b"", meta), READ, LINES)
    laughs = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><x>&c;</x>'
    yield Kind("metadata-of-entities", document(b"/Metadata 8 0 R", b"", stream(laughs, b"/Type/Metadata/Subtype/XML")), READ, LINES)


def forms() -> Iterator[Kind]:
    filled = b"<</Type/Annot/Subtype/Widget/FT/Tx/T(Name)/V(Ada Lovelace)/Rect[60 500 300 520]/P 6 0 R/DA(/F1 12 Tf)>>"
    form = document(b"/AcroForm<</Fields[8 0 R]>>", b"/Annots[8 0 R]", filled)
    yield Kind("form-beside-text", form, READ, LINES)
    yield Kind("form-alone", document(b"/AcroForm<</Fields[8 0 R]>>", b"/Annots[8 0 R]", filled, content=b""), (Status.NO_TEXT,))
    xfa = stream(b"<xdp:xdp xmlns:xdp='http://ns.adobe.com/xdp/'><template/></xdp:xdp>")
    wait = show("Please wait...", "If this message is not eventually replaced, your viewer may not be able to display this.")
    yield Kind("xfa", document(b"/NeedsRendering true/AcroForm<</XFA 8 0 R/Fields[]>>", b"", xfa, content=wait), (*READ, Status.PARTLY), ["Please wait"])
    loop = b"<</FT/Tx/T(a)/Kids[8 0 R]/Parent 8 0 R>>"
    yield Kind("form-in-a-loop", document(b"/AcroForm<</Fields[8 0 R]>>", b"", loop), READ, LINES)
    note = b"<</Type/Annot/Subtype/Text/Rect[9 9 20 20]/Contents(Call the lawyer)>>"
    yield Kind("note-on-a-blank-page", document(b"", b"/Annots[8 0 R]", note, content=b""), (Status.NO_TEXT,))
    yield Kind("annotations-in-a-loop", document(b"", b"/Annots 8 0 R", b"[8 0 R 8 0 R]"), READ, LINES)
    yield Kind("annotations-nowhere", document(b"", b"/Annots[99 0 R null 4]"), READ, LINES)


def companions() -> Iterator[Kind]:
    writer = _writer()
    writer.add_attachment("../../evil.exe", b"MZ" + b"\0" * 999)
    writer.add_attachment("notes.txt", b"PWNED-7731")
    yield Kind("attachments", _written(writer), READ, LINES)
    script = b"/OpenAction<</S/JavaScript/JS(app.alert\\(1\\); this.submitForm\\('http://127.0.0.1:9/'\\))>>"
    yield Kind("script", document(script), READ, LINES)
    yield Kind("launches", document(b"/OpenAction<</S/Launch/F(/bin/sh)>>/AA<</WC<</S/URI/URI(http://127.0.0.1:9/)>>>>"), READ, LINES)
    yield Kind("portfolio", document(b"/Collection<</View/D>>/Names<</EmbeddedFiles<</Names[]>>>>"), READ, LINES)
    writer = _writer()
    first = writer.add_outline_item("Terms", 0)
    writer.add_outline_item("Refunds", 1, parent=first)
    writer.add_outline_item("\x1b[31mred\u202e", 2)
    yield Kind("outline", _written(writer), READ, LINES)
    entry = b"<</Title(Loop)/Parent 8 0 R/Next 9 0 R/First 9 0 R/Last 9 0 R/Dest[6 0 R/Fit]>>"
    yield Kind("outline-in-a-loop", document(b"/Outlines 8 0 R", b"", b"<</First 9 0 R/Last 9 0 R/Count 1>>", entry), READ, LINES)
    labels = b"/PageLabels<</Nums[0<</S/r/St 4>>]>>"
    yield Kind("labels", document(labels), READ, LINES)
    yield Kind("labels-in-a-loop", document(b"/PageLabels 8 0 R", b"", b"<</Kids[8 0 R]>>"), READ, LINES)
    yield Kind("labels-of-a-billion-letters", document(b"/PageLabels<</Nums[0<</S/A/St 999999999>>]>>"), READ, LINES)
    yield Kind("names-in-a-loop", document(b"/Names<</Dests 8 0 R>>", b"", b"<</Kids[8 0 R]/Limits[(a)(z)]>>"), READ, LINES)
    hidden = b"/OC /L BDC " + show(LINES[0]) + b" EMC"
    layers = b"/OCProperties<</OCGs[8 0 R]/D<</OFF[8 0 R]>>>>"
    made = document(layers, b"", b"<</Type/OCG/Name(Draft)>>", content=hidden)
    made = made.replace(b"/Font<</F1 4 0 R>>", b"/Font<</F1 4 0 R>>/Properties<</L 8 0 R>>")
    yield Kind("layer-switched-off", made, READ, ())
    writer = _writer()
    writer.metadata = {"/Title": "x" * 10_000 + "\x00\x1b[2J\u202e<script>"}
    yield Kind("title-hostile", _written(writer), READ, LINES)
    writer = _writer()
    writer.root_object[NameObject("/Loop")] = ArrayObject([DictionaryObject({NameObject("/A"): TextStringObject("b")})])
    yield Kind("catalog-with-strange-keys", _written(writer), READ, LINES)


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
