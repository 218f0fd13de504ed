"""Under which names the server answers, to whom, and what it tells browsers."""

from __future__ import annotations

from typing import Any

import pytest
from asking_over import echo, request

from app.server.door import Door

POLICY = "default-src 'self'"


@pytest.fixture
def local() -> Door:
    return Door(echo, {"localhost", "127.0.0.1", "::1"}, POLICY)


@pytest.fixture
def opened() -> Door:
    return Door(echo, {"localhost", "box", "Rag.Example.org"}, POLICY, by_address=True)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8501", "LOCALHOST.", "127.0.0.1:8501", "[::1]:8501", "localhost:1"]
)
def test_a_local_server_answers_to_its_own_names(local: Door, host: str) -> None:
    assert request(local, host=host).status == 200
    assert request(local, kind="websocket", host=host).status == 101


FOREIGN = [
    "evil.example",
    "evil.example:8501",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "192.168.1.7:8501",
    "0.0.0.0:8501",
    "127.0.0.2",
    "",
    ":8501",
    "localhost@evil.example",
    "evil.example@localhost",
    "localhost/",
    "localhost:x",
    "localhost:99999",
    "localhost evil.example",
    "[::1",
    "ｌｏｃａｌｈｏｓｔ".encode().decode("latin-1"),
]


@pytest.mark.parametrize("host", FOREIGN)
def test_and_to_no_other(local: Door, host: str) -> None:
    for path in (
        "/",
        "/_stcore/health",
        "/_stcore/stream",
        "/static/js/x.js",
        "/media/x.png",
        "/_stcore/upload_file/a/b",
    ):
        assert request(local, path, host=host).status == 421, path
    assert request(local, kind="websocket", host=host).status == 403


def test_two_hosts_or_none_are_refused(local: Door) -> None:
    async def without(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"host"]
        await local(scope, receive, send)

    async def twice(scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope["headers"] = [*scope["headers"], (b"host", b"localhost")]
        await local(scope, receive, send)

    assert request(without).status == request(twice).status == 421


def test_an_open_server_answers_to_addresses_and_its_names(opened: Door) -> None:
    for host in ("10.0.0.5:8501", "[2001:db8::1]", "box", "rag.example.org", "localhost"):
        assert request(opened, host=host).status == 200, host
    for host in ("evil.example", "a.rag.example.org", "rag.example.org.evil.example"):
        assert request(opened, host=host).status == 421, host


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:8501", "localhost:8501"),
        ("http://localhost", "localhost:80"),
        ("https://rag.example.org", "rag.example.org"),  # a proxy took the encryption off
        ("https://rag.example.org:443", "rag.example.org"),
        ("http://[2001:db8::1]:8501", "[2001:db8::1]:8501"),
    ],
)
def test_changes_from_its_own_pages_are_let_through(opened: Door, origin: str, host: str) -> None:
    assert request(opened, method="PUT", origin=origin, host=host).status == 200
    assert request(opened, kind="websocket", origin=origin, host=host).status == 101


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost:9999",  # another program on this machine
        "https://localhost:9999",
        "http://127.0.0.1:8501",
        "http://localhost.evil.example:8501",
        "http://localhost:8501@evil.example",
        "null",
        "",
        "file://",
        "chrome-extension://localhost:8501",
        "localhost:8501",
    ],
)
def test_changes_from_elsewhere_are_not(local: Door, origin: str) -> None:
    assert request(local, kind="websocket", origin=origin).status == 403
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        assert request(local, "/_stcore/upload_file/a/b", method, origin=origin).status == 403


def test_every_answer_says_what_a_page_may_do(local: Door) -> None:
    for reply in (request(local), request(local, host="evil.example"), request(local, "/_stcore/metrics")):
        assert reply.headers["content-security-policy"] == POLICY  # ours alone
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "same-origin"
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"


def test_what_nobody_asks_for_is_not_there(local: Door) -> None:
    assert request(local, "/_stcore/metrics").status == request(local, "/_stcore/agent/openapi.json").status == 404


def test_nobody_tells_it_which_session_they_are_of(local: Door) -> None:
    assert request(local, x_beluga_session="stolen").body == "/ []"
    assert request(local, **{"X-Beluga-Session": "stolen"}).body == "/ []"
