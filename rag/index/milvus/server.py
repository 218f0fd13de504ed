"""A Milvus server, as this project speaks to it: with a limit to every wait, and errors in our own words.

pymilvus is imported when a server is first asked, and comes with the `scale` extra.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rag.errors import ModelError, NetworkError, RagError, StorageError, UsageError
from rag.index.milvus.address import Address

PATIENCE = 10.0  # seconds to reach a server
LIMIT = 60.0  # seconds for anything that is asked of it
LONG = 600.0  # for what takes a large collection long: to load it, to remove many rows
PAGE = 2_000  # rows that are fetched together
BLOCK = 4_000_000  # bytes that are sent together: a server takes 64 MB, and its log is written per message
BATCH = 1_000  # values that one filter compares with
MOST = 16_384  # rows that one search or query may give: Milvus's own limit

STRONG, SESSION, BOUNDED = "Strong", "Session", "Bounded"
Row = dict[str, Any]


class Server:
    """A connection, made when it is first needed. Everything that goes to the server passes `call`."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._client: Any = None

    def call(self, method: str, *arguments: Any, timeout: float = 0, **named: Any) -> Any:
        """A method of pymilvus' client. Raises RagError for whatever goes wrong."""
        with _explained(self.address, method):
            return getattr(self._connected(), method)(*arguments, timeout=timeout or LIMIT, **named)

    def version(self) -> str:
        return str(self.call("get_server_version"))

    def has(self, collection: str) -> bool:
        return bool(self.call("has_collection", collection))

    def upsert(self, collection: str, rows: Iterable[Row]) -> None:
        """In blocks of some megabytes, one after the other."""
        block: list[Row] = []
        size = 0
        for row in rows:
            block.append(row)
            size += _size(row)
            if size >= BLOCK:
                self.call("upsert", collection, block)
                block, size = [], 0
        if block:
            self.call("upsert", collection, block)

    def delete(self, collection: str, keys: Sequence[str]) -> None:
        """By primary key: whoever deletes by anything else lets the server look the keys up, and it may look at a state
        that is seconds old."""
        for some in _batches(keys):
            self.call("delete", collection, filter=among("id", some), timeout=LONG)

    def query(
        self, collection: str, where: str, fields: Sequence[str], consistency: str, most: int = MOST
    ) -> list[Row]:
        """The rows that a filter leaves, `most` of them."""
        found = self.call(
            "query",
            collection,
            filter=where,
            output_fields=list(fields),
            limit=most,
            consistency_level=consistency,
        )
        return [dict(row) for row in found]

    def lookup(
        self, collection: str, field: str, values: Sequence[int | str], fields: Sequence[str], consistency: str
    ) -> Iterator[Row]:
        """All rows whose field has one of these values, however many those are."""
        for some in _batches(values):
            found = self.query(collection, where := among(field, some), fields, consistency)
            if len(found) < MOST:
                yield from found
            else:
                yield from self.rows(collection, where, fields, consistency)

    def rows(self, collection: str, where: str, fields: Sequence[str], consistency: str) -> Iterator[Row]:
        """All rows that a filter leaves, in the order of their keys, page by page."""
        pages = self.call(
            "query_iterator",
            collection,
            batch_size=PAGE,
            filter=where,
            output_fields=list(fields),
            consistency_level=consistency,
        )
        try:
            while True:
                with _explained(self.address, "query_iterator"):
                    page = pages.next()
                if not page:
                    return
                yield from page
        finally:
            pages.close()

    def count(self, collection: str, where: str, consistency: str) -> int:
        found = self.call("query", collection, filter=where, output_fields=["count(*)"], consistency_level=consistency)
        return int(found[0]["count(*)"])

    def search(
        self, collection: str, field: str, wanted: Any, k: int, where: str, fields: Sequence[str], consistency: str
    ) -> list[tuple[float, Row]]:
        """(score, row) of the k nearest, best first."""
        found = self.call(
            "search",
            collection,
            data=[wanted],
            anns_field=field,
            limit=min(k, MOST),
            filter=where,
            output_fields=list(fields),
            consistency_level=consistency,
        )
        # milvus-lite 3.2 gives BM25's scores negated.
        return [(abs(float(hit["distance"])), {"id": hit["id"], **hit["entity"]}) for hit in found[0]]

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None

    def _connected(self) -> Any:
        if self._client is None:
            self._client = _client(self.address)
        return self._client


def _client(address: Address) -> Any:
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what goes wrong is said by us
    try:
        from pymilvus import MilvusClient
    except ImportError as error:
        raise ModelError(
            f"pymilvus is missing, which speaks to {address.server}. Nothing was done; "
            "pip install 'beluga-rag[scale]', or leave --store (RAG_STORE) out."
        ) from error
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    # A ping every ten seconds, as is pymilvus' custom, is what some servers close a connection for.
    pings = {"grpc.keepalive_time_ms": 300_000, "grpc.keepalive_permit_without_calls": False}
    how: dict[str, Any] = {"secure": address.encrypted, "grpc_options": pings}
    files = {
        "server_pem_path" if not address.certificate else "ca_pem_path": address.authority,
        "client_pem_path": address.certificate,
        "client_key_path": address.key,
        "server_name": address.server_name,
    }
    how.update({name: value for name, value in files.items() if value})
    scheme = "https" if address.encrypted else "http"
    uri = f"{scheme}://{address.host}:{address.port}"
    # A connection of our own: pymilvus would share one with whoever asks the same host, encrypted or not.
    return MilvusClient(uri=uri, token=address.token, timeout=PATIENCE, dedicated=True, **how)


@contextmanager
def _explained(address: Address, method: str) -> Iterator[None]:
    """The library's errors in the words of this project; what is not the server's fault passes."""
    try:
        yield
    except RagError:
        raise
    except OSError as error:  # of a certificate
        raise UsageError(
            f"{error.filename or 'A certificate'} cannot be read: {error.strerror}. Nothing was sent; see "
            "RAG_MILVUS_CA, RAG_MILVUS_CERT and RAG_MILVUS_KEY."
        ) from error
    except Exception as error:
        from grpc import RpcError
        from pymilvus.exceptions import MilvusException

        if not isinstance(error, MilvusException | RpcError):
            raise
        raise _in_our_words(address, method, error) from error


_REFUSED = re.compile(
    r"unauthenticated|auth check failure|permission ?deny|missing authorization|permission denied", re.I
)
_UNSAFE = re.compile(r"ssl|certificate|handshake|tls", re.I)
_AWAY = re.compile(r"unavailable|deadline|fail connecting|retry (?:timeout|run out)|connect|closed channel", re.I)
SAFE = "What was acknowledged before is safe"


def _in_our_words(address: Address, method: str, error: Exception) -> RagError:
    said = _said(error)
    server = address.server
    if _REFUSED.search(said):
        given = "RAG_MILVUS_TOKEN" if address.token else "no token (RAG_MILVUS_TOKEN is not set)"
        return UsageError(
            f"{server} does not let us in with {given}. Nothing was changed; set RAG_MILVUS_TOKEN to user:password or "
            "a token that may read, and to index also write."
        )
    if _UNSAFE.search(said):
        return NetworkError(
            f"{server} and we do not agree on an encrypted connection ({_short(said)}). Nothing was changed; see "
            "whether the server encrypts (milvuss://) or not (milvus://), and that RAG_MILVUS_CA names who vouches for "
            "its certificate."
        )
    if _AWAY.search(said):
        return NetworkError(
            f"{server} does not answer ({_short(said)}). {SAFE}; see that the server runs there (and encrypts, if and "
            "only if the address begins with milvuss://), then run the same command again: it goes on where it stopped."
        )
    return StorageError(
        f"{server} could not do what was asked ({method}: {_short(said)}). {SAFE}; see the server's log, then run the "
        "same command again: it goes on where it stopped."
    )


def _said(error: BaseException) -> str:
    """All that an error and what caused it have to say."""
    told: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(told) < 5:
        details: Callable[[], str] | None = getattr(cause, "details", None)
        told.append(str(getattr(cause, "message", "")) or (details() if callable(details) else "") or str(cause))
        debug: Callable[[], str] | None = getattr(cause, "debug_error_string", None)
        told.append(debug() if callable(debug) else "")
        cause = cause.__cause__
    return " ".join(dict.fromkeys(filter(None, told)))


_NOISE = re.compile(r"Fail connecting to server on \S+ illegal connection params or server \w+|last error: \w+: ")


def _short(text: str) -> str:
    line = " ".join(_NOISE.sub("", text).split())
    return line if len(line) <= 160 else line[:159] + "…"


def among(field: str, values: Sequence[int | str]) -> str:
    """A filter. Values are numbers, or hexadecimal digits with dashes: nothing in them needs quoting."""
    listed = ", ".join(str(value) if isinstance(value, int) else f'"{value}"' for value in values)
    return f"{field} in [{listed}]"


def _batches(values: Sequence[int | str]) -> Iterator[Sequence[int | str]]:
    for i in range(0, len(values), BATCH):
        yield values[i : i + BATCH]


def _size(row: Row) -> int:
    """Bytes that a row takes on the wire, nearly."""
    return sum(len(value) * 3 if isinstance(value, str) else getattr(value, "nbytes", 8) for value in row.values())
