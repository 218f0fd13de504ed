"""`rag ask`, `rag chat` and `rag serve` as people use them: real processes, a real terminal, a model behind HTTP."""

from __future__ import annotations

import http.client
import io
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Shelf, WordEmbedder
from fault_server import Script, answer, hangs, said, serving, status

from rag import compose
from rag.chat import Chat
from rag.cli import main
from rag.index.collection import Collection

FILES = {"handbook.txt": "The notice period is three months.", "prices.txt": "Alpha costs 20 euros."}
PROBE = [
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from conftest import WordEmbedder\n"
    "from rag import cli, compose; compose.embedder = lambda _: WordEmbedder(); sys.exit(cli.main())",
]
KEY = "sk-a-secret-4711"


@pytest.fixture
def indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(compose, "embedder", lambda config: WordEmbedder())
    for name, value in {"RAG_RERANK": "none", "RAG_INDEXES": str(tmp_path), "RAG_API_KEY": KEY}.items():
        monkeypatch.setenv(name, value)
    sync(tmp_path, FILES)
    return tmp_path


def sync(indexes: Path, files: dict[str, str]) -> None:
    with closing(Collection(indexes, "default")) as made:
        made.sync(Shelf(dict(files)), WordEmbedder())


@pytest.fixture
def script() -> Iterator[Script]:
    with serving(Script()) as script:
        script.others = {"/tokenize": status(404)}
        yield script


# -------------------------------------------------------------------------------------------------- ask


def test_a_model_on_a_server_writes(indexes: Path, script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    script.chat = [answer(["Alpha costs ", "20 euros [2]. It is green [1]."])]
    arguments = ["ask", "What does Alpha cost?", "--model", "openai:tiny", "--api-base", script.base]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Alpha costs 20 euros [2]. It is green [1].\n\n[1] prices.txt")
    assert "Its citation was set right: Alpha costs 20 euros [1]." in out
    assert "Not borne out by its source: It is green [1]." in out
    assert err == ""  # it is on this machine
    assert script.bodies()[0]["model"] == "tiny"


def test_the_key_is_never_shown(indexes: Path, script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    script.chat = [status(401, f"bad key {KEY}")]
    assert main(["ask", "Alpha?", "--model", "openai:tiny", "--api-base", script.base, "--json"]) == 6
    out, err = capsys.readouterr()
    assert "does not take the key" in err
    assert KEY not in out + err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model", "openai:tiny"], "--api-base (or RAG_API_BASE) says where that is"),
        (["--model", "openai:", "--api-base", "http://127.0.0.1:1/v1"], "is named as openai:NAME"),
        (["--model", "openai:tiny", "--api-base", "127.0.0.1:1"], "takes a URL"),
        (["--model", "openai:tiny", "--api-base", "http://u:p@h/v1"], "must hold no user name"),
    ],
)
def test_what_is_missing_is_said(
    indexes: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(["ask", "Alpha?", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_it_says_when_text_leaves_this_machine(
    indexes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setattr("rag.generation.transport.BACKOFF", 0.001)
        assert main(["ask", "Alpha?", "--model", "openai:tiny", "--api-base", "http://gpu.example/v1"]) == 6
    assert "questions and the passages found for them are sent to gpu.example, unencrypted." in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------- chat


class Terminal:
    """A process on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "dumb"}
        self.process = subprocess.Popen(
            [*PROBE, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
            preexec_fn=_own_terminal,  # noqa: PLW1509 - no threads here, and Popen has no other way to a terminal
        )  # fmt: skip
        os.close(theirs)
        self.seen = ""

    def until(self, text: str) -> str:
        """What is shown up to this text, which has to come."""
        deadline = time.monotonic() + 30
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            ready, _, _ = select.select([self._ours], [], [], 0.5)
            try:
                self.seen += os.read(self._ours, 4096).decode("utf-8", "replace") if ready else ""
            except OSError:  # it has ended
                assert text in self.seen, self.seen
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)


def _own_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_a_conversation_in_a_terminal(indexes: Path, script: Script) -> None:
    script.chat = [
        answer(["Alpha costs 20 euros [1]."]),
        answer(["Is Alpha green?"]),
        hangs(script, said("Alpha is ")),
        answer(["The notice period is three months [1]."]),
    ]
    with closing(Terminal("chat", "--model", "openai:tiny", "--api-base", script.base)) as terminal:
        terminal.until("> ")
        terminal.type("What does Alpha cost?\n")
        terminal.until("Alpha costs 20 euros [1].")
        terminal.until("[1] prices.txt")
        terminal.until("> ")
        terminal.type("Is it green?\n")
        terminal.until("Understood as: Is Alpha green?")
        terminal.until("Alpha is")
        terminal.type("\x03")  # Ctrl-C stops the answer
        terminal.until("Stopped.")
        terminal.until("> ")
        terminal.type("How long is the notice period?\n")
        terminal.until("three months [1].")
        terminal.until("> ")
        terminal.type("/sources\n")
        terminal.until("    The notice period is three months.")
        terminal.type("/history\n")
        shown = terminal.until("2. How long is the notice period?")
        assert "1. What does Alpha cost?" in shown
        assert "green" not in shown  # what was stopped is no part of it
        terminal.type("\x04")  # Ctrl-D
        assert terminal.process.wait(10) == 0
    said_ = script.bodies()
    assert [turn["role"] for turn in said_[2]["messages"]] == ["system", "user", "assistant", "user"]
    assert "Question: Is Alpha green?" in said_[2]["messages"][-1]["content"]


def test_ctrl_c_at_the_prompt_says_how_to_end(capsys: pytest.CaptureFixture[str]) -> None:
    typed = iter([KeyboardInterrupt, EOFError])  # in a terminal, readline may miss one that comes before it waits

    def read() -> str:
        raise next(typed)

    assert Chat(None, 8, read=read).run() == 0  # type: ignore[arg-type]
    assert capsys.readouterr().err == "\nCtrl-D ends the chat.\n"


def piped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lines: str, *more: str
) -> tuple[str, str]:
    """What `rag chat` prints, and says, when its questions come from a pipe."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    assert main(["chat", *more]) == 0
    out, err = capsys.readouterr()
    return out, err


def test_a_chat_from_a_pipe(indexes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["What does Alpha cost?", "", "/nonsense", "x" * 5000, "/history", "/new", "/history", "/sources", "/help"]
    out, err = piped(monkeypatch, capsys, "\n".join([*lines, "/quit", "never"]))
    assert out.startswith("Alpha costs 20 euros. [1]\n\n[1] prices.txt, p. 1  [private]\n")
    assert "1. What does Alpha cost?\n   Alpha costs 20 euros. [1]\n" in out
    assert "Forgotten. The next question stands alone.\nNothing was asked yet.\nNothing was asked yet.\nAsk any" in out
    assert "never" not in out
    assert err.splitlines() == [
        "rag: There is no command /nonsense; /help lists what there is.",
        "rag: Question is 5,000 characters; the limit is 4,000.",
    ]


def test_a_chat_as_json_for_programs(
    indexes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = piped(monkeypatch, capsys, "What does Alpha cost?\nWhat about notice period?\n", "--json")
    decoder, rest, answers = json.JSONDecoder(), out.strip(), []
    while rest:
        value, end = decoder.raw_decode(rest)
        answers.append(value)
        rest = rest[end:].strip()
    assert [each["question"] for each in answers] == ["What does Alpha cost?", "What about notice period?"]
    assert answers[1]["understood"] == "What does Alpha cost? What about notice period?"


# ------------------------------------------------------------------------------------------------ serve


@contextmanager
def served(*arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`rag serve` on a free port, with that port."""
    command = [*PROBE, "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables}) as running:
        try:
            assert running.stderr is not None
            line = running.stderr.readline()
            port = re.search(r"answers at http://\S+:(\d+)/v1; Ctrl-C stops", line)
            assert port, line
            yield running, int(port[1])
        finally:
            running.kill()


def ask(port: int, text: str, **headers: str) -> tuple[int, Any]:
    body = {"model": "default", "messages": [{"role": "user", "content": text}], "stream": False}
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(
            "POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json", **headers}
        )
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_other_tools_can_ask_and_find_what_is_indexed_meanwhile(
    indexes: Path, number: signal.Signals, code: int
) -> None:
    with served() as (running, port):
        code_, reply = ask(port, "What does Alpha cost?")
        assert code_ == 200
        assert reply["rag"]["answer"] == "Alpha costs 20 euros. [1]"
        assert reply["sources"][0]["document"] == "prices.txt"
        sync(indexes, {**FILES, "new.txt": "Gamma weighs nine kilograms."})
        _, reply = ask(port, "What does Gamma weigh?")
        assert reply["sources"][0]["document"] == "new.txt"
        running.send_signal(number)
        assert running.wait(10) == code
        assert running.stderr is not None
        assert running.stderr.read().strip() == "Stopped."


def test_what_openais_own_client_makes_of_it(indexes: Path) -> None:
    openai = pytest.importorskip("openai")
    with served() as (_, port):
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
        messages = [{"role": "user", "content": "What does Alpha cost?"}]
        whole = client.chat.completions.create(model="default", messages=messages)
        assert whole.choices[0].message.content.startswith("Alpha costs 20 euros. [1]\n\nSources:\n[1] prices.txt")
        pieces = client.chat.completions.create(model="default", messages=messages, stream=True)
        text = "".join(piece.choices[0].delta.content or "" for piece in pieces)
        assert text == whole.choices[0].message.content
        assert [model.id for model in client.models.list()] == ["default"]


@pytest.mark.parametrize("token", ["", "short", " " * 20])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_an_open_port_needs_a_token(
    indexes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str, token: str
) -> None:
    monkeypatch.setenv("RAG_SERVE_TOKEN", token)
    assert main(["serve", "--host", host, "--port", "0"]) == 2
    assert "Set RAG_SERVE_TOKEN to a secret of at least 16 characters" in capsys.readouterr().err


def test_with_a_token_the_port_may_be_open(indexes: Path) -> None:
    with served("--host", "0.0.0.0", RAG_SERVE_TOKEN="a-token-of-some-length") as (_, port):
        assert ask(port, "What does Alpha cost?")[0] == 401
        assert ask(port, "What does Alpha cost?", Authorization="Bearer a-token-of-some-length")[0] == 200


def test_a_port_that_is_taken(indexes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
    assert f"Port {port} on 127.0.0.1 is taken; choose another --port." in capsys.readouterr().err
    assert main(["serve", "--port", "99999"]) == 2
