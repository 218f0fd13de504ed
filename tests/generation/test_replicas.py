"""Several servers of a model behind a balancer: a question is answered while any of them lives."""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from fault_server import Script, answer, echo, events, hangs_up, said, serving

from rag.errors import ModelError
from rag.generation.remote import RemoteGenerator
from rag.generation.transport import ATTEMPTS, Server, base_url
from rag.types import Message

TURNS = [Message("user", "What does Alpha cost?")]
ROLE = said(None)  # what vLLM sends at once, before the prompt has been read
README = Path(__file__).resolve().parents[2] / "README.md"


@contextmanager
def balancer(ports: Sequence[int]) -> Iterator[int]:
    """Connections in turn, byte by byte, as HAProxy does it in TCP mode; what a dead one refuses is hung up on."""
    turns = itertools.cycle(ports)
    listening = socket.create_server(("127.0.0.1", 0))

    def pump(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                try:
                    behind = socket.create_connection(("127.0.0.1", next(turns)))
                except OSError:
                    client.close()
                    continue
                for pair in ((client, behind), (behind, client)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


@pytest.fixture
def replicas() -> Iterator[tuple[Script, Script]]:
    with serving(Script()) as one, serving(Script()) as other:
        yield one, other


def generator(port: int, pauses: list[float] | None = None) -> RemoteGenerator:
    paused = [] if pauses is None else pauses
    server = Server(base_url(f"http://127.0.0.1:{port}"), first_timeout=5, between_timeout=5, pause=paused.append)
    return RemoteGenerator(server, "tiny", window=1000)


def text(by: RemoteGenerator) -> str:
    return "".join(by.stream(TURNS, 50))


def test_questions_go_to_each_in_turn(replicas: tuple[Script, Script]) -> None:
    for replica in replicas:
        replica.chat = [echo] * 4
    with balancer([replica.port for replica in replicas]) as port:
        by = generator(port)
        by.prompt_tokens(TURNS)  # whoever is asked how prompts are counted
        assert [text(by) for _ in range(4)] == ["WhatdoesAlphacost?"] * 4  # as `echo` says it
    assert {len(replica.bodies()) for replica in replicas} == {2}


@pytest.mark.parametrize("dies", [events(ROLE, ends=False), events(ends=False), events(ROLE), hangs_up])
def test_one_that_dies_before_its_first_word_is_replaced_by_another(
    replicas: tuple[Script, Script], dies: object
) -> None:
    """As a replica dies that has taken the question, and maybe said that it will answer."""
    one, other = replicas
    one.chat = [dies] * 8  # type: ignore[list-item]
    other.chat = [answer(["Alpha ", "costs 20."])] * 2
    pauses: list[float] = []
    with balancer([one.port, other.port]) as port:
        by = generator(port, pauses)
        by.prompt_tokens(TURNS)
        assert [text(by), text(by)] == ["Alpha costs 20."] * 2
    assert len(other.bodies()) == 2
    assert len(pauses) == len(one.bodies()) >= 1


def test_one_that_is_killed_is_not_missed() -> None:
    with ExitStack() as stack:
        one = stack.enter_context(serving(Script()))
        with serving(Script()) as killed:
            port = stack.enter_context(balancer([killed.port, one.port]))
            by = generator(port)
            by.prompt_tokens(TURNS)
            killed.chat, one.chat = [answer(["from the one"])] * 2, [answer(["from the other"])] * 9
            assert {text(by), text(by)} == {"from the one", "from the other"}
        assert [text(by) for _ in range(3)] == ["from the other"] * 3  # nobody listens at the other port any more


def test_one_that_dies_in_the_middle_is_told_of_and_nobody_else_goes_on(replicas: tuple[Script, Script]) -> None:
    """What was shown is one model's answer; another one's would not go on from there."""
    for replica in replicas:
        replica.chat = [events(said("Alpha"), ends=False), answer(["Beta"])]
    with balancer([replica.port for replica in replicas]) as port:
        stream = generator(port).stream(TURNS, 50)
        assert next(stream) == "Alpha"
        with pytest.raises(ModelError, match="stopped in the middle"):
            list(stream)
    assert sum(len(replica.bodies()) for replica in replicas) == 1


def test_if_all_of_them_die_that_is_said_after_some_attempts(replicas: tuple[Script, Script]) -> None:
    for replica in replicas:
        replica.chat = [events(ROLE, ends=False)] * ATTEMPTS
    with (
        balancer([replica.port for replica in replicas]) as port,
        pytest.raises(ModelError, match="stopped in the middle"),
    ):
        text(generator(port))
    assert sum(len(replica.bodies()) for replica in replicas) == ATTEMPTS


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
def test_nginx_as_the_readme_sets_it_up(replicas: tuple[Script, Script], tmp_path: Path) -> None:
    """It takes the configuration; a stream comes through as it is written; a dead replica is passed over."""
    one, other = replicas
    given = re.search(r"```nginx\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    assert given
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    site = given[1].replace("gpu1:8000", f"127.0.0.1:{one.port}").replace("gpu2:8000", f"127.0.0.1:{other.port}")
    site = re.sub(r"listen [^;]+;", f"listen 127.0.0.1:{port};", site)
    whole = f"daemon off; pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; {site} }}"
    (tmp_path / "nginx.conf").write_text(whole)
    for replica in replicas:
        replica.chat = [answer(["Alpha ", "costs 20."])] * 4
    with subprocess.Popen(["nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]) as running:
        try:
            by = generator(port)
            by._server.__dict__["pause"] = lambda seconds: threading.Event().wait(seconds)  # until it listens
            assert [text(by) for _ in range(4)] == ["Alpha costs 20."] * 4
            assert one.bodies()
            assert other.bodies()
        finally:
            running.terminate()
