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
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import Shelf, WordEmbedder, contents

from rag.errors import DamagedError, FingerprintError, LockedError, StorageError, UsageError
from rag.index import database
from rag.index.collection import Collection
from rag.index.lock import writing
from rag.types import Document, Entry, Outcome, Reading, Status

FILES = {
    f"{name}.txt": f"{name} costs {i} euros.\fSecond page of {name}." for i, name in enumerate(["ant", "bee", "cow"])
}


def synced(collection: Collection, files: dict[str, str | None], embedder: WordEmbedder, **how: bool):
    return collection.sync(Shelf(files), embedder, **how)


def one_bit_flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :] if content else b"x"


def test_finds_the_page_by_meaning_and_by_word(collection: Collection, embedder: WordEmbedder) -> None:
    report = synced(collection, FILES, embedder)
    assert (report.added, report.passages, report.embedded) == (3, 6, 6)
    view = collection.index()
    for hits in (
        view.dense(embedder.embed_questions(["bee costs 1 euros"])[0], 2),
        view.keyword("what do bees cost", 2),
    ):
        assert (hits[0].passage.document, hits[0].passage.page) == ("bee.txt", 1)
        assert hits[0].passage.text == "bee costs 1 euros."
        assert hits[0].score >= hits[1].score


@pytest.mark.fault(19)
def test_second_sync_changes_nothing(collection: Collection, embedder: WordEmbedder) -> None:
    synced(collection, FILES, embedder)
    generation = collection.info()["generation"]
    source = Shelf(dict(FILES))
    report = collection.sync(source, embedder)
    assert (report.unchanged, report.embedded, source.read_names) == (3, 0, [])
    assert collection.info()["generation"] == generation
    assert len(embedder.texts) == 6


@pytest.mark.fault(8)
def test_add_change_rename_remove(collection: Collection, embedder: WordEmbedder) -> None:
    files = dict(FILES) | {f"f{i}.txt": f"filler {i}" for i in range(8)}
    synced(collection, files, embedder)
    before = len(embedder.texts)
    files["bee.txt"] = "bees are free now"
    files["ox.txt"] = files.pop("cow.txt")
    files["dog.txt"] = "a new dog"
    del files["ant.txt"]
    report = synced(collection, files, embedder)
    assert (report.added, report.changed, report.renamed, report.removed) == (1, 1, 1, 1)
    assert len(embedder.texts) == before + 2  # the changed one and the new one; the renamed one is only followed
    fresh = Collection(collection.home.parent, "fresh")
    fresh.sync(Shelf(files), WordEmbedder())
    assert contents(collection) == contents(fresh)
    assert not collection.verify()


@pytest.mark.fault(19)
def test_identical_bytes_are_stored_once_under_all_paths(collection: Collection, embedder: WordEmbedder) -> None:
    files = {"a/x.txt": "the same words", "b/y.txt": "the same words"}
    report = synced(collection, files, embedder)
    assert (report.added, report.passages, report.embedded) == (2, 1, 1)
    assert {card.name for card in collection.index().cards()} == {"a/x.txt", "b/y.txt"}
    assert collection.index("b").keyword("same words", 5)[0].passage.document == "b/y.txt"
    synced(collection, {"b/y.txt": "the same words"}, embedder, prune=True)
    assert collection.index().keyword("same words", 5)[0].passage.document == "b/y.txt"


@pytest.mark.fault(19)
def test_identical_passages_are_embedded_once(collection: Collection, embedder: WordEmbedder) -> None:
    report = synced(collection, {"a.txt": "one text\fone text\fone text"}, embedder)
    assert (report.passages, report.embedded) == (3, 1)
    assert {hit.passage.page for hit in collection.index().keyword("one text", 9)} == {1, 2, 3}


@pytest.mark.fault(9)
@pytest.mark.parametrize("left", [{}, {"ant.txt": FILES["ant.txt"]}])
def test_mass_disappearance_removes_nothing_without_prune(
    collection: Collection, embedder: WordEmbedder, left: dict[str, str | None]
) -> None:
    synced(collection, FILES, embedder)
    whole = contents(collection)
    report = synced(collection, left, embedder)
    assert (report.removed, report.withheld, report.exit_code) == (0, 3 - len(left), 3)
    assert contents(collection) == whole
    assert synced(collection, left, embedder, prune=True).removed == 3 - len(left)
    assert {name for name, _ in contents(collection)} == set(left)


@pytest.mark.fault(10, 19)
def test_a_file_that_cannot_be_opened_now_is_not_forgotten(collection: Collection, embedder: WordEmbedder) -> None:
    synced(collection, FILES, embedder)
    report = synced(collection, {**FILES, "bee.txt": None}, embedder)
    status = {file.document: file.outcome for file in report.files}["bee.txt"]
    assert (status.status, report.changed, report.removed) == ("unreadable", 0, 0)
    assert "still answers" in status.reason
    assert any(name == "bee.txt" for name, _ in contents(collection))
    again = synced(collection, FILES, embedder)
    assert {file.outcome.status for file in again.files} == {"indexed"}
    assert again.embedded == 0


def test_a_better_reader_gets_another_try(collection: Collection, embedder: WordEmbedder) -> None:
    files = {"a.pdf": "scan", "b.txt": "text"}
    assert collection.sync(Shelf(files, reader="1"), embedder).exit_code == 3
    same = Shelf(files, reader="1")
    collection.sync(same, embedder)
    assert same.read_names == []
    better = Shelf(files, reader="2 with OCR")
    collection.sync(better, embedder)
    assert better.read_names == ["a.pdf"]


def test_dry_run_says_what_a_sync_would_do_and_does_nothing(collection: Collection, embedder: WordEmbedder) -> None:
    actions, report = collection.plan(Shelf(dict(FILES)))
    assert report.added == 3
    assert {action["action"] for action in actions} == {"add"}
    assert not collection.home.exists()
    synced(collection, FILES, embedder)
    files = {**FILES, "bee.txt": "changed", "ox.txt": FILES["cow.txt"]}
    del files["cow.txt"]
    actions, report = collection.plan(Shelf(files))
    assert sorted((a["action"], a["document"]) for a in actions) == [
        ("change", "bee.txt"),
        ("rename", "cow.txt → ox.txt"),
    ]
    real = synced(collection, files, embedder)
    assert (real.changed, real.renamed) == (report.changed, report.renamed) == (1, 1)


@pytest.mark.fault(7)
def test_another_embedder_is_refused_even_at_the_same_dimension(collection: Collection, embedder: WordEmbedder) -> None:
    synced(collection, FILES, embedder)
    other = WordEmbedder(model="other words")
    with pytest.raises(FingerprintError, match="Nothing was changed"):
        synced(collection, {**FILES, "new.txt": "new"}, other)
    with pytest.raises(FingerprintError):
        collection.check_fingerprint(other.fingerprint)
    assert other.texts == []


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
    for damage, reason in ((b"not a database at all" * 100, "not a database"), (b"", "it holds no ledger")):
        ledger.write_bytes(damage)
        for use in (collection.index, collection.repair, lambda: synced(collection, FILES, embedder)):
            with pytest.raises(DamagedError, match=rf"{reason}.*documents are untouched"):
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


@pytest.mark.fault(24)
def test_a_vector_that_is_no_number_is_refused(collection: Collection, embedder: WordEmbedder) -> None:
    class Broken(WordEmbedder):
        def embed_passages(self, texts: Sequence[str]) -> np.ndarray:
            return super().embed_passages(texts) * np.array([np.nan if "bee" in text else 1 for text in texts])[:, None]

    synced(collection, {"ant.txt": "ant hill"}, embedder)
    with pytest.raises(ValueError, match="finite"):
        synced(collection, {"ant.txt": "ant hill", "bee.txt": "bee hive"}, Broken())
    assert contents(collection) == {("ant.txt", "ant hill")}
    assert collection.verify() == []
    synced(collection, {"ant.txt": "ant hill", "bee.txt": "bee hive"}, embedder)
    assert len(contents(collection)) == 2


@pytest.mark.fault(1)
def test_what_is_said_to_be_done_is_there_already(
    collection: Collection, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.index.sync.FIRST_WINDOW", 1)
    synced(collection, {"ant.txt": "an old ant"}, embedder)
    told: list[str] = []

    class Looks:
        """Looks into the collection, as anybody could, whenever it is told of a document."""

        def plan(self, total: int, files: int) -> None: ...

        def reading(self, name: str) -> None: ...

        def documents(self, done: int, total: int, name: str) -> None:
            told.append(name)
            reader = Collection(collection.home.parent, "default")
            assert (name, FILES[name].split("\f")[0]) in contents(reader)
            reader.close()

    collection.sync(Shelf(dict(FILES)), embedder, progress=Looks())
    assert told == sorted(FILES)


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


def test_a_long_lived_reader_sees_what_others_commit(collection: Collection, embedder: WordEmbedder) -> None:
    synced(collection, {"ant.txt": "ant hill"}, embedder)
    reader = Collection(collection.home.parent, "default")
    assert len(contents(reader)) == 1
    synced(collection, {"ant.txt": "ant hill", "bee.txt": "bee hive"}, embedder)
    assert len(contents(reader)) == 2


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


class Interrupted(Shelf):
    """A source whose reading is stopped by Ctrl-C after so many readings."""

    def __init__(self, files: dict[str, str | None], after: int) -> None:
        super().__init__(files)
        self._after = after

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]:
        for number, reading in enumerate(super().read(entries)):
            if number == self._after:
                raise KeyboardInterrupt
            yield reading


@pytest.mark.fault(1)
@pytest.mark.parametrize("after", [0, 1, 2])
def test_an_interrupted_sync_is_finished_by_the_next(
    collection: Collection, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setattr("rag.index.sync.FIRST_WINDOW", 1)  # every document is acknowledged by itself
    files: dict[str, str | None] = {"report.txt": "the old report", "a.txt": "a", "b.txt": "b"}
    synced(collection, files, embedder)
    files["report-old.txt"] = files["report.txt"]  # kept under another name, and replaced
    files |= {"report.txt": "the new report", "a.txt": "new a", "c.txt": "new c", "d.txt": "new a"}
    with pytest.raises(KeyboardInterrupt):
        collection.sync(Interrupted(dict(files), after), embedder)
    assert not collection.verify()
    report = synced(collection, files, embedder)
    assert {name for name, _ in contents(collection)} >= {"report.txt", "report-old.txt", "a.txt", "c.txt"}
    assert {file.outcome.status for file in report.files} == {"indexed"}
    assert len({file.document for file in report.files}) == 6
    assert ("report-old.txt", "the old report") in contents(collection)
    assert not collection.verify()
    assert len(embedder.texts) == len(set(embedder.texts))  # nothing was embedded twice, interrupted or not


@pytest.mark.fault(19)
def test_a_twin_of_a_locked_file_is_read_itself(collection: Collection, embedder: WordEmbedder) -> None:
    files: dict[str, str | None] = {"a.txt": "same words", "b.txt": "b"}
    synced(collection, files, embedder)
    report = synced(collection, {"a.txt": None, "b.txt": "b", "e.txt": "same words"}, embedder)
    outcomes = {file.document: file.outcome.status for file in report.files}
    assert outcomes == {"a.txt": "unreadable", "b.txt": "indexed", "e.txt": "indexed"}
    assert report.embedded == 0
    assert not collection.verify()


def test_what_is_excluded_goes_without_asking(collection: Collection, embedder: WordEmbedder) -> None:
    synced(collection, FILES, embedder)
    source = Shelf({"ant.txt": FILES["ant.txt"]})
    source.excluded = {"bee.txt", "cow.txt"}
    report = collection.sync(source, embedder)
    assert (report.removed, report.withheld) == (2, 0)


@pytest.mark.fault(10)
def test_what_could_not_be_looked_into_shows_in_the_exit_code(collection: Collection, embedder: WordEmbedder) -> None:
    source = Shelf(dict(FILES))
    source.unread = ["locked"]
    assert collection.sync(source, embedder).exit_code == 3


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


@pytest.mark.fault(8)
def test_removed_documents_leave_no_row_and_no_hit(collection: Collection, embedder: WordEmbedder) -> None:
    files = {f"{i}.txt": f"number {i}" for i in range(30)}
    synced(collection, files, embedder)
    kept = {name: text for name, text in files.items() if int(name[:-4]) >= 5}
    synced(collection, kept, embedder)
    assert collection.info()["passages"] == 25
    view = collection.index()
    assert {hit.passage.document for hit in view.keyword("number", 100)} == set(kept)
    assert len(view.dense(embedder.embed_questions(["number 3"])[0], 25)) == 25
    assert not collection.verify()


def test_filter_by_name_folder_and_glob(collection: Collection, embedder: WordEmbedder) -> None:
    synced(collection, {"2023/a.pdf": "alpha a", "2024/b.pdf": "alpha b", "2024/c.txt": "alpha c"}, embedder)

    def found(pattern: str) -> set[str]:
        view = collection.index(pattern)
        dense = {hit.passage.document for hit in view.dense(embedder.embed_questions(["alpha"])[0], 9)}
        assert dense == {hit.passage.document for hit in view.keyword("alpha", 9)}
        return dense

    assert found("2024") == found("2024/") == {"2024/b.pdf", "2024/c.txt"}
    assert found("*.pdf") == {"2023/a.pdf", "2024/b.pdf"}
    assert found("b.pdf") == {"2024/b.pdf"}
    assert found("nothing*") == set()


def test_files_are_private_to_their_owner(collection: Collection, embedder: WordEmbedder) -> None:
    synced(collection, FILES, embedder)
    for path in [collection.home, *collection.home.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_remove_deletes_the_collection(collection: Collection, embedder: WordEmbedder) -> None:
    synced(collection, FILES, embedder)
    collection.remove()
    assert list(collection.home.parent.iterdir()) == []


def test_files_of_one_name_in_two_folders_are_told_apart(collection: Collection, embedder: WordEmbedder) -> None:
    for year in ("2024", "2025"):
        collection.sync(Named(year), embedder)
    index = collection.index()
    hits = index.keyword("owls", 5)
    assert sorted(hit.passage.document for hit in hits) == ["2024/report.txt", "2025/report.txt"]
    assert all(hit.passage.document.partition("/")[0] in hit.passage.text for hit in hits)
    assert [card.name for card in collection.index("2025").cards()] == ["2025/report.txt"]


class Named:
    """A folder with one report, of its own year."""

    reader = "plain"
    skipped: Sequence[str] = ()
    unread: Sequence[str] = ()

    def __init__(self, year: str) -> None:
        self._text = f"The owls of {year}."
        self._entry = Entry(f"/docs/{year}/report.txt".encode(), "report.txt", f"file:///{year}", year)

    def scan(self) -> Iterator[Entry]:
        yield self._entry

    def covers(self, key: bytes) -> bool:
        return key == self._entry.key

    def excludes(self, key: bytes) -> bool:
        return False

    def read(self, entries: Sequence[Entry]) -> Iterator[Reading]:
        document = Document("report.txt", self._entry.uri, "Report", self._text)
        yield from (Reading(entry, Outcome(Status.INDEXED), document) for entry in entries)
