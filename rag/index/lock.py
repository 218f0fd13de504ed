"""One writer at a time: a lock that the kernel releases when its process dies, so that none is ever stale."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from rag.errors import LockedError, StorageError

STOPPED = "stopped"  # is left by a writer that did not come to its end; one that was killed leaves its name


def make_home(folder: Path) -> None:
    """The folder that a lock, and whatever it guards, lies in: nobody else's. Raises StorageError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"Cannot write {folder}: {error.strerror}. Nothing was changed.") from error


@contextmanager
def writing(path: Path, waiting: Callable[[str], None] | None = None) -> Iterator[bool]:
    """Holds the lock file at `path`; gives whether the last one to hold it came to its end. When another process holds
    it, raises LockedError, which names it; or, if there is somebody to tell whom we are `waiting` for, waits for it."""
    handle = _locked(path, waiting)
    try:
        finished = not os.fstat(handle).st_size
        _sign(handle, f"pid {os.getpid()}, since {datetime.now():%H:%M}")
        try:
            yield finished
        except BaseException:
            _sign(handle, STOPPED)
            raise
        _sign(handle, "")
    finally:
        os.close(handle)


def writer(path: Path) -> str:
    """The process that holds the lock, such as "pid 42, since 10:31"; empty when none does. Told by what it left in
    the file: trying the lock itself could turn a writer away that comes just now."""
    try:
        holder = path.read_text(errors="replace").strip()[:200]
        pid = int(holder.removeprefix("pid ").partition(",")[0])
    except (OSError, ValueError):
        return ""
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass  # it runs, as somebody else
    except (OSError, OverflowError):
        return ""
    return holder


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageError(f"Cannot write {path}: {error.strerror}. Nothing was changed.") from error


def _locked(path: Path, waiting: Callable[[str], None] | None) -> int:
    while True:
        handle = _opened(path)
        try:
            _lock(handle, path, waiting)
            if _still_there(handle, path):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # the collection was removed between opening and locking
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)


def _lock(handle: int, path: Path, waiting: Callable[[str], None] | None) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "unknown"
        if waiting is None:
            raise LockedError(
                f"Another process is writing to {path.parent} ({holder}). Nothing was changed; "
                "run again when it has ended (`rag index --wait` waits for it). Searching and asking go on meanwhile."
            ) from None
        waiting(holder)
        fcntl.flock(handle, fcntl.LOCK_EX)


def _sign(handle: int, holder: str) -> None:
    """Leaves word of who holds the lock. A disk that takes none costs the word, and not the lock."""
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, holder.encode(), 0)


def _still_there(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
