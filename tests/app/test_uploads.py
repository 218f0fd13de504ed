"""Files that people hand over: what is refused, and under which names the others are kept, whatever theirs say."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from app import uploads
from app.uploads import Kept, Stored, refusal, safe_name, store
from rag.errors import StorageError
from rag.sources.walk import identify

PDF = b"%PDF-1.7\n1 0 obj"
MOST = 1 << 20

PATHS = [
    "../../x.pdf",
    "../../../../../../etc/passwd",
    "/etc/x",
    "/etc/cron.d/x.txt",
    "..\\x.pdf",
    "..\\..\\windows\\x.pdf",
    "C:\\x",
    "C:x.pdf",
    "\\\\server\\share\\x.pdf",
    "x.pdf\0.exe",
    "\0",
    ".",
    "..",
    "...",
    "/",
    "\\",
    "",
    " ",
    "~/x.pdf",
    "~root",
    "$HOME/x.pdf",
    "%2e%2e%2fx.pdf",
    "..%2fx.pdf",
    "..%c0%afx.pdf",
    "....//x.pdf",
    "..;/x.pdf",
    "file:///etc/passwd",
    "x" * 300 + ".pdf",
    "語" * 200 + ".pdf",
    "x." + "p" * 300,
    "CON",
    "con.txt",
    "LPT1.pdf",
    "-rf.pdf",
    "--help",
    ".hidden.pdf",
    ".waiting",
    "~$lock.docx",
    "a\nb.pdf",
    "\x1b[31mred.pdf",
    "\u202efdp.exe",
    "a\u200bb.pdf",
    "lone\udcff.pdf",
    "<script>alert(1)</script>.pdf",
    "![x](http://127.0.0.1:9/x.png).txt",
    "`id`.pdf",
    "$(id).pdf",
    "a;b|c&d.pdf",
    "x.pdf/",
    "x.pdf/.",
    "dir/../../x.pdf",
    "ledger.sqlite",
    "writer.lock",
]


@pytest.mark.fault(27)
@pytest.mark.parametrize("given", PATHS)
def test_no_name_is_a_path(tmp_path: Path, given: str) -> None:
    into = uploads.folder(tmp_path / "indexes", "default")
    (tmp_path / "indexes").mkdir()
    before = set(tmp_path.rglob("*"))
    stored = store(into, given, b"text")
    new = [path for path in tmp_path.rglob("*") if path not in before and path.is_file()]
    assert new == [into / stored.name]
    assert uploads.names(into) == [stored.name], "it is not hidden"
    assert len(os.fsencode(stored.name)) <= 200
    assert stored.name == identify_name(into / stored.name), "it is shown as it is called"


def identify_name(path: Path) -> str:
    entry = identify(os.fsencode(path), os.fsencode(path.parent))
    assert entry
    return entry.name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("report.pdf", "report.pdf"),
        ("Jahresbericht 2025 (endgültig).PDF", "Jahresbericht 2025 (endgültig).pdf"),
        ("हिन्दी दस्तावेज़.txt", "हिन्दी दस्तावेज़.txt"),
        ("cafe\u0301.txt", "café.txt"),
        ("../../x.pdf", "x.pdf"),
        ("C:\\Users\\me\\x.pdf", "x.pdf"),
        ("x.pdf\0.exe", "x.pdf_.exe"),
        ("con.txt", "_con.txt"),
        ("..", "document"),
        ("a\nb.pdf", "a_b.pdf"),
        ("\u202efdp.exe", "_fdp.exe"),
        ("~$lock.docx", "__lock.docx"),
        (".profile", "profile"),
        ("v1.2 notes", "v1.2 notes"),
    ],
)
def test_names_stay_readable(given: str, name: str) -> None:
    assert safe_name(given) == name
    assert safe_name(name) == name


@pytest.mark.fault(28)
@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.pdf", b"", "It is empty."),
        ("a.pdf", b"<html><body>hi", "It is not a PDF: it begins with '<html><body>'."),
        ("a.pdf", b"PK\x03\x04....", "It is not a PDF: it begins with 'PK"),
        ("a.docx", PDF, ""),  # a PDF whatever it is called
        ("a.docx", b"plain text", "It is not a DOCX: it begins with 'plain text'."),
        ("a.txt", b"\x89PNG\r\n\x1a\n\0\0\0", "It is not text: it begins with '\u00b7PNG"),
        ("a.md", b"\x7fELF\x02\x01\x01\0\0\0", "It is not text"),
        ("a.csv", b"PK\x03\x04abc", "It is not text"),
        ("a.exe", b"MZ\x90\0", "Files ending in .exe are not read. PDF, DOCX"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "DOC files are not read. Save it as DOCX or PDF."),
        ("a", b"\x00\x01\x02", "Not text, and no extension says what it is."),
        ("a.pdf", PDF + b"x" * MOST, "It has 1 MB, and 1 are taken here: index it from a folder instead."),
        ("a.pdf", PDF, ""),
        ("a.pdf", b"\n\n  " + PDF, ""),
        ("a.txt", b"\xef\xbb\xbfgrey heron", ""),
        ("a.txt", "grey heron".encode("utf-16"), ""),
        ("a.txt", "grey heron".encode("utf-16-le"), ""),
        ("a.xlsx", b"PK\x03\x04....", ""),
        ("a.xlsx", b"\xd0\xcf\x11\xe0....", ""),  # encrypted: its reader tells
        ("README", b"text", ""),
    ],
)
def test_what_is_not_what_it_says_is_refused_with_a_reason(name: str, data: bytes, reason: str) -> None:
    said = refusal(name, data, MOST)
    assert said.startswith(reason)
    assert bool(said) == bool(reason)


def test_the_same_is_kept_once_and_another_beside_it(tmp_path: Path) -> None:
    into = uploads.folder(tmp_path, "default")
    assert store(into, "a.txt", b"one") == Stored("a.txt", Kept.NEW)
    assert store(into, "a.txt", b"one") == Stored("a.txt", Kept.SAME)
    assert store(into, "a.txt", b"two") == Stored("a (2).txt", Kept.BESIDE)
    assert store(into, "a.txt", b"two") == Stored("a (2).txt", Kept.SAME)
    assert store(into, "a.txt", b"six", replace=True) == Stored("a.txt", Kept.REPLACED)
    assert store(into, "b.txt", b"six", replace=True) == Stored("b.txt", Kept.NEW)
    assert {path.name: path.read_bytes() for path in into.iterdir()} == {
        "a.txt": b"six",
        "a (2).txt": b"two",
        "b.txt": b"six",
    }
    assert stat.S_IMODE(into.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in into.iterdir()} == {0o600}


@pytest.mark.fault(27)
def test_a_link_is_not_followed(tmp_path: Path) -> None:
    into = uploads.folder(tmp_path, "default")
    into.mkdir(parents=True)
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    (into / "a.txt").symlink_to(mine)
    assert store(into, "a.txt", b"theirs") == Stored("a (2).txt", Kept.BESIDE)
    assert store(into, "a.txt", b"new", replace=True) == Stored("a.txt", Kept.REPLACED)
    uploads.remove(into, "a.txt")
    assert mine.read_text() == "mine"
    other = uploads.folder(tmp_path, "other")
    other.symlink_to(tmp_path)
    with pytest.raises(StorageError, match="Nothing was changed"):
        store(other, "a.txt", b"theirs")
    assert not (tmp_path / "a.txt").exists()


def test_many_at_once_all_stay(tmp_path: Path) -> None:
    into = uploads.folder(tmp_path, "default")
    barrier = threading.Barrier(8)

    def hand_over(number: int) -> None:
        barrier.wait()
        store(into, "a.txt", f"content {number}".encode())

    threads = [threading.Thread(target=hand_over, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {path.read_text() for path in into.iterdir()} == {f"content {number}" for number in range(8)}


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    into = uploads.folder(tmp_path, "default")
    store(into, "a.txt", b"one")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for replace in (False, True):
        with pytest.raises(StorageError, match=r"No space left.*Nothing was changed\. Free space"):
            store(into, "a.txt", b"two", replace)
    assert {path.name: path.read_bytes() for path in into.iterdir()} == {"a.txt": b"one"}


def test_what_waits_is_remembered(tmp_path: Path) -> None:
    into = uploads.folder(tmp_path, "default")
    assert not uploads.waits(into)
    uploads.wait(into)
    uploads.wait(into)
    assert uploads.waits(into)
    assert uploads.names(into) == []
    uploads.settle(into)
    uploads.settle(into)
    assert not uploads.waits(into)


@pytest.mark.fault(27)
def test_removing_stays_in_its_folder(tmp_path: Path) -> None:
    into = uploads.folder(tmp_path, "default")
    store(into, "a.txt", b"one")
    (into.parent / "b.txt").write_text("another's")
    for name in ("../b.txt", str(into.parent / "b.txt"), "missing.txt"):
        uploads.remove(into, name)
    assert (into.parent / "b.txt").exists()
    uploads.remove(into, "a.txt")
    assert uploads.names(into) == []
