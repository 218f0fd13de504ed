"""Many jobs, several child processes: files are read in parallel, and no more of them than are wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

from rag.sources.isolate import READER, Child, Limits

J = TypeVar("J")
R = TypeVar("R")


class Pool(Generic[J, R]):
    """`task(child, job)` for the jobs that are submitted, in up to `workers` threads with a child each.

    Threads and processes start as jobs come. Submitting and fetching are for one thread; `close` ends all, at once.
    """

    def __init__(
        self, task: Callable[[Child, J], R], workers: int, limits: Limits, program: Sequence[str] = READER
    ) -> None:
        self.workers = workers
        self._task = task
        self._limits = limits
        self._program = program
        self._threads: list[tuple[threading.Thread, Child]] = []
        self._jobs: SimpleQueue[J | None] = SimpleQueue()
        self._results: SimpleQueue[R | _Failure] = SimpleQueue()
        self._closed = False

    def submit(self, job: J) -> None:
        self._jobs.put(job)
        if len(self._threads) < self.workers:
            child = Child(self._limits, self._program)
            thread = threading.Thread(target=self._serve, args=(child,), daemon=True)
            self._threads.append((thread, child))
            thread.start()

    def result(self) -> R:
        """The next result, whichever comes first. Waits for it. Raises what the task raised."""
        result = self._results.get()
        if isinstance(result, _Failure):
            raise result.error
        return result

    def close(self) -> None:
        self._closed = True
        for _, child in self._threads:
            self._jobs.put(None)
            child.interrupt()
        for thread, _ in self._threads:
            thread.join()

    def _serve(self, child: Child) -> None:
        try:
            while (job := self._jobs.get()) is not None and not self._closed:
                try:
                    self._results.put(self._task(child, job))
                except BaseException as error:  # crosses to the thread that fetches, and is raised there
                    self._results.put(_Failure(error))
        finally:
            child.close()


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException


def run(
    jobs: Iterable[J],
    task: Callable[[Child, J], R],
    workers: int,
    limits: Limits,
    program: Sequence[str] = READER,
) -> Generator[R]:
    """`task(child, job)` for every job, by a Pool; results as they finish. Closing the iterator ends the children.

    No more than 2 * `workers` jobs are begun whose results have not been fetched: a slow consumer bounds the memory.
    """
    pool = Pool(task, workers, limits, program)
    begun = 0
    try:
        for job in jobs:
            pool.submit(job)
            begun += 1
            if begun == 2 * workers:
                yield pool.result()
                begun -= 1
        for _ in range(begun):
            yield pool.result()
    finally:
        pool.close()
