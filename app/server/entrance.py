"""The login with a password: one plain page of our own, before which nothing of the application can be reached."""

from __future__ import annotations

import asyncio
import math
from html import escape
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from string import Template
from urllib.parse import parse_qs, quote, urlsplit

from app.server.door import Receive, Scope, Send, respond, values
from app.server.passwords import Passwords
from app.server.sessions import LIFETIME, Attempts, Sessions
from rag import terminal
from rag.errors import RagError

LOGIN, LOGOUT = "/login", "/logout"
COOKIE = "beluga_session"
LONGEST_FORM = 16_384  # bytes
AT_ONCE = 2  # passwords that are checked: each takes a processor and 32 MiB

WRONG = "Name and password do not belong together."
LATER = "Too many attempts. Try again in {minutes}."
CLOSED = "Nobody can log in just now. Whoever runs this server can read why in its terminal."

_PAGE = Template(Path(__file__).with_name("login.html").read_text(encoding="utf-8"))


class Entrance:
    """`secure` where browsers reach this server by https, whoever encrypts."""

    paths = frozenset({LOGIN, LOGOUT})

    def __init__(self, passwords: Passwords, sessions: Sessions, attempts: Attempts, secure: bool) -> None:
        self._passwords = passwords
        self._sessions = sessions
        self._attempts = attempts
        self._secure = secure
        self._checking = asyncio.Semaphore(AT_ONCE)

    def handle(self, scope: Scope) -> str:
        return self._sessions.of(_token(scope))

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "Log in first."})
        elif scope["path"] == LOGOUT:
            self._sessions.end(self.handle(scope))
            await _go(send, LOGIN, _cookie("", 0, self._secure))
        elif scope["path"] == LOGIN and scope["method"] == "POST":
            await self._log_in(scope, receive, send)
        elif scope["path"] == LOGIN and self.handle(scope):
            await _go(send, _next(scope["query_string"].decode("latin-1")))
        elif scope["path"] == LOGIN:
            await _show(send, 200, _next(scope["query_string"].decode("latin-1")))
        elif scope["method"] == "GET" and "text/html" in ",".join(values(scope, "accept")):
            wanted = scope["path"] + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
            await _go(send, f"{LOGIN}?next={quote(wanted, safe='')}")
        else:
            await respond(send, 401, b"Log in first.", [(b"content-type", b"text/plain; charset=utf-8")])

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        form = await _form(receive)
        name, password = form.get("name", ""), form.get("password", "")
        there = _next(f"next={quote(form.get('next', ''))}")
        address = (scope.get("client") or ("", 0))[0]
        if wait := self._attempts.begin(name, address):
            minutes = math.ceil(wait / 60)
            said = LATER.format(minutes="a minute" if minutes == 1 else f"{minutes} minutes")
            await _show(send, 429, there, name, said)
            return
        try:
            async with self._checking:
                person = await asyncio.to_thread(self._passwords.check, name, password)
        except RagError as error:
            terminal.say(f"app: {error}")
            await _show(send, 503, there, name, CLOSED)
            return
        if person is None:
            await _show(send, 401, there, name, WRONG)
            return
        self._attempts.succeeded(name, address)
        await _go(send, there, _cookie(self._sessions.begin(person), LIFETIME, self._secure))


def _token(scope: Scope) -> str:
    for header in values(scope, "cookie"):
        try:
            found = SimpleCookie(header).get(COOKIE)
        except CookieError:
            continue
        if found:
            return found.value
    return ""


async def _form(receive: Receive) -> dict[str, str]:
    """The fields of a form; none of one that is too long."""
    body, more = b"", True
    while more and len(body) <= LONGEST_FORM:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if len(body) > LONGEST_FORM:
        return {}
    return {name: found[0] for name, found in parse_qs(body.decode("utf-8", "replace"), max_num_fields=10).items()}


def _next(query: str) -> str:
    """Where to go after the login: a path of this server and nothing else."""
    wanted = parse_qs(query).get("next", ["/"])[0]
    parts = urlsplit(wanted)
    is_ours = (
        wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and not parts.netloc and wanted.isprintable()
    )
    return wanted if is_ours and parts.path not in (LOGIN, LOGOUT) else "/"


def _cookie(token: str, seconds: int, secure: bool) -> tuple[bytes, bytes]:
    also = "; Secure" if secure else ""
    return b"set-cookie", f"{COOKIE}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{also}".encode()


async def _go(send: Send, path: str, *headers: tuple[bytes, bytes]) -> None:
    target = quote(path, safe="/?&=%:+,;@!*'()~.-_")
    await respond(send, 303, b"", [(b"location", target.encode()), (b"cache-control", b"no-store"), *headers])


async def _show(send: Send, status: int, there: str, name: str = "", said: str = "") -> None:
    page = _PAGE.substitute(
        said=f'<p role="alert">{escape(said)}</p>' if said else "",
        name=escape(name[:128]),
        there=escape(there),
        first="" if name else " autofocus",
        second=" autofocus" if name else "",
    )
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")]
    await respond(send, status, page.encode("utf-8", "replace"), headers)
