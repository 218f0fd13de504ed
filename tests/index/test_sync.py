"""What a sync makes of a collection, wherever it is held: in files of this machine, or on a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from conftest import Shelf, WordEmbedder, contents

from rag.errors import FingerprintError
from rag.index.seams import Store
from rag.types import Document, Entry, Outcome, Reading, Status

FILES = {
    f"{name}.txt": f"{name} costs {i} euros.\fSecond page of {name}." for i, name in enumerate(["ant", "bee", "cow"])
}


@pytest.fixture
def collection(another: Callable[[str], Store]) -> Store:
    return another("default")


def synced(collection: Store, files: dict[str, str | None], embedder: WordEmbedder, **how: bool):
    return collection.sync(Shelf(files), embedder, **how)


def test_finds_the_page_by_meaning_and_by_word(collection: Store, embedder: WordEmbedder) -> None:
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
def test_second_sync_changes_nothing(collection: Store, embedder: WordEmbedder) -> None:
    synced(collection, FILES, embedder)
    generation = collection.info()["generation"]
    source = Shelf(dict(FILES))
    report = collection.sync(source, embedder)
    assert (report.unchanged, report.embedded, source.read_names) == (3, 0, [])
    assert collection.info()["generation"] == generation
    assert len(embedder.texts) == 6


@pytest.mark.fault(8)
def test_add_change_rename_remove(collection: Store, another: Callable[[str], Store], embedder: WordEmbedder) -> None:
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
    fresh = another("fresh")
    fresh.sync(Shelf(files), WordEmbedder())
    assert contents(collection) == contents(fresh)
    assert not collection.verify()


@pytest.mark.fault(19)
def test_identical_bytes_are_stored_once_under_all_paths(collection: Store, embedder: WordEmbedder) -> None:
    files = {"a/x.txt": "the same words", "b/y.txt": "the same words"}
    report = synced(collection, files, embedder)
    assert (report.added, report.passages, report.embedded) == (2, 1, 1)
    assert {card.name for card in collection.index().cards()} == {"a/x.txt", "b/y.txt"}
    assert collection.index("b").keyword("same words", 5)[0].passage.document == "b/y.txt"
    synced(collection, {"b/y.txt": "the same words"}, embedder, prune=True)
    assert collection.index().keyword("same words", 5)[0].passage.document == "b/y.txt"


@pytest.mark.fault(19)
def test_identical_passages_are_embedded_once(collection: Store, embedder: WordEmbedder) -> None:
    report = synced(collection, {"a.txt": "one text\fone text\fone text"}, embedder)
    assert (report.passages, report.embedded) == (3, 1)
    assert {hit.passage.page for hit in collection.index().keyword("one text", 9)} == {1, 2, 3}


@pytest.mark.fault(9)
@pytest.mark.parametrize("left", [{}, {"ant.txt": FILES["ant.txt"]}])
def test_mass_disappearance_removes_nothing_without_prune(
    collection: Store, embedder: WordEmbedder, left: dict[str, str | None]
) -> None:
    synced(collection, FILES, embedder)
    whole = contents(collection)
    report = synced(collection, left, embedder)
    assert (report.removed, report.withheld, report.exit_code) == (0, 3 - len(left), 3)
    assert contents(collection) == whole
    assert synced(collection, left, embedder, prune=True).removed == 3 - len(left)
    assert {name for name, _ in contents(collection)} == set(left)


@pytest.mark.fault(10)
def test_a_file_that_cannot_be_opened_now_is_not_forgotten(collection: Store, embedder: WordEmbedder) -> None:
    synced(collection, FILES, embedder)
    report = synced(collection, {**FILES, "bee.txt": None}, embedder)
    status = {file.document: file.outcome for file in report.files}["bee.txt"]
    assert (status.status, report.changed, report.removed) == ("unreadable", 0, 0)
    assert "still answers" in status.reason
    assert any(name == "bee.txt" for name, _ in contents(collection))
    again = synced(collection, FILES, embedder)
    assert {file.outcome.status for file in again.files} == {"indexed"}
    assert again.embedded == 0


def test_a_better_reader_gets_another_try(collection: Store, embedder: WordEmbedder) -> None:
    files = {"a.pdf": "scan", "b.txt": "text"}
    assert collection.sync(Shelf(files, reader="1"), embedder).exit_code == 3
    same = Shelf(files, reader="1")
    collection.sync(same, embedder)
    assert same.read_names == []
    better = Shelf(files, reader="2 with OCR")
    collection.sync(better, embedder)
    assert better.read_names == ["a.pdf"]


def test_dry_run_says_what_a_sync_would_do_and_does_nothing(collection: Store, embedder: WordEmbedder) -> None:
    actions, report = collection.plan(Shelf(dict(FILES)))
    assert report.added == 3
    assert {action["action"] for action in actions} == {"add"}
    assert not collection.exists()
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
def test_another_embedder_is_refused_even_at_the_same_dimension(collection: Store, embedder: WordEmbedder) -> None:
    synced(collection, FILES, embedder)
    other = WordEmbedder(model="other words")
    with pytest.raises(FingerprintError, match="Nothing was changed"):
        synced(collection, {**FILES, "new.txt": "new"}, other)
    with pytest.raises(FingerprintError):
        collection.check_fingerprint(other.fingerprint)
    assert other.texts == []


@pytest.mark.fault(24)
def test_a_vector_that_is_no_number_is_refused(collection: Store, embedder: WordEmbedder) -> None:
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
    collection: Store, another: Callable[[str], Store], embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
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
            reader = another("default")
            assert (name, FILES[name].split("\f")[0]) in contents(reader)
            reader.close()

    collection.sync(Shelf(dict(FILES)), embedder, progress=Looks())
    assert told == sorted(FILES)


def test_a_long_lived_reader_sees_what_others_commit(
    collection: Store, another: Callable[[str], Store], embedder: WordEmbedder
) -> None:
    synced(collection, {"ant.txt": "ant hill"}, embedder)
    reader = another("default")
    assert len(contents(reader)) == 1
    synced(collection, {"ant.txt": "ant hill", "bee.txt": "bee hive"}, embedder)
    assert len(contents(reader)) == 2


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
    collection: Store, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch, after: int
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
def test_a_twin_of_a_locked_file_is_read_itself(collection: Store, embedder: WordEmbedder) -> None:
    files: dict[str, str | None] = {"a.txt": "same words", "b.txt": "b"}
    synced(collection, files, embedder)
    report = synced(collection, {"a.txt": None, "b.txt": "b", "e.txt": "same words"}, embedder)
    outcomes = {file.document: file.outcome.status for file in report.files}
    assert outcomes == {"a.txt": "unreadable", "b.txt": "indexed", "e.txt": "indexed"}
    assert report.embedded == 0
    assert not collection.verify()


def test_what_is_excluded_goes_without_asking(collection: Store, embedder: WordEmbedder) -> None:
    synced(collection, FILES, embedder)
    source = Shelf({"ant.txt": FILES["ant.txt"]})
    source.excluded = {"bee.txt", "cow.txt"}
    report = collection.sync(source, embedder)
    assert (report.removed, report.withheld) == (2, 0)


@pytest.mark.fault(10)
def test_what_could_not_be_looked_into_shows_in_the_exit_code(collection: Store, embedder: WordEmbedder) -> None:
    source = Shelf(dict(FILES))
    source.unread = ["locked"]
    assert collection.sync(source, embedder).exit_code == 3


@pytest.mark.fault(8)
def test_removed_documents_leave_no_row_and_no_hit(collection: Store, embedder: WordEmbedder) -> None:
    files = {f"{i}.txt": f"number {i}" for i in range(30)}
    synced(collection, files, embedder)
    kept = {name: text for name, text in files.items() if int(name[:-4]) >= 5}
    synced(collection, kept, embedder)
    assert collection.info()["passages"] == 25
    view = collection.index()
    assert {hit.passage.document for hit in view.keyword("number", 100)} == set(kept)
    assert len(view.dense(embedder.embed_questions(["number 3"])[0], 25)) == 25
    assert not collection.verify()


def test_filter_by_name_folder_and_glob(collection: Store, embedder: WordEmbedder) -> None:
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


def test_files_of_one_name_in_two_folders_are_told_apart(collection: Store, embedder: WordEmbedder) -> None:
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
