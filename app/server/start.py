"""The server from its start to its end: where it listens, who may come in, and what it says."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rag import terminal
from rag.compose import PEOPLE
from rag.config import Config
from rag.errors import UsageError
from rag.generation.transport import is_loopback
from rag.tracebacks import keep_words_out

if TYPE_CHECKING:
    from app.login import Login
    from app.server.entrance import Entrance

HOST, PORT = "127.0.0.1", 8501
UPLOAD_LIMIT = 50  # megabytes
GRACE = 1  # seconds that requests have to end when the server is stopped
LARGEST_MESSAGE = 200 * 2**20  # bytes that a browser may send at once, as Streamlit has it
SCRIPT = Path(__file__).parents[1] / "main.py"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server listens. `url` is how people reach it where that is not its own address: what a proxy answers
    to. `allow` says whom of those whom a provider knows a login lets in; empty where people log in otherwise."""

    host: str = HOST
    port: int = PORT
    url: str = ""
    allow: str = ""
    upload_limit: int = UPLOAD_LIMIT

    @property
    def is_local(self) -> bool:
        """Whether only people at this machine reach it."""
        return is_loopback(self.host) and not self.url

    @property
    def is_secret(self) -> bool:
        """Whether what people send cannot be read on its way."""
        return self.is_local or self.url.startswith("https:")


def serve(config: Config, place: Place) -> None:
    """Serves the pages until a signal comes. Raises UsageError for a place that cannot be served at, or not safely."""
    _require_url(place.url)
    login, entrance = _ways_in(config, place)
    with _listening(place) as listening:
        from app.login import settle
        from app.server import options
        from app.server.door import SESSION, Door

        keep_words_out()
        settle(login)
        port = listening.getsockname()[1]
        serving = options.Serving(place.host, port, place.upload_limit, SESSION if entrance else "")
        if ignored := options.enforce(serving):
            terminal.say(f"app: settings of Streamlit that are not heeded here: {', '.join(ignored)}.")
        pages = _pages(lambda: _say_where(place, port))
        by_address = not is_loopback(place.host)
        _run(Door(pages, _names(place), options.policy(), by_address, entrance), listening, place)


def _say_where(place: Place, port: int) -> None:
    if not place.is_secret:
        terminal.say("app: what people send and read can be seen on its way; an https proxy in front (--url) hides it.")
    terminal.say(f"Beluga RAG is at {_shown(place, port)}; Ctrl-C stops.")


def _shown(place: Place, port: int) -> str:
    if place.url:
        return place.url
    host = socket.gethostname() if place.host in ("0.0.0.0", "::") else place.host  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _names(place: Place) -> set[str]:
    """Hosts that the server answers to."""
    names = {"localhost", "127.0.0.1", "::1", place.host}
    if place.url:
        names.add(str(urlsplit(place.url).hostname))
    return names if is_loopback(place.host) else {*names, socket.gethostname(), socket.getfqdn()}


# ---------------------------------------------------------------------------------------------- who may come in


def _ways_in(config: Config, place: Place) -> tuple[Login | None, Entrance | None]:
    """How people log in; (None, None) where they need not. Raises UsageError where others could come in unasked."""
    from app.server.passwords import Passwords

    passwords = Passwords(config.indexes / PEOPLE)
    has_people = bool(passwords.names())
    if place.allow and has_people:
        raise UsageError(
            f"--allow is for logins by a provider, and there are people with passwords in {passwords.path}. Choose "
            "one: leave --allow (or RAG_APP_ALLOW) out, or remove those people (python -m app remove NAME)."
        )
    if place.allow:
        return _by_provider(place.allow), None
    if not has_people:
        if place.is_local:
            return None, None
        raise UsageError(
            f"{place.url or f'--host {place.host}'} lets other machines read your documents, and there is no login. "
            "Give people passwords (python -m app add NAME), or let a provider tell who they are (--allow, with [auth] "
            "in .streamlit/secrets.toml), or leave --host and --url out."
        )
    from app.login import ByPassword
    from app.server.entrance import Entrance
    from app.server.sessions import Attempts, Sessions

    sessions = Sessions(passwords.proof)
    return ByPassword(sessions), Entrance(passwords, sessions, Attempts(), place.url.startswith("https:"))


def _by_provider(allow: str) -> Login:
    from streamlit import auth_util
    from streamlit.errors import StreamlitAuthError

    from app.login import Allowed, ByProvider

    allowed = Allowed.parse(allow)
    if not auth_util.is_authlib_installed():
        raise UsageError("--allow needs Authlib, which is not installed: pip install 'beluga-rag[login]'.")
    section = auth_util.get_secrets_auth_section()
    named = [name for name, value in section.items() if hasattr(value, "keys") and "client_id" in value]
    providers = ["default"] if "client_id" in section else sorted(named)
    try:
        for provider in providers or ["default"]:
            auth_util.validate_auth_credentials(provider)
    except StreamlitAuthError as error:
        raise UsageError(f"--allow needs [auth] in .streamlit/secrets.toml: {' '.join(str(error).split())}") from error
    return ByProvider(allowed, providers)


# ------------------------------------------------------------------------------------------------- running


def _pages(started: Callable[[], None]) -> Any:
    import streamlit as st

    @asynccontextmanager
    async def around(app: object) -> AsyncIterator[None]:
        started()
        yield

    return st.App(SCRIPT, lifespan=around)


def _run(app: Any, listening: socket.socket, place: Place) -> None:
    import uvicorn

    how = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(place.url),
        forwarded_allow_ips="127.0.0.1,::1",
        timeout_graceful_shutdown=GRACE,
        ws_max_size=LARGEST_MESSAGE,
        lifespan="on",
    )

    class Server(uvicorn.Server):
        """One that comes to its end before it passes on the signal that ended it: otherwise Ctrl-C arrives in the
        middle of its work, and is reported as a failure."""

        stopped_by: int | None = None

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            self.force_exit = self.should_exit  # the second one waits for nobody
            self.should_exit, self.stopped_by = True, sig

    server = Server(how)
    server.run(sockets=[listening])
    if server.stopped_by is not None:
        signal.raise_signal(server.stopped_by)


def _listening(place: Place) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
        return socket.create_server((place.host, place.port), family=family)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "is taken; choose another --port" if taken else f"cannot be used: {error.strerror}"
        raise UsageError(f"Port {place.port} on {place.host} {why}.") from error


def _require_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
    except ValueError:
        is_one = None
    if url and (not is_one or parts.path.strip("/") or parts.query):
        raise UsageError(f"--url is {url!r}; it takes the address that people open, such as https://rag.example.org.")
