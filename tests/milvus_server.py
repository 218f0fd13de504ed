"""Milvus for tests: a server of this machine alone, and collections on it that are gone afterwards."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from rag.index.collection import Collection
from rag.index.milvus.address import address
from rag.index.milvus.collection import MilvusCollection
from rag.index.milvus.server import Server
from rag.index.seams import Store

MISSING = importlib.util.find_spec("milvus_lite") is None or importlib.util.find_spec("pymilvus") is None
_PROGRAM = "import sys; from milvus_lite.cmdline import main; sys.argv[0] = 'milvus-lite'; sys.exit(main())"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def milvus_lite(folder: Path) -> Iterator[str]:
    """The URI of a server that keeps its data in a folder."""
    port = free_port()
    where = ["server", "--data-dir", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, "-u", "-c", _PROGRAM, *where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            assert "listening" in server.stdout.readline()
            yield f"milvus://127.0.0.1:{port}"
        finally:
            server.terminate()
            if server.wait(30) is None:
                server.kill()


def in_folder(folder: Path) -> Iterator[Callable[[str], Store]]:
    """What opens collections in files, by name, and closes them in the end."""
    made: list[Store] = []

    def another(name: str) -> Store:
        made.append(Collection(folder, name))
        return made[-1]

    yield another
    for collection in made:
        collection.close()


def on_server(uri: str, folder: Path) -> Iterator[Callable[[str], Store]]:
    """What opens collections on a server, by name, and removes them in the end: nobody else's have these names."""
    made: list[MilvusCollection] = []
    mark = uuid4().hex[:8]

    def another(name: str) -> Store:
        made.append(MilvusCollection(address(f"{uri}/{name}-{mark}", "", {}), folder))
        return made[-1]

    yield another
    for collection in made:
        collection.close()
    server = Server(address(uri, "any", {}))
    for table in server.call("list_collections"):
        if table.partition("_2d")[2].startswith(mark):
            server.call("drop_collection", table)
    server.close()
