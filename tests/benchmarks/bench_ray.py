"""Indexing by a Ray cluster on this machine: files and passages a second, and what a million names cost the driver.

    python tests/benchmarks/bench_ray.py speed FOLDER [--workers 1] [--model words]
    python tests/benchmarks/bench_ray.py memory [--files 100000]

`speed` starts a head and a node with `--workers` + 1 processors (one reads, the others embed) and a milvus-lite, and
indexes a folder from nothing; `--model words` embeds by counting words, so that what is measured is all the rest.
`memory` lists names that no file has, looks them up and hands in their receipts, and gives the peak of the process that
began it, before and after.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / "cluster")]

from conftest import WordEmbedder  # noqa: E402
from jobs import ServerJob  # noqa: E402
from milvus_server import milvus_lite  # noqa: E402
from nodes import cluster  # noqa: E402

from rag import compose  # noqa: E402
from rag.cluster import begin, run  # noqa: E402
from rag.cluster.address import joined  # noqa: E402
from rag.cluster.job import ConfiguredJob, Wanted  # noqa: E402
from rag.cluster.pipeline import Pipeline  # noqa: E402
from rag.cluster.sight import Sight  # noqa: E402
from rag.config import Config  # noqa: E402
from rag.index.ledger import Ledger  # noqa: E402
from rag.index.seams import Holdings  # noqa: E402
from rag.sources.divided import Found, Lead, Share  # noqa: E402
from rag.types import Embedder, Entry, Outcome, Reading, Status  # noqa: E402


class Names:
    """A source of names without files."""

    prefix = b"/nowhere/"
    reader = "none"
    skipped: Sequence[str] = ()
    unread: Sequence[str] = ()

    def __init__(self, count: int) -> None:
        self._count = count

    def shares(self, wanted: int) -> Sequence[Share]:
        return [(0, self._count)]

    def leads(self, share: Share) -> Iterator[Lead]:
        return (Lead(b"/nowhere/folder%d/file-number-%d.txt" % (n // 1000, n), 1, 100) for n in range(*share))

    def entries(self, leads: Sequence[Lead]) -> Iterator[Entry]:
        return (Entry(lead.what, lead.what.decode(), "file://" + lead.what.decode(), lead.what.hex()) for lead in leads)

    def scan(self) -> Iterator[Entry]:
        return self.entries(list(self.leads((0, self._count))))

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]:
        return (Reading(entry, Outcome(Status.UNSUPPORTED, "A name alone")) for entry in entries)

    def found(self) -> Found:
        return Found()

    def believe(self, found: Sequence[Found]) -> None:
        pass

    def covers(self, key: bytes) -> bool:
        return True

    def excludes(self, key: bytes) -> bool:
        return False


class Nothing(Ledger):
    """A store that takes what it is given, and forgets it."""

    def put_file(self, entry: Entry, reader: str, outcome: Outcome, document: int | None) -> None:
        pass


@dataclass(frozen=True)
class NamesJob:
    count: int
    store: Path

    def look(self) -> None:
        pass

    def source(self) -> Names:
        return Names(self.count)

    def holdings(self) -> Holdings:
        return Nothing.open(self.store)

    def embedder(self, device: str, threads: int = 0) -> Embedder:
        return WordEmbedder()


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(files: int) -> None:
    with tempfile.TemporaryDirectory() as folder, cluster(nodes=1, cpus=2) as nodes, joined(nodes.address) as there:
        job = NamesJob(files, Path(folder) / "ledger")
        with closing(Ledger.create(job.store, WordEmbedder().fingerprint)) as ledger:
            before, began = peak(), time.monotonic()
            report = run.sync(job, ledger, WordEmbedder(), Pipeline(there), shares=1, collection="names")
            seconds = time.monotonic() - began
    print(
        f"{files:,} names ({report.added:,} new) in {seconds:.1f} s: peak of the driver {before:.0f} MiB before, "
        f"{peak():.0f} MiB after"
    )


def speed(folder: Path, workers: int, model: str) -> None:
    with (
        tempfile.TemporaryDirectory() as work,
        milvus_lite(Path(work) / "milvus") as uri,
        cluster(nodes=1, cpus=workers + 1) as nodes,
        joined(nodes.address) as there,
    ):
        if model == "words":
            job = ServerJob(folder, Path(work), Sight.of(folder), (), f"{uri}/bench")
            store, by = job.collection(), WordEmbedder()
            with store.writing(by.fingerprint) as (ledger, _):
                how = {"shares": 1, "collection": "bench", "alive": ledger.renew, "settle": ledger.settle}
                report = run.sync(job, ledger, by, Pipeline(there), **how)  # type: ignore[arg-type]
        else:
            config = Config(indexes=Path(work), store=f"{uri}/bench", collection="bench")
            by = compose.embedder(config)
            made = ConfiguredJob.of(config, Wanted(folder, folder), compose.embedders_name(config), by.fingerprint)
            report = begin.sync_one(compose.on_server(config), made, by, there, False, None)
    rates = f"{report.added / report.seconds:.1f} files/s, {report.passages / report.seconds:.1f} passages/s"
    print(f"{workers} that embed: {report.added} files, {report.passages} passages in {report.seconds:.1f} s: {rates}")


def main() -> None:
    os.environ["RAY_AUTH_MODE"] = "disabled"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    timed = kinds.add_parser("speed")
    timed.add_argument("folder", type=Path)
    timed.add_argument("--workers", type=int, default=1)
    timed.add_argument("--model", default="own", choices=["own", "words"])
    kinds.add_parser("memory").add_argument("--files", type=int, default=100_000)
    options = parser.parse_args()
    if options.kind == "memory":
        memory(options.files)
    else:
        speed(options.folder.resolve(), options.workers, options.model)


if __name__ == "__main__":
    main()
