"""Every call by which an export, an import or a reembedding changes the disk fails in turn, as those of a sync do."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from conftest import Shelf, WordEmbedder
from halves import Halves
from test_calls import CALLS, FAULTS, attached, needs_strace, strace
from workload import ROOT, Held, Writer, library

from rag.index.collection import Collection
from rag.index.portable.exporting import export
from rag.index.portable.importing import import_
from rag.index.reembed import reembed, roll_back
from rag.types import Embedder

KINDS = ("export", "import", "replace", "reembed", "roll back", "drop")


class Mover(Writer):
    """A process that does one of KINDS when it is let go."""

    def __init__(self, indexes: Path, kind: str, within: Sequence[str] = ()) -> None:
        self._told = indexes.with_name(f"told-{random.getrandbits(64):x}")
        with self._told.open("wb") as file:
            file.truncate(1 << 16)
        places = {"indexes": str(indexes), "bundle": str(indexes.with_name("bundle.zip")), "told": str(self._told)}
        self._job = {"do": kind, **places}
        command = [*within, sys.executable, "-B", str(Path(__file__).with_name("mover.py"))]
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        path = {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests")))}
        environment = {**os.environ, **one_thread, **path}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)


def found(indexes: Path, name: str = "default") -> tuple[str, Held] | None:
    """The model that searches a collection, and everything that its searches find; None where there is none."""
    collection = Collection(indexes, name)
    if not collection.exists():
        return None
    assert collection.verify() == []
    model = collection.fingerprint.model
    by: Embedder = {"words": WordEmbedder(), "halves": Halves()}[model]
    view = collection.index()
    view.require(by.fingerprint)
    everywhere = view.dense(by.embed_questions(["page"])[0], 10_000)
    assert {hit.passage for hit in everywhere} == {hit.passage for hit in view.keyword("page", 10_000)}
    assert not collection.notes
    held: dict[str, frozenset[str]] = {}
    for hit in everywhere:
        held[hit.passage.document] = held.get(hit.passage.document, frozenset()) | {hit.passage.text}
    collection.close()
    return model, held


def prepared(folder: Path, kind: str) -> dict[str, object]:
    """A collection, a bundle beside it, and what may be found after `kind` was done to them, or was not."""
    rng, indexes, bundle = random.Random(5), folder / "indexes", folder / "bundle.zip"
    collection, files = Collection(indexes, "default"), library(rng, 4)
    collection.sync(Shelf(dict(files)), WordEmbedder())
    if kind in {"import", "replace"}:
        export(collection, bundle)
        given = found(indexes)
        collection.sync(Shelf(dict(library(rng, 3))), WordEmbedder(), prune=True)
    else:
        bundle.write_text("what was there before")
        given = None
    if kind in {"roll back", "drop"}:
        reembed(collection, Halves())
    collection.close()
    before, copy = found(indexes), folder.with_name(folder.name + "-done")
    shutil.copytree(folder, copy)
    if kind in {"reembed", "roll back"}:
        again = Collection(copy / "indexes", "default")
        _ = reembed(again, Halves()) if kind == "reembed" else roll_back(again, lambda made_by, called: WordEmbedder())
        given = found(copy / "indexes")
    shutil.rmtree(copy)
    after = given if kind in {"replace", "reembed", "roll back"} else before
    return {"before": before, "after": after, "given": given}


def check(folder: Path, kind: str, may: dict[str, object], done: bool) -> None:
    """All that holds, whether it was done or not; `done` says that it was."""
    indexes, now = folder / "indexes", found(folder / "indexes")
    assert now == may["after"] or (now == may["before"] and not done)
    visible = {path.name for path in indexes.iterdir() if not path.name.startswith(".")}
    if kind == "import":
        copied = found(indexes, "copy")
        assert copied == may["given"] or (copied is None and not done)
        assert visible == ({"default", "copy"} if copied else {"default"})
    else:
        assert visible == {"default"}
    if kind == "export":
        content = (folder / "bundle.zip").read_bytes()
        if done or content != b"what was there before":
            import_(folder / "checked", folder / "bundle.zip")
            assert found(folder / "checked") == may["before"]
            shutil.rmtree(folder / "checked")


def damaged(template: Path, may: dict[str, object], kind: str, fault: str, call: str, n: int, case: Path) -> str:
    """One command with one fault, all that must hold after it, and the same command again. Returns what it said."""
    shutil.copytree(template, case)
    how = ("-e", f"inject={call}:{FAULTS[fault].format(n=n)}")
    if fault == "killed":
        mover = Mover(case / "indexes", kind)
        with attached(mover, *how):
            mover.go()
    else:
        mover = Mover(case / "indexes", kind, strace(os.devnull, [call], *how))
        mover.go()
    code, said = mover.ended(), mover.said()
    if fault == "killed":
        assert (code, said) == (-9, ""), said
    else:
        assert re.match(r"0$|7 .*\b(safe|[Nn]othing was changed|untouched)\b", said), said or "it died"
    check(case, kind, may, said == "0")
    is_there = found(case / "indexes", "copy") is not None
    again = Mover(case / "indexes", kind)
    again.go()
    ended = again.ended()
    assert ended == 0, f"it ended with {ended}: {again.said()}"
    if kind == "import" and is_there:
        assert again.said().startswith("2 There is a collection 'copy'")
    elif kind == "roll back" and not said and found(case / "indexes") == may["before"]:
        pass  # it was killed after it had been done, and has gone back again
    else:
        assert re.match(r"0$|2 .* keeps no other vectors", again.said()), again.said()
        check(case, kind, may, kind != "roll back")
    folders = (case, case / "indexes", *(case / "indexes").iterdir())
    left = [path.name for folder in folders for path in folder.iterdir() if path.name.startswith(".")]
    assert left == [], "drafts are removed"
    assert len(list((case / "indexes" / "default").glob("generation-*"))) == 1
    shutil.rmtree(case)
    return said


def counted(template: Path, kind: str, case: Path) -> dict[str, int]:
    """How often each call is made, in the thread that makes it most often: strace counts by thread."""
    shutil.copytree(template, case)
    mover = Mover(case / "indexes", kind, strace(case / "log", CALLS))
    mover.go()
    if mover.ended():
        pytest.skip("strace cannot trace here")
    assert mover.said() == "0", mover.said()
    made = Counter(re.findall(r"^(\d+) +(\w+)\(", (case / "log").read_text(), re.M))
    shutil.rmtree(case)
    return {call: max(n for (_, other), n in made.items() if other == call) for _, call in made}


@needs_strace
@pytest.mark.rounds(4, 10_000)
def test_each_call_fails_in_turn(rounds: int, memory: Path, figure: Callable[[str], None]) -> None:
    began, cases, allowed = time.monotonic(), [], {}
    for kind in KINDS:
        template = memory / kind
        allowed[kind] = prepared(template, kind)
        made = counted(template, kind, memory / "counting")
        cases += [(kind, fault, call, n + 1) for fault in FAULTS for call in made for n in range(made[call])]
    chosen = cases if rounds >= len(cases) else random.Random(rounds).sample(cases, rounds)
    results, failures = Counter[tuple[str, str]](), []
    for kind, fault, call, n in chosen:
        try:
            said = damaged(memory / kind, allowed[kind], kind, fault, call, n, memory / "case")
        except Exception:
            failures.append(f"{fault} at {call} number {n} of {kind}: {traceback.format_exc()}")
            shutil.rmtree(memory / "case", ignore_errors=True)
        else:
            results[fault, said[:1] or "died"] += 1
    told = ", ".join(f"{fault} {code}: {n}" for (fault, code), n in sorted(results.items()))
    seconds = time.monotonic() - began
    figure(f"{len(chosen)} of {len(cases)} faults of moves ({told}), {len(failures)} failures; {seconds:.0f} s")
    assert not failures, "\n".join(failures)
