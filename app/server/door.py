"""What every request passes: under which names this server answers, to whom, and what it tells browsers to refuse.

Streamlit accepts any Host, so that a page elsewhere whose name is made to lead here (DNS rebinding) could read
everything; and it asks a server in the internet which address it has before it refuses a foreign origin. Here both are
refused before Streamlit hears of them. Streamlit sends no Content-Security-Policy either: with this one, nothing on a
page can fetch anything from elsewhere, whatever stands in a document.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Protocol
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SESSION = "x-beluga-session"  # tells the pages which session a request is of; what comes under that name is removed
SAFE = {"GET", "HEAD", "OPTIONS"}  # methods that change nothing
CLOSED = {"/_stcore/metrics", "/_stcore/agent/openapi.json"}  # what nobody here asks for

HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",  # with "no-referrer", browsers send our own forms, too, as from nowhere
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


class Entrance(Protocol):
    """What only lets in whom it knows. `handle` is the session that a request is of, empty where it is of none;
    `answer` is asked for requests of none and for those to its own paths."""

    paths: frozenset[str]

    def handle(self, scope: Scope) -> str: ...

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Door:
    """An ASGI application around another. `names` are the hosts that it answers to beside addresses; `by_address` says
    whether any address will do, as where it listens to other machines; `policy` is the Content-Security-Policy."""

    def __init__(
        self, app: App, names: Iterable[str], policy: str, by_address: bool = False, entrance: Entrance | None = None
    ) -> None:
        self._app = app
        self._names = {name.casefold().rstrip(".") for name in names}
        self._by_address = by_address
        self._headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        self._headers.append((b"content-security-policy", policy.encode()))
        self._entrance = entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        guarded = self._guarded(send)
        if refusal := self._refusal(scope):
            await refuse(scope, receive, guarded, *refusal)
            return
        headers = [(name, value) for name, value in scope["headers"] if name.lower() != SESSION.encode()]
        scope = {**scope, "headers": headers}
        if self._entrance and scope["path"] != "/_stcore/health":
            handle = self._entrance.handle(scope)
            if not handle or scope["path"] in self._entrance.paths:
                await self._entrance.answer(scope, receive, guarded)
                return
            headers.append((SESSION.encode(), handle.encode()))
        await self._app(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        hosts, origins = values(scope, "host"), values(scope, "origin")
        host = named(hosts[0]) if len(hosts) == 1 else None
        if host is None or not self._answers_to(host[0]):
            return 421, "This server does not answer under that name. Open the address that it printed when it started."
        is_change = scope["type"] == "websocket" or scope["method"] not in SAFE
        if is_change and origins and (len(origins) > 1 or not _is_same(origins[0], host)):
            return 403, "That came from another site."
        if scope["path"] in CLOSED:
            return 404, "There is nothing here."
        return None

    def _answers_to(self, name: str) -> bool:
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._by_address

    def _guarded(self, send: Send) -> Send:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = {name for name, _ in self._headers}
                kept = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in ours]
                message = {**message, "headers": [*kept, *self._headers]}
            await send(message)

        return send_guarded


async def refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str) -> None:
    """Ends a request with a line of text, and a WebSocket before it opens."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": why})
        return
    await respond(send, status, why.encode(), [(b"content-type", b"text/plain; charset=utf-8")])


async def respond(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


def values(scope: Scope, name: str) -> list[str]:
    return [value.decode("latin-1") for found, value in scope["headers"] if found.lower() == name.encode()]


def named(host: str) -> tuple[str, int | None] | None:
    """Name and port of a Host header, as they are compared; None for what is none."""
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or parts.netloc != host or "@" in host:
        return None
    return name.casefold().rstrip("."), port


def _is_same(origin: str, host: tuple[str, int | None]) -> bool:
    """Whether an Origin is that of the Host. A proxy may have taken the encryption off, and a default port is not
    written: then its scheme says which one is meant."""
    scheme, _, rest = origin.partition("://")
    usual = {"http": 80, "https": 443}.get(scheme)
    found = named(rest)
    if usual is None or found is None or found[0] != host[0]:
        return False
    return found[1] == host[1] or {found[1], host[1]} <= {None, usual}
