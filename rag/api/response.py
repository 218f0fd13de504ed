"""An answer as an HTTP response: worked out in a thread while it is sent, stopped when nobody listens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from starlette.responses import JSONResponse, Response

from rag.answer import Asker
from rag.api import wire
from rag.errors import RagError
from rag.types import Answer

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

Heard = str | Answer | RagError  # what the thread tells: the question as understood, pieces of text, how it ended


AHEAD = 16  # items that a thread may be ahead of its client


class BusyError(Exception):
    pass


class GoneError(Exception):
    """Nobody listens any more."""


class Line:
    """What a thread tells an event loop, in order and with a bound. The thread never waits for the loop itself, only
    for room, which closing makes: a loop that ends meanwhile (the server stops) leaves no thread behind."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[Heard | None] = asyncio.Queue()
        self._room = threading.Semaphore(AHEAD)
        self._is_closed = False

    def tell(self, item: Heard | None) -> None:
        """Raises GoneError when nobody listens any more. Called by the thread, like `end`."""
        if not self._is_closed:
            self._room.acquire()
        if self._is_closed:
            raise GoneError
        try:
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)
        except RuntimeError:  # the loop is closed
            raise GoneError from None

    def end(self) -> None:
        self.tell(None)

    async def heard(self) -> AsyncIterator[Heard]:
        while (item := await self._items.get()) is not None:
            self._room.release()
            yield item

    def close(self) -> None:
        self._is_closed = True
        self._room.release()


class Desk:
    """Lets some be served, some wait, and turns the others away: `async with desk` raises BusyError."""

    def __init__(self, running: int, waiting: int) -> None:
        self._places = anyio.Semaphore(running)
        self._most = running + waiting
        self._there = 0

    async def __aenter__(self) -> None:
        if self._there >= self._most:
            raise BusyError
        self._there += 1
        try:
            await self._places.acquire()
        except BaseException:
            self._there -= 1
            raise

    async def __aexit__(self, *_: object) -> None:
        self._there -= 1
        self._places.release()


class Answering(Response):
    """A response that is worked out while it is sent. It stops when the client has gone."""

    def __init__(self, asker: Asker, asked: wire.Asked, passages: int, desk: Desk, completion: wire.Completion) -> None:
        super().__init__()
        self._asker = asker
        self._asked = asked
        self._passages = passages
        self._desk = desk
        self._completion = completion

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            try:
                async with self._desk:
                    await self._respond(scope, receive, send)
            except BusyError:
                busy = problem(429, "Too many questions at once. Ask again in a moment.", **{"Retry-After": "5"})
                await busy(scope, receive, send)
            group.cancel_scope.cancel()

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        line = Line()
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, self._work, line)
            try:
                if self._asked.stream:
                    await self._stream(line.heard(), scope, receive, send)
                else:
                    await self._whole(line.heard(), scope, receive, send)
            finally:
                line.close()

    def _work(self, line: Line) -> None:
        """Runs in one thread from beginning to end, as a model may want it."""
        pieces: Generator[str, None, Answer] | None = None
        try:
            try:
                understood = self._asker.understand(self._asked.question, self._asked.history)
                line.tell(understood)
                pieces = self._asker.stream(self._asked.question, self._passages, self._asked.history, understood)
                line.tell(_each(pieces, line.tell))
            except RagError as error:
                line.tell(error)
            finally:
                if pieces is not None:
                    pieces.close()
                line.end()
        except GoneError:
            pass

    async def _whole(self, heard: AsyncIterator[Heard], scope: Scope, receive: Receive, send: Send) -> None:
        async for item in heard:
            if isinstance(item, Answer):
                await JSONResponse(self._completion.whole(item))(scope, receive, send)
            elif isinstance(item, RagError):
                await refusal(item)(scope, receive, send)

    async def _stream(self, heard: AsyncIterator[Heard], scope: Scope, receive: Receive, send: Send) -> None:
        """Begins with the first piece: what goes wrong before it has an HTTP status of its own."""
        understood, begun, held = "", False, ""
        async for item in heard:
            if isinstance(item, RagError) and not begun:
                await refusal(item)(scope, receive, send)
                return
            if isinstance(item, str) and not understood:
                understood = item
                continue
            if not begun:
                await _begin(send)
                await _send(send, self._completion.opening(understood))
                begun = True
            if isinstance(item, str):
                text, held = wire.harmless_pieces(item, held)
                await _send(send, self._completion.piece(text) if text else "")
            elif isinstance(item, Answer):
                await _send(send, (self._completion.piece(held) if held else "") + self._completion.closing(item))
            else:
                await _send(send, wire.broken_off(item))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _each(pieces: Generator[str, None, Answer], tell: Callable[[Heard], None]) -> Answer:
    while True:
        try:
            piece = next(pieces)
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        tell(piece)


async def _begin(send: Send) -> None:
    headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _send(send: Send, text: str) -> None:
    if text:
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


def refusal(error: RagError) -> Response:
    status, body = wire.problem_of(error)
    return JSONResponse(body, status)


def problem(status: int, message: str, **headers: str) -> Response:
    kind = "invalid_request_error" if status < 429 else "server_error"
    return JSONResponse(wire.problem(message, kind), status, headers=headers)
