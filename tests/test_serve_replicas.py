"""`rag serve` twice over one collection on a server: both answer alike, and see what a third process does."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from milvus_server import MISSING, free_port, milvus_lite

pytestmark = pytest.mark.skipif(MISSING, reason="milvus-lite is not installed")

PATIENCE = 60.0  # seconds for a process to listen, and for others to see what was written


def rag(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "rag.cli", *arguments]


@contextmanager
def served(store: str, indexes: Path) -> Iterator[int]:
    port = free_port()
    command = rag("serve", "--port", str(port), "--store", store, "--indexes", str(indexes))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            deadline = time.monotonic() + PATIENCE
            while (status := _models(port)) != 200:
                assert running.poll() is None
                assert time.monotonic() < deadline, status
                time.sleep(0.1)  # until it listens there is no signal to wait for
            yield port
        finally:
            running.terminate()


def _models(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/v1/models")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def answer(port: int, question: str) -> tuple[str, list[Any]]:
    """The text, and the documents that it rests on."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        body = json.dumps({"messages": [{"role": "user", "content": question}]})
        connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        told = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return told["choices"][0]["message"]["content"], told["sources"]


def index(folder: Path, store: str, indexes: Path) -> None:
    subprocess.run(rag("index", str(folder), "--store", store, "--indexes", str(indexes)), check=True)


@pytest.mark.slow
def test_replicas_are_copies_and_see_what_is_indexed_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_RERANK", "none")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "notice.txt").write_text("The framework agreement ends with a notice of ninety days.")
    with ExitStack() as stack:
        store = stack.enter_context(milvus_lite(tmp_path / "milvus")) + "/served"
        index(folder, store, tmp_path / "one")
        ports = [stack.enter_context(served(store, tmp_path / machine)) for machine in ("two", "three")]
        asked = "How much notice must be given to end the framework agreement?"
        one, other = (answer(port, asked) for port in ports)
        assert one == other
        assert "ninety days" in one[0]
        (folder / "fee.txt").write_text("The fee for late payment is fourteen euros.")
        index(folder, store, tmp_path / "one")  # a third process, with nothing of theirs but the server
        deadline = time.monotonic() + PATIENCE
        for port in ports:
            while "fourteen euros" not in (last := answer(port, "What is the fee for late payment?"))[0]:
                assert time.monotonic() < deadline, last
                time.sleep(0.5)  # searches may be some seconds behind; nobody is told when they no longer are
        assert answer(ports[0], asked) == answer(ports[1], asked)
