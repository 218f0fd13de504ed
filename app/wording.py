"""What the library says about jobs and documents, as pure functions: no Streamlit, nothing read, nothing kept."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from app import work
from rag.jobs.job import Job, State
from rag.progress import Far
from rag.terminal import counted
from rag.types import Status

_KINDS = {
    work.SYNC: ("Indexing", "Indexed"),
    work.WIKIPEDIA: ("Fetching", "Fetched"),
    work.REMOVE: ("Removing", "Removed"),
    work.VERIFY: ("Verifying", "Verified"),
    work.REPAIR: ("Repairing", "Repaired"),
    work.EVALUATE: ("Measuring", "Measured"),
    work.REEMBED: ("Embedding anew", "Embedded anew"),
    work.FETCH: ("Downloading", "Downloaded"),
}
UNITS = ("B", "kB", "MB", "GB", "TB")
ENDINGS = {
    1: "failed by a mistake of this program",
    2: "could not begin",
    3: "done, with files to look at",
    4: "another process is writing",
    5: "damage was found",
    6: "a model is missing",
    7: "the disk is full or cannot be written to",
    8: "too many questions are waiting",
    9: "Wikipedia does not answer",
}


def doing(job: Job) -> str:
    """What a job does, or did, and to what."""
    now, then = _KINDS.get(job.work.kind, (job.work.kind, job.work.kind))
    return f"{now if job.state is State.RUNNING else then} {job.work.about}".strip()


def share(far: Far | None) -> float:
    """How much is done, from 0 to 1."""
    return min(1.0, far.done / far.total) if far and far.total else 0.0


def so_far(far: Far | None, seconds: float, now: float) -> str:
    """How far a job is, in a line."""
    if far is None or not far.unit:
        return f"getting ready, {lasting(seconds)}" + (f": {far.name}" if far and far.name else "")
    if far.unit == "questions":
        parts = [f"{far.done} of {counted(far.total, 'question')}"]
    else:
        parts = [f"{far.documents_done} of {counted(far.documents, 'document')}"]
    parts.append(lasting(seconds))
    if left := _left(far, now):
        parts.append(f"about {lasting(left)} left")
    if far.pages:
        parts.append(f"page {far.page} of {far.pages} by OCR")
    return " · ".join([*parts, far.name] if far.name else parts)


def _left(far: Far, now: float) -> float | None:
    """Seconds, as long as things go on as they did; None before that can be told."""
    if far.began is None or not 0 < far.done < far.total or now - far.began < 2:
        return None
    return (now - far.began) * (far.total - far.done) / far.done


def lasting(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def ending(job: Job) -> str:
    """How a job ended, in a few words."""
    match job.state:
        case State.DIED:
            return "ended without a word: killed, or the machine went down. What was done is safe; begin it again"
        case State.STOPPED:
            return "stopped; what was done is safe"
    if job.exit_code == 3 and job.work.kind == work.EVALUATE:
        return "done, with questions to look at"
    return "done" if job.exit_code == 0 else ENDINGS.get(job.exit_code or 0, f"ended with code {job.exit_code}")


def summary(job: Job) -> str:
    """When it was, how long it took, and what came of it."""
    parts = [time.strftime("%d %b %H:%M", time.localtime(job.started)), lasting(job.seconds)]
    result = job.result() or {}
    if "unchanged" in result:
        parts += [changes(result), statuses(result["files"])]
    return " · ".join(filter(None, parts))


def changes(result: Mapping[str, Any]) -> str:
    """What a sync did, in a line."""
    counts = [f"{result[name]} {name}" for name in ("added", "changed", "renamed", "removed") if result.get(name)]
    did = ", ".join(counts) or "nothing new"
    return f"{did}, {result.get('unchanged', 0)} unchanged; {counted(result.get('passages', 0), 'passage')} in all"


def statuses(files: Sequence[Mapping[str, Any]]) -> str:
    """How reading ended, in a line."""
    counts = Counter(file["status"] for file in files)
    return ", ".join(f"{counts[status.value]} {status.value}" for status in Status if status.value in counts)


def awkward(files: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The files that are not simply indexed: what happened, and what to do."""
    return [
        {"Document": file["document"], "Status": file["status"], "Reason": file["reason"], "What to do": file["remedy"]}
        for file in files
        if file["status"] != Status.INDEXED.value
    ]


def size(number: float) -> str:
    unit = 0
    while number >= 999.5 and unit < len(UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.0f} {UNITS[unit]}" if unit == 0 or number >= 99.5 else f"{number:.1f} {UNITS[unit]}"
