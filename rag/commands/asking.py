"""`rag ask`, `rag chat` and `rag serve`: parse and call. A face like `rag.cli`, which takes them in."""

from __future__ import annotations

import argparse
import errno
import os
import socket
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rag import terminal
from rag.commands import Command
from rag.commands.models import add_model_options, model_options
from rag.errors import UsageError
from rag.shapes import answer_shape
from rag.types import Origin

if TYPE_CHECKING:
    from rag.answer import Asker
    from rag.config import Config

HOST, PORT = "127.0.0.1", 8100
SHORTEST_TOKEN = 16  # characters of one that guards an open port
GRACE = 5  # seconds that answers have to end when the server is stopped


def add(command: Command) -> None:
    """Adds the three; `command` makes a parser that has --collection, --indexes and --json already."""
    ask = command("ask", _ask, "answer a question, citing pages")
    ask.add_argument("question", metavar="QUESTION")
    chat = command("chat", _chat, "ask one question after the other, follow-ups too")
    serve = command("serve", _serve, "let other tools ask, as they would ask OpenAI")
    for parser in (ask, chat, serve):
        parser.add_argument("-k", metavar="N", help="passages to read (default: 8)")
        parser.add_argument("--filter", metavar="GLOB", help="only documents or folders that match")
        parser.add_argument(
            "--only",
            choices=[origin.value for origin in Origin],
            help="only your own documents, or Wikipedia's articles",
        )
        add_model_options(parser)
        parser.add_argument("--api-base", metavar="URL", help="where that server is, such as http://127.0.0.1:8000/v1")
    serve.add_argument("--host", default=HOST, help=f"address to listen on (default: {HOST}); others need a token")
    serve.add_argument("--port", default=PORT, metavar="N", help=f"port to listen on (default: {PORT}; 0: any)")


def _ask(options: argparse.Namespace) -> int:
    from rag.answer import clean_question

    question = clean_question(options.question)
    config, asker = _asker(options)
    if options.json:
        terminal.show_json(answer_shape(asker.ask(question, config.passages)), sys.stdout)
    else:
        terminal.show_answer(asker.stream(question, config.passages), sys.stdout)
    return 0


def _chat(options: argparse.Namespace) -> int:
    from rag.chat import Chat

    config, asker = _asker(options)
    if sys.stdin and sys.stdin.isatty():
        terminal.say(f"Asking collection {config.collection!r}. /help lists commands, Ctrl-D ends.")
    return Chat(asker, config.passages, options.json).run()


def _serve(options: argparse.Namespace) -> int:
    from rag.config import whole_number

    token = os.environ.get("RAG_SERVE_TOKEN", "").strip()
    port = whole_number("--port", options.port, 65_535, least=0)
    local = _is_guarded(options.host, token)
    config, asker = _asker(options)

    import uvicorn

    from rag.api.app import app

    with _listening(options.host, port) as listening:
        made = app(asker, config.collection, config.passages, token, local)
        how = uvicorn.Config(
            made,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
            lifespan="off",
        )
        host = f"[{options.host}]" if ":" in options.host else options.host
        url = f"http://{host}:{listening.getsockname()[1]}/v1"
        terminal.say(f"Collection {config.collection!r} answers at {url}; Ctrl-C stops.")
        try:
            uvicorn.Server(how).run(sockets=[listening])
        except KeyboardInterrupt:
            raise KeyboardInterrupt("Stopped.") from None
    return 0


def _asker(options: argparse.Namespace) -> tuple[Config, Asker]:
    from rag import compose
    from rag.config import REMOTE, Config
    from rag.generation.transport import is_loopback

    given = {
        "indexes": options.indexes,
        "collection": options.collection,
        "store": options.store,
        **model_options(options),
    }
    config = Config.from_environment(**given, passages=options.k, api_base=options.api_base)
    collection = compose.collection(config)
    only = options.only and Origin(options.only)
    asker = compose.asker(config, collection, options.filter, only, tell=lambda told: terminal.say(f"rag: {told}"))
    for note in collection.notes:
        terminal.say(f"rag: {note}")
    away = urlsplit(config.api_base)
    if config.model.startswith(REMOTE) and not is_loopback(away.hostname):
        secretly = "" if away.scheme == "https" else ", unencrypted"
        terminal.say(f"rag: questions and the passages found for them are sent to {away.hostname}{secretly}.")
    return config, asker


def _is_guarded(host: str, token: str) -> bool:
    """Whether only this machine reaches a host's address. Raises UsageError when others do and nothing stops them."""
    from rag.generation.transport import is_loopback

    if is_loopback(host):
        return True
    if len(token) < SHORTEST_TOKEN:
        short = f"RAG_SERVE_TOKEN has {len(token)} characters. " if token else ""
        raise UsageError(
            f"{short}--host {host} lets other machines ask your documents. Set RAG_SERVE_TOKEN to a secret of at least "
            f"{SHORTEST_TOKEN} characters, which they then have to send as a bearer token, or leave --host out."
        )
    return False


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        why = (
            "is taken; choose another --port"
            if error.errno == errno.EADDRINUSE
            else f"cannot be used: {error.strerror}"
        )
        raise UsageError(f"Port {port} on {host} {why}.") from error
