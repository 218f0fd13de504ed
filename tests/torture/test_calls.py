"""Every call by which a sync changes the disk fails in turn: killed at it, disk full from it on, I/O error at it.

strace counts the calls of an undisturbed sync first, and then makes the N-th one fail, for each N.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from workload import Files, Held, Writer, check, edited, finish, library, passages, rubbish
from writer import SHOWN

from rag.index.collection import Collection

RENAMES = ("rename", "renameat", "renameat2", "link", "linkat")
SYNCS = ("fsync", "fdatasync")
WRITES = ("write", "pwrite64", "writev", "pwritev", "sendfile", "copy_file_range", "ftruncate", "fallocate", "mkdir")
CALLS = (*RENAMES, *SYNCS, *WRITES)
SEEN = ("access", "faccessat", "faccessat2")  # by these a writer shows what it has acknowledged
FAULTS = {"killed": "signal=SIGKILL:when={n}", "full": "error=ENOSPC:when={n}+", "failing": "error=EIO:when={n}"}

needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")


def strace(log: Path | str, calls: Sequence[str], *options: str) -> list[str]:
    """A command that runs another one. The filter is in the kernel: what is not looked at costs no time."""
    return ["strace", "-f", "--seccomp-bpf", "-qq", "-o", str(log), "-e", f"trace={','.join(calls)}", *options]


@contextmanager
def attached(writer: Writer, *options: str) -> Iterator[None]:
    """strace, attached to a writer that is ready: strace 6.1 sends no signal out of its filter."""
    command = ["strace", "-f", *options, "-o", os.devnull, "-p", str(writer.ready())]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr is not None
        if "attached" not in (said := tracer.stderr.readline()):
            pytest.skip(f"strace cannot attach here: {said}")
        yield
        tracer.communicate()


def counted(indexes: Path, files: Files) -> dict[str, int]:
    """How often each call is made, in the thread that makes it most often: strace counts by thread."""
    log = indexes.parent / "log"
    writer = Writer(indexes, files, strace(log, CALLS))
    writer.go()
    if writer.ended():
        pytest.skip("strace cannot trace here")
    assert writer.said() == "0", writer.said()
    made = Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text(), re.M))
    return {call: max(n for (_, other), n in made.items() if other == call) for _, call in made}


@dataclass(frozen=True)
class Change:
    """A collection as it was, and what it is to become."""

    template: Path
    before: Held
    files: Files


def changes(memory: Path) -> Iterator[Change]:
    """The first sync of all, one that changes some files, and one that only removes some."""
    rng = random.Random(3)
    files = library(rng, 2)
    yield Change(memory / "nothing" / "indexes", {}, files)
    larger = library(rng, 6)
    for n, after in enumerate((edited(larger, rng, 4), dict(list(larger.items())[:4]))):
        template = memory / f"template-{n}" / "indexes"
        yield Change(template, finish(template, larger), after)


def damaged(change: Change, fault: str, call: str, n: int, indexes: Path) -> str:
    """One sync with one fault, and all that must hold after it. Returns what it said."""
    if change.template.exists():
        shutil.copytree(change.template, indexes)
    else:
        indexes.parent.mkdir()
    how = ("-e", f"inject={call}:{FAULTS[fault].format(n=n)}")
    if fault == "killed":
        writer = Writer(indexes, change.files)
        with attached(writer, *how):
            writer.go()
    else:
        writer = Writer(indexes, change.files, strace(os.devnull, [call], *how))
        writer.go()
    code, said, acknowledged = writer.ended(), writer.said(), writer.acknowledged()
    if fault == "killed":
        assert (code, said) == (-9, ""), said
    else:
        assert re.match(r"0$|7 .*\b(safe|[Nn]othing was changed)\b", said), said or "it died"
    collection = Collection(indexes, "default")
    if collection.exists():
        now = check(collection, change.before, change.files, acknowledged)
        if fault != "killed":
            assert [name for name in rubbish(collection.home, 0) if name.startswith(".")] == [], "drafts are removed"
        assert said != "0" or now == passages(change.files)
    assert collection.exists() or not acknowledged
    collection.close()
    finish(indexes, change.files, acknowledged)
    shutil.rmtree(indexes.parent)
    return said


@needs_strace
@pytest.mark.fault(1, 2)
def test_what_is_acknowledged_or_named_was_synced_before(memory: Path) -> None:
    """What a power cut could take is what was written and not synced. None is simulated; the order of calls is read."""
    indexes = memory / "indexes"
    for files in (library(random.Random(1), 5), library(random.Random(2), 6)):
        log = memory / "log"
        writer = Writer(indexes, files, strace(log, (*CALLS, *SEEN), "-y"))
        writer.go()
        if writer.ended():
            pytest.skip("strace cannot trace here")
        assert writer.said() == "0", writer.said()
        seen = order_of_syncs(log.read_text(), indexes / "default")
        assert seen["acknowledged"] == len(files)
        assert seen["generation"] >= 1


def whole_calls(log: str) -> Iterator[str]:
    """The calls of a trace as they end, those in one piece that another thread's came in between."""
    begun: dict[str, str] = {}
    for line in log.splitlines():
        thread, _, call = line.partition(" ")
        if call.endswith("<unfinished ...>"):
            begun[thread] = call.removesuffix("<unfinished ...>").strip()
        elif resumed := re.match(r" *<\.\.\. \w+ resumed>(.*)", call):
            yield begun.pop(thread) + resumed[1]
        else:
            yield call.strip()


def order_of_syncs(log: str, home: Path) -> Counter[str]:
    """Checks a trace, and counts what it saw. `unsynced` are the files and folders that a power cut could still take
    something of."""
    unsynced: set[str] = set()
    seen: Counter[str] = Counter()
    for call, arguments, result in re.findall(r"^(\w+)\((.*)\) += (\d+|-1)", "\n".join(whole_calls(log)), re.M):
        named = re.match(r"\d+<(.*?)>", arguments)
        quoted = re.findall(r'"(.*?)"', arguments)
        path = named[1] if named else ""
        if call in SYNCS:
            unsynced.discard(path)
        elif call in WRITES and path.startswith(str(home)):
            unsynced.add(path)
        elif call in SEEN and quoted and quoted[0].startswith(SHOWN):
            seen["acknowledged"] += 1
            assert not {f"{home}/ledger.sqlite-wal", str(home), str(home.parent)} & unsynced, quoted
        elif call == "mkdir" and result == "0" and Path(quoted[0]) == home:
            unsynced.add(str(home.parent))
        elif call in RENAMES and "generation-" in quoted[-1] and ".generation-" in quoted[0] and result == "0":
            if Path(quoted[-1]).parent == home:
                seen["generation"] += 1
                assert not [p for p in unsynced if p.startswith(quoted[0])], "its files were synced before it was named"
                unsynced.add(str(home))
        elif call in RENAMES and quoted[-1] == f"{home}/ledger.sqlite":
            assert f"{home}/ledger.new" not in unsynced
            unsynced.add(str(home))
        if call == "pwrite64" and path == f"{home}/ledger.sqlite-wal":
            assert str(home) not in unsynced, "a generation's name is on disk before the ledger names it"
    return seen


@needs_strace
@pytest.mark.fault(1, 2, 3)
@pytest.mark.rounds(16, 10_000)
def test_each_call_fails_in_turn(rounds: int, memory: Path, figure: Callable[[str], None]) -> None:
    began, cases = time.monotonic(), []
    for change in changes(memory):
        copy = memory / "counting" / "indexes"
        if change.template.exists():
            shutil.copytree(change.template, copy)
        else:
            copy.parent.mkdir()
        made = counted(copy, change.files)
        shutil.rmtree(copy.parent)
        cases += [(change, fault, call, n + 1) for fault in FAULTS for call in made for n in range(made[call])]
    chosen = cases if rounds >= len(cases) else random.Random(rounds).sample(cases, rounds)
    results, failures = Counter[tuple[str, str]](), []
    for change, fault, call, n in chosen:
        try:
            said = damaged(change, fault, call, n, memory / "case" / "indexes")
        except Exception:
            failures.append(f"{fault} at {call} number {n}, {change.template.parent.name}: {traceback.format_exc()}")
            shutil.rmtree(memory / "case")
        else:
            results[fault, said[:1] or "died"] += 1
    told = ", ".join(f"{fault} {code}: {n}" for (fault, code), n in sorted(results.items()))
    seconds = time.monotonic() - began
    figure(f"{len(chosen)} of {len(cases)} faults of single calls ({told}), {len(failures)} failures; {seconds:.0f} s")
    assert not failures, "\n".join(failures)
