"""Two processes that write to one collection at the same moment, while a third one reads it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from workload import Files, Writer, check, edited, held, library, passages

from rag.index.collection import Collection


@pytest.mark.fault(4)
@pytest.mark.rounds(4, 100)
def test_two_at_once(rounds: int, memory: Path, figure: Callable[[str], None]) -> None:
    """Each brings in a folder of its own. One of them may be told that the other one writes; both may come through,
    one after the other. What either acknowledged is there, once."""
    rng, indexes = random.Random(rounds), memory / "indexes"
    mine: dict[str, Files] = {side: {f"{side}{name}": text for name, text in library(rng, 4).items()} for side in "ab"}
    ends: Counter[str] = Counter()
    looks = 0
    before = passages({})
    for _ in range(rounds):
        writers = {side: Writer(indexes, files, prefix=f"{side}/") for side, files in mine.items()}
        for writer in writers.values():
            writer.ready()
        for writer in rng.sample(list(writers.values()), 2):
            writer.go()
        while any(writer.running() for writer in writers.values()):
            if (reader := Collection(indexes, "default")).exists():
                check(reader, before, mine["a"] | mine["b"], set())
                looks += 1
            reader.close()
        done = {side for side, writer in writers.items() if writer.said() == "0"}
        for side, writer in writers.items():
            assert writer.ended() == 0
            assert side in done or writer.said().startswith("4 Another process is writing"), writer.said()
            assert side in done or "(pid " in writer.said() or "(unknown)" in writer.said()
            ends["both" if len(done) == 2 else "one"] += side == "a"
            writer.forget()
        assert done, "one of them has the lock"
        collection = Collection(indexes, "default")
        assert collection.verify() == []
        before = held(collection)
        assert before.items() >= passages({name: text for side in done for name, text in mine[side].items()}).items()
        collection.close()
        for side, files in mine.items():
            mine[side] = {f"{side}{name.lstrip('ab')}": text for name, text in edited(files, rng, 2).items()}
    figure(
        f"{rounds} rounds of two writers ({dict(ends)}), {looks} looks of a reader meanwhile: 0 duplicates, 0 errors"
    )
