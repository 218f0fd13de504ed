"""People log in, in a real browser: with a password, and by a provider of OpenID Connect that runs here."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from browser import chromium, person
from playwright.sync_api import Browser, Page
from serving import served, told

from app.people import by_password, own
from rag.config import Config
from rag.history.store import History
from rag.index.collection import LEDGER
from rag.types import Answer


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def made(config: Config, *names: str) -> None:
    for name in names:
        (config.indexes / name).mkdir(parents=True)
        (config.indexes / name / LEDGER).touch()


def log_in(page: Page, url: str, name: str, password: str) -> None:
    page.goto(url)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def choices(page: Page) -> list[str]:
    page.get_by_role("combobox", name="Collection").click()
    return page.get_by_role("option").all_inner_texts()


def test_two_people_at_one_server_see_what_is_theirs(browser: Browser, tmp_path: Path) -> None:
    config = Config(indexes=tmp_path / "indexes")
    made(own(config, by_password("anna")), "annas-papers", "diary")
    made(own(config, by_password("bert")), "berts-papers")
    made(config, "handbook", "board")
    kept = History(config.indexes / ".people")
    hers = kept.begin(by_password("anna").id, "diary", Answer("What did I write?", "Nothing.", True, "scribe"))
    for name in ("anna", "bert"):
        told(tmp_path, "add", name, typed=f"the password of {name}\n")
    told(tmp_path, "share", "handbook", "*")
    with served(tmp_path) as site, person(browser) as one, person(browser) as two:
        link = f"{site.url}/?collection=annas-papers&chat={hers.id}"
        anna, bert = one.new_page(), two.new_page()
        log_in(anna, link, "anna", "wrong")
        assert anna.get_by_role("alert").inner_text() == "Name and password do not belong together."
        anna.get_by_label("Password").fill("the password of anna")
        anna.keyboard.press("Enter")
        anna.get_by_test_id("stChatMessage").filter(has_text="What did I write?").wait_for()
        log_in(bert, link, "bert", "the password of bert")  # a link to what is hers
        bert.get_by_role("button", name="Log out").wait_for()
        bert.get_by_text("This collection is not here").wait_for()
        assert bert.get_by_test_id("stChatMessage").count() == 0
        assert "What did I write?" not in bert.locator("body").inner_text()
        bert.goto(site.url)
        assert choices(bert) == ["berts-papers", "handbook"]
        anna.goto(site.url)
        assert choices(anna) == ["annas-papers", "diary", "handbook"]
        other = anna.context.new_page()
        other.goto(site.url)
        other.get_by_role("button", name="Log out").click()
        other.get_by_text("You are logged out").wait_for()
        anna.reload()
        anna.get_by_label("Password").wait_for()


# -------------------------------------------------------------------------------------- a provider


@dataclass
class Provider:
    """As little of OpenID Connect as a login needs: whoever is sent here is `account`, without being asked."""

    url: str
    account: dict[str, Any]


@contextmanager
def provider() -> Iterator[Provider]:
    from joserfc import jwt
    from joserfc.jwk import RSAKey

    key = RSAKey.generate_key(2048, {"kid": "1", "alg": "RS256"})
    nonces: dict[str, str] = {}
    held = Provider("", {})

    class Answers(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            given = {name: found[0] for name, found in parse_qs(parts.query).items()}
            if parts.path == "/authorize":
                code = hashlib.sha256(given["nonce"].encode()).hexdigest()
                nonces[code] = given["nonce"]
                back = urlencode({"code": code, "state": given["state"]})
                self.send_response(302)
                self.send_header("Location", f"{given['redirect_uri']}?{back}")
                self.end_headers()
            elif parts.path == "/keys":
                self.say({"keys": [key.as_dict(private=False)]})
            else:
                ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
                self.say({"issuer": held.url, **{name: f"{held.url}/{end}" for name, end in ends.items()}})

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            assert base64.b64decode(self.headers["Authorization"].split()[1]) == b"beluga:secret"
            now = int(time.time())
            claims = {"iss": held.url, "aud": "beluga", "iat": now, "exp": now + 600, "nonce": nonces[form["code"][0]]}
            token = jwt.encode({"alg": "RS256", "kid": "1"}, {**claims, **held.account}, key)
            self.say({"access_token": "x", "token_type": "Bearer", "id_token": token})

        def say(self, shape: dict[str, Any]) -> None:
            body = json.dumps(shape).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        held.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield held
        finally:
            server.shutdown()
            thread.join()


def test_a_provider_sends_people_and_only_those_who_are_allowed_come_in(browser: Browser, tmp_path: Path) -> None:
    made(Config(indexes=tmp_path / "indexes"), "handbook", "board")
    told(tmp_path, "share", "handbook", "anna@example.org")
    (tmp_path / ".streamlit").mkdir()
    with provider() as known:
        (tmp_path / ".streamlit" / "secrets.toml").write_text(
            f"""
            [auth]
            redirect_uri = "http://127.0.0.1:{{port}}/oauth2callback"
            cookie_secret = "a secret of more than thirty-two characters"
            client_id = "beluga"
            client_secret = "secret"
            server_metadata_url = "{known.url}/.well-known/openid-configuration"
            """
        )
        with served(tmp_path, "--allow", "@example.org") as site, person(browser) as one, person(browser) as two:
            anna, bert = one.new_page(), two.new_page()
            known.account = {"sub": "1", "email": "anna@example.org", "email_verified": True}
            anna.goto(site.url)
            anna.get_by_role("button", name="Log in").click()
            anna.get_by_text("anna@example.org").wait_for()
            assert choices(anna) == ["handbook"]
            known.account = {"sub": "2", "email": "bert@example.org", "email_verified": False}
            bert.goto(site.url)
            bert.get_by_role("button", name="Log in").click()
            bert.get_by_text("This account may not come in here.").wait_for()
            assert bert.get_by_role("combobox", name="Collection").count() == 0
            anna.keyboard.press("Escape")
            anna.get_by_role("button", name="Log out").click()
            anna.get_by_text("Log in to ask your documents.").wait_for()
