"""PDFs that are encrypted: with and without a password that is needed, and with parameters that are wrong."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pypdf
from kinds import ANY, BROKEN, READ, Kind
from kinds_structure import LINES, PLAIN

from rag.types import Status

ALGORITHMS = ("RC4-40", "RC4-128", "AES-128", "AES-256-R5", "AES-256")
LOCKED = (Status.PASSWORD,)


def _encrypted(algorithm: str, user: str, owner: str = "owner", data: bytes = PLAIN) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(data))
    writer.encrypt(user, owner, algorithm=algorithm)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def with_passwords() -> Iterator[Kind]:
    for algorithm in ALGORITHMS:
        yield Kind(f"owner-only-{algorithm}", _encrypted(algorithm, ""), READ, LINES)
        yield Kind(f"user-{algorithm}", _encrypted(algorithm, "secret"), LOCKED)
    yield Kind("user-and-owner-the-same", _encrypted("AES-256", "secret", "secret"), LOCKED)
    yield Kind("both-empty", _encrypted("AES-128", "", ""), READ, LINES)
    yield Kind("password-not-ascii", _encrypted("AES-256", "Schlüssel🔑"), LOCKED)
    yield Kind("password-of-127-letters", _encrypted("AES-256", "x" * 127), LOCKED)
    forbidding = pypdf.PdfWriter(clone_from=io.BytesIO(PLAIN))
    forbidding.encrypt("", "owner", permissions_flag=pypdf.constants.UserAccessPermissions(0), algorithm="AES-128")
    out = io.BytesIO()
    forbidding.write(out)
    yield Kind("copying-forbidden", out.getvalue(), READ, LINES)


def with_wrong_parameters() -> Iterator[Kind]:
    """What it comes to depends on how much the engines can guess; what nobody can open is no blank page."""
    fair = (Status.INDEXED, Status.PARTLY, Status.PASSWORD, Status.DAMAGED)
    base = _encrypted("RC4-128", "")
    strong = _encrypted("AES-256", "")
    for name, pattern, change in [
        ("version-9", rb"/V \d", b"/V 9"),
        ("revision-9", rb"/R \d", b"/R 9"),
        ("length-0", rb"/Length 128\b", b"/Length 0"),
        ("length-7", rb"/Length 128\b", b"/Length 7"),
        ("length-huge", rb"/Length 128\b", b"/Length 99999999"),
        ("owner-key-missing", rb"/O ?[<(]", b"/Oh <"),
        ("permissions-missing", rb"/P -?\d+", b"/Pee 1"),
        ("permissions-huge", rb"/P -?\d+", b"/P 4294967292"),
    ]:
        yield Kind(f"locked-{name}", re.sub(pattern, lambda _, new=change: new, base, count=1), fair)  # type: ignore[misc]
        yield Kind(f"locked-{name}-aes", re.sub(pattern, lambda _, new=change: new, strong, count=1), fair)  # type: ignore[misc]
    for name, scheme in {
        "by-certificate": b"/Adobe.PubSec/SubFilter/adbe.pkcs7.s4",
        "by-another-maker": b"/FOPN.foweb",
    }.items():
        yield Kind(name, base.replace(b"/Standard", scheme), LOCKED)
    yield Kind("identifier-missing", re.sub(rb"/ID ?\[[^\]]*\]", b"", base), fair)
    yield Kind("dictionary-nowhere", re.sub(rb"/Encrypt \d+ 0 R", b"/Encrypt 999 0 R", base), ANY)
    yield Kind("dictionary-itself-damaged", base.replace(b"/Standard", b"/Stand\0rd"), fair)
    at = strong.index(b"stream\n") + 40
    flipped = strong[:at] + bytes([strong[at] ^ 0xFF]) + strong[at + 1 :]
    yield Kind("a-byte-of-cipher-flipped", flipped, fair)
    yield Kind("locked-and-cut", strong[: len(strong) * 7 // 10], BROKEN)


def all_encrypted() -> Iterator[Kind]:
    yield from with_passwords()
    yield from with_wrong_parameters()
