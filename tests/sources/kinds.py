"""What an awkward file is: its bytes, the statuses that are fair, and what must be found in its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.types import Status

READ = (Status.INDEXED,)


@dataclass(frozen=True, slots=True)
class Kind:
    """`words` must stand in the text if the file is read at all; with READ alone it must be."""

    name: str
    data: bytes
    statuses: Sequence[Status]
    words: Sequence[str] = ()
