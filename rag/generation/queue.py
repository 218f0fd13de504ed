"""Many people, one model: a bounded queue in front of it, first come first served.

One thread of its own runs the model, so a slow reader holds nobody up, and whatever a GPU library keeps by thread is
kept once. Batch work waits until nobody else does. Closing an answer, or letting go of it, ends its work at the next
piece of text.
"""

from __future__ import annotations

import atexit
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Condition, Event, Lock, Thread, current_thread, get_ident
from typing import Self

from rag.errors import BusyError, ModelError, OutOfMemoryError
from rag.types import Generator, Message

WAITING = 32  # questions that may wait before the next one is turned away

_END = object()


class Queued:
    """A generator that any number of threads may use at once. `batch` is the same model for work that can wait."""

    def __init__(self, inner: Generator, waiting: int = WAITING) -> None:
        self._inner = inner
        self._most = waiting
        self._changed = Condition()
        self._interactive: deque[_Ticket] = deque()
        self._batch: deque[_Ticket] = deque()
        self._running: _Ticket | None = None
        self._short_of_memory: set[int] = set()  # threads whose next question is their last one once more
        self._thread: Thread | None = None
        self._is_closed = False

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def window(self) -> int:
        return self._inner.window

    @property
    def length(self) -> int:
        """Questions that wait, the one being answered not counted."""
        with self._changed:
            return len(self._interactive) + len(self._batch)

    @property
    def batch(self) -> Generator:
        return _Batch(self)

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        return self._inner.prompt_tokens(messages)

    def stream(self, messages: Sequence[Message], max_new_tokens: int) -> Reply:
        """Takes a place in the queue at once. Raises BusyError when too many wait; the reader gets what the model
        raises."""
        return self._enter(messages, max_new_tokens, self._interactive)

    def close(self) -> None:
        """Ends what runs and what waits, with an error for whoever reads, and the thread."""
        atexit.unregister(self.close)
        with self._changed:
            self._is_closed = True
            abandoned = [*self._interactive, *self._batch]
            self._interactive.clear()
            self._batch.clear()
            if self._running:
                self._running.cancelled.set()
            self._changed.notify_all()
            thread = self._thread
        for ticket in abandoned:
            ticket.pieces.put(ModelError(f"{self.name} was closed before it came to this question."))
        if thread and thread is not current_thread():
            thread.join()

    def _enter(self, messages: Sequence[Message], max_new_tokens: int, line: deque[_Ticket]) -> Reply:
        ticket = _Ticket(messages, max_new_tokens)
        with self._changed:
            if self._is_closed:
                raise ModelError(f"{self.name} was closed.")
            again = get_ident() in self._short_of_memory
            self._short_of_memory.discard(get_ident())
            waiting = len(self._interactive) + len(self._batch)
            if waiting >= self._most and not again:
                raise BusyError(f"{self.name} is busy: {waiting} questions are waiting for it. Try again in a moment.")
            line.appendleft(ticket) if again else line.append(ticket)
            if self._thread is None:
                self._thread = Thread(target=self._work, name=f"model {self.name}", daemon=True)
                self._thread.start()
                atexit.register(self.close)  # a thread inside a GPU library must not outlive the interpreter
            self._changed.notify_all()
        return Reply(self, ticket)

    def _place(self, ticket: _Ticket) -> int:
        with self._changed:
            line = [*self._interactive, *self._batch]
            return line.index(ticket) + 1 if ticket in line else 0

    def _leave(self, ticket: _Ticket) -> None:
        with self._changed:
            for line in (self._interactive, self._batch):
                with suppress(ValueError):
                    line.remove(ticket)

    def _may_return(self, thread: int) -> None:
        with self._changed:
            self._short_of_memory.add(thread)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._interactive or self._batch or self._is_closed)
                if self._is_closed:
                    return
                ticket = (self._interactive or self._batch).popleft()
                self._running = ticket
            self._answer(ticket)
            with self._changed:
                self._running = None
            del ticket  # nothing of an answer is held while the next one is waited for

    def _answer(self, ticket: _Ticket) -> None:
        if ticket.cancelled.is_set():
            return
        try:
            pieces = self._inner.stream(ticket.messages, ticket.max_new_tokens)
            try:
                for piece in pieces:
                    if ticket.cancelled.is_set():
                        break
                    ticket.pieces.put(piece)
            finally:
                if hasattr(pieces, "close"):
                    pieces.close()
        except BaseException as error:  # whatever it is belongs to the reader; the queue goes on
            ticket.pieces.put(error)
        else:
            ticket.pieces.put(ModelError(f"{self.name} was closed.") if self._is_closed else _END)


class _Ticket:
    """A question in the queue, as the thread that answers it holds it."""

    def __init__(self, messages: Sequence[Message], max_new_tokens: int) -> None:
        self.messages = messages
        self.max_new_tokens = max_new_tokens
        self.cancelled = Event()
        self.pieces: SimpleQueue[object] = SimpleQueue()  # strings, then an error or _END


class Reply(Iterator[str]):
    """An answer that is on its way, as its reader holds it."""

    def __init__(self, queue: Queued, ticket: _Ticket) -> None:
        self._queue = queue
        self._ticket = ticket
        self._is_over = False

    @property
    def place(self) -> int:
        """In the queue, from 1; 0 when its turn has come."""
        return self._queue._place(self._ticket)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if self._is_over:
            raise StopIteration
        piece = self._ticket.pieces.get()
        if isinstance(piece, str):
            return piece
        self._is_over = True
        if isinstance(piece, BaseException):
            if isinstance(piece, OutOfMemoryError):
                self._queue._may_return(get_ident())
            raise piece
        raise StopIteration

    def close(self) -> None:
        self._is_over = True
        self._ticket.cancelled.set()
        self._queue._leave(self._ticket)

    def __del__(self) -> None:
        self._ticket.cancelled.set()  # no lock is taken here: a collector may run this anywhere


class _Batch:
    """A queue's generator for work that can wait."""

    def __init__(self, queue: Queued) -> None:
        self._queue = queue

    @property
    def name(self) -> str:
        return self._queue.name

    @property
    def window(self) -> int:
        return self._queue.window

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        return self._queue.prompt_tokens(messages)

    def stream(self, messages: Sequence[Message], max_new_tokens: int) -> Iterator[str]:
        return self._queue._enter(messages, max_new_tokens, self._queue._batch)


_LOADED: dict[Hashable, Queued] = {}
_LOADING = Lock()


def shared(key: Hashable, make: Callable[[], Generator]) -> Queued:
    """The one instance that this process has of a model: made at the first call, whoever else asks meanwhile waits."""
    with _LOADING:
        if key not in _LOADED:
            _LOADED[key] = Queued(make())
        return _LOADED[key]


def loaded() -> list[Hashable]:
    """The keys of all instances there are. Does not wait for one that is being made."""
    return list(_LOADED)


def release(key: Hashable) -> None:
    """Ends a model's work and lets go of it, so that another one has room."""
    with _LOADING:
        queue = _LOADED.pop(key, None)
    if queue is not None:
        queue.close()
