"""What a server logs of a bug: where it was and of which type, without the exceptions' messages. Those may hold what
was asked or what stands in a document, and whoever reads a server's log is not whoever asked."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any


def without_words(error: BaseException) -> str:
    """An exception's traceback, and those of what led to it, without a message."""
    return "\n".join(_told(error, set()))


def keep_words_out() -> None:
    """From now on, of every exception that any library of this process logs, and that ends any thread."""
    made = logging.getLogRecordFactory()

    def record(*args: Any, **more: Any) -> logging.LogRecord:
        one = made(*args, **more)
        if one.exc_info and one.exc_info[1] is not None:
            one.exc_text, one.exc_info = without_words(one.exc_info[1]), None
        return one

    def ended(thread: threading.ExceptHookArgs) -> None:
        if thread.exc_value is not None and thread.exc_type is not SystemExit:
            print(without_words(thread.exc_value), file=sys.stderr, flush=True)  # noqa: T201 - as Python does

    logging.setLogRecordFactory(record)
    threading.excepthook = ended


def _told(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    within = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for other in (before, *within):
        if other is not None and id(other) not in seen:
            yield from _told(other, seen)
    yield "Traceback (most recent call last):"
    yield from (line.rstrip("\n") for line in traceback.format_tb(error.__traceback__))
    yield f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
