"""A wiki on loopback that knows just enough of the API, and fails as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

CUT = "cut"  # a fault: the connection ends in the middle of the answer


@dataclass(slots=True)
class FakeWiki:
    """`pages` are title → (id, revision, HTML); `redirects` lead from title to title. `faults` are answers to come,
    one a request: (status, headers, body), CUT, or None for the true one. `asked` are the parameters of every request,
    `agents` its user agents."""

    pages: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    faults: list[tuple[int, dict[str, str], bytes] | str | None] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    api: str = ""

    def fetched(self) -> list[str]:
        """The revisions whose text was asked for."""
        return [asked["oldid"] for asked in self.asked if asked.get("action") == "parse"]

    def answer(self, asked: dict[str, str]) -> dict[str, Any]:
        if asked["action"] == "parse":
            html = next((html for _, revision, html in self.pages.values() if str(revision) == asked["oldid"]), None)
            return {"parse": {"text": html}} if html is not None else {"error": {"code": "nosuchrevid", "info": "none"}}
        if asked.get("meta") == "siteinfo":
            return {"query": {"general": {"lang": "en"}, "rightsinfo": {"text": ""}}}
        return {"query": self._query(asked)}

    def _query(self, asked: dict[str, str]) -> dict[str, Any]:
        if "pageids" in asked:
            wanted = [title for title, (id_, _, _) in self.pages.items() if str(id_) in asked["pageids"].split("|")]
            return {"pages": [self._page(title) for title in wanted]}
        titles = asked["titles"].split("|")
        followed = [{"from": title, "to": self.redirects[title]} for title in titles if title in self.redirects]
        return {"redirects": followed, "pages": [self._page(self.redirects.get(title, title)) for title in titles]}

    def _page(self, title: str) -> dict[str, Any]:
        if title not in self.pages:
            return {"title": title, "missing": True}
        id_, revision, html = self.pages[title]
        made = {"revid": revision, "timestamp": "2026-01-02T03:04:05Z", "size": len(html)}
        marked = {"pageprops": {"disambiguation": ""}} if "disambig" in html else {}
        return {"pageid": id_, "title": title, "revisions": [made], **marked}


@contextmanager
def serving(wiki: FakeWiki) -> Iterator[FakeWiki]:
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(dict(parse_qsl(urlsplit(self.path).query)))

        def do_POST(self) -> None:
            self._answer(dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode())))

        def _answer(self, asked: dict[str, str]) -> None:
            wiki.asked.append(asked)
            wiki.agents.append(self.headers["User-Agent"])
            fault = wiki.faults.pop(0) if wiki.faults else None
            body = json.dumps(wiki.answer(asked)).encode() if fault in (None, CUT) else fault[2]
            status, headers = (200, {}) if fault in (None, CUT) else fault[:2]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if fault == CUT else body)

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:  # a client may hang up on an answer without bounds
            pass

    server = Quiet(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    wiki.api = f"http://127.0.0.1:{server.server_port}/api.php"
    try:
        yield wiki
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
