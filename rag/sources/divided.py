"""A Source that many processes list and read together, on machines that see the same files.

    shares    what can be listed by itself, by whoever has a hand free
    leads     what such a listing comes upon, as a stream: nobody ever holds all of it
    entries   what some leads lead to, identified by their content

What a process has learned beside that (what was passed over, which folders could not be opened) it tells as `Found`,
and who began the sync believes it: then `covers` and `skipped` are as if one process had seen it all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rag.types import Entry, Source

Share = tuple[int, int]  # a stretch of the source's own measure, such as bytes of a file


@dataclass(frozen=True, slots=True)
class Lead:
    """Something that was listed, and how much of it there is: files or pages, and their bytes where that is known."""

    what: Any
    count: int
    size: int


@dataclass(frozen=True, slots=True)
class Found:
    """`whole` is True where a share was listed to its end."""

    passed: Mapping[str, int] = field(default_factory=dict)
    unreadable: Sequence[bytes] = ()
    collections: Sequence[bytes] = ()
    whole: bool = True


class Divided(Source, Protocol):
    """All its keys begin with `prefix`."""

    @property
    def prefix(self) -> bytes: ...

    def shares(self, wanted: int) -> Sequence[Share]:
        """About so many. Raises UsageError for what cannot be divided at all."""
        ...

    def leads(self, share: Share) -> Iterator[Lead]: ...

    def entries(self, leads: Sequence[Lead]) -> Iterator[Entry]:
        """What has vanished since it was listed is left out."""
        ...

    def found(self) -> Found:
        """What was learned since it was last asked for."""
        ...

    def believe(self, found: Sequence[Found]) -> None:
        """What others found, all of it, instead of a scan of one's own."""
        ...
