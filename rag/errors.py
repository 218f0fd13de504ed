"""The errors that people see. Everything else is a bug and keeps its traceback.

    RagError                 exit code
     ├─ UsageError           2   a wrong argument, question, path or setting
     │   └─ FingerprintError 2   the collection was made by another embedder
     ├─ LockedError          4   another process is writing to the collection
     ├─ DamagedError         5   what is stored is not what was written
     ├─ ModelError           6   a model is missing, incomplete or not the one expected
     │   └─ OutOfMemoryError 6   a GPU, or the machine, has no room for what was asked
     ├─ StorageError         7   the disk is full, read-only or not ours to write
     ├─ BusyError            8   too many questions are waiting for the model
     └─ NetworkError         9   a wiki or a store's server does not answer, or not as it should

Each message says what happened, to which file, what is safe, and what to do. Exit code 3 is no error: it is a
sync that ended well and has files to report. 130 is Ctrl-C.
"""

from __future__ import annotations

from typing import ClassVar


class RagError(Exception):
    """An error whose message is fit for a user's eyes."""

    exit_code: ClassVar[int] = 1


class UsageError(RagError):
    exit_code = 2


class FingerprintError(UsageError):
    pass


class LockedError(RagError):
    exit_code = 4


class DamagedError(RagError):
    exit_code = 5


class ModelError(RagError):
    exit_code = 6


class OutOfMemoryError(ModelError):
    pass


class StorageError(RagError):
    exit_code = 7


class BusyError(RagError):
    exit_code = 8


class NetworkError(RagError):
    exit_code = 9
