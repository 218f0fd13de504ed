"""`rag index --ray`: one source after the other, by the cluster that is joined for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag import compose
from rag.cluster import run
from rag.cluster.address import Cluster, checked, joined
from rag.cluster.job import ConfiguredJob, Wanted, divided
from rag.cluster.pipeline import LISTERS, Pipeline
from rag.errors import UsageError
from rag.index.sync import Progress, require_something, resumed

if TYPE_CHECKING:
    from rag.config import Config
    from rag.index.milvus.collection import MilvusCollection
    from rag.types import Embedder, SyncReport


def by_cluster(
    config: Config,
    sources: Sequence[Any],
    globs: tuple[Sequence[str], Sequence[str]],
    limits: tuple[int | None, Sequence[int]],
    *,
    prune: bool = False,
    progress: Progress | None = None,
    waiting: Callable[[str], None] | None = None,
) -> list[SyncReport]:
    """As `Store.sync` of each. Raises UsageError where many machines would have to write to one of them."""
    if not config.store:
        raise UsageError(
            "Many machines cannot write one SQLite file: give --store milvus://HOST:19530/NAME (RAG_STORE), or leave "
            "--ray (RAG_RAY) out. Nothing was done."
        )
    address = checked(config.ray)
    all_wanted = [_wanted(source, globs, limits) for source in sources]
    for source, wanted in zip(sources, all_wanted, strict=True):
        divided(source, wanted)
    model = compose.embedders_name(config)
    by = compose.named_embedder(config, model)
    store = compose.on_server(config, waiting)
    with joined(address) as there:
        cluster = replace(there, gpus=0) if config.device == "cpu" else there
        found = []
        for source, wanted in zip(sources, all_wanted, strict=True):
            if divided(source, wanted):
                require_something(source, wanted.root, store.covered)
                job = ConfiguredJob.of(config, wanted, model, by.fingerprint)
                found.append(sync_one(store, job, by, cluster, prune, progress))
            else:  # what is not there is none of the cluster's business
                found.append(store.sync(source, by, root=source.root, prune=prune, progress=progress))
    return found


def sync_one(
    store: MilvusCollection, job: ConfiguredJob, by: Embedder, cluster: Cluster, prune: bool, progress: Progress | None
) -> SyncReport:
    machines = cluster.machines()
    with store.writing(by.fingerprint) as (ledger, finished):
        if job.wanted.root is not None:
            ledger.add_root(job.wanted.root)
        report = run.sync(
            job,
            ledger,
            by,
            Pipeline(cluster),
            shares=min(LISTERS, cluster.cpus),
            collection=store.name,
            prune=prune,
            progress=progress,
            alive=ledger.renew,
            settle=ledger.settle,
        )
    if (lost := machines - cluster.machines()) > 0:
        told = f"{lost} of {machines} machines were lost meanwhile; the others did their work again."
        report = replace(report, notes=(*report.notes, told))
    return report if finished else resumed(report)


def _wanted(
    source: Any, globs: tuple[Sequence[str], Sequence[str]], limits: tuple[int | None, Sequence[int]]
) -> Wanted:
    """What others make the same source of."""
    path: Path = getattr(source, "scope", None) or getattr(source, "path", None) or source.root
    include, exclude = globs
    return Wanted(source.root, path, tuple(include), tuple(exclude), limits[0] or None, tuple(limits[1]))
