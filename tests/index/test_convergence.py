"""Any sequence of file operations and syncs gives the same collection as a build from nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

from conftest import Shelf, WordEmbedder, contents
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.index.collection import Collection

NAMES = st.sampled_from(["a.txt", "b.txt", "c/d.txt", "c/e.txt", "f.txt"])
TEXTS = st.sampled_from(["one", "two words", "three words here", "scan", "page one\fpage two", "one"])
Operation = tuple[str, str, str, str]
OPERATIONS = st.tuples(
    st.sampled_from(["write", "move", "swap", "copy", "delete", "sync", "sync"]), NAMES, NAMES, TEXTS
)


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


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(OPERATIONS, max_size=14))
def test_any_history_ends_in_the_same_collection(operations: list[Operation]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept = Collection(Path(folder), "kept")
        files: dict[str, str | None] = {"z.txt": "always there"}
        embedder = WordEmbedder()
        for operation in [*operations, ("sync", "", "", "")]:
            if operation[0] != "sync":
                apply(files, operation)
                continue
            before = len(embedder.texts)
            report = kept.sync(Shelf(dict(files)), embedder, prune=True)
            assert report.embedded == len(embedder.texts) - before
            assert report.added + report.changed + report.renamed + report.unchanged == len(files)
            assert kept.verify() == []
        fresh = Collection(Path(folder), "fresh")
        expected = fresh.sync(Shelf(dict(files)), WordEmbedder())
        assert contents(kept) == contents(fresh)
        assert kept.info()["passages"] == expected.passages
        assert {(f.document, f.outcome) for f in kept.files()} == {(f.document, f.outcome) for f in fresh.files()}
        again = kept.sync(Shelf(dict(files)), embedder)
        assert (again.unchanged, again.embedded) == (len(files), 0)
        kept.close()
        fresh.close()
