"""Embedding speed against sentence-transformers' own encode, on the same texts in the same run.

    python tests/benchmarks/bench_embed.py [--data DIR] [--passages 2000] [--rounds 3]

The passages are 180 words each, taken evenly from the PDFs under DIR/financebench. Rounds alternate between the two,
and medians are compared. The gate: cosine at least 0.999 with every one of its vectors, at 4 times its tokens a second.
The figures go to results/embed.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results"
WORDS = 180
GATE_COSINE, GATE_RATIO = 0.999, 4.0
FRESH = (
    "from rag.encoder.embed import load_embedder as l; l(device='cpu').embed_questions(['What was revenue in 2018?'])"
)


def passages(data: Path, wanted: int) -> list[str]:
    found = [passage for pdf in sorted((data / "financebench" / "pdfs").glob("*.pdf")) for passage in _cut(pdf)]
    if not found:
        raise SystemExit(f"no PDFs under {data / 'financebench' / 'pdfs'}: give the practice data with --data")
    step = max(1.0, len(found) / wanted)
    return [found[int(place * step)] for place in range(min(wanted, len(found)))]


def _cut(pdf: Path) -> Iterator[str]:
    import pypdfium2

    with pypdfium2.PdfDocument(pdf) as document:
        for page in document:
            words = page.get_textpage().get_text_bounded().split()
            for start in range(0, len(words), WORDS):
                if len(words) - start >= WORDS // 9:  # not the last few words of a page
                    yield " ".join(words[start : start + WORDS])


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(texts: Sequence[str], rounds: int) -> dict[str, Any]:
    from sentence_transformers import SentenceTransformer

    from rag.encoder.embed import load_embedder

    fresh = [seconds(lambda: subprocess.run([sys.executable, "-c", FRESH], cwd=ROOT, check=True)) for _ in range(5)]
    ours = load_embedder(device="cpu")
    ours.embed_passages(texts[:64])
    stock = SentenceTransformer(str(ours._checkpoint.folder), device="cpu")
    expected = stock.encode(list(texts))  # warms it up as well
    vectors = ours.embed_passages(texts)
    window = ours.fingerprint.max_tokens
    counts = ours.count(texts)
    tokens = sum(min(count + 2, window) for count in counts)
    pairs = []
    for number in range(rounds):
        pair = (seconds(lambda: stock.encode(list(texts))), seconds(lambda: ours.embed_passages(texts)))
        print(f"round {number + 1}: stock {tokens / pair[0]:,.0f}, ours {tokens / pair[1]:,.0f} tokens/s", flush=True)
        pairs.append(pair)
    counting = median(seconds(lambda: ours.count(texts)) for _ in range(5))
    cosines = (vectors * expected).sum(axis=1)
    return {
        "passages": len(texts),
        "tokens": tokens,
        "stock_tokens_per_second": round(tokens / median(a for a, _ in pairs)),
        "ours_tokens_per_second": round(tokens / median(b for _, b in pairs)),
        "ratio": round(median(a / b for a, b in pairs), 2),
        "cosine_min": round(float(cosines.min()), 6),
        "cosine_mean": round(float(cosines.mean()), 6),
        "count_tokens_per_second": round(sum(counts) / counting),
        "fresh_process_one_question_seconds": round(median(fresh), 3),
        "rounds": pairs,
    }


def machine() -> dict[str, Any]:
    import openvino

    core = openvino.Core()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "processor": core.get_property("CPU", "FULL_DEVICE_NAME"),
        "cores": os.cpu_count(),
        "precisions": list(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("openvino", "torch", "transformers", "sentence-transformers")},
        "commit": commit.stdout.strip(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("RAG_PRACTICE_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=data, help="the practice data")
    parser.add_argument("--passages", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    figures = measure(passages(arguments.data, arguments.passages), arguments.rounds)
    passed = figures["cosine_min"] >= GATE_COSINE and figures["ratio"] >= GATE_RATIO
    report = {**figures, "passed": passed, "machine": machine()}
    print(f"\n{report['machine']['processor']}, {report['machine']['cores']} cores")
    for name, value in figures.items():
        if name != "rounds":
            print(f"  {name.replace('_', ' '):<38}{value:>14,}")
    print(f"  gate (cosine >= {GATE_COSINE}, ratio >= {GATE_RATIO:g}): {'passed' if passed else 'FAILED'}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "embed.json").write_text(json.dumps(report, indent=2) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    raise SystemExit(main())
