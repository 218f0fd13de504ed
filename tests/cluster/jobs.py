"""Jobs for tests: a folder into a ledger, by an embedder that loads nothing; and the stages without a cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # other processes find the fakes by this file

from conftest import WordEmbedder

from rag.cluster.sight import Sight
from rag.cluster.stages import Job, Receipt, parcels, prepare, record
from rag.index.ledger import Ledger
from rag.index.milvus.address import address
from rag.index.milvus.collection import MilvusCollection
from rag.index.seams import Holdings
from rag.sources.divided import Divided, Share
from rag.sources.folder import Folder
from rag.sources.wiki.archive import Archive
from rag.types import Embedder


@dataclass(frozen=True)
class FolderJob:
    """`store` is where a ledger lies."""

    folder: Path
    store: Path
    sight: Sight
    exclude: tuple[str, ...] = ()

    def look(self) -> None:
        self.sight.require()

    def source(self) -> Divided:
        return Folder(self.folder, exclude=self.exclude, workers=1)

    def holdings(self) -> Holdings:
        return Ledger.open(self.store)

    def embedder(self, device: str, threads: int = 0) -> Embedder:
        return WordEmbedder()


@dataclass(frozen=True)
class ArchiveJob(FolderJob):
    """`folder` is an archive's path."""

    def source(self) -> Divided:
        return Archive(self.folder, workers=1)


def one_by_one(job: Job, shares: Sequence[Share]) -> Iterator[Receipt]:
    """All stages in this process, each by a source, a ledger and an embedder of its own."""
    reading, store, embedder = job.source(), job.holdings(), job.embedder("cpu")
    for share in shares:
        for parcel in parcels(job, job.source(), share):
            yield record(store, embedder, prepare(job, reading, store, embedder, parcel))


def twice(job: Job, shares: Sequence[Share]) -> Iterator[Receipt]:
    """As when machines die just before they could tell: every stage is done again, in another order, and told twice."""
    reading, store, embedder = job.source(), job.holdings(), job.embedder("cpu")
    for share in shares:
        listed = list(parcels(job, job.source(), share))
        first = [prepare(job, reading, store, embedder, parcel) for parcel in listed]
        told = [record(store, embedder, prepared) for prepared in first]
        for parcel in reversed(listed):  # what was read is lost as well, and read anew
            told.append(record(store, embedder, prepare(job, reading, store, embedder, parcel)))
        told += [record(store, embedder, prepared) for prepared in reversed(first)]
        yield from told


@dataclass(frozen=True)
class ServerJob(FolderJob):
    """Into a collection on a Milvus server, which `address` names; `store` is what lies on this machine beside it."""

    address: str = ""

    def collection(self) -> MilvusCollection:
        return MilvusCollection(address(self.address, "default", {}), self.store, consistency="Strong")

    def holdings(self) -> Holdings:
        return self.collection().part()
