"""A retriever for a process that stays: what others index meanwhile is found without a restart."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rag.errors import FingerprintError
from rag.types import Hit, Retriever


class Current:
    """A Retriever, made anew by `make` whenever `state` has changed. Threads that share it take turns."""

    def __init__(self, state: Callable[[], object], make: Callable[[], Retriever]) -> None:
        self._state = state
        self._make = make
        self._lock = threading.Lock()
        self._made_at = state()
        self._made = make()

    def retrieve(self, question: str, k: int) -> list[Hit]:
        with self._lock:
            while True:
                state = self._state()
                if state != self._made_at:
                    self._made = self._make()
                    self._made_at = state  # only now: a retriever that could not be made is tried again
                try:
                    return self._made.retrieve(question, k)
                except FingerprintError:  # embedded anew between one search and the next
                    if self._state() == state:
                        raise
