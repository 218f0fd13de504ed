"""One phase of one peer, in an environment of its own: build, query or resync. The result is the last line, as JSON."""

from __future__ import annotations

import importlib
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path


def main() -> None:
    job = json.loads(sys.argv[1])
    began = time.perf_counter()
    module = importlib.import_module(f"peer_{job['peer']}")
    peer = module.Peer(Path(job["model"]), Path(job["store"]), job["tuned"])
    folder = Path(job["folder"])
    result: dict = {"versions": {name: version(name) for name in module.VERSIONS}}
    if job["phase"] == "build":
        peer.build(folder)
    elif job["phase"] == "resync":
        peer.resync(folder, folder / job["changed"])
    else:
        peer.open()
        peer.query("warm up", 1)
        result["open_seconds"] = time.perf_counter() - began
        result["answers"] = [_asked(peer, question, job["depth"]) for question in job["questions"]]
    print("\n" + json.dumps(result))


def _asked(peer: object, question: str, depth: int) -> dict:
    began = time.perf_counter()
    found = peer.query(question, depth)  # type: ignore[attr-defined]
    return {"seconds": time.perf_counter() - began, "pages": found}


if __name__ == "__main__":
    main()
