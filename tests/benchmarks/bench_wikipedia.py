"""Wikipedia's route against files: the same articles, from a MediaWiki and from a folder, asked the same questions.

    python tests/benchmarks/bench_wikipedia.py [--data DIR] [--api URL] [--limit N] [--json FILE]

Without --api, a MediaWiki is started on loopback by the tool beside the practice data, which holds SQuAD's articles. A
passage is the gold paragraph when it covers at least half of it. Settings count: RAG_RERANK=none measures fusion alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rag import compose
from rag.config import Config
from rag.evaluation.matching import Level, ranks, targets
from rag.evaluation.questions import read_questions
from rag.sources.wiki.find import Wanted
from rag.types import Example, Source

ROOT = Path(__file__).resolve().parents[2]
DEPTH = 10
PORT = 8093


@contextmanager
def mediawiki(data: Path) -> Iterator[str]:
    tool = data.resolve().parent / "tools" / "mediawiki"
    with tempfile.TemporaryDirectory() as temporary:
        environment = {**os.environ, "MEDIAWIKI_HOME": str(Path(temporary, "home"))}
        command = [tool, "start", str(PORT), str(data / "squad" / "articles")]
        started = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        try:
            yield started.stdout.split()[-1]
        finally:
            subprocess.run([tool, "stop"], env=environment, check=True)


def figures(config: Config, source: Source, examples: Sequence[Example]) -> dict[str, float]:
    by = compose.embedder(config)
    collection = compose.collection(config)
    report = collection.sync(source, by)
    print(f"{config.collection}: {len(report.files)} articles, {report.passages} passages", file=sys.stderr)
    retriever = compose.retriever(config, collection, by)
    found = []
    for example in examples:
        wanted = targets(example.evidence, Level.PASSAGE)
        found.append(ranks(retriever.retrieve(example.question, DEPTH), wanted, Level.PASSAGE)[0])
    measured = {f"hit@{k}": sum(rank is not None and rank <= k for rank in found) / len(found) for k in (1, 5, 10)}
    return {**measured, "mrr@10": sum(1 / rank for rank in found if rank) / len(found)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    beside = ROOT.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RAG_PRACTICE_DATA", beside)))
    parser.add_argument("--api", default="")
    parser.add_argument("--limit", type=int, help="only the first N questions")
    parser.add_argument("--json", type=Path, default=ROOT / "tests/benchmarks/results/wikipedia.json")
    options = parser.parse_args()
    questions = options.data / "squad" / "questions.jsonl"
    if not questions.is_file():
        print(f"skipped: no practice data at {options.data}; set RAG_PRACTICE_DATA")
        return 0
    if not (options.api or Path("/usr/share/mediawiki/api.php").exists()):
        print("skipped: no MediaWiki is installed; .ci/run installs it, as root")
        return 0
    examples = [named(example) for example in read_questions(questions, print) if example.answerable][: options.limit]
    titles = sorted(path.stem for path in (options.data / "squad" / "articles").glob("*.md"))
    with tempfile.TemporaryDirectory() as temporary:
        config = Config.from_environment(indexes=Path(temporary))
        files = replace(config, collection="files")
        results = {"files": figures(files, compose.source(files, options.data / "squad" / "articles"), examples)}
        articles = replace(config, collection="articles")
        if options.api:
            wiki = compose.articles(articles, Wanted(titles), api=options.api)
            results["wiki"] = figures(articles, wiki, examples)
        else:
            with mediawiki(options.data) as api:
                results["wiki"] = figures(articles, compose.articles(articles, Wanted(titles), api=api), examples)
    print(f"{len(examples)} questions, rerank {config.rerank}\n{'':8} {'files':>7} {'wiki':>7} {'change':>7}")
    for name, value in results["files"].items():
        print(f"{name:8} {value:7.4f} {results['wiki'][name]:7.4f} {results['wiki'][name] - value:+7.4f}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"questions": len(examples), **results}, indent=2))
    return 0


def named(example: Example) -> Example:
    """Articles are called by their titles, and files by their names: evidence may lack the extension."""
    return replace(
        example, evidence=tuple(replace(e, document=e.document.removesuffix(".md")) for e in example.evidence)
    )


if __name__ == "__main__":
    sys.exit(main())
