"""A server on the loopback interface that does what a test scripts: one step for each request, then nothing more."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Step = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Script:
    """`chat` is served to /v1/chat/completions, in order; `others` by path; anything else is 404."""

    chat: list[Step] = field(default_factory=list)
    others: dict[str, Step] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)  # path, headers, body
    gone: threading.Event = field(default_factory=threading.Event)  # a client hung up in the middle of a stream
    over: threading.Event = field(default_factory=threading.Event)  # the test is
    port: int = 0

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def bodies(self) -> list[Any]:
        return [body for path, _, body in self.asked if path == "/v1/chat/completions"]


@contextmanager
def serving(script: Script) -> Iterator[Script]:
    class Scripted(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            script.asked.append((self.path, dict(self.headers), body))
            self.body = body
            if self.path == "/v1/chat/completions":
                script.chat.pop(0)(self)
            else:
                script.others.get(self.path, status(404, "not found"))(self)

        do_GET = do_POST = _answer  # noqa: N815 - http.server's names

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: Any) -> None:  # a client that hung up is what some tests are about
            pass

    server = Quiet(("127.0.0.1", 0), Scripted)
    script.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


# -------------------------------------------------------------------------------------------------- steps


def reply(body: Any, kind: str = "application/json", code: int = 200, **headers: str) -> Step:
    data = (body if isinstance(body, str) else json.dumps(body)).encode()

    def step(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(data)

    return step


def status(code: int, message: str = "", **headers: str) -> Step:
    return reply({"error": {"message": message}}, code=code, **headers)


def events(*data: str, ends: bool = True, newline: str = "\n") -> Step:
    """Server-sent events, chunked; without `ends` the connection breaks in the middle of the next chunk."""

    def step(request: BaseHTTPRequestHandler) -> None:
        _open_stream(request)
        for each in data:
            _chunk(request, f"data: {each}{newline}{newline}")
        if ends:
            request.wfile.write(b"0\r\n\r\n")
        else:
            request.wfile.write(b"ff\r\ndata: {")
            request.close_connection = True

    return step


def hangs(script: Script, *data: str) -> Step:
    """Sends what it is given, and then nothing until the test is over."""

    def step(request: BaseHTTPRequestHandler) -> None:
        if data:
            _open_stream(request)
        for each in data:
            _chunk(request, f"data: {each}\n\n")
        script.over.wait()
        request.close_connection = True

    return step


def endless(script: Script, piece: str) -> Step:
    """Streams until the client hangs up, and then says so."""

    def step(request: BaseHTTPRequestHandler) -> None:
        _open_stream(request)
        try:
            while not script.over.is_set():
                _chunk(request, f"data: {said(piece)}\n\n")
        except OSError:
            script.gone.set()
        request.close_connection = True

    return step


def echo(request: BaseHTTPRequestHandler) -> None:
    """Answers with the last turn that it was sent."""
    answer(request.body["messages"][-1]["content"].split(" "))(request)  # type: ignore[attr-defined]


def hangs_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True


def said(text: str | None, finish: str | None = None) -> str:
    return json.dumps({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]})


def answer(pieces: Sequence[str]) -> Step:
    return events(*(said(piece) for piece in pieces), said(None, "stop"), "[DONE]")


def _open_stream(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "text/event-stream; charset=utf-8")
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()


def _chunk(request: BaseHTTPRequestHandler, text: str) -> None:
    data = text.encode()
    request.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
