"""Logs hold no question and no word of a document: a word that stands nowhere else comes out where it was asked for."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import requests

from rag import tracebacks

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
CANARY = "zanzibarquark"  # of the question
HELD = "velociprism"  # of the documents
WORDS = (
    f"import sys; sys.path[:0] = {[str(ROOT), str(TESTS), str(TESTS / 'app')]!r}\n"
    "from conftest import WordEmbedder\n"
    "from rag import compose; compose.embedder = compose.named_embedder = lambda *_: WordEmbedder()\n"
)
CLI = WORDS + "from rag import cli; sys.exit(cli.main())"
# Commands one after the other, as (arguments): what each wrote on standard output, and its exit code, as JSON.
MANY = (
    WORDS
    + """
import io, json
from rag import cli
told = []
for arguments in json.load(sys.stdin):
    sys.stdout = io.StringIO()
    code = cli.main(arguments)
    told.append((code, sys.stdout.getvalue()))
json.dump(told, sys.__stdout__)
"""
)
# What a curious user turns on: the libraries' own ways to talk more.
LOUD = {
    "TRANSFORMERS_VERBOSITY": "debug",
    "HF_DEBUG": "1",
    "HF_HUB_VERBOSITY": "debug",
    "STREAMLIT_LOGGER_LEVEL": "debug",
    "STREAMLIT_CLIENT_SHOW_ERROR_DETAILS": "full",
    "LOGLEVEL": "DEBUG",
    "PYTHONDEVMODE": "1",
    "UVICORN_LOG_LEVEL": "trace",
    "RUST_LOG": "trace",
}

pytestmark = pytest.mark.fault(34)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "prices.txt").write_text(f"Alpha costs 20 euros, says {HELD}.")
    (tmp_path / "docs" / "broken.pdf").write_text(f"%PDF-1.4 {HELD}")
    (tmp_path / "docs" / "page.html").write_text(f"<p>{HELD}<script>x = '{HELD}'</script><div" + "<b>" * 5000)
    (tmp_path / "docs" / "letter.eml").write_text(f"Subject: {HELD}\nContent-Type: multipart/mixed\n\n{HELD}")
    (tmp_path / "docs" / "sheet.xlsx").write_bytes(b"PK\x03\x04" + bytes(16) + HELD.encode())  # 16 are shown
    return tmp_path


def run(home: Path, *commands: Sequence[str]) -> tuple[list[tuple[int, str]], str]:
    """(exit code, standard output) of each, and what was on standard error."""
    done = subprocess.run(
        [sys.executable, "-c", MANY], cwd=home, env=environment(home, **LOUD), input=json.dumps(commands),
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    return json.loads(done.stdout), done.stderr


def environment(home: Path, **variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAG_", "STREAMLIT_"))}
    ours = {"HOME": str(home), "RAG_INDEXES": str(home / "indexes"), "RAG_RERANK": "none", "TMPDIR": str(home)}
    return {**kept, **ours, **variables}


def files_that_hold(word: str, home: Path) -> set[str]:
    """Where it stands on the disk, below a home but for the documents: nowhere but in the collection itself."""
    paths = [path for path in home.rglob("*") if path.is_file() and "docs" not in path.parts]
    return {str(path.relative_to(home).parts[0]) for path in paths if word.encode() in path.read_bytes()}


def test_commands_tell_nobody_what_was_asked_or_read(folder: Path) -> None:
    asked = f"What does Alpha cost at {CANARY}?"
    row = {"id": "1", "question": asked, "answers": [HELD], "evidence": [{"document": "prices.txt", "text": HELD}]}
    (folder / "docs" / "q.jsonl").write_text(json.dumps(row) + f'\n{{"question": "{CANARY}"\n')
    closed = ("--model", "openai:tiny", "--api-base", "http://127.0.0.1:9/v1")
    commands = {
        ("index", "docs"): 3,
        ("ask", asked): 0,
        ("search", asked): 0,
        ("ask", f"{CANARY} " * 1000): 2,
        ("ask", asked, "--collection", "nothing"): 2,
        ("ask", asked, "-k", "0"): 2,
        ("ask", asked, *closed): 6,
        ("eval", "docs/q.jsonl", "--out", "runs/one"): 3,
        ("info",): 0,
        ("verify",): 0,
        ("repair",): 0,
    }
    told, logged = run(folder, *commands)
    assert [code for code, _ in told] == list(commands.values()), logged
    assert [HELD in out for _, out in told] == [False, True, True] + [False] * (len(told) - 3)  # where it was asked for
    (folder / "indexes" / "default" / "ledger.sqlite").write_bytes(HELD.encode() * 1000)
    told, more = run(folder, ["ask", asked])
    assert told[0][0] == 5
    assert CANARY not in logged + more
    assert HELD not in logged + more
    assert files_that_hold(CANARY, folder) <= {"runs"}
    assert files_that_hold(HELD, folder) <= {"indexes", "runs"}


@contextlib.contextmanager
def started(home: Path, command: list[str], line: str, **variables: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A server's port, and its process, of which all that it says comes on one pipe."""
    how = {"cwd": home, "env": environment(home, **variables), "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "--port", "0"], stderr=subprocess.STDOUT, **how) as running:  # type: ignore[call-overload]
        try:
            for said in running.stdout:
                if found := re.search(line, said):
                    yield int(found[1]), running
                    return
            raise AssertionError("it did not start")
        finally:
            running.kill()


def said_after(running: subprocess.Popen[str]) -> str:
    running.terminate()
    said, _ = running.communicate(timeout=60)
    return said


def test_the_endpoint_tells_nobody_what_was_asked(folder: Path) -> None:
    run(folder, ["index", "docs"])
    command = [sys.executable, "-c", CLI, "serve"]
    with started(folder, command, r"answers at http://\S+:(\d+)/v1", **LOUD) as (port, running):
        wanted = {"messages": [{"role": "user", "content": f"What does Alpha cost at {CANARY}?"}]}
        bad = {"messages": [{"role": CANARY, "content": CANARY}]}
        for path, body, status in (
            ("/v1/chat/completions", json.dumps(wanted), 200),
            ("/v1/chat/completions", json.dumps({**wanted, "stream": True}), 200),
            ("/v1/chat/completions", json.dumps(bad), 400),
            ("/v1/chat/completions", json.dumps({**wanted, "model": CANARY}), 404),
            ("/v1/chat/completions", f'{{"{CANARY}', 400),
            (f"/{CANARY}?{CANARY}=1", "{}", 404),
        ):
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as there:
                there.request("POST", path, body, {"Content-Type": "application/json", "X-Canary": CANARY})
                reply = there.getresponse()
                reply.read()
                assert reply.status == status, path
        said = said_after(running)
    assert CANARY not in said
    assert HELD not in said
    assert files_that_hold(CANARY, folder) == set()


BUG = """
from rag.api.app import app
from rag.answer import Asker
class Broken:
    def retrieve(self, question, k):
        raise ValueError(f"a bug, over {question}")
compose.asker = lambda *_, **__: Asker(Broken(), None)
"""


def test_a_bug_of_the_endpoint_is_logged_without_the_question(folder: Path) -> None:
    run(folder, ["index", "docs"])
    command = [sys.executable, "-c", WORDS + BUG + "from rag import cli; sys.exit(cli.main())", "serve"]
    with started(folder, command, r"answers at http://\S+:(\d+)/v1", **LOUD) as (port, running):
        wanted = {"messages": [{"role": "user", "content": f"What does Alpha cost at {CANARY}?"}]}
        reply = requests.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=wanted, timeout=30)
        assert (reply.status_code, CANARY in reply.text) == (500, False)
        said = said_after(running)
    assert "ValueError" in said  # a bug is to be found
    assert CANARY not in said


def grouped() -> None:
    try:
        raise ExceptionGroup(CANARY, [KeyError(HELD)])
    except ExceptionGroup as error:
        raise ValueError(f"over {CANARY}") from error


def test_a_traceback_without_words(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((logging, "_logRecordFactory"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))  # put back at the end
    tracebacks.keep_words_out()
    try:
        grouped()
    except ValueError as error:
        logging.getLogger("any").exception("a bug")
        said = tracebacks.without_words(error)
    thread = threading.Thread(target=grouped)
    thread.start()
    thread.join()
    assert [line for line in said.splitlines() if not line.startswith((" ", "Traceback"))] == [
        "KeyError", "ExceptionGroup", "ValueError",
    ]  # fmt: skip
    assert "in grouped" in said
    shown = capsys.readouterr().err + caplog.text
    assert shown.count("ValueError\n") == 2
    assert CANARY not in said + shown
    assert HELD not in said + shown


def test_the_pages_server_tells_nobody_what_was_asked(folder: Path) -> None:
    """Addresses, forms and headers, by plain HTTP; what is typed into the page goes no other way than these."""
    run(folder, ["index", "docs"])
    command = [sys.executable, "-c", WORDS + "from app.__main__ import main; sys.exit(main())"]
    with started(folder, command, r"is at http://\S+:(\d+);", **LOUD) as (port, running):
        here = f"http://127.0.0.1:{port}"
        for path in (f"/?q={CANARY}", f"/{CANARY}", f"/library?document={CANARY}", f"/media/{CANARY}.png"):
            requests.get(here + path, headers={"Referer": f"{here}/{CANARY}"}, timeout=30)
        requests.post(f"{here}/login", {"name": CANARY, "password": CANARY}, timeout=30)
        requests.put(f"{here}/_stcore/upload_file/a/{CANARY}", data=CANARY, timeout=30)
        said = said_after(running)
    assert CANARY not in said
    assert files_that_hold(CANARY, folder) == set()
