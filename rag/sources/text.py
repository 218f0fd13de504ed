"""Plain text, Markdown, HTML, CSV and e-mail → Parts, inside a child process."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rag.sources import formats
from rag.sources.clean import join_hyphens, normalize, vocabulary
from rag.sources.parts import Facts, Part, RefusedError
from rag.sources.sections import Line, row, sections
from rag.types import Status

if TYPE_CHECKING:
    from email.message import EmailMessage

SAMPLE = 1 << 18  # bytes by which an encoding is guessed, characters by which a CSV's delimiter is
MAX_FIELD = 1 << 24
PIECE = 1 << 20  # characters of plain text that are sent at a time
ROWS = 10_000  # of a CSV that are sent at a time

# Encodings worth guessing at: a guess among all that exist turns French into Turkish.
_LIKELY = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp932", "euc_jp",
           "gb18030", "big5", "cp949", "koi8_r", "utf_16_le", "utf_16_be"]  # fmt: skip
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# A few accented letters look equally well in these. Languages that they were made for have many.
_WESTERN_LOOKALIKES = frozenset({"cp1250", "cp1254", "cp1257"})
FEW_ACCENTS = 0.05  # of the letters
_DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.I)


def read(data: bytes, format_: str) -> Iterator[Part | Facts]:
    """Raises RefusedError for what is no text."""
    if not data:
        raise RefusedError(Status.NO_TEXT, "The file is empty (0 bytes)", "Nothing to do if it is meant to be empty.")
    readers: dict[str, Callable[[bytes], Iterator[Part | Facts]]] = {
        formats.PLAIN: _plain,
        formats.MARKDOWN: _markdown,
        formats.HTML: _html,
        formats.CSV: _csv,
        formats.EMAIL: _email,
    }
    return readers[format_](data)


def decode(data: bytes, declared: str = "") -> str:
    """By byte order mark, as UTF-8, as declared, or by the likeliest guess. Raises RefusedError for binary data."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, "replace").removeprefix("\ufeff")
    for encoding in ("utf-8", declared):
        try:
            text = data.decode(encoding) if encoding else ""
        except (UnicodeDecodeError, LookupError):
            continue
        if text:
            return _if_text(text)
    from charset_normalizer import from_bytes

    guess = from_bytes(data[:SAMPLE], cp_isolation=_LIKELY).best()
    if guess is None:
        raise _not_text()
    encoding = guess.encoding
    if encoding in _WESTERN_LOOKALIKES and _accents(data[:SAMPLE]) < FEW_ACCENTS:
        encoding = "cp1252"
    return _if_text(data.decode(encoding, "replace"))


def _accents(data: bytes) -> float:
    """The share of letters that are not ASCII, in a one-byte encoding."""
    plain = len(re.findall(rb"[A-Za-z]", data))
    accented = len(re.findall(rb"[\xc0-\xff]", data))
    return accented / max(plain + accented, 1)


def _not_text() -> RefusedError:
    return RefusedError(Status.UNSUPPORTED, "Not text, whatever its name says", "Give it its true extension.")


def _if_text(text: str) -> str:
    sample = text[:SAMPLE]
    if sum(char < " " and char not in "\t\n\r\f\x1b" for char in sample) > 0.05 * len(sample):
        raise _not_text()
    return text


# ------------------------------------------------------------------------------------- text and Markdown


def _plain(data: bytes) -> Iterator[Part]:
    whole = decode(data)
    for piece in _pieces(whole.replace("\r\n", "\n")):
        text = normalize(piece).strip("\n")
        yield Part(join_hyphens(text, vocabulary([text]) if "-\n" in text else frozenset()))


def _pieces(text: str) -> Iterator[str]:
    """Stretches of some PIECE characters that end with a line: of a file that is too large, the first ones are kept."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + PIECE)
        end = len(text) if end < 0 else end + 1
        yield text[start:end]
        start = end


_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*\s*")
_SETEXT = re.compile(r" {0,3}(=+|-{2,})\s*")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n(?:---|\.\.\.)\n", re.S)
_FRONT_TITLE = re.compile(r"^title:[ \t]*[\"']?(.*?)[\"']?[ \t]*$", re.M)
_COMMENT = re.compile(r"<!--.*?-->", re.S)
_LINK = re.compile(r"!?\[([^\]\[]*)\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+\"[^\"]*\")?\)")
_TABLE_ROW = re.compile(r"\s*\|(.*)\|\s*")
_TABLE_RULE = re.compile(r"\s*\|?[\s:|-]*-[\s:|-]*\|[\s:|-]*")


def _markdown(data: bytes) -> Iterator[Part | Facts]:
    text = decode(data).replace("\r\n", "\n")
    front = _FRONT_MATTER.match(text)
    title = _FRONT_TITLE.search(front.group(1)) if front else None
    yield Facts(title=title.group(1) if title else "")
    yield from sections(_markdown_lines(_COMMENT.sub("", text[front.end() :] if front else text)))


def _markdown_lines(text: str) -> Iterator[Line]:
    """Lines with links as their words, tables as "a | b" rows, and code as it is."""
    fenced = False
    held: str | None = None  # a line that the next one may underline, which makes it a heading
    for line in text.split("\n"):
        underline = _SETEXT.fullmatch(line) if held and not fenced else None
        if underline:
            yield held or "", 1 if underline.group(1).startswith("=") else 2
            held = None
            continue
        if held is not None:
            yield held, 0
            held = None
        if _FENCE.match(line):
            fenced = not fenced
        elif fenced:
            yield line, 0
        elif heading := _ATX.fullmatch(line):
            yield _LINK.sub(r"\1", heading.group(2)), len(heading.group(1))
        elif _TABLE_ROW.fullmatch(line) or _TABLE_RULE.fullmatch(line):
            if not _TABLE_RULE.fullmatch(line):
                yield row(_LINK.sub(r"\1", cell) for cell in line.strip().strip("|").split("|")), 0
        else:
            held = _LINK.sub(r"\1", line)
    if held is not None:
        yield held, 0


# -------------------------------------------------------------------------------------------------- CSV


def _csv(data: bytes) -> Iterator[Part]:
    csv.field_size_limit(MAX_FIELD)
    text = decode(data)
    try:
        dialect: type[csv.Dialect] | csv.Dialect = csv.Sniffer().sniff(text[:SAMPLE], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    lines: list[str] = []
    for cells in csv.reader(io.StringIO(text, newline=""), dialect):
        if any(map(str.strip, cells)):
            lines.append(row(cells))
        if len(lines) >= ROWS:
            yield Part(normalize("\n".join(lines)))
            lines = []
    yield Part(normalize("\n".join(lines)))


# ------------------------------------------------------------------------------------------- HTML, e-mail


def _html(data: bytes) -> Iterator[Part | Facts]:
    from rag.sources.html import read_html

    declared = _DECLARED.search(data[:2048])
    yield from read_html(decode(data, declared.group(1).decode() if declared else ""))


def _email(data: bytes) -> Iterator[Part | Facts]:
    import email
    import email.policy

    message = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    subject = str(message["subject"] or "")
    yield Facts(title=subject)
    heads = [f"{name}: {message[name]}" for name in ("Subject", "From", "To", "Cc", "Date") if message[name]]
    names = [part.get_filename() or part.get_content_type() for part in message.iter_attachments()]
    if names:
        heads.append("Attachments: " + ", ".join(names))
    body, cut = _body(message)
    yield Part(normalize("\n".join([*heads, "", body])).strip("\n"))
    if cut is not None:
        raise cut


def _body(message: EmailMessage) -> tuple[str, RefusedError | None]:
    """What it says, and why that is not all of it, if it is not."""
    from rag.sources.html import read_html

    part = message.get_body(("plain", "html"))
    if part is None:
        return "", None
    payload = part.get_payload(decode=True)
    content = decode(payload, part.get_content_charset() or "") if isinstance(payload, bytes) and payload else ""
    if part.get_content_subtype() != "html":
        return content, None
    texts: list[str] = []
    try:
        texts.extend(message.text for message in read_html(content) if isinstance(message, Part))
    except RefusedError as cut:
        return "\n\n".join(texts), cut
    return "\n\n".join(texts), None
