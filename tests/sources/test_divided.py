"""Sources that several processes list and read together: each file and each page once, whoever comes upon it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from archives import page_xml, write_dump, write_zim

from rag.errors import UsageError
from rag.sources.divided import Divided, Found, Share
from rag.sources.folder import Folder
from rag.sources.wiki import books, dump
from rag.sources.wiki.archive import Archive
from rag.types import Entry

PAGES = [page_xml(n, f"Page {n}", f"This is page {n}. " + "word " * (n * 37 % 200), 1000 + n) for n in range(1, 60)]


def listed(source: Divided, shares: Sequence[Share]) -> tuple[list[Entry], list[Found]]:
    """By one process for each share."""
    entries, found = [], []
    for share in shares:
        leads = list(source.leads(share))
        entries += source.entries(leads)
        found.append(source.found())
        assert sum(lead.count for lead in leads) >= 0
    return entries, found


def test_a_folder_is_listed_as_it_is_scanned(tmp_path: Path) -> None:
    for name in ("a.txt", "sub/b.txt", "sub/.hidden", "out/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    os.symlink(tmp_path / "a.txt", tmp_path / "link.txt")
    scanned, worker, driver = (Folder(tmp_path, exclude=["out"]) for _ in range(3))
    entries, found = listed(worker, worker.shares(8))
    assert entries == list(scanned.scan())
    assert all(entry.key.startswith(worker.prefix) for entry in entries)
    driver.believe(found)
    assert driver.skipped == scanned.skipped == ["1 hidden file skipped", "1 symbolic link skipped"]
    assert driver.covers(os.fsencode(tmp_path / "gone.txt"))
    assert worker.found() == Found()  # told once


def test_what_one_process_could_not_open_another_does_not_take_for_gone(tmp_path: Path) -> None:
    driver = Folder(tmp_path)
    closed = os.fsencode(tmp_path / "closed")
    driver.believe([Found(unreadable=(closed,)), Found(unreadable=(closed,))])
    assert not driver.covers(closed + b"/a.txt")
    assert driver.unread == ["closed"]


def test_what_vanishes_between_its_listing_and_its_reading_is_left_out(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    folder = Folder(tmp_path)
    leads = list(folder.leads((0, 1)))
    (tmp_path / "a.txt").unlink()
    assert [entry.name for entry in folder.entries(leads)] == ["b.txt"]


@pytest.mark.parametrize("kind", ["multistream", "plain"])
@pytest.mark.parametrize("size", [1, 7, 50, 333, 4000, 1 << 20])
def test_a_dump_is_cut_anywhere_and_no_page_is_listed_twice_or_lost(
    kind: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where pages lie is found for every stretch by itself, so that of stretches of any size all are there once."""
    pytest.importorskip("mwxml")
    path = tmp_path / ("wiki.xml.bz2" if kind == "multistream" else "wiki.xml")
    write_dump(path, PAGES)
    monkeypatch.setattr(dump, "BLOCK", 256)
    whole = [(block["offset"], block["length"]) for block in dump.Dump(path).blocks()]
    end = path.stat().st_size
    stretches = [(start, min(end, start + size)) for start in range(0, end, size)]
    cut = dump.Dump(path)
    parts = [(block["offset"], block["length"]) for stretch in stretches for block in cut.blocks(*stretch)]
    assert sorted(set(parts)) == parts  # none twice
    assert sum(length for _, length in parts) == sum(length for _, length in whole)
    if kind == "multistream":
        assert parts == whole


@pytest.mark.parametrize("name", ["wiki.zim", "wiki.xml.bz2", "wiki.xml"])
def test_an_archive_is_listed_and_read_in_shares(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("libzim" if name.endswith("zim") else "mwxml")
    path = tmp_path / name
    if name.endswith("zim"):
        write_zim(path, [(f"Page {n}", f"<p>This is page {n}.</p>") for n in range(1, 60)], {"Old": "Page_1"})
    else:
        write_dump(path, [*PAGES, page_xml(99, "Old", "#REDIRECT [[Page 1]]", 5, redirect="Page 1")])
    monkeypatch.setattr(books, "SMALLEST_SHARE", 1)
    worker, driver = Archive(path, workers=1), Archive(path, workers=1)
    shares = driver.shares(4)
    assert len(shares) == (1 if name.endswith("zim") else 4)
    entries, found = listed(worker, shares)
    assert sorted(entry.name for entry in entries) == sorted(f"Page {n}" for n in range(1, 60))
    driver.believe(found)
    assert (list(driver.skipped), driver.covers(driver.prefix + b"0#x")) == (["1 redirect passed over"], True)
    one = list(worker.read(entries[7:8]))
    assert one[0].document is not None
    assert one[0].document.text.startswith(f"This is {entries[7].name.lower()}.")
    worker.close()
    driver.believe([*found, Found(whole=False)])
    assert not driver.covers(driver.prefix + b"0#x")  # not all of it was listed


def test_the_first_articles_are_counted_by_one_process(tmp_path: Path) -> None:
    pytest.importorskip("mwxml")
    write_dump(tmp_path / "wiki.xml.bz2", PAGES)
    archive = Archive(tmp_path / "wiki.xml.bz2", limit=9)
    entries, found = listed(archive, archive.shares(4))
    assert len(entries) == 9
    assert not found[-1].whole


def test_a_dump_of_a_single_stream_cannot_be_divided(tmp_path: Path) -> None:
    pytest.importorskip("mwxml")
    write_dump(tmp_path / "wiki.xml.bz2", PAGES, a_stream=0)
    with pytest.raises(UsageError, match=r"single bz2 stream.*bunzip2 -k.*leave --ray out"):
        Archive(tmp_path / "wiki.xml.bz2").shares(4)
