"""What is left of a PDF whose cross-references or page tree no engine can follow: a download that broke off, a disk
that lost a block. Pure.

Its objects are looked for in the bytes themselves, and written again with a page tree of those that are pages.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from itertools import count

MAX_UNPACKED = 64 << 20  # bytes of all object streams together
MAX_NUMBER = 4_000_000  # engines take no object with a higher one

_OBJECT = re.compile(rb"(?<![\w.-])(\d{1,9})[ \t\r\n]+\d{1,5}[ \t\r\n]+obj\b")
_END = re.compile(rb"\bendobj\b|\bstream\b")
_PAGE = re.compile(rb"/Type[ \t\r\n]*/Page(?![A-Za-z])")
_PACKED = re.compile(rb"/Type[ \t\r\n]*/ObjStm\b")
_FIRST = re.compile(rb"/First[ \t\r\n]+(\d{1,9})\b")
_NUMBER = re.compile(rb"\d{1,9}")


def salvaged(data: bytes) -> bytes | None:
    """A file of the same objects whose pages come in the order in which they lie; None if there is no page, or it is
    encrypted: then what was lost has the key to the rest."""
    if b"/Encrypt" in data:
        return None
    objects: dict[int, bytes] = {}
    packed: dict[int, bytes] = {}
    for number, head, body in _objects(data):
        objects[number] = head + body
        first = _FIRST.search(head)
        if first and _PACKED.search(head):
            room = MAX_UNPACKED - sum(map(len, packed.values()))
            packed.update(_unpacked(_inflated(body, room), int(first.group(1))))
    objects = {**objects, **{number: body for number, body in packed.items() if number not in objects}}
    pages = [number for number, body in objects.items() if _PAGE.search(_head(body))]
    return _written(objects, pages) if pages else None


def _objects(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Of each object, in order: its number, what stands before its stream, and the stream with all that follows."""
    found = list(_OBJECT.finditer(data))
    for match, following in zip(found, [*found, None][1:], strict=True):
        body = data[match.end() : following.start() if following else len(data)]
        head = _head(body)
        if int(match.group(1)) <= MAX_NUMBER:
            yield int(match.group(1)), head, body[len(head) :]


def _head(body: bytes) -> bytes:
    end = _END.search(body)
    return body[: end.start()] if end else body


def _inflated(body: bytes, room: int) -> bytes:
    """As much of an object stream as is sound; of one that is not packed, all."""
    content = body.removeprefix(b"stream").lstrip(b"\r\n").partition(b"endstream")[0]
    try:
        return zlib.decompressobj().decompress(content, room) if room > 0 else b""
    except zlib.error:
        return content


def _unpacked(body: bytes, first: int) -> Iterator[tuple[int, bytes]]:
    """Its objects, which begin at `first`. Before stand pairs of an object's number and its place behind `first`."""
    numbers = [int(number) for number in _NUMBER.findall(body[:first])]
    places = [first + place for place in numbers[1::2]]
    for number, begin, end in zip(numbers[::2], places, [*places[1:], len(body)], strict=False):
        if number <= MAX_NUMBER:
            yield number, body[begin:end]


def _written(objects: Mapping[int, bytes], pages: list[int]) -> bytes:
    free = (number for number in count(1) if number not in objects)
    tree, catalog = next(free), next(free)
    kids = b" ".join(b"%d 0 R" % number for number in pages)
    added = {
        tree: b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(pages), kids),
        catalog: b"<</Type/Catalog/Pages %d 0 R>>" % tree,
    }
    out, table = bytearray(b"%PDF-1.7\n"), bytearray(b"xref\n0 1\n0000000000 65535 f \n")
    for number, body in {**objects, **added}.items():
        table += b"%d 1\n%010d 00000 n \n" % (number, len(out))
        out += b"%d 0 obj%s%s\n" % (number, b"" if body[:1] in b"\r\n <[(" else b" ", body)
        if b"endobj" not in body[-64:]:  # the one at which the file was cut, or one that was packed
            out += b"endstream\nendobj\n" if _head(body) != body else b"endobj\n"
    size = max(*objects, catalog) + 1
    return bytes(out + table) + b"trailer\n<</Root %d 0 R/Size %d>>\nstartxref\n%d\n%%%%EOF\n" % (
        catalog,
        size,
        len(out),
    )
