"""What is peculiar to a collection on a server: its address, its errors, being killed between two calls."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from conftest import DIMENSION, Shelf, WordEmbedder, contents
from milvus_server import free_port, on_server

from rag.cli import main
from rag.errors import LockedError, NetworkError, RagError, UsageError
from rag.index.milvus import lease, rows, schema
from rag.index.milvus.address import address, name_in
from rag.index.milvus.collection import MilvusCollection
from rag.index.milvus.queries import ALL
from rag.index.milvus.server import STRONG, Server
from rag.types import Document


@pytest.fixture
def on_milvus(milvus: str, tmp_path: Path) -> Iterator[Callable[[str], MilvusCollection]]:
    yield from on_server(milvus, tmp_path / "indexes")  # type: ignore[misc]


# ---------------------------------------------------------------------------------------------- the address


def test_an_address_names_a_server_and_a_collection() -> None:
    full = address("milvuss://example.org:443/annual-reports", "", {"RAG_MILVUS_TOKEN": "anna:secret"})
    assert (full.host, full.port, full.name, full.encrypted) == ("example.org", 443, "annual-reports", True)
    assert "secret" not in f"{full} {full!r}"
    short = address("milvus://localhost", "papers", {})
    assert (short.port, short.name, short.encrypted) == (19530, "papers", False)
    assert name_in("milvus://localhost/papers") == "papers"


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("milvus://anna:secret@localhost/papers", "must hold no user"),
        ("milvus://token@localhost", "must hold no user"),
        ("http://localhost:19530/papers", "is no address of a store"),
        ("milvus://localhost:port/papers", "is no address of a store"),
        ("milvus:///papers", "is no address of a store"),
        ("milvus://localhost/a/b", "is no name for a collection"),
        ("milvus://localhost/papers?token=secret", "is no address of a store"),
    ],
)
def test_what_is_no_address_is_refused_and_no_secret_is_repeated(uri: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refusal:
        address(uri, "default", {})
    assert "anna" not in str(refusal.value)


def test_certificates_are_for_an_encrypted_connection() -> None:
    with pytest.raises(UsageError, match="milvuss://"):
        address("milvus://localhost/a", "", {"RAG_MILVUS_CA": "/ca.pem"})
    with pytest.raises(UsageError, match="belong together"):
        address("milvuss://localhost/a", "", {"RAG_MILVUS_CERT": "/me.pem"})


@pytest.mark.parametrize("name", ["papers", "annual-reports", "v1.2_a", "a_5f_passages", "größe"])
def test_names_are_spelt_as_milvus_wants_them_and_read_back(name: str) -> None:
    spelt = schema.table(name, "settings")
    assert spelt.isascii()
    assert spelt.replace("_", "").isalnum()
    assert schema.name_of(spelt) == name
    assert schema.name_of("somebody_elses") is None


@pytest.mark.parametrize(
    ("version", "half", "words"),
    [
        ("milvus_lite-3.2.2", False, True),
        ("v2.3.5-lite", False, False),
        ("v2.4.9", True, False),
        ("2.6.1", True, True),
        ("v3.0.0", True, True),
    ],
)
def test_what_a_server_offers_is_told_by_its_version(version: str, half: bool, words: bool) -> None:
    assert schema.offered(version) == (half, words)


def test_a_text_too_long_for_its_field_comes_back_whole() -> None:
    long = "".join(chr(0x4E00 + i % 5000) for i in range(100_000))
    assert len(rows.fitted(long).encode()) <= schema.TEXT * 8
    assert rows.whole(rows.fitted(long)) == long
    assert rows.whole(rows.fitted("\x01 as it is")) == "\x01 as it is"


# ----------------------------------------------------------------------------------------------- its errors


def test_a_server_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    away = MilvusCollection(address(f"milvus://127.0.0.1:{free_port()}/a", "", {}), tmp_path)
    for use in (away.index, away.verify, lambda: away.sync(Shelf({"a.txt": "a"}), WordEmbedder())):
        with pytest.raises(NetworkError, match=r"does not answer .* is safe"):
            use()


def test_a_server_that_does_not_encrypt_is_said_so(milvus: str, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="do not agree on an encrypted connection"):
        MilvusCollection(address(milvus.replace("milvus:", "milvuss:") + "/a", "", {}), tmp_path).index()


@contextmanager
def refusing(code: grpc.StatusCode, details: str) -> Iterator[str]:
    """A server that answers whatever is asked with an error."""

    class Refuses(grpc.GenericRpcHandler):
        def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            def refuse(request: bytes, context: grpc.ServicerContext) -> bytes:
                context.abort(code, details)
                return b""

            return grpc.unary_unary_rpc_method_handler(refuse)

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Refuses()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"milvus://127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def test_a_refused_login_says_where_a_token_belongs_and_repeats_none(tmp_path: Path) -> None:
    with refusing(grpc.StatusCode.UNAUTHENTICATED, "auth check failure, please check username") as uri:
        where = address(f"{uri}/a", "", {"RAG_MILVUS_TOKEN": "anna:secret"})
        with pytest.raises(UsageError, match="RAG_MILVUS_TOKEN") as refusal:
            MilvusCollection(where, tmp_path).index()
    assert "secret" not in str(refusal.value)


def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    where = address("milvuss://127.0.0.1:1/a", "", {"RAG_MILVUS_CA": str(tmp_path / "no.pem")})
    with pytest.raises(UsageError, match=r"no\.pem cannot be read"):
        MilvusCollection(where, tmp_path).index()


# ------------------------------------------------------------------------------------------ being stopped


class Killed(BaseException):
    """As if by kill -9: nothing that would tidy up gets to the server any more."""


class Dying:
    """Lets so many changes through to the server, and then nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left: int | None = None
        real = Server.call

        def call(server: Server, method: str, *arguments: Any, **named: Any) -> Any:
            if self.left is not None and self.left <= 0:
                raise Killed
            answer = real(server, method, *arguments, **named)
            if self.left is not None and method in {"upsert", "delete"}:
                self.left -= 1
            return answer

        monkeypatch.setattr(Server, "call", call)


OLD: dict[str, str | None] = {
    "same.txt": "stays the same",
    "changed.txt": "the old words\fon two pages\fon three",
    "moved.txt": "moves to another name",
    "gone.txt": "goes away",
    "twin.txt": "twice the same",
    "first.txt": "what the first held",
    "second.txt": "what the second held",
}
NEW: dict[str, str | None] = {
    "same.txt": "stays the same",
    "changed.txt": "other words",
    "elsewhere.txt": "moves to another name",
    "twin.txt": "twice the same",
    "another twin.txt": "twice the same",
    "first.txt": "what the second held",
    "second.txt": "what the first held",
    "new.txt": "a new one\fof two pages",
}


def texts(files: dict[str, str | None]) -> set[tuple[str, str]]:
    return {(name, page) for name, text in files.items() for page in (text or "").split("\f")}


def found(collection: MilvusCollection) -> set[tuple[str, str]]:
    """Every page under every name that it has."""
    ones = np.ones(DIMENSION, np.float32)
    names = {card.name for card in collection.index().cards()}
    return {(h.passage.document, h.passage.text) for name in names for h in collection.index(name).dense(ones, 100)}


def table_rows(collection: MilvusCollection) -> dict[str, int]:
    server = Server(collection.address)
    tables = {kind: schema.table(collection.name, kind) for kind in ("passages", "documents", "files")}
    counts = {kind: server.count(table, ALL, STRONG) for kind, table in tables.items()}
    server.close()
    return counts


@pytest.mark.fault(1)
@pytest.mark.rounds(5, 1)
def test_a_sync_killed_between_any_two_changes_is_finished_by_the_next(
    on_milvus: Callable[[str], MilvusCollection], monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    """`rounds` is the step from one kill to the next."""
    monkeypatch.setattr("rag.index.sync.FIRST_WINDOW", 2)  # several windows
    dying, embedder = Dying(monkeypatch), WordEmbedder()
    on_milvus("killed").sync(Shelf(dict(OLD)), embedder)
    before = table_rows(on_milvus("killed"))
    kills, states = 0, (OLD, NEW)
    while True:
        old, new = states
        dying.left = 1 + kills * rounds
        try:
            on_milvus("killed").sync(Shelf(dict(new)), embedder, prune=True)
            break
        except Killed:
            kills += 1
        dying.left = None
        reader = on_milvus("killed")
        for name in old.keys() & new.keys():
            there = {text for document, text in found(reader) if document == name}
            assert there in (
                {page for _, page in texts({name: old[name]})},
                {page for _, page in texts({name: new[name]})},
            )
        done = on_milvus("killed").sync(Shelf(dict(new)), embedder, prune=True)
        assert done.passages == len({text for _, text in texts(new)})
        assert found(reader) == texts(new)
        assert reader.verify() == []
        if new is OLD:
            assert table_rows(reader) == before
        states = (new, old)
    assert kills > 20 / rounds


@pytest.mark.fault(1)
def test_a_beginning_that_was_killed_is_begun_again(
    on_milvus: Callable[[str], MilvusCollection], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = ["create_collection", "create_index", "load_collection", "upsert"]
    real = Server.call
    for method in made:

        def call(server: Server, asked: str, *arguments: Any, method: str = method, **named: Any) -> Any:
            if asked == method and "settings" in arguments[0]:
                raise Killed
            return real(server, asked, *arguments, **named)

        with monkeypatch.context() as patch:
            patch.setattr(Server, "call", call)
            with pytest.raises(Killed):
                on_milvus("begun").sync(Shelf({"a.txt": "a"}), WordEmbedder())
        assert not on_milvus("begun").exists()
    assert on_milvus("begun").sync(Shelf({"a.txt": "a"}), WordEmbedder()).added == 1
    assert found(on_milvus("begun")) == {("a.txt", "a")}


# ----------------------------------------------------------------------------------------- several writers


@pytest.mark.fault(4)
def test_a_writer_on_another_machine_is_named_until_its_lease_ends(
    on_milvus: Callable[[str], MilvusCollection], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = on_milvus("shared")
    there = MilvusCollection(here.address, tmp_path / "another machine")
    embedder = WordEmbedder()
    here.sync(Shelf({"a.txt": "a"}), embedder)
    with here.writing(embedder.fingerprint):
        monkeypatch.setattr(lease, "_machine", lambda: "anna")
        with pytest.raises(LockedError, match=f"pid .* on {socket.gethostname()}, since"):
            there.sync(Shelf({"b.txt": "b"}), embedder)
        assert f"on {socket.gethostname()}" in there.info()["writer"]
        monkeypatch.setattr(lease, "_machine", socket.gethostname)
    monkeypatch.setattr(lease, "_machine", lambda: "anna")
    assert there.sync(Shelf({"b.txt": "b"}), embedder).added == 1
    there.close()


@pytest.mark.fault(4)
def test_who_has_lost_the_lease_stops(
    on_milvus: Callable[[str], MilvusCollection], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, embedder = on_milvus("lost"), WordEmbedder()
    here.sync(Shelf({"a.txt": "a"}), embedder)
    monkeypatch.setattr(lease, "AGAIN", 0)
    with here.writing(embedder.fingerprint) as (ledger, _):
        held = {"mark": "another", "machine": "anna", "pid": 1, "since": 0, "until": 2e10}
        ledger.put_setting(lease.LEASE, json.dumps(held))
        with pytest.raises(LockedError, match="on anna"), ledger.transaction():
            ledger.drop_file(b"shelf/a.txt")
    assert contents(on_milvus("lost")) == {("a.txt", "a")}


# ------------------------------------------------------------------------------------------- what is found


def test_the_same_reading_is_the_same_document_and_another_one_is_another() -> None:
    document = Document("a.txt", "file:a", "A", "text")
    again = Document("b.txt", "file:b", "A", "text")
    assert rows.document_id("1", document) == rows.document_id("1", again)
    assert rows.document_id("1", document) != rows.document_id("2", document)
    assert rows.document_id("1", document) != rows.document_id("1", Document("a.txt", "file:a", "A", "text."))


def test_what_no_file_holds_is_not_found_and_more_is_looked_for(
    on_milvus: Callable[[str], MilvusCollection], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, embedder = on_milvus("hidden"), WordEmbedder()
    kept.sync(Shelf({f"{i}.txt": f"owl number {i}" for i in range(6)}), embedder)
    server = Server(kept.address)
    held = server.query(schema.table(kept.name, "files"), ALL, ["id"], STRONG)
    server.delete(schema.table(kept.name, "files"), [row["id"] for row in held][:4])
    view = on_milvus("hidden").index()
    assert len(view.dense(embedder.embed_questions(["owl"])[0], 2)) == 2
    assert len(view.keyword("owl", 2)) == 2
    server.close()


def test_a_passage_too_long_for_its_field_is_read_from_its_document(
    on_milvus: Callable[[str], MilvusCollection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "TEXT", 300)
    long = " ".join(f"word{i}" for i in range(100))
    collection = on_milvus("long")
    collection.sync(Shelf({"long.txt": long}), WordEmbedder(max_tokens=200))
    assert {text for _, text in contents(collection)} == {long}
    assert collection.verify() == []


# --------------------------------------------------------------------------------------- the command line


def test_the_same_commands_work_over_a_server(
    milvus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "owls.txt").write_text("Owls hunt at night. They see well in the dark.")
    (docs / "bees.txt").write_text("Bees make honey in summer.")
    monkeypatch.chdir(tmp_path)
    store = f"{milvus}/commands"

    def rag(*arguments: str) -> tuple[int, str]:
        code = main([*arguments, "--store", store])
        told = capsys.readouterr()
        return code, told.out + told.err

    assert rag("index", str(docs))[0] == 0
    assert "2 unchanged" in rag("index", str(docs))[1]
    code, told = rag("search", "When do owls hunt?", "--json")
    assert json.loads(told)["hits"][0]["document"] == "owls.txt"
    assert "Owls hunt at night" in rag("ask", "When do owls hunt?")[1]
    assert json.loads(rag("info", "--json")[1])["documents"] == 2
    assert rag("verify") == (0, "Collection 'commands' is whole.\n")
    for command in (["export", "file.zip"], ["import", "file.zip"], ["reembed"], ["repair"]):
        code, told = rag(*command)
        assert (code, "Nothing was" in told) == (2, True), told
    assert rag("remove", "--yes")[0] == 0
    code, told = rag("info")
    assert (code, "No collection 'commands'" in told) == (2, True)
    assert list(tmp_path.glob("indexes/*.sqlite")) == []


def test_without_pymilvus_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pymilvus", None)
    with pytest.raises(RagError, match=r"beluga-rag\[scale\]"):
        MilvusCollection(address("milvus://127.0.0.1/a", "", {}), tmp_path).index()
