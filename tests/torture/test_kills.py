"""kill -9 at any moment of a sync: nothing acknowledged is lost, nothing is half there, the next one goes on."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from workload import Held, Writer, check, edited, finish, library

from rag.index.collection import Collection


@pytest.mark.fault(1, 2)
@pytest.mark.rounds(8, 1000)
def test_a_sync_killed_at_random(rounds: int, memory: Path, figure: Callable[[str], None]) -> None:
    rng, indexes = random.Random(rounds), memory / "indexes"
    files = library(rng, 12)
    before: Held = {}
    longest, kills, told, began = 60.0, 0, 0, time.monotonic()
    for number in range(rounds + 1):
        writer = Writer(indexes, files)
        writer.ready()
        started = time.monotonic()
        if writer.killed_after(rng.uniform(0, longest) if number else longest):  # the first shows how long they take
            kills += 1
        else:
            assert writer.said() == "0", writer.said()
            longest = time.monotonic() - started
        acknowledged = writer.acknowledged()
        told += len(acknowledged)
        writer.forget()
        collection = Collection(indexes, "default")
        if collection.exists():
            before = check(collection, before, files, acknowledged)
        assert collection.exists() or not acknowledged
        collection.close()
        if rng.random() < 0.2:
            before = finish(indexes, files, acknowledged)
        files = edited(files, rng, 6)
    finish(indexes, files)
    seconds = time.monotonic() - began
    figure(f"{rounds} syncs, {kills} killed; of {told} documents that they acknowledged 0 lost; {seconds:.0f} s")
