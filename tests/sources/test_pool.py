from __future__ import annotations

import contextlib
import threading

import pytest
from misbehaving import MISBEHAVING, has_ended

from rag.sources.isolate import Child, ChildError, Limits
from rag.sources.pool import Pool, run


def test_every_job_is_done_once_and_errors_are_raised_here() -> None:
    assert sorted(run(range(50), lambda child, job: job * job, 3, Limits())) == [job * job for job in range(50)]

    def fail(child: Child, job: int) -> int:
        raise LookupError(job)

    with pytest.raises(LookupError):
        list(run(range(5), fail, 2, Limits()))
    assert list(run([], lambda child, job: job, 2, Limits())) == []


def test_a_child_that_dies_costs_its_own_job_only() -> None:
    def task(child: Child, job: str) -> str:
        try:
            return str(len(list(child.ask({"do": job}, seconds=5))))
        except ChildError as error:
            return type(error).__name__

    jobs = ["nothing", "abort", "nothing", "exit", "nothing"]
    assert sorted(run(jobs, task, 2, Limits(), MISBEHAVING)) == ["2", "2", "2", "DiedError", "DiedError"]


def test_only_as_many_processes_start_as_there_are_jobs() -> None:
    def task(child: Child, job: str) -> int:
        return int(next(iter(list(child.ask({"do": job}))))["pid"])

    pids = set(run(["nothing"], task, 4, Limits(), MISBEHAVING))
    assert len(pids) == 1


def test_a_slow_consumer_holds_the_workers_back() -> None:
    workers, begun = 2, threading.Semaphore(0)
    started: list[int] = []

    def task(child: Child, job: int) -> int:
        started.append(job)
        begun.release()
        return job

    results = run(iter(range(1000)), task, workers, Limits())
    ahead = []
    for fetched, _ in enumerate(results):
        # All the work that may be begun is begun while this consumer dawdles; a thousand jobs would be, otherwise.
        for _ in range(3):
            begun.acquire(timeout=0.02)
        ahead.append(len(started) - fetched)
        if fetched == 30:
            break
    results.close()
    assert max(ahead) <= 2 * workers + 1


def test_closing_ends_the_children_at_once() -> None:
    def task(child: Child, job: str) -> int:
        for _ in range(3):  # a task that tries again is no reason to wait
            with contextlib.suppress(ChildError):
                answer = child.ask({"do": job})
                pids.append(int(next(iter(answer))["pid"]))
                if job == "hang":
                    hanging.set()
                list(answer)
        return 0

    pids: list[int] = []
    hanging = threading.Event()
    results = run(["nothing", "hang"], task, 2, Limits(seconds=600), MISBEHAVING)
    next(results)
    assert hanging.wait(30)
    results.close()
    assert all(map(has_ended, pids))


def test_a_pool_may_be_closed_while_it_waits_for_work() -> None:
    pool: Pool[int, int] = Pool(lambda child, job: -job, 2, Limits())
    for job in (1, 2, 3):
        pool.submit(job)
    assert sorted(pool.result() for _ in range(3)) == [-3, -2, -1]
    pool.close()  # hangs if a thread does
