"""A sync by a real cluster: a head and two nodes on this machine, into a real Milvus. One of the nodes is killed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import WordEmbedder, contents
from jobs import ServerJob
from milvus_server import MISSING, milvus_lite
from nodes import Nodes, cluster

from rag.cluster import run
from rag.cluster.address import joined
from rag.cluster.pipeline import Pipeline
from rag.cluster.sight import Sight
from rag.errors import UsageError
from rag.index.collection import Collection
from rag.sources.folder import Folder
from rag.types import SyncReport

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed (the `scale` extra)"),
    pytest.mark.skipif(MISSING, reason="milvus-lite is not installed"),
]


@pytest.fixture(scope="module")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with milvus_lite(tmp_path_factory.mktemp("milvus") / "data") as uri:
        yield uri


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # as its nodes are started: nothing goes into anybody's home
        with cluster() as made:
            yield made


class Kills:
    """A progress that kills a node as soon as so many files are done."""

    def __init__(self, nodes: Nodes, after: int) -> None:
        self._nodes = nodes
        self._left = after

    def plan(self, total: int, files: int) -> None:
        pass

    def reading(self, name: str) -> None:
        pass

    def documents(self, done: int, total: int, name: str) -> None:
        self._left -= 1
        if self._left == 0:
            self._nodes.kill(0)


def documents(folder: Path, count: int) -> Path:
    """Every tenth is a copy of another one, so that two machines come by the same content."""
    for n in range(count):
        place = folder / f"part{n % 7}"
        place.mkdir(parents=True, exist_ok=True)
        number = n - 5 if n % 10 == 9 else n
        (place / f"file{n}.txt").write_text(f"This is file number{number}.\fIts second page costs {number} euros.")
    (folder / "noise.bin").write_bytes(b"\0\1")
    return folder


def synced(job: ServerJob, nodes: Nodes, progress: Kills | None = None, prune: bool = False) -> SyncReport:
    how = {"shares": 4, "collection": "default", "progress": progress, "prune": prune}
    with joined(nodes.address) as there, job.collection().writing(WordEmbedder().fingerprint) as (ledger, _):
        return run.sync(job, ledger, WordEmbedder(), Pipeline(there), alive=ledger.renew, settle=ledger.settle, **how)  # type: ignore[arg-type]


def same_as_from_nothing(job: ServerJob, indexes: Path) -> None:
    """What is in the store is what one machine makes of the folder: nothing is missing, nothing there twice."""
    found, fresh = job.collection(), Collection(indexes, "fresh")
    fresh.sync(Folder(job.folder), WordEmbedder())
    assert contents(found) == contents(fresh)  # type: ignore[arg-type]
    for count in ("files", "documents", "passages", "statuses"):
        assert found.info()[count] == fresh.info()[count], count
    assert found.verify() == []
    found.close()
    fresh.close()


def job_of(folder: Path, store: Path, uri: str, name: str) -> ServerJob:
    return ServerJob(folder, store, Sight.of(folder), (), f"{uri}/{name}")


@pytest.mark.torture
def test_rag_index_by_a_cluster_that_is_made_for_it(tmp_path: Path, milvus: str) -> None:
    """As a user does it: the result and no other word, nothing left in anybody's home, and nothing to do twice."""
    folder, home = documents(tmp_path / "documents", 70), tmp_path / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    store = ("--store", f"{milvus}/local", "--indexes", str(tmp_path / "indexes"), "--json")
    command = [sys.executable, "-m", "rag.cli", "index", str(folder), *store]
    first = subprocess.run([*command, "--ray", "local"], env=environment, capture_output=True, text=True)
    assert first.returncode == 3, first.stderr  # a file that nobody reads
    told = json.loads(first.stdout)
    assert (told["added"], told["passages"], first.stderr) == (71, 63, "")
    assert [file["document"] for file in told["files"]] == ["noise.bin"]
    assert not list(home.rglob("*token*"))
    again = subprocess.run(command, env=environment, capture_output=True, text=True)  # by one machine
    assert json.loads(again.stdout)["unchanged"] == 71


@pytest.mark.torture
def test_a_node_killed_in_the_middle_loses_nothing_and_doubles_nothing(
    tmp_path: Path, nodes: Nodes, milvus: str
) -> None:
    """First errors, since the cluster is whole only once; then the whole of it."""
    folder = documents(tmp_path / "documents", 400)
    job = job_of(folder, tmp_path / "stores", milvus, "killed")
    away = replace(job, sight=replace(job.sight, path=tmp_path / "elsewhere"))
    with pytest.raises(UsageError, match=r"does not see .*elsewhere"):
        synced(away, nodes, prune=True)
    report = synced(job, nodes, Kills(nodes, 1))
    assert (report.added, report.removed, report.withheld) == (401, 0, 0)
    assert [file.document for file in report.files] == ["noise.bin"]
    same_as_from_nothing(job, tmp_path / "indexes")
    os.remove(folder / "part0" / "file0.txt")
    (folder / "part1" / "file1.txt").write_text("changed by now")
    (folder / "part2" / "file2.txt").rename(folder / "moved.txt")
    again = synced(job, nodes)  # by the node that is left
    assert (again.added, again.changed, again.renamed, again.removed) == (0, 1, 1, 1)
    assert (again.unchanged, again.embedded) == (398, 1)
