"""A sync as the configuration has it, for every machine that takes part: the same files, the same store, one model."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path

from rag import __version__, compose
from rag.cluster.sight import Sight
from rag.config import Config
from rag.errors import UsageError
from rag.index.seams import Holdings
from rag.sources.divided import Divided
from rag.types import Embedder, Fingerprint

SECRETS = "RAG_MILVUS_"  # variables that a store is entered with


@dataclass(frozen=True, slots=True)
class Wanted:
    """A source by what it is made of: a folder, or a part of one, or an archive of which `root` is None."""

    root: Path | None
    path: Path
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    limit: int | None = None
    namespaces: tuple[int, ...] = ()

    def source(self, config: Config, workers: int | None = None) -> Divided:
        if self.root is None:
            found = compose.archive(self.path, self.limit, self.namespaces, workers)
            if found is None:
                raise UsageError(f"{self.path} is no archive on {socket.gethostname()}. Nothing was taken for removed.")
            return found
        return compose.folder(config, self.root, self.path, self.include, self.exclude, workers=workers)


@dataclass(frozen=True, slots=True)
class ConfiguredJob:
    """Crosses to other machines, secrets and all, in Ray's own messages: encrypt those (RAY_USE_TLS) where the network
    is not to be trusted."""

    config: Config
    wanted: Wanted
    reader: str  # as the machine that began has it; and so on
    model: str
    made_by: Fingerprint
    sight: Sight
    secrets: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    version: str = __version__

    @classmethod
    def of(cls, config: Config, wanted: Wanted, model: str, made_by: Fingerprint) -> ConfiguredJob:
        config = replace(config, indexes=config.indexes.absolute())
        secrets = tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith(SECRETS)))
        reader = wanted.source(config).reader
        return cls(config, wanted, reader, model, made_by, Sight.of(wanted.path), secrets)

    def look(self) -> None:
        self.sight.require()

    def source(self) -> Divided:
        self._require(self.version == __version__, f"has beluga-rag {__version__}", self.version)
        self.look()  # an archive opens its file
        source = self.wanted.source(self.config, workers=1)
        self._require(source.reader == self.reader, f"reads with {source.reader}", self.reader)
        return source

    def holdings(self) -> Holdings:
        for name, value in self.secrets:
            os.environ.setdefault(name, value)
        return compose.on_server(self.config).part()

    def embedder(self, device: str, threads: int = 0) -> Embedder:
        made = compose.named_embedder(replace(self.config, device=device), self.model, threads)
        mine = f"{made.fingerprint.model}@{made.fingerprint.revision}, {made.fingerprint.chunker}"
        theirs = f"{self.made_by.model}@{self.made_by.revision}, {self.made_by.chunker}"
        self._require(made.fingerprint == self.made_by, f"embeds with {mine}", theirs)
        return made

    def _require(self, same: bool, here: str, there: str) -> None:
        if not same:
            raise UsageError(
                f"The machine {socket.gethostname()} {here}, and {self.sight.seen_by}, which began, has {there}. What "
                "was acknowledged is safe; install the same on every machine of the cluster, and run again."
            )


def divided(source: object, wanted: Wanted) -> bool:
    """Whether many machines can list and read a source. Raises UsageError where one could, and they cannot."""
    from rag.sources.corpus import Corpus

    if isinstance(source, Corpus):
        raise UsageError(
            f"{wanted.path} is the corpus of a question set, a single file that one process reads. Nothing was "
            "changed; leave --ray (RAG_RAY) out, or name a folder, a ZIM archive or an XML dump."
        )
    return all(hasattr(source, name) for name in ("shares", "leads", "entries"))
