"""A collection written to a file and read from it: identical, or nothing at all."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import tempfile
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Shelf, WordEmbedder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_convergence import OPERATIONS, Operation, apply
from test_upgrade import Encyclopedia

from rag.errors import DamagedError, LockedError, RagError, StorageError, UsageError
from rag.index import publishing
from rag.index.collection import Collection
from rag.index.lock import writing
from rag.index.portable.exporting import export
from rag.index.portable.importing import import_
from rag.index.portable.places import Places
from rag.types import Entry, Hit

FILES: dict[str, str | None] = {
    "ant.txt": "ants are small\fand many",
    "b/bee.txt": "bees hum",
    "twin.txt": "bees hum",
    "scan.pdf": "scan",
}
QUESTION = "are ants small?"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection, and what it was exported to."""
    folder = tmp_path_factory.mktemp("original")
    first = Collection(folder / "indexes", "default")
    first.sync(Shelf(dict(FILES)), WordEmbedder(), root=Path("/docs"))
    first.sync(Encyclopedia({"Ant": "ants bite"}, prefix=b"wiki:"), WordEmbedder())
    export(first, folder / "made.zip")
    first.close()
    return folder


@pytest.fixture
def made(original: Path, tmp_path: Path) -> Collection:
    shutil.copytree(original / "indexes", tmp_path / "indexes")
    return Collection(tmp_path / "indexes", "default")


@pytest.fixture
def bundle(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy2(original / "made.zip", tmp_path))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere" / "indexes"


def everything(collection: Collection) -> tuple[Any, ...]:
    """All that can be found, by both searches and in order, and all that is known of the files."""
    seen = Collection(collection.home.parent, collection.name)
    view = seen.index()
    hits: list[list[Hit]] = [view.keyword(question, 10_000) for question in (QUESTION, "page two bees", "words")]
    hits += [view.dense(WordEmbedder().embed_questions([QUESTION])[0], 10_000)]
    info = seen.info()
    same = ("files", "documents", "articles", "passages", "statuses", "model", "revision", "dimension", "roots")
    found = hits, seen.files(), list(view.cards()), {name: info[name] for name in same}, seen.verify()
    seen.close()
    return found


def nothing_in(indexes: Path) -> bool:
    """Not a file, visible or hidden."""
    return not indexes.exists() or not list(indexes.rglob("*"))


def test_it_is_found_elsewhere_as_it_was(made: Collection, bundle: Path, elsewhere: Path) -> None:
    done = import_(elsewhere, bundle)
    assert (done.collection, done.documents, done.passages) == ("default", 3, 4)
    assert (done.roots, done.missing_roots, done.replaced) == (("/docs",), ("/docs",), False)
    copy = Collection(elsewhere, "default")
    assert everything(copy) == everything(made)
    assert {hit.passage.article for hit in copy.index().keyword("ants", 9)} == {None, Encyclopedia.article}
    again = copy.sync(Shelf(dict(FILES)), WordEmbedder())
    assert (again.unchanged, again.embedded) == (4, 0)
    for path in [elsewhere / "default", *(elsewhere / "default").rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert sorted(path.name for path in elsewhere.iterdir()) == ["default"]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(OPERATIONS, max_size=12))
def test_any_collection_is_the_same_when_it_was_exported_and_imported(operations: list[Operation]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        indexes, files = Path(folder, "here"), {"z.txt": "always there"}
        here = Collection(indexes, "default")
        for operation in [("sync", "", "", ""), *operations, ("sync", "", "", "")]:
            if operation[0] == "sync":
                here.sync(Shelf(dict(files)), WordEmbedder(), prune=True)
            else:
                apply(files, operation)
        assert export(here, Path(folder, "a.zip")).exact
        import_(Path(folder, "there"), Path(folder, "a.zip"))
        there = Collection(Path(folder, "there"), "default")
        assert everything(there) == everything(here)
        export(there, Path(folder, "b.zip"))
        assert checksums(Path(folder, "a.zip")) == checksums(Path(folder, "b.zip"))
        assert there.sync(Shelf(dict(files)), WordEmbedder()).embedded == 0
        there.close()
        here.close()


def checksums(bundle: Path) -> dict[str, str]:
    with zipfile.ZipFile(bundle) as archive:
        members: dict[str, dict[str, Any]] = json.loads(archive.read("manifest.json"))["members"]
    return {name: member["sha256"] for name, member in members.items() if name != "documents.jsonl"}


def test_it_says_what_is_in_it_and_anything_can_read_it(made: Collection, bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert "whole text" in manifest["about"]
        assert "Not encrypted" in manifest["about"]
        assert manifest["fingerprint"]["model"] == "words"
        assert manifest["counts"] == {"files": 5, "documents": 3, "articles": 1, "passages": 4}
        for name, member in manifest["members"].items():
            content = archive.read(name)
            assert (len(content), sha256(content).hexdigest()) == (member["bytes"], member["sha256"])
        vectors = np.load(io.BytesIO(archive.read("vectors.npy")), allow_pickle=False)
        documents = [json.loads(line) for line in archive.read("documents.jsonl").splitlines()]
    assert vectors.shape == (4, 64)
    start, end, *_ = documents[0]["passages"][1]
    assert documents[0]["text"][start:end] == "and many"


def test_pages_that_ocr_has_read_come_along(made: Collection, tmp_path: Path, elsewhere: Path) -> None:
    made.cache().put("some content", 3, "engine", "read with care\n")
    export(made, tmp_path / "made.zip")
    import_(elsewhere, tmp_path / "made.zip")
    assert Collection(elsewhere, "default").cache().get("some content", 3, "engine") == "read with care\n"


def test_what_is_gone_is_not_exported(made: Collection, tmp_path: Path) -> None:
    made.sync(Shelf({"b/bee.txt": "bees hum"}), WordEmbedder(), prune=True)
    export(made, tmp_path / "made.zip")
    with zipfile.ZipFile(tmp_path / "made.zip") as archive:
        assert all(b"small" not in archive.read(name) for name in archive.namelist())


def test_it_is_of_one_moment_while_a_writer_goes_on(made: Collection, tmp_path: Path, elsewhere: Path) -> None:
    before = everything(made)

    class Writes:
        """Somebody syncs while the first document is exported."""

        def plan(self, total: int, files: int) -> None: ...

        def reading(self, name: str) -> None: ...

        def documents(self, done: int, total: int, name: str) -> None:
            other = Collection(made.home.parent, made.name)
            other.sync(Shelf({"ant.txt": f"ants have changed after {name}"}), WordEmbedder(), prune=True)

    export(made, tmp_path / "made.zip", progress=Writes())
    import_(elsewhere, tmp_path / "made.zip")
    assert everything(Collection(elsewhere, "default")) == before
    assert everything(made) != before


def test_a_file_that_is_there_stays_unless_it_is_said(made: Collection, tmp_path: Path) -> None:
    target = tmp_path / "kept.zip"
    target.write_text("precious")
    with pytest.raises(UsageError, match=r"exists already: --force replaces it"):
        export(made, target)
    with pytest.raises(UsageError, match="is a folder"):
        export(made, tmp_path, force=True)
    with pytest.raises(StorageError, match="Nothing was changed"):
        export(made, tmp_path / "no" / "such" / "folder.zip")
    assert target.read_text() == "precious"
    old = os.umask(0)
    try:
        export(made, target, force=True)
    finally:
        os.umask(old)
    assert zipfile.is_zipfile(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["indexes", "kept.zip"]


def test_an_export_that_is_stopped_leaves_nothing(made: Collection, tmp_path: Path) -> None:
    class Stops:
        def plan(self, total: int, files: int) -> None:
            raise KeyboardInterrupt

    target = tmp_path / "kept.zip"
    target.write_text("precious")
    with pytest.raises(KeyboardInterrupt):
        export(made, target, force=True, progress=Stops())  # type: ignore[arg-type]
    assert target.read_text() == "precious"
    (tmp_path / ".kept.zip.part").write_text("what a killed one left, and longer than what is written now" * 999)
    export(made, target, force=True)
    assert zipfile.ZipFile(target).testzip() is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["indexes", "kept.zip"]


def test_a_damaged_collection_is_not_exported(made: Collection, tmp_path: Path) -> None:
    import sqlite3

    made.close()
    for damage in (
        "UPDATE passages SET text = 'other' WHERE id = 1",
        "UPDATE passages SET vector = zeroblob(128) WHERE id = 2",
        "UPDATE passages SET vector = x'00' WHERE id = 2",
    ):
        hurt = Collection(tmp_path / "hurt", "default")
        shutil.copytree(made.home, hurt.home)
        with sqlite3.connect(hurt.home / "ledger.sqlite") as db:
            db.execute(damage)
        db.close()
        with pytest.raises(DamagedError, match="documents are untouched"):
            export(hurt, tmp_path / "hurt.zip")
        shutil.rmtree(hurt.home)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hurt", "indexes"]


# ---------------------------------------------------------------------------------------- damaged and forged


def test_no_flipped_bit_and_no_cut_passes(made: Collection, bundle: Path, tmp_path: Path, memory: Path) -> None:
    whole, good = everything(made), bundle.read_bytes()
    flips = [good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :] for at in range(0, len(good), 29)]
    cuts = [good[:length] for length in (0, 1, 100, len(good) // 2, len(good) - 30, len(good) - 1)]
    refused = 0
    for number, bad in enumerate([*flips, *cuts]):
        hurt, indexes = memory / "hurt.zip", memory / str(number)
        hurt.write_bytes(bad)
        said = ""
        try:
            import_(indexes, hurt)
        except (DamagedError, UsageError) as error:
            said = str(error)
        if said:
            assert "Nothing was changed" in said
            assert nothing_in(indexes)
            refused += 1
        else:  # a flipped date, say: what was stored is what was exported
            assert everything(Collection(indexes, "default")) == whole
            shutil.rmtree(indexes)
    assert refused > 0.8 * len(flips) + len(cuts)


Members = dict[str, Any]  # lines of JSON by a member's name, the manifest, and the vectors as bytes


def forged(bundle: Path, target: Path, change: Callable[[Members], object]) -> Path:
    """A bundle that was changed by somebody who sets the sizes and checksums right."""
    with zipfile.ZipFile(bundle) as archive:
        members: Members = {"manifest.json": json.loads(archive.read("manifest.json"))}
        members["vectors.npy"] = archive.read("vectors.npy")
        for name in ("documents.jsonl", "files.jsonl", "pages.jsonl"):
            members[name] = [json.loads(line) for line in archive.read(name).splitlines()]
    manifest = members["manifest.json"]
    told = {name: dict(member) for name, member in manifest["members"].items()}
    change(members)
    with zipfile.ZipFile(target, "w") as archive:
        for name, value in members.items():
            if name == "manifest.json":
                continue
            data = value if isinstance(value, bytes) else b"".join(json.dumps(row).encode() + b"\n" for row in value)
            archive.writestr(name, data)
            if name in told and manifest["members"].get(name) == told[name]:
                rows = told[name]["rows"] if name == "vectors.npy" else len(value)
                manifest["members"][name] = {"bytes": len(data), "rows": rows, "sha256": sha256(data).hexdigest()}
        archive.writestr("manifest.json", json.dumps(manifest))
    return target


def at(*path: Any) -> Callable[[Members, Any], None]:
    """What sets a value deep in the members."""

    def put(members: Members, value: Any) -> None:
        place: Any = members
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return put


DOC, FILE, MANIFEST = ("documents.jsonl", 0), ("files.jsonl", 0), ("manifest.json",)
DEEP: Any = []
for _ in range(900):
    DEEP = [DEEP]
FORGERIES: dict[str, tuple[Callable[[Members, Any], None], Any]] = {
    "a passage beyond its text": (at(*DOC, "passages", 0, 1), 10_000),
    "a passage before its text": (at(*DOC, "passages", 0, 0), -1),
    "a passage of nothing": (at(*DOC, "passages", 0, 1), 0),
    "a truth for a number": (at(*DOC, "passages", 0, 0), False),
    "a passage more than vectors": (
        lambda m, v: m["documents.jsonl"][0]["passages"].append([0, 3, "", "", None]),
        None,
    ),
    "a passage less": (lambda m, v: m["documents.jsonl"][0]["passages"].pop(), None),
    "a document less": (lambda m, v: m["documents.jsonl"].pop(), None),
    "a document twice": (lambda m, v: m["documents.jsonl"].append(m["documents.jsonl"][0]), None),
    "an id of no document": (at(*FILE, "document"), 999),
    "an id that is too large": (at(*DOC, "id"), 1 << 62),
    "an id below nothing": (at(*DOC, "id"), -1),
    "an id larger than SQLite's": (at(*DOC, "id"), 1 << 80),
    "a text that is none": (at(*DOC, "text"), 7),
    "a lone surrogate": (at(*DOC, "title"), "\ud800"),
    "a mark that is none": (at(*DOC, "marks"), [["0", "p. 1", 1]]),
    "a mark too short": (at(*DOC, "marks"), [[0]]),
    "an article that is none": (at(*DOC, "article"), {"language": "en"}),
    "an article of other things": (at(*DOC, "article"), ["x"]),
    "a link that is a script": (
        at("documents.jsonl", 2, "article", "link"),
        "javascript:fetch('https://evil.example/')",
    ),
    "a status that is none": (at(*FILE, "status"), "splendid"),
    "a file twice": (lambda m, v: m["files.jsonl"].append(m["files.jsonl"][0]), None),
    "a file without a name": (lambda m, v: m["files.jsonl"][0].pop("name"), None),
    "a list for a file": (at(*FILE), []),
    "nests": (at(*FILE), DEEP),
    "vectors that are not": (at("vectors.npy"), b"\x93NUMPY"),
    "pickled vectors": (lambda m, v: at("vectors.npy")(m, m["vectors.npy"].replace(b"'<f2'", b"'|O' ")), None),
    "vectors of nothing": (lambda m, v: at("vectors.npy")(m, m["vectors.npy"][:128] + bytes(512)), None),
    "vectors that are no numbers": (lambda m, v: at("vectors.npy")(m, m["vectors.npy"][:128] + b"\xff" * 512), None),
    "another dimension": (at(*MANIFEST, "fingerprint", "dimension"), 128),
    "no dimension": (at(*MANIFEST, "fingerprint", "dimension"), 0),
    "a fingerprint that is none": (at(*MANIFEST, "fingerprint"), {"model": "words"}),
    "numbers for names": (at(*MANIFEST, "roots"), [7]),
    "another format": (at(*MANIFEST, "format"), "tarball"),
    "a version that is none": (at(*MANIFEST, "version"), "1"),
    "a name that leads out": (at(*MANIFEST, "collection"), "../../evil"),
    "a path for a name": (at(*MANIFEST, "collection"), "/etc/cron.d"),
    "a size that is not so": (at(*MANIFEST, "members", "files.jsonl", "bytes"), 3),
    "rows that are not there": (at(*MANIFEST, "members", "files.jsonl"), {"bytes": 1, "rows": 1 << 50, "sha256": ""}),
    "another checksum": (at(*MANIFEST, "members", "pages.jsonl"), {"bytes": 0, "rows": 0, "sha256": "0" * 64}),
    "a member more": (at("../../evil.txt"), b"x"),
    "a member from the root": (at("/etc/evil"), b"x"),
    "a member less": (lambda m, v: m.pop("pages.jsonl"), None),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_makes_no_sense_is_refused_whole(bundle: Path, tmp_path: Path, elsewhere: Path, forgery: str) -> None:
    change, value = FORGERIES[forgery]
    before = sorted(tmp_path.rglob("*"))
    bad = forged(bundle, tmp_path / "bad.zip", lambda members: change(members, value))
    with pytest.raises((DamagedError, UsageError)) as error:
        import_(elsewhere, bad)
    assert len(str(error.value).splitlines()) == 1
    assert nothing_in(elsewhere)
    bad.unlink()
    assert [path for path in sorted(tmp_path.rglob("*")) if elsewhere.parent not in (path, *path.parents)] == before


def test_nothing_forged_is_still_good(made: Collection, bundle: Path, tmp_path: Path, elsewhere: Path) -> None:
    """The refusals above are for what was changed, and not for how."""
    import_(elsewhere, forged(bundle, tmp_path / "good.zip", lambda members: None))
    assert everything(Collection(elsewhere, "default")) == everything(made)


def test_a_newer_version_is_told_from_damage(bundle: Path, tmp_path: Path, elsewhere: Path) -> None:
    newer = forged(bundle, tmp_path / "newer.zip", lambda members: at(*MANIFEST, "version")(members, 2))
    with pytest.raises(UsageError, match=r"exported by a newer version of this program \(beluga-rag"):
        import_(elsewhere, newer)


def test_a_member_that_inflates_to_more_than_it_says_is_not_followed(
    bundle: Path, tmp_path: Path, elsewhere: Path
) -> None:
    """A bomb: 8 MB of spaces in 8 kB, said to be ten bytes."""
    spaces = b'["v",1,"e","' + b" " * (8 << 20) + b'"]\n'
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bundle) as archive, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        manifest = json.loads(archive.read("manifest.json"))
        manifest["members"]["pages.jsonl"] = {"bytes": 10, "rows": 1, "sha256": sha256(spaces[:10]).hexdigest()}
        for name in ("documents.jsonl", "vectors.npy", "files.jsonl"):
            packed.writestr(name, archive.read(name))
        packed.writestr("pages.jsonl", spaces)
        packed.getinfo("pages.jsonl").file_size = 10
        packed.writestr("manifest.json", json.dumps(manifest))
    assert bomb.stat().st_size < 20_000
    with pytest.raises(DamagedError):
        import_(elsewhere, bomb)
    assert nothing_in(elsewhere)


def test_without_room_nothing_is_begun(bundle: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 99, 1))  # type: ignore[attr-defined]
    with pytest.raises(StorageError, match=r"needs about 0 MB in .*, where 0 MB are free. Nothing was changed"):
        import_(elsewhere, bundle)
    assert nothing_in(elsewhere)


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"no archive", b"PK\x03\x04" * 99])
def test_what_is_no_export_is_told_so(tmp_path: Path, elsewhere: Path, content: bytes) -> None:
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(DamagedError, match="is damaged, or is no export of a collection"):
        import_(elsewhere, tmp_path / "other")
    for path in (tmp_path / "missing.zip", tmp_path):
        with pytest.raises(UsageError, match="Nothing was changed; check the path"):
            import_(elsewhere, path)
    assert nothing_in(elsewhere)


# -------------------------------------------------------------------------------- into what is there already


def test_a_collection_that_is_there_stays_unless_it_is_said(made: Collection, bundle: Path) -> None:
    made.sync(Shelf({"ox.txt": "oxen low"}), WordEmbedder(), prune=True)
    now = everything(made)
    with pytest.raises(
        UsageError, match=r"There is a collection 'default' .* Nothing was changed; choose another name"
    ):
        import_(made.home.parent, bundle)
    assert everything(made) == now
    assert import_(made.home.parent, bundle, name="another").collection == "another"
    assert everything(made) == now
    with pytest.raises(UsageError, match="is no name for a collection"):
        import_(made.home.parent, bundle, name="../other")


def test_a_folder_that_is_no_collection_is_not_taken(made: Collection, bundle: Path, elsewhere: Path) -> None:
    (elsewhere / "default").mkdir(parents=True)
    (elsewhere / "default" / "letter.txt").write_text("precious")
    with pytest.raises(UsageError, match="is there already"):
        import_(elsewhere, bundle)
    assert [path.name for path in elsewhere.rglob("*")] == ["default", "letter.txt"]


def test_what_takes_the_place_of_another_is_found_by_those_who_search_it(made: Collection, bundle: Path) -> None:
    expected = everything(made)
    made.sync(Shelf({f"{i}.txt": f"oxen low {i}" for i in range(9)}), WordEmbedder(), prune=True)
    before = everything(made)
    served = Collection(made.home.parent, made.name)
    view = served.index()
    assert len(view.keyword("oxen", 99)) == 9
    done = import_(made.home.parent, bundle, replacing=True)
    assert done.replaced
    assert everything(made) == expected != before
    assert view.keyword("oxen", 99) == []  # the same view, of the same process
    assert view.keyword(QUESTION, 99) == expected[0][0]
    assert len(list(made.home.glob("generation-*"))) == 1
    served.close()
    vector = WordEmbedder().embed_questions([QUESTION])[0]
    filtered = Collection(made.home.parent, made.name).index("ant*").dense(vector, 99)
    assert {hit.passage.document for hit in filtered} == {"ant.txt"}


def test_searches_meanwhile_find_the_one_or_the_other(made: Collection, bundle: Path, tmp_path: Path) -> None:
    """Over and over, in a thread that keeps its collection open, and in others that come new."""
    made.sync(Shelf({f"{i}.txt": f"ants low {i}" for i in range(9)}), WordEmbedder(), prune=True)
    export(made, tmp_path / "second.zip")
    vector = WordEmbedder().embed_questions([QUESTION])[0]
    allowed = {"second": [hit.passage for hit in made.index().dense(vector, 99)]}
    import_(made.home.parent, bundle, replacing=True)
    allowed["first"] = [hit.passage for hit in made.index().dense(vector, 99)]
    seen: list[str] = []
    looked, stop = threading.Semaphore(0), threading.Event()

    def search() -> None:
        served = Collection(made.home.parent, made.name)
        while not stop.is_set():
            hits = [hit.passage for hit in served.index().dense(vector, 99)]
            seen.append(next((name for name, expected in allowed.items() if hits == expected), "a mix"))
            assert not served.notes
            looked.release()
        served.close()

    thread = threading.Thread(target=search)
    thread.start()
    for _ in range(4):
        for path in (tmp_path / "second.zip", bundle):
            looked.acquire(timeout=20)
            import_(made.home.parent, path, replacing=True)
            looked.acquire(timeout=20)
    stop.set()
    thread.join()
    assert set(seen) == {"first", "second"}


def test_a_replacement_that_fails_half_way_has_not_happened(
    made: Collection, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.sync(Shelf({"ox.txt": "oxen low"}), WordEmbedder(), prune=True)
    before = everything(made)
    with monkeypatch.context() as patched:
        patched.setattr("rag.index.ledger.Ledger.become", lambda self, other: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            import_(made.home.parent, bundle, replacing=True)
    assert everything(made) == before
    made.sync(Shelf({"ox.txt": "oxen low"}), WordEmbedder())
    import_(made.home.parent, bundle, replacing=True)
    assert len(list(made.home.glob("generation-*"))) == 1
    assert [path.name for path in made.home.parent.iterdir()] == ["default"]


def test_a_dry_run_checks_and_changes_nothing(made: Collection, bundle: Path, elsewhere: Path) -> None:
    before = everything(made)
    assert import_(made.home.parent, bundle, dry=True).documents == 3
    assert everything(made) == before
    assert import_(elsewhere, bundle, dry=True).passages == 4
    assert nothing_in(elsewhere)


def test_one_import_at_a_time_and_what_a_killed_one_left_goes(bundle: Path, elsewhere: Path) -> None:
    for name in ("default", "other"):
        left = elsewhere / ".importing" / name
        left.mkdir(parents=True)
        (left / "ledger.sqlite").write_text("half")
        (left / "generation-1").mkdir()
    with writing(elsewhere / ".importing" / "default" / "writer.lock"):
        with pytest.raises(LockedError):
            import_(elsewhere, bundle)
        assert import_(elsewhere, bundle, name="third").collection == "third"
        assert sorted(path.name for path in (elsewhere / ".importing").iterdir()) == ["default"]
    import_(elsewhere, bundle)
    assert sorted(path.name for path in elsewhere.iterdir()) == ["default", "third"]


# -------------------------------------------------------------------------------- folders that are elsewhere


def test_folders_are_found_where_they_are_said_to_be() -> None:
    def entry(key: bytes, uri: str) -> Entry:
        return Entry(key, "name", uri, "v")

    places = Places(["/a/b=/new place", "/a/b/c=/deep/"], ["/a/b", "/z", "/a/b/c"])
    assert places.roots == ["/new place", "/z", "/deep"]
    for before, after in (
        (
            entry(b"/a/b/x\xff.pdf", "file:///a/b/x%FF.pdf"),
            entry(b"/new place/x\xff.pdf", "file:///new%20place/x%FF.pdf"),
        ),
        (entry(b"/a/b/c/y.pdf", "file:///a/b/c/y.pdf"), entry(b"/deep/y.pdf", "file:///deep/y.pdf")),
        (entry(b"/a/bc/y.pdf", "file:///a/bc/y.pdf"), entry(b"/a/bc/y.pdf", "file:///a/bc/y.pdf")),
        (entry(b"/z/y.pdf", "file:///z/y.pdf"), entry(b"/z/y.pdf", "file:///z/y.pdf")),
        (entry(b"corpus:/a/b#7", "file:///a/b#7"), entry(b"corpus:/new place#7", "file:///new%20place#7")),
        (entry(b"wiki:en:7", "https://en.wikipedia.org/a/b"), entry(b"wiki:en:7", "https://en.wikipedia.org/a/b")),
    ):
        assert places.moved(before) == after
    assert Places(["/new"], ["/only"]).roots == ["/new"]
    assert Places(["/a=b=/c"], ["/a=b"]).roots == ["/c"]
    assert Places(["/a=/c"], ["/a/b", "/a/d"]).roots == ["/c/b", "/c/d"]
    for wrong in ("/other=/new", "/a/b", "=", "", "/a/b="):
        with pytest.raises(UsageError, match=r"Its folders are: /a/b, /z\."):
            Places([wrong], ["/a/b", "/z"])


def test_two_files_are_not_brought_to_one_place(bundle: Path, tmp_path: Path, elsewhere: Path) -> None:
    def two_folders(members: Members) -> None:
        at(*MANIFEST, "roots")(members, ["/a", "/b"])
        for number, row in enumerate(members["files.jsonl"][:2]):
            row["key"] = f"/{'ab'[number]}/same.txt"

    two = forged(bundle, tmp_path / "two.zip", two_folders)
    with pytest.raises(UsageError, match="two files to one place"):
        import_(elsewhere, two, roots=["/a=/new", "/b=/new"])
    assert nothing_in(elsewhere)
    assert import_(elsewhere, two, roots=["/a=/new", "/b=/newer"]).roots == ("/new", "/newer")


def test_a_newer_embedder_of_the_same_name_is_refused_by_its_weights(bundle: Path, elsewhere: Path) -> None:
    """The collection comes whole, whoever embedded it; it is searching that needs the very model."""
    import_(elsewhere, bundle)
    other = WordEmbedder()
    other._fingerprint = replace(other.fingerprint, revision="2")
    with pytest.raises(RagError, match="was embedded by words@1"):
        Collection(elsewhere, "default").index().require(other.fingerprint)


def test_words_that_are_gone_are_not_counted(made: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to some passages at once; beyond, when they are a tenth, and an export says so, and a repair ends it."""
    monkeypatch.setattr(publishing, "FEW_WORDS", 0)
    files: dict[str, str | None] = {f"{i}.txt": f"number {i} of many" for i in range(40)}
    by = WordEmbedder()
    made.sync(Shelf(dict(files)), by, prune=True)
    made.repair()
    assert export(made, tmp_path / "1.zip").exact
    del files["7.txt"]
    made.sync(Shelf(dict(files)), by)
    assert not export(made, tmp_path / "2.zip").exact
    counted = [hit.score for hit in Collection(made.home.parent, "default").index().keyword("number 8", 1)]
    assert any("BM25 still counted 1 passages" in line for line in made.repair())
    exact = [hit.score for hit in Collection(made.home.parent, "default").index().keyword("number 8", 1)]
    assert exact != counted
    assert export(made, tmp_path / "3.zip").exact
    for name in ("0.txt", "1.txt", "2.txt", "3.txt", "4.txt"):
        del files[name]
    made.sync(Shelf(dict(files)), by)
    assert export(made, tmp_path / "4.zip").exact
