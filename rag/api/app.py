"""The index as an OpenAI-compatible HTTP endpoint, so that other tools can ask it.

    GET  /health                 {"status": "ok"}
    GET  /v1/models              the one model, named as the collection
    POST /v1/chat/completions    the last user message is the question, those before it the history; "stream" streams

Answers carry "sources", what [n] cites, and "rag", the whole answer as `rag ask --json` prints it. Other parameters of
OpenAI's are accepted and have no effect. Nothing that is asked is logged.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rag.answer import Asker
from rag.api import wire
from rag.api.response import Answering, Desk, problem, refusal
from rag.errors import UsageError
from rag.generation.transport import is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LARGEST_BODY = 1 << 20  # bytes
BODY_TIME = 30.0  # seconds until a request has to be there
RUNNING, WAITING = 4, 32  # questions that are answered at once, and that wait for their turn


@dataclass(frozen=True, slots=True)
class Limits:
    running: int = RUNNING
    waiting: int = WAITING
    body: int = LARGEST_BODY
    body_time: float = BODY_TIME


def app(
    asker: Asker, model: str, passages: int, token: str = "", local: bool = True, limits: Limits | None = None
) -> Starlette:
    """An ASGI application. With a `token`, every request but /health must bring it. `local` is for one that listens on
    this machine alone: it answers to this machine's names only, so that no page of the Web can reach it under its own
    (DNS rebinding)."""
    limits = limits or Limits()
    desk = Desk(limits.running, limits.waiting)

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def models(request: Request) -> Response:
        return JSONResponse(wire.models(model))

    async def chat(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return problem(415, "Send application/json.")  # and no page of the Web can do so unasked
        body = await _body(request, limits)
        if isinstance(body, Response):
            return body
        try:
            asked = wire.asked(body, model)
        except UsageError as error:
            return refusal(error)
        return Answering(asker, asked, passages, desk, wire.Completion(model))

    async def nothing_there(request: Request, error: Exception) -> Response:
        return problem(404, f"There is no {request.url.path[:80]} here; there is /v1/chat/completions.")

    async def another_method(request: Request, error: Exception) -> Response:
        allowed = getattr(error, "headers", None) or {}
        return problem(405, f"{request.url.path[:80]} does not take {request.method[:20]}.", **allowed)

    routes = [
        Route("/health", health),
        Route("/v1/models", models),
        Route("/v1/chat/completions", chat, methods=["POST"]),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, token=token, local=local)],
        exception_handlers={404: nothing_there, 405: another_method},
    )


class Guard:
    """Middleware that lets in who may come in."""

    def __init__(self, app: ASGIApp, token: str, local: bool) -> None:
        self._app = app
        self._token = token.encode()
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (response := self._objection(Request(scope))):
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _objection(self, request: Request) -> Response | None:
        if self._local and not _is_of_this_machine(request.headers.get("host", "")):
            return problem(421, "This server answers to localhost only.")
        if not self._token or request.url.path == "/health":
            return None
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token):
            return None
        return problem(
            401, "A bearer token is required: Authorization: Bearer TOKEN.", **{"WWW-Authenticate": "Bearer"}
        )


async def _body(request: Request, limits: Limits) -> Any:
    """The request's JSON, or the response that says what is wrong with it."""
    size = request.headers.get("content-length", "0")
    read = bytearray()
    try:
        with anyio.fail_after(limits.body_time):
            async for part in request.stream():
                read += part
                if len(read) > limits.body:
                    break
    except (TimeoutError, ClientDisconnect):
        return problem(408, "The request did not arrive in time.")
    if len(read) > limits.body or (size.isdigit() and int(size) > limits.body):
        return problem(413, f"The request is larger than {limits.body:,} bytes.", Connection="close")
    try:
        return json.loads(bytes(read))
    except (ValueError, RecursionError):
        return problem(400, "The body is no JSON.")


def _is_of_this_machine(host: str) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host}").hostname)
    except ValueError:
        return False
