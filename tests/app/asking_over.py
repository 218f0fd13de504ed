"""Requests to an ASGI application as a browser would send them, without a network."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reply:
    status: int  # of a WebSocket that was closed before it opened: 403, as a server says it; of one that opened: 101
    headers: dict[str, str]
    body: str


def request(
    app: Any, path: str = "/", method: str = "GET", body: bytes = b"", kind: str = "http", **headers: str
) -> Reply:
    """`headers` with underscores for dashes; `host` is localhost, unless it is given. `path` may have a query."""
    head = {"host": "localhost:8501", **headers}
    path, _, query = path.partition("?")
    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "client": ("10.0.0.1", 1234),
        "headers": [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in head.items()],
    }
    sent: list[dict[str, Any]] = []
    incoming = [{"type": "websocket.connect"}] if kind == "websocket" else [{"type": "http.request", "body": body}]

    async def receive() -> dict[str, Any]:
        return incoming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    first = sent[0]
    if kind == "websocket":
        return Reply(101 if first["type"] == "websocket.accept" else 403, {}, first.get("reason", ""))
    found = {name.decode(): value.decode() for name, value in first["headers"]}
    return Reply(first["status"], found, b"".join(message.get("body", b"") for message in sent[1:]).decode())


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """An application that says which session it was told, and sets a policy of its own."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return
    told = [value.decode() for name, value in scope["headers"] if name == b"x-beluga-session"]
    headers = [(b"content-type", b"text/plain"), (b"content-security-policy", b"default-src *")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": f"{scope['path']} {told}".encode()})
