"""Faults of a wiki, each told by a server on loopback: what is tried again, what is refused, what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from wiki_server import CUT, FakeWiki, serving

from rag.errors import NetworkError, UsageError
from rag.sources.wiki import http
from rag.sources.wiki.http import ApiError, Wire, api_of

pytestmark = pytest.mark.fault(22)

ANT = {"action": "parse", "oldid": "7"}


@pytest.fixture
def wiki(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWiki]:
    monkeypatch.setattr(http, "INTERVAL", 0.0)
    with serving(FakeWiki({"Ant": (1, 7, "<p>Ants are small.</p>")})) as served:
        yield served


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def wire(wiki: FakeWiki, waits: list[float]) -> Wire:
    return Wire(wiki.api, "someone@example.org", waits.append)


BUSY = b'{"error": {"code": "maxlag", "info": "6 s behind", "lag": 6}}'
CODE = b'{"error": {"code": "ratelimited", "info": "slow down"}}'


@pytest.mark.parametrize(
    ("fault", "waited"),
    [
        ((429, {"Retry-After": "7"}, b""), 7.0),
        ((429, {}, b""), 1.0),
        ((503, {}, b"<html>"), 1.0),
        ((200, {}, BUSY), 6.0),
        ((200, {}, CODE), 1.0),
        ((200, {}, b"<html>please log in</html>"), 1.0),
        ((200, {}, b"[" * 100_000), 1.0),
        ((200, {}, b"[1]"), 1.0),
        (CUT, 1.0),
    ],
)
def test_what_passes_is_tried_again(
    wiki: FakeWiki, wire: Wire, waits: list[float], fault: object, waited: float
) -> None:
    wiki.faults = [fault]
    assert wire.get(ANT)["parse"] == {"text": "<p>Ants are small.</p>"}
    assert waits == [waited]


def test_three_retries_with_back_off_and_no_more(wiki: FakeWiki, wire: Wire, waits: list[float]) -> None:
    wiki.faults = [(503, {}, b"")] * 9
    with pytest.raises(NetworkError, match=r"did not answer .503; retried 3 times.*What is indexed is safe"):
        wire.get(ANT)
    assert waits == [1.0, 2.0, 4.0]
    assert len(wiki.asked) == 4


def test_retry_after_may_be_a_date(wiki: FakeWiki, wire: Wire, waits: list[float]) -> None:
    wiki.faults = [(503, {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)}, b"")]
    wire.get(ANT)
    assert 25 < waits[0] <= 30


def test_who_asks_for_an_hour_is_left_alone(wiki: FakeWiki, wire: Wire, waits: list[float]) -> None:
    wiki.faults = [(429, {"Retry-After": "3600"}, b"")]
    with pytest.raises(NetworkError, match="asks to wait 3600 s"):
        wire.get(ANT)
    assert waits == []


def test_a_refusal_is_not_tried_again(wiki: FakeWiki, wire: Wire) -> None:
    wiki.faults = [(403, {}, b"Forbidden")]
    with pytest.raises(NetworkError, match="403; set RAG_CONTACT"):
        wire.get(ANT)
    assert len(wiki.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_host_is_refused(wiki: FakeWiki, wire: Wire, status: int) -> None:
    with serving(FakeWiki()) as elsewhere:
        target = elsewhere.api.replace("127.0.0.1", "localhost")
        wiki.faults = [(status, {"Location": target}, b"")]
        with pytest.raises(NetworkError, match=r"redirects to 'http://localhost:.*only 127.0.0.1"):
            wire.get(ANT)
    assert elsewhere.asked == []


def test_a_redirect_on_the_same_host_is_followed_and_one_in_a_circle_is_not(wiki: FakeWiki, wire: Wire) -> None:
    wiki.faults = [(301, {"Location": "/w/api.php?x=1"}, b"")]
    assert "parse" in wire.get(ANT)
    wiki.faults = [(301, {"Location": "/api.php"}, b"")] * 9
    with pytest.raises(NetworkError, match="301"):
        wire.get(ANT)


def test_an_answer_of_ten_megabytes_is_read_and_one_without_bounds_is_not(
    wiki: FakeWiki, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiki.pages["Ant"] = (1, 7, "x" * 10_000_000)
    assert len(wire.get(ANT)["parse"]["text"]) == 10_000_000
    monkeypatch.setattr(http, "LONGEST_ANSWER", 1 << 20)
    with pytest.raises(NetworkError, match="more than 1 MB"):
        wire.get(ANT)


def test_what_the_wiki_says_no_to(wire: Wire) -> None:
    with pytest.raises(ApiError, match="nosuchrevid") as refused:
        wire.get({"action": "parse", "oldid": "999"})
    assert refused.value.code == "nosuchrevid"


def test_every_request_is_polite(wiki: FakeWiki, wire: Wire) -> None:
    wire.get(ANT)
    assert wiki.agents[0].startswith("beluga-rag/")
    assert "(someone@example.org)" in wiki.agents[0]
    assert (wiki.asked[0]["maxlag"], wiki.asked[0]["format"]) == ("5", "json")


def test_long_requests_are_posted(wiki: FakeWiki, wire: Wire) -> None:
    wire.get({**ANT, "titles": "x" * 10_000})
    assert len(wiki.asked[0]["titles"]) == 10_000


def test_no_server_at_all(waits: list[float]) -> None:
    with pytest.raises(NetworkError, match=r"127.0.0.1:9 did not answer .no connection; retried 3 times"):
        Wire("http://127.0.0.1:9/api.php", pause=waits.append).get(ANT)


def test_only_https_and_only_wikipedia_unless_an_api_is_given() -> None:
    assert api_of("de") == "https://de.wikipedia.org/w/api.php"
    assert api_of(api="http://127.0.0.1:8085/api.php") == "http://127.0.0.1:8085/api.php"
    for language, api in [
        ("evil.org/x", ""), ("de.evil", ""), ("", ""), ("en", "ftp://x/api.php"), ("en", "https://u:p@x/api.php"),
        ("en", "x"), ("en", "http://en.wikipedia.org/w/api.php"),
    ]:  # fmt: skip
        with pytest.raises(UsageError, match=r"--lang|--api"):
            api_of(language, api)
    with pytest.raises(UsageError, match="RAG_CONTACT"):
        Wire(api_of(), "me\r\nX-Evil: 1")
