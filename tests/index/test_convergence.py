"""Any sequence of file operations and syncs gives the same collection as a build from nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from conftest import Shelf, WordEmbedder, contents
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.index.collection import Collection
from rag.types import Entry, Reading

NAMES = st.sampled_from(["a.txt", "b.txt", "c/d.txt", "c/e.txt", "f.txt"])
TEXTS = st.sampled_from(["one", "two words", "three words here", "scan", "page one\fpage two", "one"])
KINDS = ["write", "move", "swap", "copy", "delete", "sync", "sync", "stopped sync", "locked sync"]
Operation = tuple[str, str, str, str]
OPERATIONS = st.tuples(st.sampled_from(KINDS), NAMES, NAMES, TEXTS)


class Stopped(Shelf):
    """Is read up to the file before the last one that is to be read."""

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]:
        yield from super().read(entries[:-1])
        raise KeyboardInterrupt


def apply(files: dict[str, str | None], operation: Operation) -> None:
    kind, first, second, text = operation
    if kind == "write":
        files[first] = text
    elif kind == "delete":
        files.pop(first, None)
    elif first in files:
        if kind == "move":
            files[second] = files.pop(first)
        elif kind == "copy":
            files[second] = files[first]
        elif kind == "swap" and second in files:
            files[first], files[second] = files[second], files[first]


def sync(kept: Collection, files: dict[str, str | None], kind: str, name: str, embedder: WordEmbedder) -> None:
    before = len(embedder.texts)
    if kind == "stopped sync":
        try:
            kept.sync(Stopped(dict(files)), embedder, prune=True)
        except KeyboardInterrupt:
            assert not kept.exists() or kept.verify() == []
        return
    seen = files | {name: None} if kind == "locked sync" and name in files else files
    report = kept.sync(Shelf(dict(seen)), embedder, prune=True)
    assert report.embedded == len(embedder.texts) - before
    assert report.added + report.changed + report.renamed + report.unchanged == len(files)
    assert kept.verify() == []


@pytest.mark.fault(1, 8)
@pytest.mark.rounds(30, 3000)
def test_any_history_ends_in_the_same_collection(rounds: int, memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.index.sync.FIRST_WINDOW", 1)  # every document is acknowledged by itself

    @settings(max_examples=rounds, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(OPERATIONS, max_size=14))
    def ends_the_same(operations: list[Operation]) -> None:
        with tempfile.TemporaryDirectory(dir=memory) as folder:
            kept, embedder = Collection(Path(folder), "kept"), WordEmbedder()
            files: dict[str, str | None] = {"z.txt": "always there"}
            for operation in [*operations, ("sync", "", "", "")]:
                if operation[0].endswith("sync"):
                    sync(kept, files, operation[0], operation[1], embedder)
                else:
                    apply(files, operation)
            fresh = Collection(Path(folder), "fresh")
            expected = fresh.sync(Shelf(dict(files)), WordEmbedder())
            assert contents(kept) == contents(fresh)
            assert words(kept) == words(fresh)
            assert kept.info()["passages"] == expected.passages
            assert {(f.document, f.outcome) for f in kept.files()} == {(f.document, f.outcome) for f in fresh.files()}
            again = kept.sync(Shelf(dict(files)), embedder)
            assert (again.unchanged, again.embedded) == (len(files), 0)
            kept.close()
            fresh.close()

    ends_the_same()


def words(collection: Collection) -> set[tuple[str, str]]:
    hits = collection.index().keyword("one two words three here page always there", 100)
    return {(hit.passage.document, hit.passage.text) for hit in hits}
