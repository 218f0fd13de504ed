"""The application as it is started, reached and stopped: real processes, real sockets."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from serving import ROOT, Served, environment, served, told
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

HOSTILE = """
[server]
address = "0.0.0.0"
enableCORS = false
enableXsrfProtection = false
maxUploadSize = 4000
enableStaticServing = true
fileWatcherType = "auto"
corsAllowedOrigins = ["http://evil.example"]
trustedUserHeaders = { "X-Who" = "email" }
enableAgentApi = true

[browser]
gatherUsageStats = true

[client]
showErrorDetails = "full"
toolbarMode = "developer"

[global]
developmentMode = false
appTest = true

[runner]
magicEnabled = true

[logger]
level = "debug"

[theme]
font = "Evil:https://evil.example/font.css"
"""
VARIABLES = {
    "STREAMLIT_SERVER_ADDRESS": "0.0.0.0",
    "STREAMLIT_SERVER_ENABLE_XSRF_PROTECTION": "false",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "true",
    "STREAMLIT_CLIENT_SHOW_ERROR_DETAILS": "full",
    "STREAMLIT_GLOBAL_DEVELOPMENT_MODE": "true",
}


def hostile(folder: Path) -> Path:
    (folder / ".streamlit").mkdir(parents=True)
    (folder / ".streamlit" / "config.toml").write_text(HOSTILE)
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One that is started with all that could make it unsafe; tests that only look share it."""
    with served(hostile(tmp_path_factory.mktemp("home")), variables=VARIABLES) as running:
        yield running


def websocket(site: Served, host: str = "127.0.0.1", **headers: str) -> ClientConnection:
    """`host` is the name that leads there, as far as the browser knows."""
    url = f"ws://{host}:{site.port}/_stcore/stream"
    here = socket.create_connection(("127.0.0.1", site.port))
    return connect(url, sock=here, additional_headers=headers, subprotocols=["streamlit"])  # type: ignore[list-item]


def test_it_listens_on_loopback_alone(site: Served) -> None:
    mine = psutil.Process(site.process.pid)
    family = [mine, *mine.children(recursive=True)]
    listening = {at.laddr for one in family for at in one.net_connections() if at.status == psutil.CONN_LISTEN}
    assert listening == {("127.0.0.1", site.port)}


def test_a_page_is_served_with_what_browsers_are_told(site: Served) -> None:
    page = requests.get(site.url, timeout=30)
    assert (page.status_code, "<title>" in page.text) == (200, True)
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-eval" not in policy
    assert "https:" not in policy
    assert requests.get(f"{site.url}/_stcore/health", timeout=30).text == "ok"


def test_pages_of_others_get_nothing(site: Served) -> None:
    for path in ("/", "/_stcore/health", "/_stcore/host-config"):
        assert requests.get(site.url + path, headers={"Host": "evil.example"}, timeout=30).status_code == 421
        reply = requests.get(site.url + path, headers={"Origin": "http://evil.example"}, timeout=30)
        assert "access-control-allow-origin" not in reply.headers
    for path in ("/_stcore/metrics", "/_stcore/agent/openapi.json"):
        assert requests.get(site.url + path, timeout=30).status_code == 404
    with websocket(site, Origin=site.url) as ours:
        assert ours.subprotocol == "streamlit"
    rebound = f"http://evil.example:{site.port}"
    for host, origin in (("127.0.0.1", "http://evil.example"), ("127.0.0.1", "null"), ("evil.example", rebound)):
        with pytest.raises(InvalidStatus) as refused:
            websocket(site, host, Origin=origin)
        assert refused.value.response.status_code == 403


def test_uploads_need_the_pages_own_token(site: Served) -> None:
    reply = requests.put(f"{site.url}/_stcore/upload_file/a/b", data=b"x", headers={"Origin": site.url}, timeout=30)
    assert (reply.status_code, reply.text) == (403, "XSRF token missing or invalid")


def test_what_is_not_heeded_is_said(site: Served) -> None:
    (said,) = [line for line in site.said if "not heeded" in line]
    assert "server.enableXsrfProtection" in said
    assert "theme.font" in said


def test_options_hold_whatever_sets_them(tmp_path: Path) -> None:
    pinned = "server.corsAllowedOrigins server.enableStaticServing server.enableAgentApi global.appTest theme.font"
    probe = (
        "import json; from app.server.options import *; from streamlit import config\n"
        "wanted = Serving('127.0.0.1', 8599, 50)\n"
        "enforce(wanted)\n"
        "held = {name: option.value for name, option in config.get_config_options().items()}\n"
        "wrong = {name: held[name] for name, value in required(wanted).items() if held[name] != value}\n"
        f"strays = {{name: held[name] for name in '{pinned} server.cookieSecret'.split()}}\n"
        "print(json.dumps([wrong, strays]))"
    )
    variables = {**VARIABLES, "STREAMLIT_SERVER_COOKIE_SECRET": "kept"}
    done = subprocess.run(
        [sys.executable, "-c", probe],
        cwd=hostile(tmp_path),
        env=environment(tmp_path, **variables),
        capture_output=True,
        text=True,
        check=True,
    )
    wrong, strays = json.loads(done.stdout)
    assert wrong == {}
    assert strays == {
        "server.corsAllowedOrigins": [],
        "server.enableStaticServing": False,
        "global.appTest": False,
        "server.enableAgentApi": False,
        "theme.font": None,
        "server.cookieSecret": "kept",
    }


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_within_two_seconds_though_somebody_looks(tmp_path: Path, number: int, code: int) -> None:
    with served(tmp_path) as site, websocket(site, Origin=site.url):
        began = time.monotonic()
        site.process.send_signal(number)
        assert site.stopped() == (code, "Stopped.\n")
        assert time.monotonic() - began < max(2, site.took)  # a busy machine needs longer for everything


def test_other_machines_are_not_let_in_without_a_login(tmp_path: Path) -> None:
    for given in (["--host", "0.0.0.0"], ["--host", "::"], ["--url", "https://rag.example.org"]):
        done = told(tmp_path, "--port", "0", *given)
        assert done.returncode == 2
        assert "and there is no login" in done.stderr
        assert "python -m app add NAME" in done.stderr
    done = told(tmp_path, "--port", "0", "--host", "0.0.0.0", "--allow", "anna@example.org")
    assert (done.returncode, "secrets.toml" in done.stderr) == (2, True)


def test_wrong_arguments_end_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wrong = {
            ("--port", str(port)): f"app: Port {port} on 127.0.0.1 is taken; choose another --port.",
            ("--port", "x"): "app: --port is 'x'; it takes a whole number from 0 to 65535.",
            ("--upload-limit", "0"): "app: --upload-limit is 0; it takes a whole number from 1 to 4000.",
            ("--host", "nowhere.invalid"): "Give people passwords",
            ("--url", "rag.example.org"): "it takes the address that people open, such as https://rag.example.org.",
            ("--nonsense",): "try `python -m app --help`",
            ("add", "a b"): "is no name for a person",
            ("remove", "anna"): "There is: nobody.",
            ("share", "papers", "anna"): "No collection 'papers'",
        }
        for arguments, said in wrong.items():
            done = told(tmp_path, *arguments, typed="a long enough password\n")
            assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
            assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_who_has_a_password_comes_in_from_elsewhere(tmp_path: Path) -> None:
    assert told(tmp_path, "add", "Anna", typed="correct horse battery\n").stderr == "anna can log in now.\n"
    assert "has a new password" in told(tmp_path, "add", "anna", typed="correct horse staple\n").stderr
    assert told(tmp_path, "people").stdout.startswith("anna:")
    with served(tmp_path, "--host", "0.0.0.0") as site:
        here = f"http://127.0.0.1:{site.port}"
        assert requests.get(f"{here}/_stcore/host-config", timeout=30).status_code == 401
        with pytest.raises(InvalidStatus):
            websocket(site, Origin=here)
        form = {"name": "anna", "password": "correct horse battery"}
        assert requests.post(f"{here}/login", form, timeout=30).status_code == 401
        browser = requests.Session()
        form["password"] = "correct horse staple"
        assert "<title>Streamlit" in browser.post(f"{here}/login", form, timeout=30).text
        held = f"beluga_session={browser.cookies['beluga_session']}"
        with websocket(site, Origin=here, Cookie=held) as opened:
            assert opened.subprotocol == "streamlit"
        assert requests.get(here, headers={"Host": "evil.example", "Cookie": held}, timeout=30).status_code == 421
        told(tmp_path, "remove", "anna")
        assert browser.get(f"{here}/_stcore/host-config", timeout=30).status_code == 401
        assert "can be seen on its way" in "".join(site.said)


def test_an_answer_that_is_still_being_written_does_not_hold_up_the_end() -> None:
    program = (
        "import threading; from app.__main__ import _end\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "_end(143)"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=60)
    assert done.returncode == 143
    assert time.monotonic() - began < 10  # it would be for ever
