"""`rag index --ray` told wrongly: what it says, before anything is begun."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from rag.cli import main
from rag.cluster import address
from rag.cluster.address import checked, joined
from rag.errors import NetworkError, UsageError

STORE = ("--store", "milvus://127.0.0.1:1/documents")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text("words")
    return "documents"


@pytest.mark.parametrize("given", ["127.0.0.1:6379", "head.example.org:6379", "[::1]:6379", "auto", "local"])
def test_addresses_are_rays(given: str) -> None:
    assert checked(given) == given


@pytest.mark.parametrize("given", ["", "head", "head:", ":6379", "head:port", "head:70000", "http://head:6379/"])
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match=r"--ray \(or RAG_RAY\) is .*it takes HOST:PORT"):
        checked(given)


def test_rays_client_is_refused() -> None:
    with pytest.raises(UsageError, match=r"ray://head:10001 is for Ray's client.*on a machine of the cluster"):
        checked("ray://head:10001")


def test_a_cluster_that_does_not_answer() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(NetworkError, match=rf"No Ray cluster answers at {where}.*ray start --head"), joined(where):
            pass


def test_without_ray_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    for name in (*address._ENVIRONMENT, "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"):
        monkeypatch.setenv(name, "")
    with pytest.raises(UsageError, match=r"Ray is missing.*pip install 'beluga-rag\[scale\]'"), joined("local"):
        pass


def test_many_machines_cannot_write_one_file(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", folder, "--ray", "127.0.0.1:6379"]) == 2
    said = capsys.readouterr().err
    assert "Many machines cannot write one SQLite file: give --store milvus://HOST:19530/NAME" in said
    assert not Path("indexes").exists()


def test_the_corpus_of_a_question_set_is_no_work_for_many(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(folder, "corpus.jsonl")
    path.write_text('{"_id": "1", "title": "t", "text": "words"}\n')
    assert main(["index", str(path), "--ray", "127.0.0.1:6379", *STORE]) == 2
    assert "leave --ray (RAG_RAY) out" in capsys.readouterr().err


def test_a_dry_run_asks_no_cluster(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody listens at its address, and it would say so."""
    assert main(["index", folder, "--ray", "127.0.0.1:1", "--dry-run"]) == 0
    assert "Would be: 1 new" in capsys.readouterr().out
