"""The login with a password, and that nothing can be reached before it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from asking_over import Reply, echo, request

from app.people import by_password
from app.server import entrance, passwords
from app.server.door import Door
from app.server.entrance import CLOSED, LATER, WRONG, Entrance
from app.server.passwords import Passwords
from app.server.sessions import OF_A_NAME, Attempts, Sessions

GOOD = "correct horse battery"
BROWSER = {"accept": "text/html,application/xhtml+xml"}


class Site:
    def __init__(self, folder: Path, secure: bool = False) -> None:
        self.passwords = Passwords(folder)
        self.sessions = Sessions(self.passwords.proof)
        made = Entrance(self.passwords, self.sessions, Attempts(), secure)
        self.door = Door(echo, {"localhost"}, "default-src 'self'", entrance=made)

    def log_in(self, name: str = "anna", password: str = GOOD, there: str = "/", **headers: str) -> Reply:
        form = urlencode({"name": name, "password": password, "next": there}).encode()
        return request(self.door, "/login", "POST", form, **{"origin": "http://localhost:8501", **headers})


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(passwords, "_COST", (2**4, 8, 1))
    monkeypatch.setattr(passwords, "_NOBODYS", passwords._hashed("nobody's"))
    made = Site(tmp_path)
    made.passwords.put("anna", GOOD)
    return made


def cookie(reply: Reply) -> str:
    return reply.headers["set-cookie"].partition(";")[0]


@pytest.mark.parametrize(
    "path",
    ["/", "/ask", "/library?collection=x", "/static/js/index.js", "/media/a.png", "/_stcore/host-config", "/LOGIN"],
)
def test_nothing_is_shown_before_the_login(site: Site, path: str) -> None:
    shown = request(site.door, path, **BROWSER)
    assert (shown.status, shown.headers["location"].partition("?")[0]) == (303, "/login")
    assert request(site.door, path).status == 401
    assert request(site.door, path, cookie="beluga_session=guessed", accept="*/*").status == 401


def test_no_websocket_opens_and_nothing_is_uploaded_before_the_login(site: Site) -> None:
    assert request(site.door, "/_stcore/stream", kind="websocket").status == 403
    assert request(site.door, "/_stcore/upload_file/a/b", "PUT", b"x").status == 401
    assert request(site.door, "/_stcore/health").status == 200  # what watches over a server has no password


def test_the_right_password_opens_the_way_back_to_where_one_was_going(site: Site) -> None:
    wanted = "/ask?collection=my papers&chat=0123abcd"
    sent = request(site.door, wanted, **BROWSER).headers["location"]
    form = request(site.door, sent)
    assert form.status == 200
    there = re.search(r'name="next" value="([^"]*)"', form.body)
    assert there
    reply = site.log_in(there=there[1].replace("&amp;", "&"))
    assert (reply.status, reply.headers["location"]) == (303, "/ask?collection=my%20papers&chat=0123abcd")
    shown = request(site.door, "/ask", cookie=f"other=1; {cookie(reply)}")
    assert shown.status == 200
    (handle,) = re.findall(r"'([0-9a-f]{64})'", shown.body)
    assert site.sessions.person(handle) == by_password("anna")
    assert request(site.door, kind="websocket", cookie=cookie(reply)).status == 101


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(site: Site, tmp_path: Path) -> None:
    attributes = site.log_in().headers["set-cookie"].split("; ")[1:]
    assert attributes == ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Lax"]
    assert site.log_in("anna").headers["cache-control"] == "no-store"
    secure = Site(tmp_path, secure=True)
    assert secure.log_in().headers["set-cookie"].endswith("; Secure")


def test_wrong_names_and_wrong_passwords_look_the_same(site: Site) -> None:
    replies = [
        site.log_in("anna", "wrong"),
        site.log_in("nobody", GOOD),
        site.log_in("no name!", "x"),
        site.log_in("", ""),
    ]
    assert {reply.status for reply in replies} == {401}
    assert all(WRONG in reply.body and "set-cookie" not in reply.headers for reply in replies)
    shown = {re.sub(r'value="[^"]*"|autofocus', "", reply.body).replace(" ", "") for reply in replies}
    assert len(shown) == 1


def test_too_many_failures_are_refused_whether_or_not_there_is_such_a_person(site: Site) -> None:
    for name in ("anna", "nobody"):
        replies = [site.log_in(name, "wrong") for _ in range(OF_A_NAME + 1)]
        assert [reply.status for reply in replies] == [401] * OF_A_NAME + [429]
        assert LATER.format(minutes="15 minutes") in replies[-1].body
    assert site.log_in("anna").status == 429  # not even the right one


def test_logging_out_ends_the_session_for_good(site: Site) -> None:
    held = cookie(site.log_in())
    reply = request(site.door, "/logout", cookie=held)
    assert (reply.status, reply.headers["location"]) == (303, "/login")
    assert "Max-Age=0" in reply.headers["set-cookie"]
    assert request(site.door, "/", cookie=held).status == 401


def test_who_is_removed_is_out_at_once(site: Site) -> None:
    held = cookie(site.log_in())
    site.passwords.remove("anna")
    assert request(site.door, "/", cookie=held).status == 401


ELSEWHERE = ["https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)"]
NOWHERE = ["ask", "", "/login", "/logout", "/\r\nSet-Cookie: a=b", "/\t/evil.example", "http:evil.example"]


@pytest.mark.parametrize("there", ELSEWHERE + NOWHERE)
def test_the_way_back_leads_nowhere_else(site: Site, there: str) -> None:
    assert site.log_in(there=there).headers["location"] == "/"


def test_another_site_cannot_log_anybody_in(site: Site) -> None:
    assert site.log_in(origin="http://evil.example").status == 403


def test_what_is_typed_is_shown_as_text(site: Site) -> None:
    body = site.log_in('"><script>alert(1)</script>$next', "wrong", there='/"><img src=x>').body
    assert "<script>" not in body
    assert "<img" not in body


@pytest.mark.parametrize("form", [b"", b"name=anna", b"\xff\xfe", b"name=" + b"x" * 20_000, b"&".join([b"a=b"] * 9)])
def test_a_broken_form_is_a_wrong_password(site: Site, form: bytes) -> None:
    assert request(site.door, "/login", "POST", form).status == 401


def test_a_damaged_file_of_people_is_told_in_the_terminal_and_lets_nobody_in(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    held = cookie(site.log_in())
    site.passwords.path.write_text("{")
    reply = site.log_in()
    assert reply.status == 503
    assert CLOSED in reply.body  # whoever comes by is not told of folders
    assert str(site.passwords.path) not in reply.body
    assert str(site.passwords.path) in capsys.readouterr().err
    assert request(site.door, "/", cookie=held).status == 401


def test_the_form_needs_nothing_from_elsewhere() -> None:
    page = Path(entrance.__file__).with_name("login.html").read_text()
    assert not re.search(r"https?://|src=|<script|<link|url\(", page)
