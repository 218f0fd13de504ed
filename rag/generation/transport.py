"""HTTP to one server that the user named, by the standard library: time-outs, retries with back-off, and a key that
goes to that server alone.

Redirects are not followed (they could lead the key or the documents' text to another host), proxies are taken from the
environment but never for this machine itself, and whatever a server says is shown without the key.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, NoReturn
from urllib.parse import urlsplit

from rag.errors import ModelError, UsageError

CONNECT, FIRST, BETWEEN = 10.0, 300.0, 60.0  # seconds to a connection, to the first line, from line to line
ATTEMPTS = 4
BACKOFF = 0.5  # seconds before the second attempt; doubled for each further one
LONGEST_WAIT = 60.0  # seconds of Retry-After that are waited for
LONGEST_LINE = 1 << 20  # bytes; a longer one is no token of an answer
LONGEST_REPLY = 8 << 20
SAID = 300  # characters of a server's own words in an error

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_BROKEN = (OSError, http.client.HTTPException)


class RefusedError(Exception):
    """The server answered with a status that is no success. `told` is its own explanation, the key left out, and
    `parameter` the one of the request that it does not like, where it says so."""

    def __init__(self, status: int, told: str, parameter: str = "") -> None:
        super().__init__(status, told)
        self.status = status
        self.told = told
        self.parameter = parameter


class CutError(ModelError):
    """The connection broke in the middle of a reply."""


@dataclass(frozen=True)
class Server:
    """`base` is an OpenAI-style base URL ("http://127.0.0.1:8000/v1"). Safe to share between threads: every call has
    a connection of its own. The key is no part of the repr."""

    base: str
    key: str = field(default="", repr=False)
    connect_timeout: float = CONNECT
    first_timeout: float = FIRST
    between_timeout: float = BETWEEN
    pause: Callable[[float], None] = field(default=time.sleep, repr=False)

    @property
    def host(self) -> str:
        return urlsplit(self.base).netloc

    @property
    def root(self) -> str:
        """Where a server's own endpoints lie, beside those that are OpenAI's."""
        return self.base.removesuffix("/v1")

    def call(self, url: str, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON that the server replies: to a POST of `body`, or to a GET.

        Raises RefusedError for any status but 200, ValueError when the reply is no JSON, ModelError when there is none.
        """
        with closing(self._opened(url, body, _AGAIN - {500})) as reply:  # some have 500 for what they do not have
            try:
                return json.loads(reply.response.read(LONGEST_REPLY))
            except _BROKEN as error:
                self._cut(error)

    def events(self, url: str, body: Mapping[str, Any]) -> Generator[str, None, None]:
        """The data of each server-sent event (https://html.spec.whatwg.org/multipage/server-sent-events.html), or the
        whole reply where the server does not stream. Closing it closes the connection, which stops the server."""
        with closing(self._opened(url, body, _AGAIN)) as reply:
            try:
                if "event-stream" not in (reply.response.getheader("Content-Type") or ""):
                    yield reply.response.read(LONGEST_REPLY).decode("utf-8", "replace")
                    return
                yield from reply.events(self.between_timeout)
            except _BROKEN as error:
                self._cut(error)

    def _opened(self, url: str, body: Mapping[str, Any] | None, again: frozenset[int]) -> _Reply:
        """A reply of status 200. Tries again where that is safe and may help: nothing has been read yet."""
        for attempt in range(1, ATTEMPTS + 1):
            asked_to_wait = None
            try:
                reply = self._sent(url, body)
            except _BROKEN as error:
                if attempt == ATTEMPTS or isinstance(error, TimeoutError | ssl.SSLCertVerificationError):
                    raise ModelError(self._unreachable(error, attempt)) from None  # a traceback may show the key
            else:
                if reply.response.status == http.client.OK:
                    return reply
                with closing(reply):
                    refused = self._refused(reply.response)
                    asked_to_wait = _seconds(reply.response.getheader("Retry-After"))
                too_long = asked_to_wait is not None and asked_to_wait > LONGEST_WAIT
                if refused.status not in again or attempt == ATTEMPTS or too_long:
                    raise refused
            self.wait(attempt, asked_to_wait)
        raise AssertionError("the last attempt returns or raises")

    def wait(self, attempt: int, asked: float | None = None) -> None:
        """Before the attempt after this one: as long as the server asked for, or longer each time."""
        backoff = BACKOFF * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)  # noqa: S311 - spreads retries, no secret
        self.pause(backoff if asked is None else asked)

    def _sent(self, url: str, body: Mapping[str, Any] | None) -> _Reply:
        headers = {"Accept": "application/json, text/event-stream", "User-Agent": "beluga-rag"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        connection, target = _connection(url, self.connect_timeout)
        try:
            connection.connect()
            wire: socket.socket = connection.sock  # the response takes it from the connection when it reads to the end
            wire.settimeout(self.first_timeout)
            connection.request("GET" if data is None else "POST", target, body=data, headers=headers)
            return _Reply(connection, wire, connection.getresponse())
        except BaseException:
            connection.close()
            raise

    def _refused(self, response: http.client.HTTPResponse) -> RefusedError:
        if location := response.getheader("Location"):
            return RefusedError(response.status, f"it redirects to {self._without_key(location)}")
        try:
            text = response.read(LONGEST_LINE).decode("utf-8", "replace")
        except _BROKEN:
            text = ""
        told, parameter = explained(text)
        return RefusedError(response.status, self._without_key(told), parameter)

    def _without_key(self, text: str) -> str:
        text = text.replace(self.key, "[key]") if self.key else text
        return "".join(c if c.isprintable() else " " for c in text)[:SAID]

    def _unreachable(self, error: Exception, attempts: int) -> str:
        why = "it did not answer in time" if isinstance(error, TimeoutError) else self._without_key(str(error))
        tried = f", after {attempts} attempts" if attempts > 1 else ""
        return (
            f"No answer from the server at {self.host} ({why or error.__class__.__name__}){tried}. Is it running, and "
            "is --api-base right? Your documents and index are untouched."
        )

    def _cut(self, error: Exception) -> NoReturn:
        if isinstance(error, TimeoutError):
            raise ModelError(stopped(self.host, "it fell silent")) from None
        raise CutError(stopped(self.host, "the connection broke")) from None


def stopped(host: str, why: str) -> str:
    return (
        f"The server at {host} stopped in the middle of its answer: {why}. Ask again; if it happens every time, look "
        "at the server's log."
    )


class _Reply:
    def __init__(
        self, connection: http.client.HTTPConnection, wire: socket.socket, response: http.client.HTTPResponse
    ) -> None:
        self.response = response
        self._connection = connection
        self._wire = wire

    def events(self, between: float) -> Generator[str, None, None]:
        data: list[str] = []
        while line := self.response.readline(LONGEST_LINE):
            if not line.endswith(b"\n") and len(line) == LONGEST_LINE:
                raise http.client.LineTooLong("event")
            self._wire.settimeout(between)
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            if text.startswith("data:"):
                data.append(text[5:].removeprefix(" "))
            elif not text and data:
                yield "\n".join(data)
                data = []
        if data:  # some servers do not end the last event with an empty line
            yield "\n".join(data)

    def close(self) -> None:
        self.response.close()
        self._connection.close()


def base_url(given: str) -> str:
    """A base URL as it is used: without a slash at its end, "/v1" where it has no path. Raises UsageError."""
    try:
        parts = urlsplit(given.strip())
        sound = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        sound = None
    if not sound or parts.query or parts.fragment:
        raise UsageError("--api-base (or RAG_API_BASE) takes a URL such as http://127.0.0.1:8000/v1.")
    if "@" in parts.netloc:
        raise UsageError("--api-base must hold no user name, password or key: give the key as RAG_API_KEY.")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"


def is_loopback(host: str | None) -> bool:
    """Whether a host's name means this machine by itself, without asking anybody."""
    if host in (None, ""):
        return False
    try:
        return ip_address(str(host)).is_loopback
    except ValueError:
        return host == "localhost"


def explained(text: str) -> tuple[str, str]:
    """What an error's body says, and which parameter it is about; servers differ in where they say it."""
    try:
        body = json.loads(text)
    except ValueError:
        return " ".join(text.split()), ""
    found = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(found, dict):
        said = found.get("message") or found.get("detail") or json.dumps(found)
        return str(said), str(found.get("param") or "")
    return str(found), ""


def _connection(url: str, timeout: float) -> tuple[http.client.HTTPConnection, str]:
    """A connection that is not open yet, and what to ask it for."""
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port
    secure = {"context": ssl.create_default_context()} if parts.scheme == "https" else {}
    kind: Any = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    if not (proxy := _proxy(parts.scheme, host)):
        return kind(host, port, timeout=timeout, **secure), parts.path
    through = urlsplit(proxy if "//" in proxy else f"//{proxy}")
    connection = kind(through.hostname, through.port, timeout=timeout, **secure)
    if secure:
        connection.set_tunnel(host, port or 443)
        return connection, parts.path
    return connection, url


def _proxy(scheme: str, host: str) -> str:
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return ""
    return urllib.request.getproxies().get(scheme, "")


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After, which is a number of seconds or a date (RFC 9110, 10.2.3)."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None
