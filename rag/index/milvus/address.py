"""Where a store is, and how to get in: its URI, and what the environment says of keys and certificates. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from urllib.parse import unquote, urlsplit

from rag.errors import UsageError
from rag.index.names import require_collection

PLAIN, ENCRYPTED = "milvus", "milvuss"
PORT = 19530
FORM = f"{PLAIN}://HOST:{PORT}/NAME ({ENCRYPTED}:// encrypts)"


@dataclass(frozen=True, slots=True)
class Address:
    """A collection on a server. What is secret is in no representation of it, and so in no message and no log."""

    host: str
    port: int
    name: str
    encrypted: bool = False
    token: str = field(default="", repr=False)
    authority: str = ""  # a file with the certificate of who vouches for the server; the system's if empty
    certificate: str = ""
    key: str = field(default="", repr=False)
    server_name: str = ""  # that the server's certificate is made out to, where it is not the host

    @property
    def server(self) -> str:
        return f"{ENCRYPTED if self.encrypted else PLAIN}://{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.server}/{self.name}"

    @property
    def digest(self) -> str:
        """Names what belongs to this collection on this machine."""
        return blake2b(f"{self.host}:{self.port}/{self.name}".encode(), digest_size=8).hexdigest()


def name_in(uri: str) -> str:
    """The collection that a store's URI names; empty where it leaves that to --collection. Raises UsageError for what
    is no such URI."""
    return _parts(uri)[2]


def address(uri: str, name: str, environment: Mapping[str, str]) -> Address:
    """A collection's address: by its `name`, where the URI does not say. Raises UsageError."""
    host, port, own, encrypted = _parts(uri)
    secrets = {key: environment.get(f"RAG_MILVUS_{key}", "").strip() for key in ("TOKEN", "CA", "CERT", "KEY", "HOST")}
    if bool(secrets["CERT"]) != bool(secrets["KEY"]):
        raise UsageError("RAG_MILVUS_CERT and RAG_MILVUS_KEY belong together: set both, or neither. Nothing was done.")
    if not encrypted and (secrets["CA"] or secrets["CERT"]):
        raise UsageError(
            f"RAG_MILVUS_CA and RAG_MILVUS_CERT are for an encrypted connection, and {uri} is none. Nothing was sent; "
            f"begin it with {ENCRYPTED}://, or unset them."
        )
    return Address(
        host,
        port,
        own or name,
        encrypted,
        secrets["TOKEN"],
        secrets["CA"],
        secrets["CERT"],
        secrets["KEY"],
        secrets["HOST"],
    )


def _parts(uri: str) -> tuple[str, int, str, bool]:
    """(host, port, name, encrypted)."""
    try:
        split = urlsplit(uri)
        port = split.port or PORT
    except ValueError:
        raise UsageError(f"{_harmless(uri)!r} is no address of a store; it takes {FORM}.") from None
    if split.username is not None or split.password is not None or "@" in uri:
        raise UsageError(
            "The address of a store must hold no user, password or token: command lines and settings are read and "
            "logged by others. Nothing was sent; put it into RAG_MILVUS_TOKEN, as user:password or a token."
        )
    name = unquote(split.path.strip("/"))
    if split.scheme not in (PLAIN, ENCRYPTED) or not split.hostname or split.query or split.fragment:
        raise UsageError(f"{_harmless(uri)!r} is no address of a store; it takes {FORM}.")
    if name:
        require_collection(name)
    return split.hostname, port, name, split.scheme == ENCRYPTED


def _harmless(uri: str) -> str:
    """Without what may be a password."""
    return re.sub(r"//[^/]*@", "//…@", uri)
