"""The HTTP endpoint, on a real port, by plain HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest
import uvicorn

from rag.answer import Asker
from rag.api.app import Limits, app
from rag.api.response import AHEAD, GoneError, Line
from rag.errors import ModelError
from rag.generation.followup import RuleRewriter
from rag.types import Exchange, Hit, Passage, Writing, Written

TOKEN = "a-token-of-some-length"
LEAVE = Hit(Passage("hand<b>book.pdf", "file:///h", "Handbook", "", "p. 1", 1, 0, 24, "Leave is 28 days a year."), 1.0)


class Shelf:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def retrieve(self, question: str, k: int) -> list[Hit]:
        self.asked.append(question)
        return [LEAVE][:k]


class Scribe:
    """Writes `pieces`; with `wait`, goes on after the first only once it is set, and says when it has been stopped."""

    name = "scribe"

    def __init__(self, *pieces: str | Exception, wait: threading.Event | None = None) -> None:
        self._pieces = pieces
        self._wait = wait
        self.begun, self.stopped = threading.Semaphore(0), threading.Event()
        self.threads: set[int] = set()

    def recall(self, question: str, history: Sequence[Exchange]) -> list[Exchange]:
        return list(history)

    def fit(self, question: str, hits: Sequence[Hit], history: Sequence[Exchange] = ()) -> list[Hit]:
        return list(hits)

    def write(self, question: str, hits: Sequence[Hit], history: Sequence[Exchange] = ()) -> Writing:
        try:
            self.begun.release()
            for number, piece in enumerate(self._pieces):
                self.threads.add(threading.get_ident())
                if number and self._wait:
                    assert self._wait.wait(10)
                if isinstance(piece, Exception):
                    raise piece
                yield piece
            return Written(0.5)
        finally:
            self.threads.add(threading.get_ident())
            self.stopped.set()


class Served:
    def __init__(self, port: int, shelf: Shelf, server: uvicorn.Server) -> None:
        self.port = port
        self.shelf = shelf
        self.server = server

    def open(self, body: Any, path: str = "/v1/chat/completions", **headers: str) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        connection.request("GET" if body is None else "POST", path, None if body is None else data, sent)
        return connection

    def ask(self, body: Any, path: str = "/v1/chat/completions", **headers: str) -> tuple[int, Any]:
        with closing(self.open(body, path, **headers)) as connection:
            reply = connection.getresponse()
            text = reply.read().decode()
            return reply.status, json.loads(text) if "json" in (reply.getheader("Content-Type") or "") else text


@contextmanager
def serving(scribe: Scribe, token: str = "", local: bool = True, limits: Limits | None = None) -> Iterator[Served]:
    shelf = Shelf()
    made = app(Asker(shelf, scribe, RuleRewriter()), "reports", 8, token, local, limits)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(made, log_level="critical", lifespan="off", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Served(listening.getsockname()[1], shelf, server)
        finally:
            server.should_exit = True
            thread.join(10)
        assert not thread.is_alive()


def question(*texts: str, **more: Any) -> dict[str, Any]:
    """Texts of user and assistant by turns."""
    roles = ["user", "assistant"] * len(texts)
    return {"messages": [{"role": r, "content": t} for r, t in zip(roles, texts, strict=False)], **more}


def chunks(text: str) -> list[Any]:
    events = text.strip().split("\n\n")
    assert all(event.startswith("data: ") for event in events)
    return [json.loads(event[6:]) if event != "data: [DONE]" else "[DONE]" for event in events]


HOW = question("How long is leave?")


# ---------------------------------------------------------------------------------------------- answers


def test_an_answer_with_its_sources() -> None:
    with serving(Scribe("Leave is ", "28 days [1][7].")) as served:
        status, reply = served.ask({**HOW, "model": "reports", "temperature": 0.7})
    assert status == 200
    assert (reply["object"], reply["model"]) == ("chat.completion", "reports")
    [choice] = reply["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"] == {
        "role": "assistant",
        "content": "Leave is 28 days [1].\n\nSources:\n[1] hand‹b›book.pdf, p. 1",
    }
    [source] = reply["sources"]
    assert (source["number"], source["document"], source["page"], source["supported"]) == (
        1,
        "hand<b>book.pdf",
        1,
        True,
    )
    assert (reply["rag"]["answer"], reply["rag"]["dropped_markers"]) == ("Leave is 28 days [1].", [7])
    assert reply["rag"]["confidence"] == 0.5


def test_a_streamed_answer_comes_piece_by_piece() -> None:
    go_on = threading.Event()
    scribe = Scribe("Leave is ", "28 days [1].", wait=go_on)
    with serving(scribe) as served, closing(served.open({**HOW, "stream": True})) as connection:
        reply = connection.getresponse()
        assert reply.getheader("Content-Type", "").startswith("text/event-stream")
        early = b""
        while b"Leave is" not in early:  # before the second piece is written
            early += reply.readline()
        go_on.set()
        got = chunks((early + reply.read()).decode())
    assert got[-1] == "[DONE]"
    deltas = [chunk["choices"][0]["delta"] for chunk in got[:-1]]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert got[0]["rag"] == {"understood": "How long is leave?"}
    text = "".join(delta.get("content", "") for delta in deltas)
    assert text == "Leave is 28 days [1].\n\nSources:\n[1] hand‹b›book.pdf, p. 1"
    assert [chunk["choices"][0]["finish_reason"] for chunk in got[:-1]] == [None] * (len(got) - 2) + ["stop"]
    assert got[-2]["sources"][0]["number"] == 1
    assert len({chunk["id"] for chunk in got[:-1]}) == 1
    assert len(scribe.threads) == 1  # one thread from beginning to end


def test_history_makes_a_follow_up_stand_alone() -> None:
    body = question("What was revenue in 2025?", "12 million [1].", "And in 2024?")
    body["messages"].insert(0, {"role": "system", "content": "Be a pirate."})
    body["messages"][-1]["content"] = [{"type": "text", "text": "And in 2024?"}]
    with serving(Scribe("Leave is 28 days [1].")) as served:
        _, reply = served.ask(body)
        assert served.shelf.asked == ["What was revenue in 2024?"]
    assert reply["rag"]["understood"] == "What was revenue in 2024?"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("pieces", [["See ![x](http://evil/1.png)!"], ["See !", "[x](http://evil/1.png)", "!"]])
def test_no_client_is_made_to_fetch_an_image(pieces: list[str], stream: bool) -> None:
    with serving(Scribe(*pieces)) as served:
        _, reply = served.ask({**HOW, "stream": stream})
    if stream:
        text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks(reply)[:-1])
    else:
        text = reply["choices"][0]["message"]["content"]
    assert text == "See ! [x](http://evil/1.png)!"


def test_models_and_health() -> None:
    with serving(Scribe()) as served:
        assert served.ask(None, "/health") == (200, {"status": "ok"})
        status, reply = served.ask(None, "/v1/models")
        assert (status, [model["id"] for model in reply["data"]]) == (200, ["reports"])
        for path, status, message in (
            ("/v1/nothing", 404, "There is no /v1/nothing here; there is /v1/chat/completions."),
            ("/v1/chat/completions", 405, "/v1/chat/completions does not take GET."),
        ):
            code, reply = served.ask(None, path)
            assert (code, reply["error"]["message"], reply["error"]["type"]) == (
                status,
                message,
                "invalid_request_error",
            )


# ----------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff\xfe", "no JSON"),
        ([], '"messages"'),
        ({"messages": []}, '"messages"'),
        ({"messages": [3]}, '"role"'),
        ({"messages": [{"role": "wizard", "content": "x"}]}, '"role"'),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "the user's"),
        ({"messages": [{"role": "system", "content": "x"}]}, "the user's"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]}, '"content"'),
        ({"messages": [{"role": "user", "content": 3}]}, '"content"'),
        (question("How?", model="gpt-4"), "There is no model 'gpt-4' here; there is 'reports'"),
        (question("  \x00 "), "Please type a question"),
        (question("x" * 5000), "the limit is 4,000"),
        (question(*["x"] * 201), "the limit is 200"),
    ],
)
def test_bad_requests_say_what_is_wrong(body: Any, says: str) -> None:
    with serving(Scribe("x")) as served:
        for stream in (False, True):
            sent = {**body, "stream": stream} if isinstance(body, dict) else body
            status, reply = served.ask(sent)
            assert status == (404 if "There is no model" in says else 400)
            assert says in reply["error"]["message"]
            assert reply["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("stream", [False, True])
def test_an_error_before_the_first_word_has_a_status(stream: bool) -> None:
    with serving(Scribe(ModelError("The GPU is gone."))) as served:
        status, reply = served.ask({**HOW, "stream": stream})
    assert (status, reply["error"]["message"]) == (503, "The GPU is gone.")


def test_an_error_in_the_middle_ends_the_stream_with_it() -> None:
    with serving(Scribe("Leave ", ModelError("The GPU is gone."))) as served:
        status, reply = served.ask({**HOW, "stream": True})
    got = chunks(reply)
    assert status == 200
    assert got[-1]["error"]["message"] == "The GPU is gone."
    assert "[DONE]" not in got


def test_a_bug_is_a_500_that_tells_nothing_and_the_next_question_works() -> None:
    with serving(Scribe(ValueError("secret"))) as served:
        status, reply = served.ask(HOW)
        assert (status, "secret" in str(reply)) == (500, False)
        assert served.ask(None, "/health")[0] == 200


# ------------------------------------------------------------------------------------- who may come in


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
def test_without_the_token_nobody_comes_in(header: dict[str, str]) -> None:
    with serving(Scribe("x"), TOKEN) as served:
        for body, path in ((HOW, "/v1/chat/completions"), (None, "/v1/models")):
            status, reply = served.ask(body, path, **header)
            assert (status, "bearer token" in reply["error"]["message"]) == (401, True)
        assert served.ask(None, "/health")[0] == 200
        assert served.shelf.asked == []


def test_with_the_token_one_does() -> None:
    with serving(Scribe("Leave is 28 days [1]."), TOKEN, local=False) as served:
        assert served.ask(HOW, Authorization=f"Bearer {TOKEN}", Host="rag.example")[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[", "localhost.evil"]
)
def test_a_local_server_answers_to_no_foreign_name(host: str) -> None:
    with serving(Scribe("x")) as served:
        assert served.ask(HOW, Host=host)[0] == 421
        assert served.shelf.asked == []


@pytest.mark.parametrize("host", ["localhost", "localhost:8100", "127.0.0.1:1", "[::1]:8100"])
def test_it_answers_to_its_own_names(host: str) -> None:
    with serving(Scribe("Leave is 28 days [1].")) as served:
        assert served.ask(HOW, Host=host)[0] == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_what_a_web_page_can_send_unasked_is_not_taken(kind: str) -> None:
    with serving(Scribe("x")) as served:
        assert served.ask(HOW, Content_Type=kind)[0] == 415
        assert served.shelf.asked == []


# ----------------------------------------------------------------------------------------------- limits


def test_a_request_has_a_size() -> None:
    with serving(Scribe("x"), limits=Limits(body=1000)) as served:
        status, reply = served.ask(question("x" * 2000))
        assert (status, "1,000 bytes" in reply["error"]["message"]) == (413, True)
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
        with closing(connection):  # one that does not say its size
            parts = iter([b"x" * 600, b"x" * 600])
            connection.request("POST", "/v1/chat/completions", parts, {"Content-Type": "application/json"})
            assert connection.getresponse().status == 413


def test_a_request_that_does_not_arrive_is_not_waited_for() -> None:
    with serving(Scribe("x"), limits=Limits(body_time=0.2)) as served:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
        with closing(connection):
            connection.putrequest("POST", "/v1/chat/completions")
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", "100")
            connection.endheaders(b"{")
            assert connection.getresponse().status == 408


def test_so_many_at_once_and_no_more() -> None:
    go_on = threading.Event()
    scribe = Scribe("Leave is ", "28 days [1].", wait=go_on)
    with serving(scribe, limits=Limits(running=1, waiting=1)) as served:
        with closing(served.open({**HOW, "stream": True})) as first:
            assert scribe.begun.acquire(timeout=10)
            with closing(served.open(HOW)) as second:  # waits
                status = 0
                while status != 429:  # until the second is at the desk, a third would be in its place
                    with closing(served.open(HOW)) as third:
                        third.sock.settimeout(0.3)
                        try:
                            reply = third.getresponse()
                        except TimeoutError:
                            continue
                        status = reply.status
                assert reply.getheader("Retry-After") == "5"
                go_on.set()
                assert first.getresponse().status == second.getresponse().status == 200
        assert served.ask(HOW)[0] == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_stops_its_answer(stream: bool) -> None:
    scribe = Scribe(*["word "] * 100_000)
    with serving(scribe, limits=Limits(running=1, waiting=1)) as served:
        connection = served.open({**HOW, "stream": stream})
        assert scribe.begun.acquire(timeout=10)
        connection.sock.close()
        connection.close()
        assert scribe.stopped.wait(10)
        assert served.ask(None, "/health")[0] == 200


def test_stopping_the_server_stops_answers() -> None:
    scribe = Scribe(*["word "] * 1_000_000)
    with serving(scribe) as served, closing(served.open({**HOW, "stream": True})):
        assert scribe.begun.acquire(timeout=10)
        served.server.should_exit = True
        assert scribe.stopped.wait(10)


def test_a_server_that_stops_leaves_no_thread_behind(caplog: pytest.LogCaptureFixture) -> None:
    before = set(threading.enumerate())
    scribe = Scribe(*["word "] * 1_000_000)
    with ExitStack() as clients:  # they listen on: it is the server that ends their answers
        with serving(scribe, limits=Limits(running=12, waiting=1)) as served:
            for _ in range(12):
                clients.enter_context(closing(served.open({**HOW, "stream": True})))
            for _ in range(12):
                assert scribe.begun.acquire(timeout=10)
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
            assert not thread.is_alive()
    assert not caplog.records  # of tasks whose loop was gone


@pytest.mark.parametrize("told", [0, AHEAD, AHEAD + 1])
def test_a_thread_ends_when_its_loop_has_gone(told: int) -> None:
    async def made() -> Line:
        return Line()

    line = asyncio.run(made())  # and that loop is closed

    def work() -> None:
        with suppress(GoneError):
            for _ in range(told):
                line._room.acquire()  # as if the loop had taken so many, and told nobody
            line.tell("a")
            line.tell("b")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    line.close()
    thread.join(10)
    assert not thread.is_alive()


def run_in_threads(tasks: Sequence[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=task) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)


def test_twenty_at_once_get_their_own_answers() -> None:
    class Echo(Scribe):
        def write(self, question: str, hits: Sequence[Hit], history: Sequence[Exchange] = ()) -> Writing:
            yield from question
            return Written()

    answers: dict[int, str] = {}
    with serving(Echo()) as served:

        def ask(number: int) -> None:
            answers[number] = served.ask(question(f"Number {number}"))[1]["rag"]["answer"]

        run_in_threads([lambda number=number: ask(number) for number in range(20)])  # type: ignore[misc]
    assert answers == {number: f"Number {number}" for number in range(20)}
