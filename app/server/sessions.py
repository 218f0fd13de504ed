"""Who is logged in, and who has failed to too often: in memory, so that a restart logs everybody out.

A browser holds a token. It is stored nowhere else: here is its hash, which is also what pages are told.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from app.people import Person

LIFETIME = 12 * 3600  # seconds that a login lasts
MOST = 10_000  # sessions, or names and addresses that have failed, that are kept in mind
WINDOW = 15 * 60  # seconds for which a failure counts
OF_A_NAME, OF_AN_ADDRESS = 10, 50  # failures within that time after which no password is looked at

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Session:
    """`proof` is what the person's password was known by when they logged in."""

    person: Person
    proof: str
    ends: float


class Sessions:
    """`proof` tells what a person's password is known by now: one who is gone, or has another, is logged out."""

    def __init__(self, proof: Callable[[str], str], clock: Clock = time.monotonic) -> None:
        self._proof = proof
        self._clock = clock
        self._held: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, person: Person) -> str:
        """The token for the person's browser."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._held[_handle(token)] = Session(person, self._proof(person.name), self._clock() + LIFETIME)
            while len(self._held) > MOST:
                self._held.popitem(last=False)
        return token

    def of(self, token: str) -> str:
        """The handle of the session that a token opens; empty where it opens none."""
        handle = _handle(token)
        return handle if self.person(handle) else ""

    def person(self, handle: str) -> Person | None:
        with self._lock:
            session = self._held.get(handle)
        if (
            session
            and self._clock() < session.ends
            and session.proof
            and session.proof == self._proof(session.person.name)
        ):
            return session.person
        self.end(handle)
        return None

    def end(self, handle: str) -> None:
        with self._lock:
            self._held.pop(handle, None)


class Attempts:
    """Failures to log in, by name and by address. An attempt counts as one from its beginning, so that many at once
    are no way around the limits."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._times: OrderedDict[tuple[str, str], list[float]] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, name: str, address: str) -> float:
        """0 for an attempt that may be made, else the seconds to wait before the next one may."""
        with self._lock:
            now = self._clock()
            wait = max(self._wait(key, most, now) for key, most in self._keys(name, address))
            if not wait:
                for key, _ in self._keys(name, address):
                    self._times.setdefault(key, []).append(now)
                    self._times.move_to_end(key)
            while len(self._times) > MOST:
                self._times.popitem(last=False)
        return wait

    def succeeded(self, name: str, address: str) -> None:
        """What was tried before in this name is forgiven; at this address only this attempt."""
        (named, _), (placed, _) = self._keys(name, address)
        with self._lock:
            self._times.pop(named, None)
            if self._times.get(placed):
                self._times[placed].pop()

    def _keys(self, name: str, address: str) -> tuple[tuple[tuple[str, str], int], tuple[tuple[str, str], int]]:
        known_by = hashlib.sha256(name.strip().casefold().encode("utf-8", "replace")).hexdigest()
        return (("name", known_by), OF_A_NAME), (("address", _network(address)), OF_AN_ADDRESS)

    def _wait(self, key: tuple[str, str], most: int, now: float) -> float:
        recent = [at for at in self._times.get(key, ()) if now - at < WINDOW]
        if key in self._times:
            self._times[key] = recent
        return WINDOW - (now - recent[-most]) if len(recent) >= most else 0.0


def _handle(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _network(address: str) -> str:
    """Whoever has one address of IPv6 has 2^64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
