"""What the program makes, nobody else on the machine can read, whatever umask it was started with."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Every way in which something is made, each followed by a look at all that is there. A reader stays open meanwhile, so
# that the ledger's log and its shared memory are seen, too.
FLOWS = f"""
import io, os, sqlite3, stat, sys
from pathlib import Path
sys.path[:0] = {[str(ROOT), str(ROOT / "tests")]!r}
from conftest import WordEmbedder
from programs import ended
import app.__main__ as page
from app import people, uploads, work
from rag import cli, compose
from rag.config import Config
from rag.jobs.desk import Desk
from rag.types import Answer
compose.embedder = compose.named_embedder = lambda *_: WordEmbedder()
home, docs = Path(sys.argv[1]), sys.argv[2]
config = Config(indexes=home / "indexes", rerank="none")
seen = set()

def look(after):
    for folder, folders, files in os.walk(home):
        for name in folders + files:
            found = os.lstat(os.path.join(folder, name))
            wanted = 0o700 if stat.S_ISDIR(found.st_mode) else 0o600
            path = os.path.relpath(os.path.join(folder, name), home)
            if stat.S_IMODE(found.st_mode) != wanted:
                print(after, path, oct(stat.S_IMODE(found.st_mode)))
            seen.add(path)

def run(*arguments):
    sys.stdout, out = io.StringIO(), sys.stdout
    try:
        code = cli.main(list(arguments))
    finally:
        sys.stdout = out
    if code not in (0, 3):
        print("exit code", code, arguments)
    look(arguments[0])

run("index", docs, "--progress", str(home / "progress.json"))
reader = sqlite3.connect(f"file:{{config.indexes / 'default/ledger.sqlite'}}?mode=ro", uri=True)
reader.execute("BEGIN")
reader.execute("SELECT count(*) FROM files").fetchone()
Path(docs, "more.txt").write_text("Gamma weighs nine kilograms.")
run("index", docs)
run("ask", "What does Alpha cost?")
run("eval", str(Path(docs).parent / "q.jsonl"), "--out", str(home / "runs" / "mine"))
run("export", str(home / "copy.zip"))
run("import", str(home / "copy.zip"), "--collection", "copied")
run("verify")
run("repair")
if page.main(["--indexes", str(config.indexes), "add", "anna"]):
    print("no password was taken")
look("a password")
compose.history(config).begin("anna", "default", Answer("Q?", "A.", False, "m"))
look("a conversation")
uploads.store(uploads.folder(config.indexes, "default"), "a.txt", b"text")
look("an upload")
people.share(config, "default", ["anna"])
look("what is shared")
ended(work.desk(config).start(work.verify(config)))
look("a job")
print(*sorted(seen), sep="\\n", file=sys.stderr)
"""
MADE = (
    *("ledger.sqlite-wal", "ledger.sqlite-shm", "vectors", "words/meta.json", "writer.lock", "progress.json"),
    *("predictions.jsonl", "report.html", "copy.zip", "copied/ledger.sqlite", "people.json", "conversations.sqlite"),
    *(".uploads/default/a.txt", ".jobs/", "/log", "/result"),
)


@pytest.mark.fault(33)
@pytest.mark.parametrize("umask", [0, 0o077])
def test_nobody_else_reads_what_was_made(tmp_path: Path, umask: int) -> None:
    docs, home = tmp_path / "docs", tmp_path / "home"
    docs.mkdir()
    home.mkdir(mode=0o700)
    (docs / "prices.txt").write_text("Alpha costs 20 euros.")
    row = {"id": "1", "question": "What does Alpha cost?", "answers": ["20 euros"], "evidence": []}
    (tmp_path / "q.jsonl").write_text(json.dumps(row) + "\n")
    done = subprocess.run(
        [sys.executable, "-c", FLOWS, str(home), str(docs)],
        env={**os.environ, "HOME": str(home), "TMPDIR": str(home), "RAG_INDEXES": str(home / "indexes")},
        input="correct horse battery\n",
        capture_output=True,
        text=True,
        timeout=300,
        umask=umask,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    missing = [name for name in MADE if name not in done.stderr]
    assert not missing, done.stderr
    assert stat.S_IMODE((home / "indexes").stat().st_mode) == 0o700
