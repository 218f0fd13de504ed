"""One writer at a time, on whatever machine: a row that says who writes, and until when.

A server gives no lock that dies with its holder, and no exchange that others cannot come between. So this is a best
effort: two writers that begin within the same moment are told apart by reading back what stands there, a writer that
was killed is waited for until its lease has run out, and clocks that are minutes apart defeat it. What it protects is
work, and not the data: all that two writers of the same folder write is keyed by its content, and comes out the same.
On one machine a lock in the file system comes first, which has none of these weaknesses; whoever holds that takes over
what a killed process of the same machine has left.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from rag.errors import LockedError, RagError
from rag.index.milvus.queries import Queries
from rag.index.milvus.rows import fitted
from rag.index.milvus.server import STRONG

LEASE = "lease"
LASTS = 300.0  # seconds: longer than a window takes to be embedded on a slow machine
AGAIN = 60.0  # seconds after which it is renewed with what is sent
LOOK = 2.0  # seconds between looks of a writer that waits


class Lease:
    """Held from `taken` on, until it is given back or runs out."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._mine = secrets.token_hex(8)
        self._renewed = 0.0

    def renew(self) -> None:
        """Raises LockedError where somebody has taken it over meanwhile: we were gone for too long."""
        if time.time() - self._renewed < AGAIN:
            return
        if (holder := self._holder()) and holder["mark"] != self._mine:
            raise _locked(self._queries, holder)
        self._write(LASTS)

    def take(self) -> None:
        holder = self._holder()
        if holder and holder["machine"] != _machine():  # of this machine it is a dead one's: we hold the lock
            raise _locked(self._queries, holder)
        self._write(LASTS)
        if (holder := self._holder()) and holder["mark"] != self._mine:
            raise _locked(self._queries, holder)

    def give_back(self) -> None:
        with suppress(RagError):  # it runs out by itself
            self._write(0)

    def _write(self, lasts: float) -> None:
        now = time.time()
        held = {"mark": self._mine, "machine": _machine(), "pid": os.getpid(), "since": now, "until": now + lasts}
        row = {"id": LEASE, "value": fitted(json.dumps(held)), "vector": [0.0, 0.0]}
        self._queries.server.upsert(self._queries.settings_, [row])
        self._renewed = now

    def _holder(self) -> dict[str, Any] | None:
        return holder_of(self._queries, STRONG)


def holder_of(queries: Queries, consistency: str = "") -> dict[str, Any] | None:
    """Who writes, if somebody does."""
    stored = queries.setting(LEASE, consistency)
    held: dict[str, Any] = json.loads(stored) if stored else {"until": 0}
    return held if held["until"] > time.time() else None


@contextmanager
def taken(queries: Queries, waiting: Callable[[str], None] | None) -> Iterator[Lease]:
    """Holds the lease. Raises LockedError while another machine does; or, if there is somebody to tell whom we are
    `waiting` for, waits for it."""
    lease = Lease(queries)
    told = False
    while True:
        try:
            lease.take()
            break
        except LockedError:
            if waiting is None:
                raise
            if not told:
                waiting(described(holder_of(queries, STRONG)))
                told = True
            time.sleep(LOOK)
    try:
        yield lease
    finally:
        lease.give_back()


def described(holder: dict[str, Any] | None) -> str:
    """Such as "pid 42 on anna, since 10:31"; empty when nobody writes."""
    if not holder:
        return ""
    since = datetime.fromtimestamp(float(holder["since"]))
    return f"pid {holder['pid']} on {holder['machine']}, since {since:%H:%M}"


def _machine() -> str:
    return socket.gethostname()


def _locked(queries: Queries, holder: dict[str, Any]) -> LockedError:
    until = datetime.fromtimestamp(float(holder["until"]))
    return LockedError(
        f"Another machine is writing to {queries.server.address} ({described(holder)}). Nothing was changed; run again "
        f"when it has ended (`rag index --wait` waits for it). If it was killed, its lease ends at {until:%H:%M:%S}."
    )
