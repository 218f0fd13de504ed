"""Programs that jobs run in tests, in place of `rag.jobs.child` as it is, and how to wait for their end."""

from __future__ import annotations

import fcntl
from pathlib import Path

from rag.jobs.job import LOCK, Job

ROOT = Path(__file__).resolve().parents[1]
HERE = f"import sys; sys.path[:0] = {[str(ROOT), str(ROOT / 'tests')]!r}\n"

# A command that says something, waits until somebody opens the pipe that it is given, and comes to a result.
WAITS = (
    HERE
    + """
import json
from rag import cli
from rag.jobs import child
def main(arguments):
    print('log line', file=sys.stderr, flush=True)
    with open(arguments[1]) as pipe:
        said = pipe.read()
    print(json.dumps({'said': said, 'arguments': list(arguments)}))
    return int(arguments[2])
cli.main = main
sys.exit(child.main(sys.argv[1:]))
"""
)

# A command that goes on until it is told to stop.
SLEEPS = (
    HERE
    + """
import signal
from rag import cli
from rag.jobs import child
cli.main = lambda arguments: signal.pause()
sys.exit(child.main(sys.argv[1:]))
"""
)

# The real commands, with the embedder of words.
WORDS = (
    HERE
    + """
from conftest import WordEmbedder
from rag import compose
from rag.jobs import child
compose.embedder = lambda _: WordEmbedder()
sys.exit(child.main(sys.argv[1:]))
"""
)


def ended(job: Job) -> Job:
    """Blocks until the job's process is gone, whosever child it is."""
    with (job.folder / LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
    return job
