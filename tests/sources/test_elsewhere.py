"""Nobody is led elsewhere: what a server says of where to go on is no reason to ask there.

A person may name any server, on this machine too: a wiki of one's own, a model. What such a server answers is not the
person's word.
"""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fault_server import Script
from fault_server import serving as scripted
from wiki_server import FakeWiki, serving

from rag.errors import NetworkError, UsageError
from rag.generation.transport import RefusedError, Server, base_url
from rag.sources.wiki import http as wiki_http
from rag.sources.wiki.http import Wire, api_of

pytestmark = pytest.mark.fault(22)

# PORT is that of a trap on this machine, OURS of the server that was named, which is asked as 127.0.0.1.
ELSEWHERE = [
    "http://127.0.0.1:PORT/w/api.php",  # another service of the same machine
    "//127.0.0.1:PORT/w/api.php",
    "http://localhost:PORT/",
    "http://localhost:OURS/api.php",
    "http://LOCALHOST:PORT/",
    "http://localhost.:PORT/",
    "http://127.0.0.1.:OURS/api.php",
    "http://127.1:PORT/",
    "http://127.0.1:PORT/",
    "http://127.0.0.2:PORT/",
    "http://0:PORT/",
    "http://0.0.0.0:PORT/",
    "http://2130706433:PORT/",  # 127.0.0.1 in decimal
    "http://0x7f000001:PORT/",
    "http://0x7f.0.0.1:PORT/",
    "http://017700000001:PORT/",
    "http://0177.0.0.01:PORT/",
    "http://[::1]:PORT/",
    "http://[0:0:0:0:0:0:0:1]:PORT/",
    "http://[::]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[::127.0.0.1]:PORT/",
    "http://[64:ff9b::7f00:1]:PORT/",  # NAT64
    "http://[2002:7f00:1::]:PORT/",  # 6to4
    "http://[fe80::1%25lo]:PORT/",
    "http://[fd00::1]:PORT/",
    "http://１２７.０.０.１:PORT/",
    "http://①②⑦.⓪.⓪.①:PORT/",
    "http://user@127.0.0.1:OURS/api.php",
    "http://user:secret@127.0.0.1:OURS/api.php",
    "http://@127.0.0.1:OURS/api.php",
    "http://127.0.0.1:OURS@127.0.0.1:PORT/",
    "http://127.0.0.1:OURS\\@127.0.0.1:PORT/",
    "http://127.0.0.1:PORT#@127.0.0.1:OURS/",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/",
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "http://172.16.0.1/",
    "http://100.64.0.1/",
    "http://127.0.0.1.nip.io:PORT/",  # whose DNS leads to this machine
    "http://wiki.example/w/api.php",
    "https://127.0.0.1:PORT/",
    "https://en.wikipedia.org.evil.example/w/api.php",
    "file:///etc/passwd",
    "file://127.0.0.1/etc/passwd",
    "file://127.0.0.1:OURS/etc/passwd",
    "ftp://127.0.0.1:OURS/",
    "gopher://127.0.0.1:PORT/_x",
    "dict://127.0.0.1:PORT/x",
    "ws://127.0.0.1:OURS/",
    "data:application/json,{}",
    "javascript:alert(1)",
    "about:blank",
    "http://[",
    "http://[::1",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:x/",
    "http://127.0.0.1:-1/",
]


class Trap:
    def __init__(self) -> None:
        self.sprung: list[str] = []
        self.port = 0


@contextmanager
def trap() -> Iterator[Trap]:
    made = Trap()

    class Listening(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.sprung.append(self.path)
            self.send_error(404)

        do_POST = do_HEAD = do_GET  # noqa: N815 - http.server's names

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listening) as server:
        made.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


def filled(target: str, port: int, ours: int) -> str:
    return target.replace("PORT", str(port)).replace("OURS", str(ours))


def test_a_wiki_sends_nobody_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiki_http, "INTERVAL", 0.0)
    with trap() as elsewhere, serving(FakeWiki({"Ant": (1, 7, "<p>Ants.</p>")})) as wiki:
        ours = int(wiki.api.rpartition(":")[2].partition("/")[0])
        for number, target in enumerate(ELSEWHERE, 1):
            location = filled(target, elsewhere.port, ours)
            wiki.faults = [(302, {"Location": location.encode().decode("latin-1")}, b"")]
            with pytest.raises(NetworkError, match=r"it redirects to .*, and only 127\.0\.0\.1"):
                Wire(wiki.api, pause=lambda _: None).get({"action": "parse", "oldid": "7"})
            assert len(wiki.asked) == number, target
        assert elsewhere.sprung == []
        wiki.faults = [(302, {"Location": f"http://127.0.0.1:{ours}/w/api.php"}, b"")]
        assert Wire(wiki.api).get({"action": "parse", "oldid": "7"}), (
            "another path of the same server is a better address"
        )


def test_a_models_server_sends_nobody_anywhere() -> None:
    """Not even elsewhere on the same server: what is sent are questions, passages and a key."""
    with trap() as elsewhere, scripted(Script()) as script:
        for target in [*ELSEWHERE, "/v1/models", "http://127.0.0.1:OURS/v1/models"]:
            location = filled(target, elsewhere.port, script.port).encode().decode("latin-1")

            def redirects(request: http.server.BaseHTTPRequestHandler, to: str = location) -> None:
                request.send_response(302)
                request.send_header("Location", to)
                request.send_header("Content-Length", "0")
                request.end_headers()

            script.others = {"/v1/asked": redirects}
            with pytest.raises(RefusedError, match="it redirects to"):
                Server(script.base, "a-key", pause=lambda _: None).call(f"{script.base}/asked", {"q": "?"})
        assert len(script.asked) == len(ELSEWHERE) + 2
        assert elsewhere.sprung == []


NO_ADDRESS = [
    *("file:///etc/passwd", "ftp://wiki.example/", "gopher://wiki.example/", "data:,x", "javascript:1", "wiki.example"),
    *("http://", "http:///w/api.php", "http://[", "http://[::1", "http://h:99999/", "http://h:x/", "http://[x]/"),
    *("http://u:p@wiki.example/", "http://u@wiki.example/", "http://@wiki.example/", "http://h/?x=1", "http://h/#x"),
]


@pytest.mark.parametrize("given", NO_ADDRESS)
def test_what_is_no_address_is_said_so(given: str) -> None:
    with pytest.raises(UsageError, match="--api is"):
        api_of(api=given)
    with pytest.raises(UsageError, match="--api-base"):
        base_url(given)


def test_a_person_may_name_a_server_of_their_own() -> None:
    for given in ("http://127.0.0.1:8085/api.php", "http://[::1]:80/w/api.php", "http://10.0.0.7/api.php"):
        assert api_of(api=given) == given
    assert base_url("http://127.0.0.1:8000") == "http://127.0.0.1:8000/v1"
