"""The stages as a Ray Data pipeline: listing, reading and embedding run at the same time, on all machines.

    read tasks     list a share each and stream its parcels
    map tasks      prepare a parcel, wherever a processor is free
    pool of actors embed it and write it to the store, on a GPU each, or else on a processor

A row is a parcel, and a block of one row: a task takes one and gives one, so that what Ray does again after a machine
has died replaces exactly what was lost. (Blocks that a task gave several of would be counted off against those that it
gave before, although what is left to do has changed.) Ray holds back whoever is ahead of the others; what is on its way
never takes more than the share of the cluster's object store that Ray Data allows itself, and spills to disk before it
fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from rag.cluster.address import Cluster
from rag.cluster.stages import Job, Parcel, Receipt, parcels, prepare, record
from rag.errors import RagError, UsageError
from rag.index.seams import Holdings
from rag.sources.divided import Divided, Share
from rag.types import Embedder

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
CALLS = 1000  # parcels that a process reads before a fresh one does: what leaks in native libraries stays bounded
LISTERS = 16  # shares that a source is divided into at most, so many that no machine lists alone


class Pipeline:
    """Receipts of all parcels of these shares, as they come, from the cluster that was joined."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __call__(self, job: Job, shares: Sequence[Share]) -> Iterator[Receipt]:
        import ray

        try:
            for bundle in self._dataset(job, shares).iter_internal_ref_bundles():
                for entry in bundle.blocks:
                    for row in ray.get(entry.ref).to_pylist():
                        yield row["receipt"]
        except ray.exceptions.RayError as error:
            raise _explained(error) from error

    def _dataset(self, job: Job, shares: Sequence[Share]) -> Any:
        import ray.data

        _set_options(ray.data.DataContext.get_current())
        listed = ray.data.read_datasource(_listing(job, shares), num_cpus=0, override_num_blocks=len(shares))
        # Asked for as the next stage is, Ray would make one of both.
        read = listed.map(_prepared, fn_args=(job,), num_cpus=1, max_calls=CALLS)
        gpus = self._cluster.gpus
        most = gpus or max(1, self._cluster.cpus - 1)
        pool = ray.data.ActorPoolStrategy(min_size=1, max_size=most, max_tasks_in_flight_per_actor=2)
        where = {"num_gpus": 1} if gpus else {"num_cpus": 1}
        made = (job, "cuda" if gpus else "cpu")
        return read.map(_Embedding, fn_constructor_args=made, compute=pool, **where)


def _set_options(context: Any) -> None:
    context.target_max_block_size = 1  # each row is a block of its own
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.enable_fallback_to_arrow_object_ext_type = True
    context.execution_options.preserve_order = False


def _listing(job: Job, shares: Sequence[Share]) -> Any:
    from ray.data import Datasource, ReadTask
    from ray.data.block import BlockMetadata

    unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)

    class Listing(Datasource):  # type: ignore[misc]
        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, *_: Any, **__: Any) -> list[Any]:
            return [ReadTask(_listed(job, share), unknown) for share in shares]

    return Listing()


class _listed:  # noqa: N801 - a function with its arguments, that can cross to another machine
    def __init__(self, job: Job, share: Share) -> None:
        self._job, self._share = job, share

    def __call__(self) -> Iterable[pa.Table]:
        return (_row("parcel", parcel) for parcel in parcels(self._job, self._job.source(), self._share))


def _row(name: str, value: object) -> pa.Table:
    import pyarrow
    from ray.data._internal.object_extensions.arrow import ArrowPythonObjectArray

    return pyarrow.table({name: ArrowPythonObjectArray.from_objects([value])})


def _prepared(row: Row, job: Job) -> Row:
    parcel: Parcel = row["parcel"]
    source, store, embedder = _equipment(job)
    return {"prepared": prepare(job, source, store, embedder, parcel)}


@lru_cache(maxsize=1)
def _equipment(job: Job) -> tuple[Divided, Holdings, Embedder]:
    """Of a process that reads, for all that it reads."""
    return job.source(), job.holdings(), job.embedder("cpu")


class _Embedding:
    """An actor, with the model in memory from its first parcel on: then what is wrong with it is told as any error."""

    def __init__(self, job: Job, device: str) -> None:
        self._job = job
        self._device = device

    def __call__(self, row: Row) -> Row:
        return {"receipt": record(self._store, self._embedder, row["prepared"])}

    @cached_property
    def _store(self) -> Holdings:
        return self._job.holdings()

    @cached_property
    def _embedder(self) -> Embedder:
        return self._job.embedder(self._device, threads=1)


def _explained(error: BaseException) -> BaseException:
    """What a machine of the cluster said, if it said it to people."""
    told: BaseException | None = error
    for _ in range(8):
        if told is None:
            break
        inner = getattr(told, "cause", None)
        if isinstance(inner, RagError):
            return inner
        if isinstance(told, ModuleNotFoundError) or "No module named 'rag" in str(told):
            return UsageError(
                "A machine of the cluster has no beluga-rag of this version, or not in the Python that Ray runs there. "
                "What was acknowledged is safe; pip install 'beluga-rag[scale]' on each of them, and run again."
            )
        told = inner or told.__cause__
    return error
