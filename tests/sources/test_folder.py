from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import docx
import pytest
from conftest import WordEmbedder
from pdf_writer import picture, show, write_pdf

from rag.errors import UsageError
from rag.index.collection import Collection
from rag.sources.folder import Folder
from rag.sources.isolate import Limits
from rag.types import Entry, Mark, Outcome, Reading, Status


def _names(folder: Folder) -> list[str]:
    return [entry.name for entry in folder.scan()]


def _read(folder: Folder) -> dict[str, Reading]:
    return {reading.entry.name: reading for reading in folder.read(list(folder.scan()))}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.txt", "a/z.md", "a/b/deep.txt", "c.csv", ".hidden.txt", ".git/config", "~$lock.docx"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"the words of {name}")
    return tmp_path


# ---------------------------------------------------------------------------------------------------- scan


def test_files_come_in_a_steady_order_with_their_identity(tree: Path) -> None:
    folder = Folder(tree)
    entries = list(folder.scan())
    assert [entry.name for entry in entries] == ["b.txt", "c.csv", "a/z.md", "a/b/deep.txt"]
    first = entries[0]
    assert first.key == os.fsencode(tree / "b.txt")
    assert first.uri == (tree / "b.txt").as_uri()
    assert first.size == len("the words of b.txt")
    assert first.version == "sha256:" + subprocess.check_output(["sha256sum", tree / "b.txt"], text=True).split()[0]
    assert folder.skipped == ["1 hidden file skipped", "1 hidden folder skipped", "1 lock file skipped"]
    assert entries == list(folder.scan())


def test_globs_choose(tree: Path) -> None:
    assert _names(Folder(tree, include=["*.txt"])) == ["b.txt", "a/b/deep.txt"]
    assert _names(Folder(tree, exclude=["a"])) == ["b.txt", "c.csv"]
    assert _names(Folder(tree, include=["a/**"], exclude=["*.MD"])) == ["a/b/deep.txt"]


def test_a_scope_keeps_names_relative_to_the_root(tree: Path) -> None:
    assert _names(Folder(tree, scope=tree / "a")) == ["a/z.md", "a/b/deep.txt"]
    assert _names(Folder(tree, scope=tree / "a/z.md")) == ["a/z.md"]
    assert _names(Folder(tree / "b.txt")) == ["b.txt"]
    with pytest.raises(UsageError, match="does not lie in"):
        Folder(tree / "a", scope=tree)


@pytest.mark.parametrize("name", ["missing", "pipe"])
def test_a_root_that_cannot_be_read_is_said(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match=name):
        list(Folder(tmp_path / name).scan())


@pytest.mark.fault(10, 11)
def test_links_and_special_files_are_passed_over(tree: Path) -> None:
    (tree / "loop").symlink_to(tree)
    (tree / "self").symlink_to("self")
    (tree / "out.txt").symlink_to("/etc/passwd")
    os.mkfifo(tree / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tree / "socket.txt"))
        folder = Folder(tree)
        assert _names(folder) == ["b.txt", "c.csv", "a/z.md", "a/b/deep.txt"]
    assert folder.skipped[-2:] == ["2 special files skipped", "3 symbolic links skipped"]


@pytest.mark.fault(11)
def test_a_link_that_is_named_is_followed(tree: Path) -> None:
    beside = tree / "beside"
    beside.mkdir()
    (beside / "folder").symlink_to(tree / "a")
    (beside / "file.txt").symlink_to(tree / "b.txt")
    (beside / "broken").symlink_to("nowhere")
    folder = Folder(beside / "folder")
    assert (folder.root, _names(folder)) == (tree / "a", ["z.md", "b/deep.txt"])
    assert list(folder.scan()) == list(Folder(tree / "a").scan()), "a file has one path"
    assert _names(Folder(tree, scope=beside / "folder")) == ["a/z.md", "a/b/deep.txt"]
    (reading,) = _read(Folder(beside, scope=beside / "file.txt")).values()  # as `rag index file.txt` has it
    assert (reading.entry.key, reading.entry.name) == (os.fsencode(tree / "b.txt"), "b.txt")
    assert reading.outcome == Outcome(Status.INDEXED)
    with pytest.raises(UsageError, match="No such file"):
        list(Folder(beside / "broken").scan())


def test_a_folder_that_holds_a_collection_is_not_entered(tree: Path) -> None:
    inside = tree / "indexes/default/generations/index.txt"
    inside.parent.mkdir(parents=True)
    inside.write_text("not a document")
    (tree / "indexes/default/ledger.sqlite").touch()
    folder = Folder(tree)
    assert "indexes/default/ledger.sqlite" in _names(folder), "one of the two names is anybody's"
    (tree / "indexes/default/writer.lock").touch()
    assert _names(folder) == ["b.txt", "c.csv", "a/z.md", "a/b/deep.txt"]
    assert "1 index folder skipped" in folder.skipped
    assert folder.covers(os.fsencode(inside)), "what was indexed there goes"
    assert folder.excludes(os.fsencode(inside)), "and on purpose"
    assert not folder.excludes(os.fsencode(tree / "indexes/other.txt"))
    with pytest.raises(UsageError, match="holds an index"):
        list(Folder(tree / "indexes/default").scan())


@pytest.mark.fault(18)
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"caf\xe9_\xff.txt", "caf\ufffd_\ufffd.txt"),
        (b"a\nb.txt", "a\ufffdb.txt"),
        (b"\x1b[31mred.txt", "\ufffd[31mred.txt"),
        ("\u202etxt.exe.txt".encode(), "\ufffdtxt.exe.txt"),
        (b"<script>alert(1)<%2f.txt", "<script>alert(1)<%2f.txt"),
        ("naïve 100% 日本.txt".encode(), "naïve 100% 日本.txt"),
        (b"x" * 251 + b".txt", "x" * 251 + ".txt"),
    ],
)
def test_any_file_name_is_read_and_shown_safely(tmp_path: Path, name: bytes, shown: str) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    with open(path, "w") as file:
        file.write("findable words")
    (reading,) = _read(Folder(tmp_path)).values()
    assert reading.entry.key == path
    assert reading.entry.name == shown
    assert reading.document is not None
    assert reading.document.text == "findable words"
    shown.encode()  # no surrogates
    assert "\n" not in reading.entry.uri
    assert reading.entry.uri.isascii()
    assert reading.document.uri == reading.entry.uri


@pytest.mark.fault(10)
def test_what_may_not_be_opened_is_told(tree: Path) -> None:
    """In a process of another user, since nothing is forbidden to root."""
    (tree / "b.txt").chmod(0)
    (tree / "a/b").chmod(0)
    os.chmod(tree, 0o755)
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom rag.sources.folder import Folder\n"
        f"folder = Folder(Path({str(tree)!r}))\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)  # after the imports: they may lie in root's home\n"
        "entries = list(folder.scan())\n"
        "assert [e.name for e in entries] == ['b.txt', 'c.csv', 'a/z.md'], entries\n"
        "assert entries[0].version == '' and entries[0].problem.status == 'unreadable', entries[0]\n"
        "assert entries[0].problem.reason == 'No permission to read it', entries[0]\n"
        "assert [os.path.basename(d) for d in folder.unreadable_dirs] == [b'b'], folder.unreadable_dirs\n"
        f"root = {os.fsencode(tree)!r}\n"
        "assert not folder.covers(root + b'/a/b/deep.txt') and folder.covers(root + b'/gone.txt')\n"
        "assert folder.skipped[-1].endswith('the folder cannot be opened'), folder.skipped\n"
        "assert folder.unread == ['a/b'], folder.unread\n"
        "[reading] = folder.read(entries[:1])\nassert reading.outcome == entries[0].problem\n"
        "from rag.errors import UsageError\n"
        f"locked = Folder(Path({str(tree)!r}), scope=Path({str(tree / 'a/b')!r}))\n"
        "try: list(locked.scan())\n"
        "except UsageError as error: assert 'a/b: no permission to open it' in str(error), error\n"
        "else: raise AssertionError('an empty scan: everything below it would be taken for gone')\n"
    )
    for parent in tree.parents[:-2]:
        parent.chmod(parent.stat().st_mode | stat.S_IXOTH)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    (tree / "a/b").chmod(0o755)
    assert done.returncode == 0, done.stderr


def test_covers_says_what_is_gone_if_a_scan_does_not_find_it(tree: Path) -> None:
    def covered(folder: Folder, name: str) -> bool:
        return folder.covers(os.fsencode(tree / name))

    everything = Folder(tree)
    assert covered(everything, "gone.txt")
    assert covered(everything, "a/gone.txt")
    assert not covered(everything, ".hidden/x.txt")
    assert not everything.covers(b"/elsewhere/x.txt")
    assert not everything.covers(os.fsencode(tree) + b"-sibling/x.txt")
    assert not covered(Folder(tree, scope=tree / "a"), "gone.txt")
    assert covered(Folder(tree, scope=tree / "a/z.md"), "a/z.md")
    assert not covered(Folder(tree, include=["*.md"]), "gone.txt")
    assert covered(Folder(tree, exclude=["a"]), "a/z.md"), "what is excluded is to go"


def test_excludes_says_what_is_left_out_on_purpose(tree: Path) -> None:
    def excluded(folder: Folder, name: str) -> bool:
        return folder.excludes(os.fsencode(tree / name))

    folder = Folder(tree, exclude=["b", "*.CSV"])
    assert excluded(folder, "gone.csv")
    assert excluded(folder, "a/b/deep.txt"), "the folder above it is"
    assert excluded(folder, "b/any/gone.md")
    assert not excluded(folder, "a/z.md")
    assert not excluded(folder, "b.txt")
    assert not folder.excludes(b"/elsewhere/x.csv")
    assert excluded(Folder(tree, exclude=["a/b/**"]), "a/b/deep.txt")
    assert not excluded(Folder(tree, include=["*.md"]), "b.txt"), "what was not asked for is not excluded"


@pytest.mark.fault(13)
def test_large_files_that_nothing_reads_are_not_hashed(tmp_path: Path) -> None:
    with open(tmp_path / "film.mkv", "wb") as film:
        film.truncate(10 << 30)  # a hole: hashing it would take ten seconds
    begun = time.monotonic()
    (entry,) = Folder(tmp_path).scan()
    assert time.monotonic() - begun < 2
    assert entry.version
    (reading,) = Folder(tmp_path).read([entry])
    assert reading.outcome.status is Status.UNSUPPORTED


# ---------------------------------------------------------------------------------------------------- read


@pytest.mark.fault(14)
def test_every_kind_of_file_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "ACME_2022_10K.pdf").write_bytes(
        write_pdf([show("Revenue was 48.3"), show("Second page")], info="Yearly report")
    )
    (tmp_path / "misnamed.dat").write_bytes(write_pdf([show("A PDF by another name")]))
    (tmp_path / "page.pdf").write_bytes(b"<html><body>")
    (tmp_path / "guide.md").write_text("# Travel guide\nGo far.\n## Trains\nBy rail.")
    (tmp_path / "README").write_text("Read me first.")
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "empty.txt").write_bytes(b"")
    document = docx.Document()
    document.add_paragraph("Contract words.")
    document.save(str(tmp_path / "contract.docx"))
    readings = _read(Folder(tmp_path))
    statuses = {name: reading.outcome.status.value for name, reading in readings.items()}
    assert statuses == {
        "ACME_2022_10K.pdf": "indexed",
        "README": "indexed",
        "contract.docx": "indexed",
        "empty.txt": "no text",
        "guide.md": "indexed",
        "misnamed.dat": "indexed",
        "page.pdf": "damaged",
        "photo.png": "unsupported",
    }
    report = readings["ACME_2022_10K.pdf"].document
    assert report is not None
    assert (report.name, report.title) == ("ACME_2022_10K.pdf", "Yearly report (ACME 2022 10K)")
    assert report.text == "Revenue was 48.3\n\nSecond page"
    assert report.marks == (Mark(0, "p. 1", 1), Mark(18, "p. 2", 2))
    guide = readings["guide.md"].document
    assert guide is not None
    assert guide.title == "Travel guide"
    assert [(mark.label, guide.text[mark.offset :][:6]) for mark in guide.marks] == [
        ("Travel guide", "Travel"),
        ("Trains", "Trains"),
    ]
    assert [mark.label for mark in guide.headings] == ["Travel guide", "Travel guide > Trains"]
    for reading in readings.values():
        simply = reading.outcome.status is Status.INDEXED
        assert simply == (not reading.outcome.reason) == (not reading.outcome.remedy)
        assert simply == (reading.document is not None)


@pytest.mark.fault(10)
def test_a_file_that_changes_or_vanishes_after_the_scan_is_not_read(tmp_path: Path) -> None:
    for name in ("changed.txt", "gone.txt", "turned.txt", "same.txt"):
        (tmp_path / name).write_text("as it was")
    folder = Folder(tmp_path)
    entries = list(folder.scan())
    (tmp_path / "changed.txt").write_text("as it is")
    (tmp_path / "gone.txt").unlink()
    (tmp_path / "turned.txt").unlink()
    (tmp_path / "turned.txt").mkdir()
    outcomes = {reading.entry.name: reading.outcome for reading in folder.read(entries)}
    assert outcomes["same.txt"] == Outcome(Status.INDEXED)
    for name, reason in (("changed.txt", "Changed"), ("gone.txt", "Vanished"), ("turned.txt", "Is a directory")):
        assert outcomes[name].status is Status.UNREADABLE
        assert outcomes[name].reason.startswith(reason)
        assert outcomes[name].remedy == "Run again."


def test_entries_with_a_problem_are_passed_on(tmp_path: Path) -> None:
    problem = Outcome(Status.UNREADABLE, "No permission to read it", "Change its permissions and run again.")
    entry = Entry(b"/nowhere", "nowhere", "file:///nowhere", "", problem=problem)
    assert list(Folder(tmp_path).read([entry])) == [Reading(entry, problem)]
    assert list(Folder(tmp_path).read([])) == []


@pytest.mark.fault(17)
def test_pages_that_are_pictures_are_named(tmp_path: Path) -> None:
    (tmp_path / "mixed.pdf").write_bytes(write_pdf([show("Some words on it"), picture(), show("More words on it")]))
    (reading,) = _read(Folder(tmp_path)).values()
    assert reading.outcome.status is Status.PARTLY
    assert reading.outcome.pages_without_text == (2,)
    assert reading.outcome.reason == "No text on 1 of 3 pages (2): scanned image or drawing. OCR is off"


@pytest.mark.fault(15)
def test_a_page_that_kills_pdfium_costs_no_other(tmp_path: Path) -> None:
    """8 MB of text operators in 20 kB: PDFium needs more memory for them than it may have."""
    bomb = b"BT /F1 1 Tf " + b"1 0 Td (a) Tj " * 600_000 + b"ET"
    data = write_pdf([show("Before the bomb"), b"?", show("After the bomb")])
    (tmp_path / "bomb.pdf").write_bytes(
        data.replace(b"<</Length 1>>stream\n?", b"<</Filter/FlateDecode" + _packed(bomb))
    )
    (reading,) = _read(Folder(tmp_path, limits=Limits(seconds=6))).values()
    assert reading.document is not None
    assert reading.document.text == "Before the bomb\n\nAfter the bomb"
    assert reading.outcome.status is Status.PARTLY
    assert reading.outcome.pages_without_text == (2,)
    assert "more time or memory" in reading.outcome.reason


def _packed(content: bytes) -> bytes:
    import zlib

    packed = zlib.compress(content, 9)
    return b"/Length %d>>stream\n%s" % (len(packed), packed)


@pytest.mark.fault(12)
def test_thousands_of_small_files_are_scanned_in_seconds(tmp_path: Path) -> None:
    for n in range(2000):
        (tmp_path / f"{n}.txt").write_text(f"file {n}")
    begun = time.monotonic()
    assert len(list(Folder(tmp_path).scan())) == 2000
    assert time.monotonic() - begun < 2


@pytest.mark.fault(13)
def test_of_five_thousand_pages_the_right_one_is_cited(tmp_path: Path) -> None:
    pages = [show(f"This page speaks of subject s{n} and of nothing else at all.") for n in range(1, 5001)]
    (tmp_path / "long.pdf").write_bytes(write_pdf(pages))
    collection = Collection(tmp_path / "indexes", "default")
    report = collection.sync(Folder(tmp_path), WordEmbedder())
    assert [file.outcome.pages for file in report.files] == [5000]
    assert report.exit_code == 0
    view = collection.index()
    for page in (1, 2, 999, 2500, 4321, 5000):
        best = view.keyword(f"s{page}", 1)[0].passage
        assert (best.page, best.place) == (page, f"p. {page}")
        assert f" s{page} " in best.text
