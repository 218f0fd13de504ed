"""Do all machines of a cluster see the same files? One without the mount must not look like files that are gone."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rag.errors import UsageError

WITNESSES = 32  # names in a folder that tell it from another one, or from the empty place where it is mounted


@dataclass(frozen=True, slots=True)
class Sight:
    """What the machine that began a sync sees at `path`: the size of a file, or some of the names in a folder."""

    path: Path
    seen_by: str
    size: int | None
    names: frozenset[bytes]

    @classmethod
    def of(cls, path: Path) -> Sight:
        if path.is_file():
            return cls(path, socket.gethostname(), path.stat().st_size, frozenset())
        with os.scandir(os.fsencode(path)) as listing:
            names = frozenset(item.name for item in islice(listing, WITNESSES))
        return cls(path, socket.gethostname(), None, names)

    def require(self) -> None:
        """Raises UsageError on a machine that sees something else there. A folder may change meanwhile: one name that
        is still in it will do."""
        try:
            if self.size is not None:
                if self.path.stat().st_size == self.size:
                    return
                why = "it is another file there"
            else:
                folder = os.fsencode(self.path)
                os.stat(folder)
                if not self.names or any(os.path.lexists(os.path.join(folder, name)) for name in self.names):
                    return
                why = "nothing of what lies in it does so there"
        except OSError as error:
            why = str(error.strerror)
        raise UsageError(
            f"The machine {socket.gethostname()} does not see {self.path} as {self.seen_by} does: {why}. Nothing was "
            "taken for removed. Mount the same files under the same path on every machine of the cluster, and run "
            "again: it goes on where it was."
        )
