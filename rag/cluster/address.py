"""Into a Ray cluster and out again, with errors in our own words and nothing left behind."""

from __future__ import annotations

import io
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

from rag.errors import NetworkError, UsageError

LOCAL, AUTO, CLIENT = "local", "auto", "ray://"
FORM = "HOST:PORT of a cluster that this machine is part of, auto, or local"
ANSWERS = 5.0  # seconds that a cluster has to take a connection
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is told to anybody
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # what goes wrong is said by us
    "RAY_DEDUP_LOGS": "0",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """What there is of a cluster that was joined. `machines` are those that work: how many of them there are now."""

    cpus: int
    gpus: int
    machines: Callable[[], int]


def checked(address: str) -> str:
    """As Ray takes it. Raises UsageError for what is no address, before anything is loaded."""
    if address.startswith(CLIENT):
        raise UsageError(
            f"{address} is for Ray's client, through which documents would pass twice. Nothing was done; run `rag "
            f"index` on a machine of the cluster, and give --ray (RAG_RAY) as {FORM}."
        )
    host, colon, port = address.rpartition(":")
    if address not in (LOCAL, AUTO) and not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        raise UsageError(f"--ray (or RAG_RAY) is {address!r}; it takes {FORM}.")
    return address


@contextmanager
def joined(address: str) -> Iterator[Cluster]:
    """Part of the cluster at `address`, or of one that is made here and goes again ("local"). Raises UsageError without
    the library or the cluster."""
    _reach(checked(address))
    os.environ.update(_ENVIRONMENT)  # before it is loaded
    if address == LOCAL:  # for whoever has it; otherwise Ray would keep one in the user's home
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # on the loopback interface, whatever the system
    try:
        import ray.data
    except ImportError as error:
        raise UsageError(
            "Ray is missing, which --ray (RAG_RAY) works with. Nothing was done; pip install 'beluga-rag[scale]' on "
            "this machine and on every one of the cluster."
        ) from error
    _quieten()
    folder = tempfile.mkdtemp(prefix="rag-ray-", dir="/tmp") if address == LOCAL else ""
    try:
        ended = signal.getsignal(signal.SIGTERM)
        _init(ray, address, folder)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ended)  # Ray has put its own in its place
        try:
            with redirect_stdout(_Unheard()):  # Ray tells there of every process that ends
                yield _of(ray)
        finally:
            ray.shutdown()
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _init(ray: Any, address: str, folder: str) -> None:
    how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL, "ignore_reinit_error": False}
    host = "127.0.0.1" if address == LOCAL else address.rpartition(":")[0]
    if host.startswith("127."):  # Ray would take another of this machine's addresses, and show itself to others
        how["_node_ip_address"] = host
    if address == LOCAL:  # at least two, so that reading and embedding do not wait for each other
        how |= {"include_dashboard": False, "_temp_dir": folder, "num_cpus": max(2, os.cpu_count() or 1)}
    try:
        with _silenced():
            ray.init(address=address, **how)
    except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
        told = " ".join(str(error).split())
        if "uthenticat" in told or "AuthToken" in told:
            raise UsageError(
                f"The Ray cluster at {address} wants its token. Nothing was done; set RAY_AUTH_MODE=token, and "
                "RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the one that it was started with (~/.ray/auth_token on its "
                "head)."
            ) from error
        raise UsageError(
            f"No Ray cluster can be joined at {address} ({told[:300]}). Nothing was done; start one (ray start --head, "
            "and on the other machines ray start --address=HOST:PORT), and run this command on one of its machines."
        ) from error


def _reach(address: str) -> None:
    """Ray itself tries for a minute."""
    if address in (LOCAL, AUTO):
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWERS).close()
    except OSError as error:
        raise NetworkError(
            f"No Ray cluster answers at {address} ({error.strerror or error}). Nothing was done; see that its head "
            "runs there (ray start --head), and that --ray (RAG_RAY) names it."
        ) from error


def _of(ray: Any) -> Cluster:
    there = ray.cluster_resources()
    cluster = Cluster(int(there.get("CPU", 0)), int(there.get("GPU", 0)), lambda: _machines(ray))
    if cluster.cpus < 2:
        raise UsageError(
            f"The Ray cluster has {cluster.cpus} processors to give away; it takes two, one to read and one to embed. "
            "Nothing was done; add machines (ray start --address=HOST:PORT), or start them with --num-cpus=2."
        )
    return cluster


def _machines(ray: Any) -> int:
    return sum(bool(node["Alive"]) for node in ray.nodes())


class _Unheard(io.TextIOBase):
    """Where words go that nobody is to read."""

    def write(self, text: str) -> int:
        return len(text)


@contextmanager
def _silenced() -> Iterator[None]:
    """Nothing on standard error, not even by native code, which says there how loud it was told to be."""
    heard, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(heard, 2)
        os.close(heard)
        os.close(nowhere)


def _quieten() -> None:
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
