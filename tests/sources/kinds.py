"""What an awkward file is: its bytes, the statuses that are fair, and what must be found in its text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rag.types import Status

READ = (Status.INDEXED,)
LEFT = (Status.PARTLY,)  # what is left of it is read
EMPTY = (Status.NO_TEXT,)
BROKEN = (Status.DAMAGED,)
STOPPED = (Status.LIMIT, Status.DAMAGED)
ANY = tuple(Status)


@dataclass(frozen=True, slots=True)
class Kind:
    """`words` must stand in the text if the file is read at all."""

    name: str
    data: bytes
    statuses: Sequence[Status]
    words: Sequence[str] = ()


def alike(files: Mapping[str, bytes], statuses: Sequence[Status], words: Sequence[str] = ()) -> Iterator[Kind]:
    """Files that come to the same."""
    for name, data in files.items():
        yield Kind(name, data, statuses, words)
