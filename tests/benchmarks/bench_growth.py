"""One collection that grows to 10,000, 100,000 and 1,000,000 passages: what syncing, starting and asking cost then.

    python tests/benchmarks/bench_growth.py [--sizes N ...] [--work DIR] [--data DIR] [--json FILE] [--embed] [--fresh]

What it grows of is told in grown.py: real passages first, composed ones after them. Embedding is left out (the vectors
are prepared or composed) unless --embed wants every passage embedded for real, which takes hours. Each figure is of a
process of its own. "Start-up" is a fresh process until it has its first hits; a hybrid query is `Hybrid.retrieve`
without embedding the question. Recall is measured against all vectors compared exactly. A run that
was stopped goes on with the size that it was at: the sizes before it are in the JSON file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import psutil
from grown import Composing, Grown, Material, prepare

from rag import compose
from rag.config import Config
from rag.index import generation
from rag.index.ledger import Ledger
from rag.retrieval.filings import asked_sections
from rag.retrieval.fuse import Hybrid
from rag.types import Fingerprint

ROOT = Path(__file__).resolve().parents[2]
NEAREST = 10
MIB = 2**20


class Known:
    """An Embedder of texts whose vectors were prepared."""

    def __init__(self, folder: Path, fingerprint: Fingerprint) -> None:
        self.fingerprint = fingerprint
        self.questions, texts = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
        self._vectors = dict(zip(texts, np.load(folder / "questions.npy"), strict=True))

    def embed_questions(self, texts: list[str]) -> np.ndarray:
        return np.stack([self._vectors[text] for text in texts])


def prepare_questions(data: Path, folder: Path) -> None:
    """Questions of all practice sets, and what else fusion embeds for them."""
    if (folder / "questions.npy").exists():
        return
    asked = []
    for path in [*sorted((data / "squadshifts").glob("*.jsonl")), data / "squad/questions.jsonl"]:
        rows = [json.loads(line)["question"] for line in path.open(encoding="utf-8")]
        asked += rows[:: len(rows) // 110]
    asked += [json.loads(line)["question"] for line in (data / "financebench/questions.jsonl").open(encoding="utf-8")]
    texts = list(dict.fromkeys(text for question in asked for text in (question, *asked_sections(question).values())))
    np.save(folder / "questions.npy", compose.embedder(Config()).embed_questions(texts))
    (folder / "questions.json").write_text(json.dumps([asked, texts]), encoding="utf-8")


# ------------------------------------------------------------------------------- stages, each in its own process


def stage_sync(work: Path, size: int, embed: bool, changed: bool = False) -> dict:
    material = Material(work / "material")
    real = compose.embedder(Config())
    embedder = real if embed else Composing(real, material)
    source = Grown(material, size)
    if changed:
        source = Grown(material, size, changed=[source.count - 1])
    collection = compose.collection(Config(indexes=work / "indexes", collection="growing"))
    before = psutil.Process().memory_info().rss
    report = collection.sync(source, embedder)
    return {
        "seconds": round(report.seconds, 1),
        "documents": source.count,
        "passages": report.passages,
        "embedded": report.embedded,
        "notes": report.notes,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "material_mib": before // MIB,
    }


def stage_exact(work: Path) -> dict:
    """The nearest of all, by comparing all, a block at a time."""
    ledger = Ledger.read(work / "indexes/growing/ledger.sqlite")
    known = Known(work / "material", ledger.fingerprint)
    questions = known.embed_questions(known.questions)
    best = np.full((len(questions), NEAREST), -2, np.float32)
    ids = np.zeros((len(questions), NEAREST), np.int64)
    for block, vectors in ledger.vector_blocks():
        scores = np.hstack([best, questions @ vectors.T])
        block_ids = np.hstack([ids, np.broadcast_to(block, (len(questions), len(block)))])
        order = np.argpartition(-scores, NEAREST, axis=1)[:, :NEAREST]
        best, ids = (np.take_along_axis(rows, order, axis=1) for rows in (scores, block_ids))
    np.save(work / "exact.npy", np.sort(best, axis=1))
    return {}


def stage_ask(work: Path, began: float) -> dict:
    opened = time.time()
    collection = compose.collection(Config(indexes=work / "indexes", collection="growing"))
    known = Known(work / "material", collection.fingerprint)
    ready = time.time()
    view = collection.index()
    hybrid = Hybrid(view, known)  # type: ignore[arg-type]
    hybrid.retrieve(known.questions[0], 8)
    first = time.time()
    result: dict = {"startup_s": round(first - began - (ready - opened), 2), "index_s": round(first - ready, 2)}
    result["resident_at_start_mib"] = psutil.Process().memory_info().rss // MIB
    for question in known.questions[::10]:
        hybrid.retrieve(question, 8)
    vectors = known.embed_questions(known.questions)
    result["hybrid_ms"] = timed(lambda i: hybrid.retrieve(known.questions[i], 8), len(vectors))
    result["dense_ms"] = timed(lambda i: view.dense(vectors[i], 200), len(vectors))
    result["keyword_ms"] = timed(lambda i: view.keyword(known.questions[i], 200), len(vectors))
    result["resident_mib"] = psutil.Process().memory_info().rss // MIB
    exact = np.load(work / "exact.npy")[:, 0]  # the last of the nearest: whoever scores as much is one of them
    found = [[hit.score for hit in view.dense(vector, NEAREST)] for vector in vectors]
    near = sum(score >= least - 2e-6 for scores, least in zip(found, exact, strict=True) for score in scores)
    result["recall@10"] = round(near / (NEAREST * len(vectors)), 4)
    result["notes"] = collection.notes
    return result


def timed(ask, count: int) -> dict[str, float]:
    """In milliseconds; the processor's time is what a busy machine does not change much."""
    seconds, cpu = [], []
    for i in range(count):
        began, worked = time.perf_counter(), time.process_time()
        ask(i)
        seconds.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.process_time() - worked))
    figures = {"p50": statistics.median(seconds), "p95": float(np.quantile(seconds, 0.95)), "max": max(seconds)}
    return {name: round(value, 1) for name, value in {**figures, "cpu_p50": statistics.median(cpu)}.items()}


def stage_info(work: Path) -> dict:
    collection = compose.collection(Config(indexes=work / "indexes", collection="growing"))
    sizes: dict[str, int] = {}
    for path in collection.home.rglob("*"):
        if path.is_file():
            part = "words" if path.parent.name == generation.WORDS else path.stem.partition("-")[0].partition(".")[0]
            sizes[part] = sizes.get(part, 0) + path.stat().st_size
    began = time.perf_counter()
    problems = collection.verify()
    verify = time.perf_counter() - began
    return {
        "disk_mib": {part: round(size / MIB) for part, size in sorted(sizes.items())},
        "vectors": collection.info()["vectors"],
        "verify_s": round(verify, 1),
        "problems": problems[:3],
    }


def cooled(work: Path) -> None:
    """Takes the collection out of the page cache."""
    for path in (work / "indexes").rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


# -------------------------------------------------------------------------------------------------- the run


def child(work: Path, stage: str, **given: object) -> dict:
    job = json.dumps({"stage": stage, "work": str(work), **given, "began": time.time()})
    done = subprocess.run([sys.executable, __file__, "--job", job], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{stage} ended with {done.returncode}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def run_job(job: dict) -> dict:
    stage, work = job.pop("stage"), Path(job.pop("work"))
    began = job.pop("began")
    if stage == "ask":
        return stage_ask(work, began)
    return {"sync": stage_sync, "exact": stage_exact, "info": stage_info}[stage](work, **job)


def measure(work: Path, size: int, embed: bool) -> dict:
    row: dict = {"size": size, "load_before": os.getloadavg()}
    row["sync"] = child(work, "sync", size=size, embed=embed)
    child(work, "exact")
    row["ask"] = child(work, "ask")
    row["ask_again"] = child(work, "ask")
    cooled(work)
    row["ask_cold"] = child(work, "ask")
    row["one_changed"] = child(work, "sync", size=size, embed=embed, changed=True)
    row["unchanged"] = child(work, "sync", size=size, embed=embed, changed=True)
    row["info"] = child(work, "info")
    row["load_after"] = os.getloadavg()
    return row


def query(times: dict[str, float]) -> str:
    return f"{times['p50']:.1f} / {times['p95']:.1f} ms ({times['cpu_p50']:.1f})"


def table(rows: list[dict]) -> str:
    lines = {
        "documents": lambda r: f"{r['sync']['documents']:,}",
        "vectors": lambda r: r["info"]["vectors"].partition(" (")[0],
        "recall@10 against exact": lambda r: f"{r['ask']['recall@10']:.4f}",
        "hybrid query, p50 / p95 (p50 of the processor's time)": lambda r: query(r["ask_again"]["hybrid_ms"]),
        "of it dense, p50 / p95 (p50 of the processor's time)": lambda r: query(r["ask_again"]["dense_ms"]),
        "of it keyword, p50 / p95 (p50 of the processor's time)": lambda r: query(r["ask_again"]["keyword_ms"]),
        "start-up, whole process": lambda r: f"{r['ask_again']['startup_s']:.2f} s",
        "of it the collection": lambda r: f"{r['ask_again']['index_s']:.2f} s",
        "start-up, nothing in the page cache": lambda r: f"{r['ask_cold']['startup_s']:.2f} s",
        "resident at start / after 1,500 queries": lambda r: (
            f"{r['ask_again']['resident_at_start_mib']:,} / {r['ask_again']['resident_mib']:,} MiB"
        ),
        "grown to it in, without embedding": lambda r: (
            f"{r['sync']['seconds']:,.0f} s ({r['sync']['embedded']:,} new), {r['sync']['peak_mib']:,} MiB"
        ),
        "one document changed": lambda r: f"{r['one_changed']['seconds']:.1f} s",
        "nothing changed": lambda r: f"{r['unchanged']['seconds']:.1f} s",
        "`rag verify`": lambda r: f"{r['info']['verify_s']:.1f} s",
        "disk: ledger": lambda r: f"{r['info']['disk_mib'].get('ledger', 0):,} MiB",
        "disk: vectors": lambda r: f"{r['info']['disk_mib'].get('vectors', 0):,} MiB",
        "disk: words": lambda r: f"{r['info']['disk_mib'].get('words', 0):,} MiB",
        "load of the machine before / after": lambda r: f"{r['load_before'][0]:.1f} / {r['load_after'][0]:.1f}",
    }
    heads = [f"{row['sync']['passages']:,} passages" for row in rows]
    body = [f"| {name} | {' | '.join(show(row) for row in rows)} |" for name, show in lines.items()]
    return "\n".join([f"| | {' | '.join(heads)} |", f"|---{'|---' * len(rows)}|", *body])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    beside = ROOT.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RAG_PRACTICE_DATA", beside)))
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--work", type=Path, default=ROOT / "tests/benchmarks/results/growth")
    parser.add_argument("--json", type=Path, default=ROOT / "tests/benchmarks/results/growth.json")
    parser.add_argument("--embed", action="store_true", help="embed every passage for real")
    parser.add_argument("--fresh", action="store_true", help="begin with nothing, whatever was measured before")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(run_job(json.loads(options.job))))
        return 0
    if not options.data.is_dir():
        print(f"skipped: no practice data at {options.data}; set RAG_PRACTICE_DATA")
        return 0
    began = time.time()
    material = prepare(options.data, options.work / "material")
    prepare_questions(options.data, options.work / "material")
    about = {
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}",
        "command": " ".join(sys.argv),
        "real_passages": sum(material.passages),
        "vectors": "all embedded" if options.embed else "real ones' embedded, others' composed of sentences'",
    }
    rows = json.loads(options.json.read_text())["sizes"] if options.json.exists() and not options.fresh else []
    if not rows:
        shutil.rmtree(options.work / "indexes", ignore_errors=True)
    measured = {row["size"] for row in rows}
    for size in sorted(set(options.sizes) - measured):
        rows.append(measure(options.work, size, options.embed))
        print(f"{size:,} passages after {time.time() - began:,.0f} s", file=sys.stderr)
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({**about, "sizes": rows}, indent=2))
    print(f"{about}\n\n{table(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
