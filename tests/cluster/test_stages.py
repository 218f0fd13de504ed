"""A sync by many machines without the machines: the stages, done once, twice, or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "sources"))

from archives import page_xml, write_dump
from conftest import WordEmbedder, contents
from jobs import ArchiveJob, FolderJob, one_by_one, twice

from rag.cluster import run, stages
from rag.cluster.run import Pipeline
from rag.cluster.sight import Sight
from rag.cluster.stages import Job, Receipt, parcels
from rag.errors import NetworkError, UsageError
from rag.index.collection import LEDGER, Collection
from rag.index.ledger import Ledger
from rag.sources.divided import Share
from rag.sources.folder import Folder
from rag.sources.wiki.archive import Archive
from rag.types import SyncReport


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    made.mkdir()
    return made


@pytest.fixture(autouse=True)
def small_parcels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "COUNT", 3)


def write(folder: Path, files: dict[str, str]) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


class Machines:
    """A collection that is synced by them, and one beside it that is synced as ever."""

    def __init__(self, folder: Path, indexes: Path) -> None:
        self.folder = folder
        self.theirs, self.ours = Collection(indexes, "theirs"), Collection(indexes, "ours")

    def sync(self, pipeline: Pipeline = one_by_one, prune: bool = False, **how: Any) -> SyncReport:
        path = self.theirs.home / LEDGER
        self.theirs.home.mkdir(parents=True, exist_ok=True)
        job = FolderJob(self.folder, path, Sight.of(self.folder), how.get("exclude", ()))
        job = replace(job, sight=how.get("sight", job.sight))
        with closing(Ledger.open(path) if path.exists() else Ledger.create(path, WordEmbedder().fingerprint)) as ledger:
            report = run.sync(job, ledger, WordEmbedder(), pipeline, shares=2, collection="theirs", prune=prune)
        self.theirs.repair()
        return report

    def both(self, pipeline: Pipeline = one_by_one, prune: bool = False, exclude: tuple[str, ...] = ()) -> SyncReport:
        """Both find, store and report the same."""
        found = self.sync(pipeline, prune, exclude=exclude)
        report = self.ours.sync(Folder(self.folder, exclude=exclude), WordEmbedder(), prune=prune)
        assert contents(self.theirs) == contents(self.ours)
        assert not self.theirs.verify()
        for name in ("added", "changed", "renamed", "removed", "unchanged", "withheld", "passages", "unread"):
            assert getattr(found, name) == getattr(report, name), name
        assert [file for file in report.files if file.outcome.status != "indexed"] == list(found.files)
        return found


@pytest.fixture
def machines(folder: Path, tmp_path: Path) -> Iterator[Machines]:
    made = Machines(folder, tmp_path / "indexes")
    yield made
    made.theirs.close()
    made.ours.close()


MANY = {f"part{n % 3}/file{n}.txt": f"This is file number{n}." for n in range(10)}


@pytest.mark.parametrize("pipeline", [one_by_one, twice])
def test_all_that_can_happen_to_files_happens_as_on_one_machine(
    folder: Path, machines: Machines, pipeline: Pipeline
) -> None:
    files = dict(MANY)
    write(folder, files)
    machines.both(pipeline)
    files["new.txt"] = "a new one"
    files["part0/file0.txt"] = "changed by now"
    files["moved/there.txt"] = files.pop("part1/file1.txt")
    del files["part2/file2.txt"]
    files["copy.txt"] = files["part0/file3.txt"]
    files["twin1.txt"] = files["twin2.txt"] = "both the same"
    files["noise.bin"] = "\x00\x01"
    write(folder, files)
    report = machines.both(pipeline)
    assert (report.added, report.changed, report.renamed, report.removed) == (5, 1, 1, 1)
    again = machines.both(pipeline)
    assert (again.unchanged, again.embedded) == (len(files), 0)


def test_what_changes_places_is_found_at_its_new_one(folder: Path, machines: Machines) -> None:
    write(folder, MANY)
    machines.both()
    one, other = "part0/file0.txt", "part1/file1.txt"
    write(folder, {**MANY, one: MANY[other], other: MANY[one], "third.txt": MANY[one]})
    machines.both()


@pytest.mark.parametrize("pipeline", [one_by_one, twice])
def test_a_folder_that_moved_is_followed_and_nothing_is_embedded(
    folder: Path, machines: Machines, pipeline: Pipeline
) -> None:
    write(folder, MANY)
    machines.both(pipeline)
    write(folder, {f"elsewhere/{name}": text for name, text in MANY.items()})
    report = machines.both(pipeline)
    assert (report.renamed, report.added, report.removed, report.withheld, report.embedded) == (10, 0, 0, 0, 0)


def test_caution_prune_and_exclude(folder: Path, machines: Machines) -> None:
    write(folder, MANY)
    machines.both()
    left = {name: text for name, text in MANY.items() if name.startswith("part0")}
    write(folder, left)
    assert machines.both().withheld == 6
    assert machines.both(exclude=("part0/file0*",)).removed == 1  # meant, while the others are missed
    assert machines.both(prune=True).removed == 6


# ----------------------------------------------------------------------------------- what must not get lost


def test_a_lost_parcel_is_found_by_another_pass(folder: Path, machines: Machines) -> None:
    write(folder, MANY)
    passes: list[int] = []

    def forgetful(job: Job, shares: Sequence[Share]) -> Iterator[Receipt]:
        """The first time, a parcel comes to nothing and nobody notices."""
        passes.append(1)
        for parcel in parcels(job, job.source(), shares[0]):
            if parcel.number == 1 and len(passes) == 1:
                continue
            store, embedder = job.holdings(), job.embedder("cpu")
            yield stages.record(store, embedder, stages.prepare(job, job.source(), store, embedder, parcel))

    assert machines.both(forgetful).added == 10
    assert len(passes) == 2


@pytest.mark.parametrize("lost", [0, 1, 3])
def test_nothing_is_removed_while_a_parcel_is_missing(folder: Path, machines: Machines, lost: int) -> None:
    write(folder, MANY)
    machines.both()
    before = contents(machines.theirs)

    def losing(job: Job, shares: Sequence[Share]) -> Iterator[Receipt]:
        return (receipt for receipt in one_by_one(job, shares) if receipt.number != lost)

    with pytest.raises(NetworkError, match=r"lost work 3 times.*nothing was removed"):
        machines.sync(losing, prune=True)
    assert contents(machines.theirs) == before


def test_what_two_machines_have_read_at_the_same_time_is_one_document(
    folder: Path, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them found that nobody had it yet, and does not see what the other one writes."""
    write(folder, {**MANY, "a/twin.txt": "both the same", "z/twin.txt": "both the same"})

    def at_once(job: Job, shares: Sequence[Share]) -> Iterator[Receipt]:
        store, embedder = job.holdings(), job.embedder("cpu")
        listed = list(parcels(job, job.source(), shares[0]))
        read = [stages.prepare(job, job.source(), store, embedder, parcel) for parcel in listed]
        with monkeypatch.context() as blind:
            blind.setattr(Ledger, "document_of", lambda self, version: None)
            yield from [stages.record(store, embedder, prepared) for prepared in reversed(read)]

    machines.both(at_once)
    assert machines.theirs.info()["documents"] == machines.ours.info()["documents"] == 11


def test_what_is_still_there_is_not_taken_for_gone(folder: Path, machines: Machines) -> None:
    """Whoever listed the folder has missed a part of it, and does not know."""
    write(folder, MANY)
    machines.both()

    def blind(job: Job, shares: Sequence[Share]) -> Iterator[Receipt]:
        for receipt in one_by_one(job, shares):
            yield replace(receipt, keys=tuple(key for key in receipt.keys if b"part1" not in key))

    report = machines.sync(blind, prune=True)
    assert (report.removed, report.withheld) == (0, 0)
    assert "3 files that came or went meanwhile are left to the next sync" in report.notes
    assert len(contents(machines.theirs)) == 10


def elsewhere(folder: Path, empty: Path) -> Sight:
    """What the driver has seen, at a place where another machine sees another folder."""
    return replace(Sight.of(folder), path=empty)


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "another folder"])
def test_a_machine_without_the_mount_says_so_and_removes_nothing(
    folder: Path, machines: Machines, tmp_path: Path, there: str
) -> None:
    write(folder, MANY)
    machines.both()
    mount = tmp_path / "mount"
    if there != "nothing":
        mount.mkdir()
    if there == "another folder":
        (mount / "system.log").write_text("of that machine")
    with pytest.raises(
        UsageError, match=r"machine \S+ does not see .*mount as \S+ does: .*Nothing was taken for removed"
    ):
        machines.sync(prune=True, sight=elsewhere(folder, mount))
    assert len(contents(machines.theirs)) == 10


def test_a_mount_that_is_lost_meanwhile_is_noticed(
    folder: Path, machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder lists as far as it goes, and then is empty: so much is lost that no listing may be believed."""
    write(folder, MANY)
    machines.both()
    away = tmp_path / "away"
    whole = Folder.leads

    def unmounted(self: Folder, share: Share) -> Iterator[Any]:
        for number, lead in enumerate(whole(self, share)):
            if number == 4:
                folder.rename(away)
                folder.mkdir()
            yield lead

    monkeypatch.setattr(Folder, "leads", unmounted)
    with pytest.raises(UsageError, match="does not see"):
        machines.sync(prune=True)
    assert len(contents(machines.theirs)) == 10


def test_a_file_is_recognised_by_its_size(tmp_path: Path) -> None:
    (tmp_path / "a.zim").write_bytes(b"1234")
    sight = Sight.of(tmp_path / "a.zim")
    sight.require()
    (tmp_path / "a.zim").write_bytes(b"12345")
    with pytest.raises(UsageError, match="another file there"):
        sight.require()


@pytest.mark.parametrize("pipeline", [one_by_one, twice])
def test_a_newer_archive_replaces_the_older_as_on_one_machine(tmp_path: Path, pipeline: Pipeline) -> None:
    pytest.importorskip("mwxml")
    pages = [page_xml(n, f"Page {n}", f"This is page {n}.", 100 + n) for n in range(1, 21)]
    redirect = page_xml(99, "Old", "#REDIRECT [[Page 1]]", 99, redirect="Page 1")
    path, home = tmp_path / "wiki.xml.bz2", tmp_path / "indexes" / "theirs"
    home.mkdir(parents=True)
    ledger = Ledger.create(home / LEDGER, WordEmbedder().fingerprint)
    ours = Collection(tmp_path / "indexes", "ours")
    for held in (pages, [page_xml(1, "Page 1", "Changed by now.", 999), *pages[2:]]):
        write_dump(path, [*held, redirect])
        job = ArchiveJob(path, home / LEDGER, Sight.of(path))
        found = run.sync(job, ledger, WordEmbedder(), pipeline, shares=3, collection="theirs")
        report = ours.sync(Archive(path), WordEmbedder())
        for name in ("added", "changed", "removed", "unchanged", "withheld", "passages", "notes"):
            assert getattr(found, name) == getattr(report, name), name
    assert (found.changed, found.removed, found.unchanged) == (1, 1, 18)
    ledger.close()
    theirs = Collection(tmp_path / "indexes", "theirs")
    theirs.repair()
    assert contents(theirs) == contents(ours)
    theirs.close()
    ours.close()


# ------------------------------------------------------------------------------------------------- parcels


def sizes(job: FolderJob) -> list[int]:
    return [len(parcel.leads) for parcel in parcels(job, job.source(), (0, 1))]


def test_parcels_are_bounded_by_files_and_by_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, {f"{n}.txt": "x" * (100 if n < 4 else 10) for n in range(10)})
    job = FolderJob(folder, folder, Sight.of(folder))
    assert sizes(job) == [3, 3, 3, 1]
    monkeypatch.setattr(stages, "SIZE", 100)
    assert sizes(job) == [1, 1, 1, 1, 3, 3, 0]  # the last one says that there is no more


@pytest.mark.fault(13)
def test_a_long_document_weighs_little_more_than_its_text(folder: Path, figure: Callable[[str], None]) -> None:
    """It is one row, so that it is acknowledged whole: passages are places in the text, and no text of their own."""
    from ray import cloudpickle

    text = "\n\n".join(
        f"Paragraph {n} of a long report says what {n * 7} things cost in all. " * 5 for n in range(20_000)
    )
    write(folder, {"long.txt": text})
    job = FolderJob(folder, folder.parent / "ledger", Sight.of(folder))
    with closing(Ledger.create(job.store, WordEmbedder().fingerprint)) as ledger:
        (parcel,) = parcels(job, job.source(), (0, 1))
        prepared = stages.prepare(job, job.source(), ledger, job.embedder("cpu"), parcel)
    weight, cut = len(cloudpickle.dumps(prepared)), sum(len(cuts) for cuts in prepared.cuts)
    figure(f"a document of {len(text):,} characters and {cut:,} passages crosses in {weight:,} bytes")
    assert cut > 10_000
    assert weight < 2 * len(text)


def test_names_stay_where_they_are(folder: Path, machines: Machines) -> None:
    """Names need not be UTF-8, nor be fit to be shown."""
    write(folder, MANY)
    (Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9\n.txt"))).write_text("bytes are bytes")
    machines.both()
