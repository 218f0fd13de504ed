"""The library as people use it: the real page without a browser, real jobs, the embedder of words."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Shelf, WordEmbedder
from programs import WAITS, WORDS, ended
from streamlit.testing.v1 import AppTest

from app import login, people, uploads, work
from rag.config import Config
from rag.index.collection import Collection
from rag.jobs.desk import Desk
from rag.jobs.job import Job, State, Work
from rag.sources.folder import Folder

PAYLOADS = [
    "![x](http://127.0.0.1:9/x.png).txt",
    "<img src=http://127.0.0.1:9/x.png>.txt",
    "[click](javascript:alert(1)).txt",
    ":red[x] $x^2$ `x` **x** # x.txt",
]


def page() -> None:
    from app import library

    library.show()


Open = Callable[..., AppTest]


@pytest.fixture
def indexes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAG_INDEXES", str(tmp_path / "indexes"))
    monkeypatch.setenv("RAG_OCR", "off")
    monkeypatch.delenv("RAG_ROOTS", raising=False)
    return tmp_path / "indexes"


@pytest.fixture
def desk(indexes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    made = Desk(indexes / ".jobs", ("-c", WORDS))
    monkeypatch.setattr(work, "desk", lambda config: made)
    yield made
    for job in made.running():
        job.cancel(at_once=True)
        ended(job)


@pytest.fixture
def tab(desk: Desk) -> Open:
    """Opens the page in a tab of its own."""

    def opened(**query: str) -> AppTest:
        import streamlit as st

        st.cache_resource.clear()  # the environment is read once a process
        at = AppTest.from_function(page, default_timeout=60)
        for name, value in query.items():
            at.query_params[name] = value
        return calm(at.run())

    return opened


def calm(at: AppTest) -> AppTest:
    assert not at.exception, at.exception[0].stack_trace
    return at


def filled(indexes: Path, files: dict[str, str | None], name: str = "default", folder: Path | None = None) -> None:
    collection = Collection(indexes, name)
    if folder:
        for file, text in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text or "")
        collection.sync(Folder(folder), WordEmbedder(), root=folder)
    else:
        collection.sync(Shelf(files), WordEmbedder())
    collection.close()


def press(at: AppTest, label: str) -> AppTest:
    (button,) = [button for button in at.button if button.label == label]
    return calm(button.click().run())


def said(at: AppTest) -> str:
    shown = [*at.markdown, *at.caption, *at.text, *at.error, *at.info, *at.warning, *at.success, *at.subheader]
    return "\n".join(str(element.value) for element in shown).replace("**", "").replace("\\", "").replace("\u2060", "")


def choose(at: AppTest, row: int, table: str = "documents default") -> AppTest:
    at.session_state[table] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    return calm(at.run())


def blocked(desk: Desk, tmp_path: Path, lane: str = "collection default") -> tuple[Job, Path]:
    """A job that runs until somebody writes into its pipe."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    waits = Desk(desk.home, ("-c", WAITS))
    return waits.start(Work("sync", "default", lane, ("wait", str(pipe), "0"), about="reports")), pipe


# -------------------------------------------------------------------------------------------- from nothing


def test_from_an_empty_library_to_a_document(tab: Open, desk: Desk, indexes: Path) -> None:
    at = tab()
    assert "No documents yet" in said(at)
    files = [
        ("heron.txt", b"The heron stands by the weir.", "text/plain"),
        ("../../report.pdf", b"<html>no</html>", "application/pdf"),
        ("empty.txt", b"", "text/plain"),
    ]
    calm(at.file_uploader[0].set_value(files).run())
    assert "../../report.pdf was not taken. It is not a PDF: it begins with '<html>no</ht'." in said(at)
    assert "empty.txt was not taken. It is empty." in said(at)
    (job,) = desk.jobs()
    assert ended(job).exit_code == 0, job.log()
    calm(at.run())
    assert "Indexed uploads: done" in said(at)
    assert "1 added, 0 unchanged; 1 passage in all" in said(at)
    assert list(at.dataframe[0].value["Name"]) == ["heron.txt"]
    assert at.file_uploader[0].value == []
    assert uploads.names(uploads.folder(indexes, "default")) == ["heron.txt"]
    assert "No documents yet" not in said(at)


def test_a_new_collection(tab: Open, indexes: Path) -> None:
    filled(indexes, {"a.txt": "heron"})
    at = tab()
    (name,) = [field for field in at.text_input if field.label == "Name"]
    name.set_value("../evil")
    press(at, "Make it")
    assert "no name for a collection" in said(at)
    (name,) = [field for field in at.text_input if field.label == "Name"]
    name.set_value("contracts")
    press(at, "Make it")
    assert at.selectbox[0].value == "contracts"
    assert at.query_params["collection"] == "contracts"
    assert "No documents yet" in said(at)
    calm(at.selectbox[0].set_value("default").run())
    assert list(at.dataframe[0].value["Name"]) == ["a.txt"]


# --------------------------------------------------------------------------------------------------- jobs


def test_a_job_is_seen_by_every_tab_and_stopped_by_any(tab: Open, desk: Desk, indexes: Path, tmp_path: Path) -> None:
    filled(indexes, {"a.txt": "heron"})
    job, pipe = blocked(desk, tmp_path)
    first, second = tab(), tab()
    for at in (first, second):
        assert "Indexing reports" in said(at)
        (verify,) = [button for button in at.button if button.label == "Verify"]
        assert verify.disabled
    with pipe.open("w"):
        press(first, "Stop")
        assert ended(job).state is State.STOPPED
    calm(second.run())
    assert "Indexed reports: stopped; what was done is safe" in said(second)
    press(second, "Dismiss")
    assert "stopped" not in said(second)
    calm(first.run())
    assert "Indexed reports: stopped" in said(first), "what one tab has seen, another has not"


def test_a_killed_job_is_told(tab: Open, desk: Desk, tmp_path: Path) -> None:
    job, pipe = blocked(desk, tmp_path)
    with pipe.open("w"):
        job.cancel(at_once=True)
        ended(job)
    (job.folder / "cancelled").unlink()
    assert "ended without a word: killed, or the machine went down" in said(tab())


def test_what_could_not_begin_says_why(tab: Open, desk: Desk, indexes: Path, tmp_path: Path) -> None:
    filled(indexes, {"a.txt": "heron"})
    work_ = Work("sync", "default", "collection default", ("index", "--json", "--", str(tmp_path / "![x](y)")))
    ended(desk.start(work_))
    at = tab()
    assert "could not begin" in said(at)
    assert "no such file or folder. Nothing was changed; check the path." in at.error[0].value.replace("\\", "")
    assert "![x](y)" not in at.error[0].value


def test_uploads_during_a_job_wait_for_its_end(tab: Open, desk: Desk, indexes: Path, tmp_path: Path) -> None:
    job, pipe = blocked(desk, tmp_path)
    at = tab()
    calm(at.file_uploader[0].set_value([("heron.txt", b"The heron stands.", "text/plain")]).run())
    assert [one.id for one in desk.jobs()] == [job.id]
    pipe.write_text("go")
    ended(job)
    other = tab()
    assert "Uploaded files wait to be indexed." in said(other), "whoever comes by is told"
    assert len(desk.jobs()) == 1, "to look begins nothing"
    calm(at.run())
    assert len(desk.jobs()) == 2, "whoever handed them over need not ask again"
    assert ended(desk.jobs()[0]).exit_code == 0
    assert "wait to be indexed" not in said(tab())


def test_the_past_is_kept(tab: Open, desk: Desk, indexes: Path) -> None:
    filled(indexes, {"a.txt": "heron"})
    at = press(tab(), "Verify")
    ended(desk.jobs()[0])
    calm(at.run())
    assert "It is whole" in said(at)
    press(at, "Dismiss")
    assert "It is whole" not in said(at)
    choose(at, 0, "jobs default")
    assert "It is whole" in said(at)


# ---------------------------------------------------------------------------------------------- documents


def test_documents_are_found_and_explained(tab: Open, indexes: Path) -> None:
    filled(indexes, {"heron.txt": "The heron stands.", "owl.txt": "The owl sleeps.", "scan.pdf": "scan"})
    at = tab()
    table = at.dataframe[0].value
    assert list(table["Name"]) == ["heron.txt", "owl.txt", "scan.pdf"]
    assert list(table["Status"]) == ["indexed", "indexed", "no text"]
    assert list(table["Size"]) == [17, 15, 4]
    (find,) = [field for field in at.text_input if field.label == "Find"]
    calm(find.set_value("OW").run())
    assert list(at.dataframe[0].value["Name"]) == ["owl.txt"]
    (find,) = [field for field in at.text_input if field.label == "Find"]
    calm(find.set_value("%").run())
    assert "No document is called so." in said(at)
    (find,) = [field for field in at.text_input if field.label == "Find"]
    calm(find.set_value("").run())
    calm(at.pills[0].set_value(["no text"]).run())
    choose(at, 0)
    assert "scan.pdf · no text" in said(at)
    assert "scanned\nuse OCR" in said(at)
    assert not [button for button in at.button if button.label in ("Open", "Ask about it")]


@pytest.mark.fault(26)
def test_names_are_shown_as_text(tab: Open, indexes: Path) -> None:
    filled(indexes, dict.fromkeys(PAYLOADS, "scan"))
    at = tab()
    assert sorted(at.dataframe[0].value["Name"]) == sorted(PAYLOADS)
    for row in range(len(PAYLOADS)):
        choose(at, row)
        drawn = [*at.markdown, *at.caption, *at.error, *at.info, *at.warning]
        for payload in PAYLOADS:
            assert not [element for element in drawn if payload.removesuffix(".txt") in str(element.value)]
    assert not at.get("html")
    assert "![x](http://127.0.0.1:9/x.png).txt" in said(choose(at, sorted(PAYLOADS).index(PAYLOADS[0])))


def test_a_folder_of_peoples_own_is_never_deleted_from(tab: Open, indexes: Path, tmp_path: Path) -> None:
    filled(indexes, {"fox.txt": "The fox."}, folder=tmp_path / "notes")
    at = choose(tab(), 0)
    assert "where nothing is ever deleted" in said(at)
    assert not [button for button in at.button if button.label == "Remove it" and button.key == "remove document"]
    assert str(tmp_path / "notes" / "fox.txt") in said(at)


def test_an_upload_is_removed_with_its_file(tab: Open, desk: Desk, indexes: Path) -> None:
    into = uploads.folder(indexes, "default")
    filled(indexes, {"fox.txt": "The fox.", "owl.txt": "The owl."}, folder=into)
    at = choose(tab(), 0)
    (remove,) = [button for button in at.button if button.key == "remove document"]
    calm(remove.click().run())
    assert uploads.names(into) == ["owl.txt"]
    assert ended(desk.jobs()[0]).exit_code == 0, desk.jobs()[0].log()
    calm(at.run())
    assert "1 removed" in said(at)
    assert list(at.dataframe[0].value["Name"]) == ["owl.txt"]


def test_a_missing_drive_is_asked_about(tab: Open, desk: Desk, indexes: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    filled(indexes, {f"{n}.txt": f"Note {n}." for n in range(5)}, folder=notes)
    for n in range(3):
        (notes / f"{n}.txt").unlink()
    at = press(tab(), "Bring in step")
    ended(desk.jobs()[0])
    calm(at.run())
    assert "3 files went missing, more than a fifth, so nothing was removed." in said(at)
    press(at, "Remove 3 missing files")
    ended(desk.jobs()[0])
    calm(at.run())
    assert "3 removed" in said(at)
    assert list(at.dataframe[0].value["Name"]) == ["3.txt", "4.txt"]


def test_removing_a_collection_takes_its_name(tab: Open, indexes: Path, tmp_path: Path) -> None:
    filled(indexes, {"fox.txt": "The fox."}, folder=uploads.folder(indexes, "default"))
    filled(indexes, {"owl.txt": "The owl."}, name="other")
    at = tab(collection="default")
    (remove,) = [button for button in at.button if button.key == "remove collection"]
    calm(remove.click().run())
    assert "Nothing was removed: that is not its name." in said(at)
    assert Collection(indexes, "default").exists()
    (name,) = [field for field in at.text_input if field.label == "Its name, to be sure"]
    name.set_value("default")
    (remove,) = [button for button in at.button if button.key == "remove collection"]
    calm(remove.click().run())
    assert not Collection(indexes, "default").exists()
    assert not uploads.folder(indexes, "default").exists()
    assert at.selectbox[0].value == "other"


def test_a_damaged_collection_is_explained(tab: Open, indexes: Path) -> None:
    filled(indexes, {"fox.txt": "The fox."})
    (indexes / "default" / "ledger.sqlite").write_bytes(b"no ledger" * 1000)
    at = tab()
    assert "is damaged" in said(at)
    assert {"Repair", "Remove it"} <= {button.label for button in at.button}


# -------------------------------------------------------------------------------------- folders, articles


def test_only_configured_folders_can_be_named(
    tab: Open, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "once RAG_ROOTS says below which" in said(tab())
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "fox.txt").write_text("The fox lives here.")
    (inside / "link").symlink_to(outside)
    monkeypatch.setenv("RAG_ROOTS", f"{inside}:{tmp_path / 'missing'}:")
    for path in (outside, inside / ".." / "outside", inside / "link", "/", "/etc", f"{inside}x", "~", "a\0b"):
        at = tab()
        (field,) = [field for field in at.text_input if field.label == "Folder or file"]
        field.set_value(str(path))
        press(at, "Index it")
        assert "Nothing was changed." in said(at)
    assert desk.jobs() == []
    (field,) = [field for field in at.text_input if field.label == "Folder or file"]
    field.set_value(str(inside))
    press(at, "Index it")
    assert ended(desk.jobs()[0]).exit_code == 0, desk.jobs()[0].log()
    calm(at.run())
    assert list(at.dataframe[0].value["Name"]) == ["fox.txt"]


def test_articles_are_asked_for_by_title(tab: Open, desk: Desk) -> None:
    at = tab()
    at.text_area[0].set_value("Alan Turing\n\n  --api=http://127.0.0.1:9/api.php \nAlan Turing\n")
    (language,) = [field for field in at.text_input if field.label == "Language"]
    language.set_value("../evil")  # so that nothing is asked for
    press(at, "Add articles")
    (job,) = desk.jobs()
    assert job.work.arguments[-3:] == ("--", "Alan Turing", "--api=http://127.0.0.1:9/api.php")
    assert ended(job).exit_code == 2
    calm(at.run())
    assert "Fetched 2 articles: could not begin" in said(at)


def test_articles_are_removed_and_asked_for_again(tab: Open, desk: Desk, indexes: Path) -> None:
    collection = Collection(indexes, "default")
    collection.sync(Shelf({"Heron": "The heron is a bird."}, prefix=b"wiki:https://en.wikipedia.org#"), WordEmbedder())
    collection.sync(Shelf({"Heron": "Our heron is a crane."}), WordEmbedder())
    collection.close()
    at = tab()
    row = [one.key for one in Collection(indexes, "default").held()].index(b"wiki:https://en.wikipedia.org#Heron")
    choose(at, row)
    (remove,) = [button for button in at.button if button.key == "remove document"]
    calm(remove.click().run())
    assert ended(desk.jobs()[0]).exit_code == 0, desk.jobs()[0].log()
    assert [one.key for one in Collection(indexes, "default").held()] == [b"shelf/Heron"]


def test_a_read_only_library_is_looked_at(tab: Open, indexes: Path) -> None:
    filled(indexes, {"fox.txt": "The fox."})
    shutil.rmtree(indexes / ".jobs", ignore_errors=True)
    at = tab()
    assert list(at.dataframe[0].value["Name"]) == ["fox.txt"]
    assert not (indexes / ".jobs").exists(), "to look writes nothing"
    assert not (indexes / ".uploads").exists()


# --------------------------------------------------------------------------------------------- two people


def begin(config, change):  # type: ignore[no-untyped-def]  # its source is run elsewhere, where no name is known
    from app import following

    following.start(config, change)


def test_a_collection_that_is_shared_can_be_looked_at_and_not_changed(
    tab: Open, indexes: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app import login, people
    from app.people import by_password
    from rag.config import Config

    Collection(indexes, "papers").sync(Shelf({"a.txt": "apples"}), WordEmbedder())
    people.share(Config(indexes=indexes), "papers", ["anna"])
    monkeypatch.setattr(login, "person", lambda: by_password("anna"))
    shown = tab(collection="papers")
    assert any("shared with you" in caption.value for caption in shown.caption)
    assert not shown.get("file_uploader")
    assert not {"Verify", "Repair", "Remove", "Remove it", "Refresh"} & {button.label for button in shown.button}
    asked = Config(indexes=indexes, collection="papers")
    for change in (work.sync(asked, [indexes]), work.repair(asked), work.articles(asked, ["X"], "en")):
        refused = AppTest.from_function(begin, args=(asked, change), default_timeout=60).run()
        assert "it can be asked, not changed" in refused.error[0].value
    monkeypatch.setattr(login, "person", lambda: by_password("bert"))
    assert not any("shared with you" in caption.value for caption in tab(collection="papers").caption)
    assert desk.jobs() == []


def test_what_is_common_is_looked_at_and_what_is_ones_own_is_changed(
    tab: Open, indexes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(indexes, {"fox.txt": "The fox."}, name="common", folder=indexes.parent / "notes")
    filled(indexes, {"owl.txt": "The owl."}, name="hidden")
    people.share(Config(indexes=indexes), "common", ["ann"])
    monkeypatch.setattr(login, "person", lambda: people.by_password("ann"))
    at = tab(collection="common")
    assert at.selectbox[0].options == ["common"], "what is not shared is not there"
    assert list(at.dataframe[0].value["Name"]) == ["fox.txt"]
    choose(at, 0, "documents common")
    assert str(indexes.parent) not in said(at), "where it lies on the server is nobody's business"
    assert "shared with you" in said(at)
    assert {button.label for button in at.button} == {"Make it", "Open", "Ask about it"}
    assert not at.file_uploader
    (name,) = [field for field in at.text_input if field.label == "Name"]
    name.set_value("mine")
    press(at, "Make it")
    calm(at.file_uploader[0].set_value([("heron.txt", b"The heron stands by the weir.", "text/plain")]).run())
    own = people.own(Config(indexes=indexes), people.by_password("ann")).indexes
    assert uploads.names(uploads.folder(own, "mine")) == ["heron.txt"]
    assert not (indexes / ".uploads").exists()
    monkeypatch.setattr(login, "person", lambda: people.by_password("bob"))
    at = tab(collection="mine")
    assert "No documents yet" in said(at), "a link to it leads another person to nothing"
    assert not uploads.folder(people.own(Config(indexes=indexes), people.by_password("bob")).indexes, "mine").exists()
