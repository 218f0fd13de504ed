"""A retriever for a process that stays: what others index meanwhile is found without a restart."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from rag.errors import FingerprintError
from rag.types import Hit, Retriever


class Current:
    """A Retriever, made anew by `make` whenever `state` has changed. Threads that share it, or what it searches, take
    turns by `turns`."""

    def __init__(
        self,
        state: Callable[[], object],
        make: Callable[[], Retriever],
        turns: AbstractContextManager[object] | None = None,
    ) -> None:
        self._state = state
        self._make = make
        self._turns = turns or threading.Lock()
        with self._turns:
            self._made_at = state()
            self._made = make()

    def retrieve(self, question: str, k: int) -> list[Hit]:
        with self._turns:
            while True:
                state = self._state()
                try:
                    if state != self._made_at:
                        self._made = self._make()
                        self._made_at = state  # only now: a retriever that could not be made is tried again
                    return self._made.retrieve(question, k)
                except FingerprintError:  # embedded anew between one look and the next
                    if self._state() == state:
                        raise
