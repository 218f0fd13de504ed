"""Models behind an HTTP server: a real one (`transformers serve`) over a tiny Llama, and one that fails on purpose."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
import urllib.request
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
from fault_server import Script, answer, echo, endless, events, hangs, hangs_up, reply, said, serving, status
from tiny import CHATML, SAID, tiny_llama

from rag.errors import ModelError, UsageError
from rag.generation.counting import upper_bound
from rag.generation.remote import RemoteGenerator, as_json
from rag.generation.transport import ATTEMPTS, BACKOFF, Server, base_url
from rag.types import Message

TURNS = [Message("system", "Be brief."), Message("user", "What does Alpha cost?")]
KEY = "sk-a-secret-4711"


@pytest.fixture
def script() -> Iterator[Script]:
    with serving(Script()) as script:
        yield script


@pytest.fixture
def pauses() -> list[float]:
    """Seconds that were waited between attempts; nobody really waits."""
    return []


@pytest.fixture
def generator(script: Script, pauses: list[float]) -> RemoteGenerator:
    server = Server(script.base, KEY, first_timeout=5, between_timeout=0.3, pause=pauses.append)
    return RemoteGenerator(server, "tiny", window=1000)


def text(generator: RemoteGenerator) -> str:
    return "".join(generator.stream(TURNS, 50))


# ------------------------------------------------------------------------------------------- a real server


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteGenerator]:
    """`transformers serve` on a free port, over a model that says SAID."""
    pytest.importorskip("fastapi")
    pytest.importorskip("openai")
    folder = tiny_llama(tmp_path_factory.mktemp("served"), SAID, template=CHATML)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--port", str(port)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    log = tmp_path_factory.mktemp("log") / "serve.log"
    with (
        log.open("w") as out,
        subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--device", "cpu"], stdout=out, stderr=out, env=environment
        ) as running,
    ):
        try:
            deadline = time.monotonic() + 60
            while not _healthy(port):
                assert running.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)  # until the port is open there is no signal to wait for
            yield RemoteGenerator(Server(base_url(f"http://127.0.0.1:{port}")), str(folder))
        finally:
            running.terminate()


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as reply:
            return reply.status == 200
    except OSError:
        return False


def test_a_real_server_streams_what_its_model_says(real: RemoteGenerator) -> None:
    pieces = list(real.stream(TURNS, 50))
    assert "".join(pieces) == SAID
    assert len(pieces) > 3


def test_a_real_server_counts_no_more_than_the_bound(real: RemoteGenerator) -> None:
    sent = {"model": real.name.removeprefix("openai:"), "messages": as_json(TURNS), "max_tokens": 5}
    usage = real._server.call(f"{real._server.base}/chat/completions", sent)["usage"]
    assert not real.counts_exactly
    assert usage["prompt_tokens"] <= real.prompt_tokens(TURNS) == upper_bound(as_json(TURNS))
    assert real.window == 4096


def test_a_real_server_without_the_model_says_so(real: RemoteGenerator) -> None:
    with pytest.raises(ModelError, match=r"refused the question \(HTTP 400\).*requested 'other'"):
        list(RemoteGenerator(real._server, "other").stream(TURNS, 5))


# ---------------------------------------------------------------------------------- what servers may send


@pytest.mark.parametrize(
    "step",
    [
        answer(["Alpha ", "costs 20."]),
        events(said("Alpha costs 20."), said(None, "stop")),  # without [DONE]
        events(said("Alpha costs 20."), "[DONE]", newline="\r\n"),
        events(json.dumps({"choices": []}), said(None), said("Alpha costs 20."), "[DONE]"),  # empty and role-only
        reply({"choices": [{"message": {"content": "Alpha costs 20."}, "finish_reason": "stop"}]}),  # not streamed
        answer(["Alpha costs 20.", "\n\n###", " User:", " And Beta?"]),  # the model goes on by itself
    ],
)
def test_text_as_servers_send_it(script: Script, generator: RemoteGenerator, step: object) -> None:
    script.chat = [step]  # type: ignore[list-item]
    assert text(generator) == "Alpha costs 20."


def test_what_is_sent(script: Script, generator: RemoteGenerator) -> None:
    script.chat = [answer(["20"])]
    text(generator)
    path, headers, body = script.asked[-1]
    assert (path, headers["Authorization"]) == ("/v1/chat/completions", f"Bearer {KEY}")
    assert body == {
        "model": "tiny",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": TURNS[1].content}],
        "stream": True,
        "temperature": 0,
        "max_tokens": 50,
    }


def test_without_a_key_no_authorization_is_sent(script: Script) -> None:
    script.chat = [answer(["20"])]
    text(RemoteGenerator(Server(script.base), "tiny", window=1000))
    assert not any("Authorization" in headers for _, headers, _ in script.asked)


def test_parameters_that_a_server_refuses_are_left_out_from_then_on(script: Script, generator: RemoteGenerator) -> None:
    script.chat = [
        reply({"error": {"message": "Unsupported value", "param": "temperature"}}, code=400),
        status(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
        answer(["20"]),
        answer(["30"]),
    ]
    assert (text(generator), text(generator)) == ("20", "30")
    last = script.bodies()[-1]
    assert "temperature" not in last
    assert "max_tokens" not in last
    assert last["max_completion_tokens"] == 50


def test_closing_the_stream_hangs_up(script: Script, generator: RemoteGenerator) -> None:
    script.chat = [endless(script, "la ")]
    stream = generator.stream(TURNS, 50)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert script.gone.wait(5)


def test_many_at_once_get_their_own_answers(script: Script, generator: RemoteGenerator) -> None:
    script.chat = [echo] * 8
    answers: dict[int, str] = {}

    def ask(number: int) -> None:
        answers[number] = "".join(generator.stream([Message("user", f"number{number}")], 50))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert answers == {number: f"number{number}" for number in range(8)}


# ----------------------------------------------------------------------------------------------- failures


def test_a_busy_server_is_asked_again_when_it_says(
    script: Script, generator: RemoteGenerator, pauses: list[float]
) -> None:
    in_two_seconds = formatdate(time.time() + 2, usegmt=True)
    script.chat = [
        status(429, Retry_After="7"),
        status(503, Retry_After=in_two_seconds),
        status(503),
        answer(["20"]),
    ]
    assert text(generator) == "20"
    assert pauses[0] == 7.0
    assert 0 <= pauses[1] <= 2
    assert BACKOFF * 4 * 0.75 <= pauses[2] <= BACKOFF * 4 * 1.25


def test_it_gives_up_after_some_attempts(script: Script, generator: RemoteGenerator, pauses: list[float]) -> None:
    script.chat = [status(503, "loading")] * ATTEMPTS
    with pytest.raises(ModelError, match=r"HTTP 503.*It says: loading"):
        text(generator)
    assert len(script.bodies()) == ATTEMPTS
    assert pauses == sorted(pauses)


def test_it_does_not_wait_for_an_hour(script: Script, generator: RemoteGenerator, pauses: list[float]) -> None:
    script.chat = [status(429, "quota used up", Retry_After="3600")]
    with pytest.raises(ModelError, match=r"too much to do for this key \(HTTP 429\).*quota used up"):
        text(generator)
    assert pauses == []


def test_a_connection_that_breaks_before_an_answer_is_tried_again(script: Script, generator: RemoteGenerator) -> None:
    script.chat = [hangs_up, answer(["20"])]
    assert text(generator) == "20"


@pytest.mark.parametrize(
    ("code", "message", "says"),
    [
        (401, f"Incorrect API key provided: {KEY}", r"does not take the key in RAG_API_KEY \(HTTP 401\).*\[key\]"),
        (404, "no such model", r"has no model 'tiny'.*no such model"),
        (400, "context length exceeded", r"refused the question \(HTTP 400\)"),
    ],
)
def test_refusals_say_what_to_do_and_never_the_key(
    script: Script, generator: RemoteGenerator, code: int, message: str, says: str
) -> None:
    script.chat = [status(code, message)]
    with pytest.raises(ModelError, match=says) as caught:
        text(generator)
    shown = "".join(traceback.format_exception(caught.value)) + repr(generator) + repr(generator._server)
    assert KEY not in shown


def test_a_server_that_wants_a_key(script: Script) -> None:
    script.others = {"/tokenize": status(401)}
    with pytest.raises(ModelError, match="wants a key: set RAG_API_KEY"):
        RemoteGenerator(Server(script.base), "tiny").prompt_tokens(TURNS)


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (events(said("Alpha"), ends=False), "stopped in the middle"),
        (events(said("Alpha")), "stopped in the middle"),  # a clean end, but the model had not finished
        (events(said("Alpha"), json.dumps({"error": {"message": "CUDA\nerror"}})), "gave up in the middle.*CUDA error"),
        (events(said("Alpha"), '{"error": "boom"}'), "gave up in the middle.*boom"),
        (events(said("Alpha"), "{ no json"), "sends no chat completions"),
        (events(said("Alpha"), "[1, 2]"), "sends no chat completions"),
    ],
)
def test_what_goes_wrong_in_the_middle_is_an_error_and_not_a_short_answer(
    script: Script, generator: RemoteGenerator, step: object, says: str
) -> None:
    script.chat = [step]  # type: ignore[list-item]
    stream = generator.stream(TURNS, 50)
    assert next(stream) == "Alpha"
    with pytest.raises(ModelError, match=says):
        list(stream)
    assert len(script.bodies()) == 1  # what was shown is not asked for again


@pytest.mark.parametrize("page", ["<html>Welcome</html>", "null", "{}", '{"choices": 3}', '{"choices": [3]}'])
def test_a_page_is_no_answer(script: Script, generator: RemoteGenerator, page: str) -> None:
    script.chat = [reply(page, "text/html")] * ATTEMPTS
    with pytest.raises(ModelError, match=r"sends no chat completions|stopped in the middle"):
        text(generator)


def test_a_server_that_falls_silent_in_the_middle(script: Script, generator: RemoteGenerator) -> None:
    script.chat = [hangs(script, said("Alpha"))]
    stream = generator.stream(TURNS, 50)
    assert next(stream) == "Alpha"
    with pytest.raises(ModelError, match="fell silent"):
        list(stream)


def test_a_server_that_never_answers(script: Script, pauses: list[float]) -> None:
    script.chat = [hangs(script)]
    server = Server(script.base, first_timeout=0.2, pause=pauses.append)
    with pytest.raises(ModelError, match="did not answer in time"):
        text(RemoteGenerator(server, "tiny", window=1000))
    assert pauses == []  # it would not answer the second time either


def test_a_server_that_is_not_there(pauses: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers, and nobody else can come
        server = Server(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", pause=pauses.append)
        with pytest.raises(ModelError, match=r"No answer from the server at 127\.0\.0\.1.*Is it running"):
            text(RemoteGenerator(server, "tiny", window=1000))
    assert len(pauses) == ATTEMPTS - 1


def test_the_key_does_not_follow_a_redirect(script: Script, generator: RemoteGenerator) -> None:
    with serving(Script()) as elsewhere:
        script.chat = [reply({}, code=307, Location=f"{elsewhere.base}/chat/completions")]
        with pytest.raises(ModelError, match=r"HTTP 307.*redirects to http://127"):
            text(generator)
        assert elsewhere.asked == []


def test_this_machine_is_never_reached_by_a_proxy(
    script: Script, generator: RemoteGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Script()) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        script.chat = [answer(["20"])]
        assert text(generator) == "20"
        assert proxy.asked == []


def test_another_machine_is_reached_by_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Script()) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        url = "http://model.example/v1/models"
        proxy.others = {url: reply({"data": []})}
        assert Server("http://model.example/v1").call(url) == {"data": []}


# ------------------------------------------------------------------------------------- tokens and window


@pytest.mark.parametrize(
    ("others", "tokens", "window"),
    [
        (  # vLLM
            {
                "/tokenize": reply({"count": 37, "max_model_len": 2048, "tokens": []}),
                "/v1/models": reply({"data": [{"id": "other"}, {"id": "tiny", "max_model_len": 2048}]}),
            },
            37,
            2048,
        ),
        (  # llama.cpp: its /tokenize takes a text, and gives nothing for messages
            {
                "/tokenize": reply({"tokens": [1, 2, 3]}),
                "/apply-template": reply({"prompt": "<s>Be brief."}),
                "/props": reply({"default_generation_settings": {"n_ctx": 8192}}),
                "/v1/models": reply({"data": [{"id": "tiny", "meta": {"n_ctx_train": 131072}}]}),
            },
            3,
            8192,
        ),
        (  # TGI
            {
                "/tokenize": reply([{"id": 1}]),
                "/chat_tokenize": reply({"tokenize_response": [{}, {}], "templated_text": "x"}),
                "/info": reply({"max_total_tokens": 3000}),
            },
            2,
            3000,
        ),
    ],
    ids=["vLLM", "llama.cpp", "TGI"],
)
def test_counted_by_the_servers_own_tokenizer(
    script: Script, others: dict[str, object], tokens: int, window: int
) -> None:
    script.others = others  # type: ignore[assignment]
    generator = RemoteGenerator(Server(script.base, KEY), "tiny")
    assert generator.counts_exactly
    assert (generator.prompt_tokens(TURNS), generator.window) == (tokens, window)


@pytest.mark.parametrize(
    ("others", "window"),
    [
        ({}, 4096),
        ({"/api/ps": reply({"models": [{"name": "tiny:latest", "context_length": 6000}]})}, 6000),  # Ollama
        ({"/tokenize": reply("<html>", "text/html"), "/props": reply("<html>"), "/info": status(500)}, 4096),
        ({"/v1/models": reply({"data": [{"id": "tiny", "max_model_len": "many"}]}), "/props": reply([])}, 4096),
    ],
)
def test_bounded_where_the_server_does_not_count(script: Script, others: dict[str, object], window: int) -> None:
    script.others = others  # type: ignore[assignment]
    generator = RemoteGenerator(Server(script.base), "tiny")
    assert not generator.counts_exactly
    assert generator.window == window
    assert generator.prompt_tokens(TURNS) == 64 + 2 * 16 + len("Be brief.") + len("What does Alpha cost?")


def test_a_set_window_wins(script: Script) -> None:
    script.others = {"/v1/models": reply({"data": [{"id": "tiny", "max_model_len": 2048}]})}
    assert RemoteGenerator(Server(script.base), "tiny", window=512).window == 512
    assert script.asked == []


def test_a_prompt_without_room_for_the_answer_is_not_sent(script: Script, generator: RemoteGenerator) -> None:
    with pytest.raises(UsageError, match=r"window of 1,000 tokens of openai:tiny"):
        generator.stream([Message("user", "é" * 500)], 1)
    assert script.bodies() == []


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1"),
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("https://host/openai/deployments/x", "https://host/openai/deployments/x"),
    ],
)
def test_base_url(given: str, used: str) -> None:
    assert base_url(given) == used


@pytest.mark.parametrize(
    "given",
    ["", "localhost:8000", "ftp://x", "http://", "file:///etc", "http://x:y", "http://u:p@x/v1", "http://x/?k=1"],
)
def test_no_base_url(given: str) -> None:
    with pytest.raises(UsageError, match="--api-base"):
        base_url(given)
