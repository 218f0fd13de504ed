"""Files below a folder, found and identified. Paths are bytes here: names need not be UTF-8."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from urllib.parse import quote_from_bytes

from rag.errors import UsageError
from rag.sources import formats
from rag.sources.divided import Found
from rag.sources.globs import compile_globs
from rag.types import Entry, Outcome, Status

BLOCK = 1 << 20  # bytes read at a time
UNHASHED = 16 << 20  # files larger than this that no reader reads are not hashed as a whole
COLLECTION = {b"ledger.sqlite", b"writer.lock"}  # a folder that holds both is an index of ours, and no documents

_UNSAFE_TO_SHOW = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\uffff"
    "\U000e0000-\U000e0fff]"
)


class Walk:
    """The regular files in `scope`, which lies in `root`. Links are not followed; what is passed over is counted.
    Nor are folders entered that hold a collection: `rag index .` must not index its own index."""

    def __init__(self, root: bytes, scope: bytes, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._root = root
        self._scope = scope
        self._included = compile_globs(include) if include else lambda path: True
        self._excluded = compile_globs(exclude) if exclude else lambda path: False
        self._passed: Counter[str] = Counter()
        self._collections: list[bytes] = []
        self.unreadable_dirs: list[bytes] = []

    def files(self) -> Iterator[bytes]:
        """Paths, folder by folder and by name. Raises UsageError if there is no `scope`, or it cannot be opened."""
        self._passed.clear()
        self._collections.clear()
        self.unreadable_dirs.clear()
        try:
            mode = os.stat(self._scope).st_mode
        except OSError as error:
            raise _refused(self._scope, error) from None
        if stat.S_ISREG(mode):
            yield self._scope
        elif stat.S_ISDIR(mode):
            yield from self._below()
        else:
            raise UsageError(f"{shown(self._scope)} is neither a file nor a folder. Nothing was read. Check the path.")

    def covers(self, path: bytes) -> bool:
        """Whether the absence of that path from `files` means that it is gone, or was excluded. What `include` leaves
        out was not looked at, and stays."""
        if path == self._scope:
            return True
        if not _is_below(path, self._scope) or any(_is_below(path, folder) for folder in self.unreadable_dirs):
            return False
        relative = _relative(path, self._scope).split(b"/")
        if any(name.startswith((b".", b"~$")) for name in relative):
            return False
        return self._included(shown(_relative(path, self._root)))

    def excludes(self, path: bytes) -> bool:
        """Whether that path is left out on purpose: it, or a folder above it, matches `exclude`, or was found to hold
        a collection."""
        if path != self._root and not _is_below(path, self._root):
            return False
        names = shown(_relative(path, self._root)).split("/")
        if any(self._excluded("/".join(names[:depth])) for depth in range(1, len(names) + 1)):
            return True
        return any(_is_below(path, folder) for folder in self._collections)

    def unread(self) -> list[str]:
        """The folders that could not be opened, named as their files would be."""
        return [shown(_relative(folder, self._root)) for folder in self.unreadable_dirs]

    def notes(self) -> list[str]:
        """What was passed over, such as "2 symbolic links skipped"."""
        notes = [f"{n} {what if n == 1 else what + 's'} skipped" for what, n in sorted(self._passed.items())]
        return notes + [f"{shown(path)}: the folder cannot be opened" for path in self.unreadable_dirs]

    def found(self) -> Found:
        """What `files` came upon since this was last asked for."""
        told = Found(dict(self._passed), tuple(self.unreadable_dirs), tuple(self._collections))
        self._passed.clear()
        self.unreadable_dirs.clear()
        self._collections.clear()
        return told

    def believe(self, found: Sequence[Found]) -> None:
        """What other walks of the same folder found, as if this one had."""
        self._passed.clear()
        for told in found:
            self._passed.update(told.passed)
        self.unreadable_dirs[:] = dict.fromkeys(path for told in found for path in told.unreadable)
        self._collections[:] = dict.fromkeys(path for told in found for path in told.collections)

    def _below(self) -> Iterator[bytes]:
        pending = [self._scope]
        while pending:
            folders = []
            for item in self._listing(pending.pop()):
                if item.is_dir(follow_symlinks=False):
                    if self._enters(item):
                        folders.append(item.path)
                elif self._takes(item):
                    yield item.path
            pending += reversed(folders)

    def _listing(self, folder: bytes) -> list[os.DirEntry[bytes]]:
        """What is in a folder, by name: nothing if it cannot be opened or holds a collection. Raises UsageError if that
        is the scope."""
        try:
            with os.scandir(folder) as listing:
                found = sorted(listing, key=lambda item: item.name)
        except OSError as error:
            if folder == self._scope:
                raise _refused(folder, error) from None
            if not isinstance(error, FileNotFoundError):  # then it has vanished since it was listed
                self.unreadable_dirs.append(folder)
            return []
        if not COLLECTION.issubset(item.name for item in found):
            return found
        if folder == self._scope:
            advice = "Name the folder that the documents are in."
            raise UsageError(f"{shown(folder)} holds an index, and no documents. Nothing was read. {advice}")
        self._passed["index folder"] += 1
        self._collections.append(folder)
        return []

    def _enters(self, item: os.DirEntry[bytes]) -> bool:
        if item.name.startswith(b"."):
            self._passed["hidden folder"] += 1
            return False
        return not self._excluded(shown(_relative(item.path, self._root)))

    def _takes(self, item: os.DirEntry[bytes]) -> bool:
        if item.is_symlink():
            self._passed["symbolic link"] += 1
        elif not item.is_file(follow_symlinks=False):
            self._passed["special file"] += 1
        elif item.name.startswith(b"."):
            self._passed["hidden file"] += 1
        elif item.name.startswith(b"~$"):
            self._passed["lock file"] += 1
        else:
            name = shown(_relative(item.path, self._root))
            return self._included(name) and not self._excluded(name)
        return False


def _refused(path: bytes, error: OSError) -> UsageError:
    if isinstance(error, PermissionError):
        advice = "Change its permissions and run again."
        return UsageError(f"{shown(path)}: no permission to open it. Nothing was read. {advice}")
    return UsageError(f"{shown(path)}: {error.strerror}. Nothing was read. Check the path.")


def _is_below(path: bytes, folder: bytes) -> bool:
    return path.startswith(folder.rstrip(b"/") + b"/")


def _relative(path: bytes, folder: bytes) -> bytes:
    """A path below `folder` without it. Of the folder itself (a root that is a single file): its last name."""
    return path[len(folder.rstrip(b"/")) + 1 :] if path != folder else os.path.basename(path)


def shown(path: bytes) -> str:
    """A path fit for a terminal, a database and a page: what cannot be decoded or would act on a terminal (escapes,
    line breaks, direction overrides) becomes U+FFFD."""
    return _UNSAFE_TO_SHOW.sub("\ufffd", os.fsdecode(path))


def identify(path: bytes, root: bytes) -> Entry | None:
    """The Entry of a file, its content hashed. None if it has vanished since it was listed."""
    name = shown(_relative(path, root))
    uri = "file://" + quote_from_bytes(path)
    try:
        version, size = _version(path, name)
    except FileNotFoundError:
        return None
    except PermissionError:
        problem = Outcome(Status.UNREADABLE, "No permission to read it", "Change its permissions and run again.")
        return Entry(path, name, uri, "", problem=problem)
    except OSError as error:
        reason = str(error.strerror)
        problem = Outcome(Status.UNREADABLE, reason, "Check the disk and run again.")
        return Entry(path, name, uri, "", problem=problem)
    return Entry(path, name, uri, version, size)


def size_of(path: bytes) -> int:
    """As the folder says it; 0 of what has vanished, of which whoever reads it will tell."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _version(path: bytes, name: str) -> tuple[str, int]:
    """The content's identity and size. A large file that no reader reads is known by its beginning and its size:
    a folder of films costs no hashing."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:
        digest = hashlib.sha256()
        block = file.read(BLOCK)
        size = os.fstat(descriptor).st_size
        if size > UNHASHED and isinstance(formats.recognise(name, block[: formats.HEAD]), Outcome):
            return f"unread:{hashlib.sha256(block).hexdigest()}:{size}", size
        size = 0
        while block:
            digest.update(block)
            size += len(block)
            block = file.read(BLOCK)
    return f"sha256:{digest.hexdigest()}", size
