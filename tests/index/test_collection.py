"""A collection through the seam that users have: sync a source, search, verify."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from conftest import Shelf, WordEmbedder, contents

from rag.errors import DamagedError, LockedError, StorageError, UsageError
from rag.index import database
from rag.index.collection import Collection
from rag.index.lock import writing

FILES = {
    f"{name}.txt": f"{name} costs {i} euros.\fSecond page of {name}." for i, name in enumerate(["ant", "bee", "cow"])
}


def synced(collection: Collection, files: dict[str, str | None], embedder: WordEmbedder, **how: bool):
    return collection.sync(Shelf(files), embedder, **how)


def one_bit_flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :] if content else b"x"


@pytest.mark.fault(4)
def test_one_writer_at_a_time_and_readers_go_on(collection: Collection, embedder: WordEmbedder) -> None:
    synced(collection, FILES, embedder)
    holder = (
        "import sys; from pathlib import Path; from rag.index.lock import writing\n"
        "with writing(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", holder, str(collection.home / "writer.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"pid {other.pid}"):
            synced(collection, FILES, embedder)
        assert len(contents(collection)) == 6
        assert collection.info()["writer"].startswith(f"pid {other.pid}, since ")
        other.kill()
    assert collection.info()["writer"] == ""
    with writing(collection.home / "writer.lock"):  # a lock dies with its process
        assert collection.info()["writer"].startswith(f"pid {os.getpid()}, since ")
    assert collection.info()["writer"] == ""


@pytest.mark.fault(24)
def test_unknown_collection_names_those_there_are(
    collection: Collection, embedder: WordEmbedder, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="none yet"):
        collection.index()
    synced(collection, FILES, embedder)
    with pytest.raises(UsageError, match="There are: default"):
        Collection(tmp_path / "indexes", "other").index()
    for name in ("", "..", "a/b", ".hidden", "a" * 65):
        with pytest.raises(UsageError):
            Collection(tmp_path, name)


@pytest.mark.fault(5)
def test_a_damaged_index_is_detected_searched_around_and_repaired(
    collection: Collection, embedder: WordEmbedder
) -> None:
    synced(collection, FILES, embedder)
    whole = contents(collection)
    files = [path for path in collection.home.glob("generation-*/**/*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        good = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(one_bit_flipped(good))
        hurt = Collection(collection.home.parent, "default")
        assert contents(hurt) == whole
        assert hurt.index().keyword("bee", 1)[0].passage.document == "bee.txt"
        assert "damaged" in hurt.notes[0]
        assert any(path.name in problem for problem in hurt.verify())
        hurt.close()
        path.write_bytes(good)
    files[0].unlink()
    assert collection.verify()
    assert any("rebuilt" in line for line in collection.repair())
    assert not collection.verify()
    assert not collection.repair()


@pytest.mark.fault(6)
def test_a_damaged_ledger_is_said_so_and_left_alone(collection: Collection, embedder: WordEmbedder) -> None:
    synced(collection, FILES, embedder)
    collection.close()
    ledger = collection.home / "ledger.sqlite"
    for damage in (b"not a database at all" * 100, b""):
        ledger.write_bytes(damage)
        for use in (collection.index, collection.repair, lambda: synced(collection, FILES, embedder)):
            with pytest.raises(DamagedError, match=r"documents are untouched|Nothing was changed"):
                use()
        assert ledger.read_bytes() == damage


@pytest.mark.fault(6)
@pytest.mark.parametrize("page", range(2, 14))
def test_a_page_of_the_ledger_overwritten_is_found_and_nothing_is_written(
    collection: Collection, embedder: WordEmbedder, page: int
) -> None:
    """Each page by itself: whatever lies on it."""
    synced(collection, {f"{n}.txt": f"words of file {n} " * 20 for n in range(9)}, embedder)
    collection.close()
    ledger = collection.home / "ledger.sqlite"
    content = bytearray(ledger.read_bytes())
    content[4096 * (page - 1) : 4096 * page] = bytes(range(256)) * 16
    ledger.write_bytes(content)
    hurt = Collection(collection.home.parent, "default")
    problems = []
    with suppress(DamagedError):  # where not even its schema can be read
        problems = hurt.verify()
        assert problems
    with pytest.raises(DamagedError, match="documents are untouched"):
        hurt.repair()
    hurt.close()
    assert ledger.read_bytes() == content
    assert hurt.remove() is None, "it can be begun again"


@pytest.mark.fault(6)
def test_a_ledger_of_a_newer_program_is_left_alone(collection: Collection, embedder: WordEmbedder) -> None:
    synced(collection, FILES, embedder)
    collection.close()
    ledger = collection.home / "ledger.sqlite"
    with sqlite3.connect(ledger) as db:
        db.execute(f"PRAGMA user_version={database.SCHEMA_VERSION + 1}")
    db.close()
    before = ledger.read_bytes()
    for use in (collection.index, collection.verify, collection.repair, lambda: synced(collection, FILES, embedder)):
        with pytest.raises(DamagedError, match=r"has schema \d.*Nothing was changed; use the version"):
            use()
    assert ledger.read_bytes() == before


@pytest.mark.fault(3)
def test_a_ledger_that_the_disk_has_no_room_for_is_not_begun(tmp_path: Path) -> None:
    """Files may grow to so many bytes and no further, whatever that cuts off."""
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    refusals: list[str] = []
    left: list[Path] = []
    try:
        for pages in range(40):
            home = tmp_path / f"{pages}"
            home.mkdir()
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096 * pages + 100, before[1]))
            try:
                database.create(home / "ledger.sqlite", {"fingerprint": "{}"})
            except StorageError as error:
                refusals.append(str(error))
                left += home.iterdir()
                continue
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            with closing(database.connect(home / "ledger.sqlite", "rw")) as db:
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                assert db.execute("SELECT key FROM settings").fetchall() == [("fingerprint",)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert 10 < len(refusals) < 40
    assert all("MB are free there" in refusal for refusal in refusals)
    assert left == []


@pytest.mark.fault(3)
def test_a_ledger_that_somebody_looks_at_while_it_is_made_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then SQLite leaves a write-ahead log as it is, as on a disk that is full: it would stay behind with the draft."""
    lookers: list[sqlite3.Connection] = []

    @contextmanager
    def looked_at(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        yield db
        lookers.append(sqlite3.connect(tmp_path / "ledger.new"))
        lookers[0].execute("SELECT count(*) FROM sqlite_master").fetchone()
        db.close()

    monkeypatch.setattr(database, "closing", looked_at)
    database.create(tmp_path / "ledger.sqlite", {"fingerprint": "{}"})
    shutil.copyfile(tmp_path / "ledger.sqlite", tmp_path / "alone.sqlite")
    lookers[0].close()
    with closing(database.connect(tmp_path / "alone.sqlite", "ro")) as db:
        assert db.execute("SELECT key FROM settings").fetchall() == [("fingerprint",)]


@pytest.mark.fault(2, 3)
def test_an_index_that_the_disk_has_no_room_for_leaves_the_old_one(
    collection: Collection, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def generations() -> list[str]:
        return sorted(path.name for path in collection.home.iterdir() if "generation" in path.name)

    synced(collection, {"ant.txt": "ant hill"}, embedder)
    with monkeypatch.context() as patched:
        patched.setattr("rag.index.words.WordIndex.update", full)
        with pytest.raises(StorageError, match=r"No space left.*MB are free there.*safe in the ledger.*Free space"):
            synced(collection, {"ant.txt": "ant hill", "bee.txt": "bee hive"}, embedder)
    assert generations() == ["generation-1"]
    assert len(contents(Collection(collection.home.parent, "default"))) == 2
    synced(collection, {"ant.txt": "ant hill", "bee.txt": "bee hive"}, embedder)
    assert generations() == ["generation-2"]
    assert len(embedder.texts) == 2
    assert not collection.verify()


@pytest.mark.fault(2)
def test_what_was_committed_is_searched_before_it_is_published(
    collection: Collection, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced(collection, {"ant.txt": "ant hill"}, embedder)
    monkeypatch.setattr("rag.index.publishing.publish", lambda *_, **__: False)  # as if killed just before
    synced(collection, {"ant.txt": "ant hill", "bee.txt": "bee hive"}, embedder)
    killed = Collection(collection.home.parent, "default")
    assert contents(killed) == {("ant.txt", "ant hill"), ("bee.txt", "bee hive")}
    assert killed.index().keyword("hive", 1)[0].passage.document == "bee.txt"


@pytest.mark.fault(4)
def test_readers_see_the_old_state_or_the_new_while_a_writer_works(
    collection: Collection, embedder: WordEmbedder
) -> None:
    def files(round_: int) -> dict[str, str | None]:
        return {f"{name}.txt": f"{name} in round {round_}" for name in ("ant", "bee", "cow")}

    synced(collection, files(0), embedder)
    done = threading.Event()

    def write() -> None:
        for round_ in range(1, 10):
            Collection(collection.home.parent, "default").sync(Shelf(files(round_)), WordEmbedder())
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    looks = 0
    while not done.is_set():
        reader = Collection(collection.home.parent, "default")
        assert {name for name, _ in contents(reader)} == set(files(0))
        assert {hit.passage.document for hit in reader.index().keyword("round", 9)} == set(files(0))
        assert not reader.verify()
        assert not reader.notes
        reader.close()
        looks += 1
    writer.join()
    assert looks > 1
    assert contents(Collection(collection.home.parent, "default")) == {(k, str(v)) for k, v in files(9).items()}


@pytest.mark.fault(6)
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE passages SET vector = x'00' WHERE id = 1",
        "UPDATE documents SET text = x'00' WHERE id = 1",
        "DELETE FROM settings",
        "UPDATE files SET status = 'nonsense'",
        "UPDATE passages SET text = 'other' WHERE id = 1",
        "UPDATE files SET pages_without_text = '['",
        "UPDATE passages SET page = 7 WHERE id = 2",
        "UPDATE passages SET place = 'p. 7' WHERE id = 2",
        "UPDATE passages SET heading = 'Another' WHERE id = 2",
        "UPDATE documents SET title = 'Another' WHERE id = 2",
    ],
)
def test_nonsense_in_the_ledger_is_found(collection: Collection, embedder: WordEmbedder, damage: str) -> None:
    synced(collection, FILES, embedder)
    collection.close()
    with sqlite3.connect(collection.home / "ledger.sqlite") as db:
        db.execute(damage)
    db.close()
    assert Collection(collection.home.parent, "default").verify()
    with pytest.raises(DamagedError, match="documents are untouched"):
        Collection(collection.home.parent, "default").repair()
    Collection(collection.home.parent, "default").remove()
    assert not collection.home.exists()


@pytest.mark.fault(32)
def test_a_read_only_copy_with_a_log_is_read_whole(
    collection: Collection, embedder: WordEmbedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced(collection, {"ant.txt": "ant hill"}, embedder)
    reader = Collection(collection.home.parent, "default")
    contents(reader)  # keeps the log from being merged when the writer closes
    synced(collection, {"ant.txt": "ant hill", "bee.txt": "bee hive"}, embedder)
    copy = tmp_path / "copies" / "default"
    shutil.copytree(collection.home, copy)
    (copy / "ledger.sqlite-shm").unlink()
    assert (copy / "ledger.sqlite-wal").stat().st_size
    real = database.connect

    def on_a_read_only_disk(path: Path, mode: str) -> sqlite3.Connection:
        if path.parent == copy and mode == "ro":
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise error
        return real(path, mode)

    monkeypatch.setattr(database, "connect", on_a_read_only_disk)
    assert len(contents(Collection(copy.parent, "default"))) == 2


def test_files_are_private_to_their_owner(collection: Collection, embedder: WordEmbedder) -> None:
    synced(collection, FILES, embedder)
    for path in [collection.home, *collection.home.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_remove_deletes_the_collection(collection: Collection, embedder: WordEmbedder) -> None:
    synced(collection, FILES, embedder)
    collection.remove()
    assert list(collection.home.parent.iterdir()) == []
