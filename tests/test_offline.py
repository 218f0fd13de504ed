"""Everything works where there is no network, and asks nothing where there seems to be one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "data" / "sample"
QUESTIONS = ROOT / "data" / "questions.jsonl"

pytestmark = pytest.mark.fault(35)

# The whole program with the real embedder and reader, one way of use after the other: index, ask, measure, the endpoint
# and a question to it, the page and its scripts. What the servers are asked comes over loopback.
EVERYTHING = f"""
import json, os, re, socket, subprocess, sys, time, urllib.request
sys.path.insert(0, {str(ROOT)!r})
from rag import cli

def run(*arguments):
    code = cli.main(list(arguments))
    assert code in (0, 3), (code, arguments)

def served(command, line, then):
    with subprocess.Popen([sys.executable, *command, "--port", "0"], stderr=subprocess.PIPE, text=True) as running:
        try:
            for said in running.stderr:
                if found := re.search(line, said):
                    then(found[1])
                    break
            else:
                raise AssertionError(command)
        finally:
            running.kill()

def read(url, data=None):
    request = urllib.request.Request(url, data, {{"Content-Type": "application/json"}} if data else {{}})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return reply.read().decode("latin-1")

def asked(base):
    body = {{"messages": [{{"role": "user", "content": "How many days of leave are there?"}}]}}
    assert json.loads(read(base + "/chat/completions", json.dumps(body).encode()))["sources"]

def opened(base):
    page = read(base)
    scripts = re.findall(r'src="\\./([^"]+[.]js)"', page)
    assert scripts, page
    for name in scripts:
        read(f"{{base}}/{{name}}")
    assert "://" not in re.sub(r"http://www.w3.org/\\S+", "", re.sub(r"<!--.*?-->", "", page, flags=re.S)), page
    assert read(base + "/_stcore/host-config")

run("index", {str(SAMPLE)!r})
run("ask", "How many days of annual leave does a full-time employee have?")
run("eval", {str(QUESTIONS)!r}, "--limit", "3", "--out", "runs/small")
served(["-m", "rag.cli", "serve"], r"answers at (http://\\S+/v1);", asked)
served(["-m", "app"], r"is at (http://\\S+:\\d+);", opened)
print("ALL OF IT")
"""


CALLS = "connect,sendto,sendmsg,sendmmsg"
# Every address is this machine's: whoever asks elsewhere finds a way, is written down, and is refused at once.
ALONE = "ip link set lo up"
TRAP = f"{ALONE} && ip route add local default dev lo && {{ ip -6 route add local default dev lo || true; }}"


def environment(home: Path) -> dict[str, str]:
    ours = ("RAG_", "STREAMLIT_", "HF_")
    kept = {n: v for n, v in os.environ.items() if not n.startswith(ours) and not n.lower().endswith("_proxy")}
    return {**kept, "HOME": str(home), "RAG_INDEXES": str(home / "indexes"), "RAG_OCR": "off", "PYTHONPATH": str(ROOT)}


def everything(home: Path, *around: str, before: str = ALONE) -> subprocess.CompletedProcess[str]:
    """In a namespace with nothing in it but loopback, and what `before` adds."""
    script = f'{before} || exit 99; exec "$@"'
    command = ["unshare", "-n", "sh", "-c", script, "sh", *around, sys.executable, "-c", EVERYTHING]
    return subprocess.run(command, cwd=home, env=environment(home), capture_output=True, text=True, timeout=400)


def needed(*programs: str) -> None:
    missing = [program for program in programs if not shutil.which(program)]
    if os.geteuid() != 0:
        missing.append("root, to make a network namespace")
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    tried = subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"no network namespace here: {tried.stderr.strip()}")


@pytest.mark.slow
def test_it_works_without_a_route(tmp_path: Path) -> None:
    needed("unshare", "ip")
    done = everything(tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.endswith("ALL OF IT\n")


@pytest.mark.slow
def test_it_asks_nothing_where_there_is_one(tmp_path: Path) -> None:
    needed("unshare", "ip", "strace")
    log = tmp_path / "log"
    watched = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", str(log), "-e", f"trace={CALLS}"]
    done = everything(tmp_path, *watched, before=TRAP)
    if "strace:" in done.stderr and not log.exists():
        pytest.skip("strace cannot trace here")
    assert done.returncode == 0, done.stderr[-3000:]
    lines = log.read_text(errors="replace").splitlines()
    assert any("AF_INET" in line and "127.0.0.1" in line for line in lines), "the servers were asked, and that is seen"
    assert foreign(lines) == []


def foreign(lines: list[str]) -> list[str]:
    """Calls that would reach another machine, or ask for its name."""
    inet = [line for line in lines if "sa_family=AF_INET" in line]
    return [
        line for line in inet if not re.search(r'inet_addr\("127\.|inet_pton\(AF_INET6, "(?:::1|::ffff:127\.)', line)
    ]


@pytest.mark.parametrize(
    "asks",
    [
        "socket.getaddrinfo('huggingface.co', 443)",
        "socket.create_connection(('192.0.2.1', 443), 1)",
        "socket.create_connection(('2001:db8::1', 443), 1)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    ],
)
def test_who_asks_elsewhere_is_seen(tmp_path: Path, asks: str) -> None:
    needed("unshare", "ip", "strace")
    log, names = tmp_path / "log", tmp_path / "resolv.conf"
    names.write_text("nameserver 192.0.2.53\noptions timeout:1 attempts:1\n")
    script = (
        f'mount --bind {names} /etc/resolv.conf; {TRAP} || exit 99; exec strace -f -qq -o {log} -e trace={CALLS} "$@"'
    )
    command = ["unshare", "-nm", "sh", "-c", script, "sh", sys.executable, "-c", f"import socket; {asks}"]
    subprocess.run(command, capture_output=True, timeout=60)
    assert foreign(log.read_text().splitlines())
