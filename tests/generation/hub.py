"""A hub on the loopback interface that speaks as much of huggingface.co's protocol as a download needs."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

LARGE = 10_000  # bytes from which a file is named by its SHA-256, as git LFS does


class Hub(ThreadingHTTPServer):
    """Serves one repository, `owner/tiny`, at `commit`. `cut` ends the next transfer of that file half-way, `spoilt`
    is sent with a byte changed; `requests` remembers what was asked, with its Range."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Speaker)
        self.files = files
        self.commit = "1" * 40
        self.cut = ""
        self.spoilt = ""
        self.requests: list[tuple[str, str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def digest(self, name: str) -> str:
        content = self.files[name]
        if len(content) >= LARGE:
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()

    def entry(self, name: str, key: str) -> dict[str, object]:
        size, digest = len(self.files[name]), self.digest(name)
        entry: dict[str, object] = {key: name, "size": size, "type": "file", "oid": digest, "blobId": digest}
        if len(digest) == 64:
            entry["lfs"] = {"size": size, "oid": digest, "sha256": digest, "pointerSize": 130}
        return entry


class _Speaker(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        path = urlsplit(self.path).path
        self.server.requests.append((self.command, path, self.headers.get("Range", "")))
        if path.startswith("/api/models/owner/tiny/tree/"):
            self._json([self.server.entry(name, "path") for name in self.server.files])
        elif path.startswith("/api/models/owner/tiny"):
            listed = [self.server.entry(name, "rfilename") for name in self.server.files]
            self._json(
                {"id": "owner/tiny", "sha": self.server.commit, "siblings": listed, "cardData": {"license": "mit"}}
            )
        elif "/resolve/" in path and (name := path.rpartition("/")[2]) in self.server.files:
            self._file(name, with_body)
        else:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _json(self, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _file(self, name: str, with_body: bool) -> None:
        content = self.server.files[name]
        if name == self.server.spoilt:
            content = bytes([content[0] ^ 1]) + content[1:]
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", f'"{self.server.digest(name)}"')
        self.send_header("X-Repo-Commit", self.server.commit)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if not with_body:
            return
        if name == self.server.cut:
            self.server.cut = ""
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
        else:
            self.wfile.write(content[start:])


@contextmanager
def serving(files: dict[str, bytes], cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The client library asks this hub, and keeps what it gets in `cache`."""
    from huggingface_hub import constants

    hub = Hub(files)
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
