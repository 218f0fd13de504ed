"""`rag index --ray`: one source after the other, by the cluster that was joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rag import compose
from rag.cluster import run
from rag.cluster.address import Cluster
from rag.cluster.job import ConfiguredJob, Wanted, divided
from rag.cluster.pipeline import LISTERS, Pipeline
from rag.config import Config
from rag.errors import UsageError
from rag.index.milvus.collection import MilvusCollection
from rag.index.sync import Progress, require_something, resumed
from rag.types import Embedder, Source, SyncReport


def require_store(config: Config) -> None:
    """Raises UsageError where many machines would have to write to one of them."""
    if not config.store:
        raise UsageError(
            "Many machines cannot write one SQLite file: give --store milvus://HOST:19530/NAME (RAG_STORE), or leave "
            "--ray (RAG_RAY) out. Nothing was done."
        )


def sync(
    config: Config,
    cluster: Cluster,
    store: MilvusCollection,
    source: Source,
    wanted: Wanted,
    by: Embedder,
    model: str,
    *,
    prune: bool = False,
    progress: Progress | None = None,
) -> SyncReport:
    """As `Store.sync`. What is not there is none of the cluster's business."""
    if not divided(source, wanted):
        return store.sync(source, by, root=wanted.root, prune=prune, progress=progress)
    require_something(source, wanted.root, store.covered)
    job = ConfiguredJob.of(config, wanted, model, by.fingerprint)
    if config.device == "cpu":
        cluster = replace(cluster, gpus=0)
    with store.writing(by.fingerprint) as (ledger, finished):
        if wanted.root is not None:
            ledger.add_root(wanted.root)
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
        )
    return report if finished else resumed(report)


def wanted_of(source: object, path: Path, globs: Sequence[Sequence[str]], limits: tuple[int | None, Sequence[int]]) -> Wanted:
    """What others make the same source of."""
    include, exclude = globs
    root: Path | None = getattr(source, "root", None)
    scope: Path = getattr(source, "scope", path)
    return Wanted(root, scope, tuple(include), tuple(exclude), limits[0], tuple(limits[1]))
