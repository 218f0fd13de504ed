"""A Ray cluster on this machine alone: a head that works nothing, and nodes that can be killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from milvus_server import free_port

TESTS = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
MEMORY = 200_000_000  # bytes of a node's object store
HOST = "127.0.0.2"  # of this machine alone; for 127.0.0.1 Ray takes an address that others can reach
TRIES = 4  # to start a node: Ray gives it 30 seconds, which are few on a machine that is busy


@dataclass
class Nodes:
    address: str
    log: Path
    working: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def kill(self, number: int) -> None:
        """kill -9, and all that `ray start --block` has started goes with it."""
        _end(self.working[number])


@contextmanager
def cluster(nodes: int = 2, cpus: int = 2) -> Iterator[Nodes]:
    """Sockets have to lie at short paths."""
    folder = tempfile.mkdtemp(prefix="rag-", dir="/tmp")
    log = Path(folder, "log")
    port = _port_for_a_head()
    made = Nodes(f"{HOST}:{port}", log)
    common = [f"--node-ip-address={HOST}", f"--object-store-memory={MEMORY}", "--disable-usage-stats", "--block"]
    head = ["--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false", f"--temp-dir={folder}"]
    try:
        with ExitStack() as stack:
            _start(stack, [*head, *common], log)
            _wait_until_open(HOST, port, log)
            working = [f"--address={made.address}", f"--num-cpus={cpus}", *common]
            for number in range(nodes):
                made.working.append(_joined(stack, working, made.address, number + 1, log))
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(stack: ExitStack, arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(TESTS.parent), str(TESTS), str(TESTS / "cluster")])
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    environment |= {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    environment |= {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    out = stack.enter_context(log.open("ab"))
    command = [str(BIN / "ray"), "start", *arguments]
    running = subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True)
    stack.callback(_end, running)
    return running


def _end(running: subprocess.Popen[bytes]) -> None:
    """With all that it started: Ray's agents outlive their node by a minute otherwise."""
    with suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def _port_for_a_head() -> int:
    """Ray wants 10002 to 19999 for its workers."""
    while 10_002 <= (port := free_port()) <= 19_999:
        pass
    return port


def _joined(stack: ExitStack, arguments: list[str], address: str, number: int, log: Path) -> subprocess.Popen[bytes]:
    """One more node, of which the head has heard."""
    from ray._raylet import GcsClient
    from ray.exceptions import RpcError

    client = GcsClient(address=address)
    for _ in range(TRIES):
        running = _start(stack, arguments, log)
        while running.poll() is None:
            with suppress(RpcError):  # a busy head takes its time
                if sum(node.state == 0 for node in client.get_all_node_info().values()) > number:  # 0 is alive
                    return running
            time.sleep(0.2)  # a node that joins tells the head alone
    raise AssertionError(log.read_text())


def _wait_until_open(host: str, port: int, log: Path) -> None:
    deadline = time.monotonic() + 240
    while True:
        try:
            socket.create_connection((host, port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)  # until the port is open there is no signal to wait for
