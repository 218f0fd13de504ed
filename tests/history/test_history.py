"""Conversations on disk: kept whole, found again, and never anybody else's."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from rag.errors import DamagedError, StorageError, UsageError
from rag.history import database
from rag.history.store import History, Thumb, Verdict
from rag.history.stored import packed, unpacked
from rag.types import Answer, Article, Citation, Extract, Hit, Passage, Span

NOTICE = Passage("handbook.pdf", "file:///h.pdf", "Handbook", "Leaving", "p. 2", 2, 100, 120, "It is three months. ")
TURING = replace(NOTICE, article=Article("en", 1, 2, "2026-01-01T00:00:00Z", "https://en.wikipedia.org/x", "CC BY-SA"))


def answered(question: str, text: str = "It is three months. [1]") -> Answer:
    return Answer(
        question=question,
        text=text,
        abstained=False,
        model="scribe",
        citations=(Citation(1, NOTICE, True), Citation(2, TURING, False)),
        hits=(Hit(NOTICE, 0.1 + 0.2, Extract(6, 18, -0.5, 1.25, 3.0)), Hit(TURING, 0.0)),
        offered=2,
        unsupported=("Not so. [2]",),
        dropped_markers=(7,),
        confidence=0.75,
        spans=(Span(1, 6, 18),),
        notes=("A note.",),
        repaired=("Set right. [1]",),
        understood=f"{question} (alone)",
        forgotten=1,
        timings={"retrieve": 0.123456789},
    )


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "indexes" / ".people")


def test_an_answer_comes_back_as_it_was() -> None:
    whole = answered("How long?")
    assert unpacked(packed(whole)) == whole
    bare = Answer("?", "No.", True, "scribe")
    assert unpacked(packed(bare)) == bare


def test_a_conversation_is_begun_goes_on_and_is_read_by_another_process(history: History) -> None:
    begun = history.begin("local", "papers", answered("How long is the notice?"))
    turn = history.add("local", begun.id, answered("And for managers?"))
    assert (begun.title, begun.turns, turn.number) == ("How long is the notice?", 1, 2)
    again = History(history.path.parent)
    assert [turn.answer for turn in again.turns("local", begun.id)] == [
        answered("How long is the notice?"),
        answered("And for managers?"),
    ]
    assert again.conversation("local", begun.id).collection == "papers"


def test_a_question_asked_again_takes_the_place_of_what_followed(history: History) -> None:
    id_ = history.begin("local", "papers", answered("One?")).id
    history.add("local", id_, answered("Two?"))
    history.add("local", id_, answered("Three?"))
    history.judge("local", id_, 2, Verdict(Thumb.UP))
    history.add("local", id_, answered("Second?"), at=2)
    turns = history.turns("local", id_)
    assert [(turn.number, turn.answer.question, turn.verdict) for turn in turns] == [
        (1, "One?", None),
        (2, "Second?", None),
    ]
    assert history.add("local", id_, answered("First?"), at=-3).number == 1
    assert history.add("local", id_, answered("Next?"), at=99).number == 2


def test_nobody_sees_what_is_anothers(history: History) -> None:
    hers = history.begin("anna", "papers", answered("Mine?")).id
    history.judge("anna", hers, 1, Verdict(Thumb.UP))
    for call in (
        lambda: history.conversation("bert", hers),
        lambda: history.turns("bert", hers),
        lambda: history.add("bert", hers, answered("Yours?")),
        lambda: history.add("bert", hers, answered("Yours?"), at=1),
        lambda: history.judge("bert", hers, 1, None),
        lambda: history.rename("bert", hers, "Mine now"),
        lambda: history.remove("bert", hers),
    ):
        with pytest.raises(UsageError) as refused:
            call()
        with pytest.raises(UsageError) as unknown:
            history.turns("bert", "no-such-id")
        assert str(refused.value) == str(unknown.value)  # one that is not hers looks like one that is not there
    assert history.conversations("bert") == history.conversations("bert", "mine") == history.judged("bert") == []
    assert history.clear("bert") == 0
    assert [turn.answer.question for turn in history.turns("anna", hers)] == ["Mine?"]


def test_search_finds_words_wherever_they_stand(history: History) -> None:
    first = history.begin("local", "papers", answered("Was kostet die Straße?", "Müller says: 40 %_done. [1]")).id
    history.add("local", first, answered("年次休暇は何日ですか", "26 days"))
    history.rename("local", first, "Road costs")
    other = history.begin("local", "papers", answered("O'Neil's C++ (EU)?", "a:b")).id
    for query, found in {
        "": [other, first],
        "   ": [other, first],
        "MULLER strasse": [first],
        "kostet 休暇": [first],  # words of different turns
        "road": [first],
        "road anyway": [],
        "%_": [first],
        "c++ (eu": [other],
    }.items():
        assert [one.id for one in history.conversations("local", query)] == found, query


STRANGE = [
    *"\"'*^%\\_?",
    "''--",
    "a* OR",
    "NEAR(",
    "(EU",
    "C++ -x",
    "a:b",
    "\0",
    "x\0y",
    "\ud800",
    "\u202e",
    "AND",
    "NOT",
]


def test_no_search_breaks(history: History) -> None:
    begun = history.begin("local", "papers", answered("One?"))
    for query in (*STRANGE, "x" * 100_000, " ".join("abcd" * 999)):
        assert history.conversations("local", query) in ([], [begun]), ascii(query[:20])


def test_pages_neither_repeat_nor_skip_whatever_happens_between_them(history: History) -> None:
    ids = [history.begin("local", "papers", answered(f"Question {n}?")).id for n in range(7)]
    page = history.conversations("local", limit=3)
    assert [one.id for one in page] == ids[:3:-1]
    history.add("local", ids[6], answered("More?"))
    history.remove("local", ids[5])
    rest = history.conversations("local", before=page[-1].position, limit=3)
    assert [one.id for one in rest] == ids[3:0:-1]
    assert history.conversations("local", limit=1)[0].id == ids[6]


def test_a_verdict_is_kept_with_its_answer_changed_and_taken_back(history: History) -> None:
    id_ = history.begin("local", "papers", answered("One?")).id
    verdict = Verdict(Thumb.DOWN, "Wrong year\nreally", "26 days")
    assert history.judge("local", id_, 1, verdict).verdict == verdict
    assert [turn.verdict for turn in history.judged("local")] == [verdict]
    assert history.judge("local", id_, 1, None).verdict is None
    assert history.judged("local") == []
    for number in (0, 2, -1, 2**70):
        with pytest.raises(UsageError):
            history.judge("local", id_, number, verdict)


def test_what_is_deleted_is_gone_from_the_disk(history: History) -> None:
    kept = history.begin("local", "papers", answered("Kept?"))
    id_ = history.begin("local", "papers", answered("Zebracrossing?", "Quetzalcoatl says so.")).id
    history.judge("local", id_, 1, Verdict(Thumb.DOWN, "Xylophonist"))
    blob = packed(answered("Zebracrossing?", "Quetzalcoatl says so."))[-40:]
    stored = [b"zebracrossing", b"quetzalcoatl", b"Xylophonist", blob]

    def on_disk() -> bytes:
        return b"".join(path.read_bytes() for path in history.path.parent.iterdir())

    assert all(text in on_disk() for text in stored)
    with closing(sqlite3.connect(history.path)) as other:  # as long as one is open, the log is not taken away
        other.execute("SELECT count(*) FROM turns").fetchone()
        history.remove("local", id_)
        assert not any(text in on_disk() for text in stored)
    assert history.conversations("local") == [kept]
    assert history.clear("local") == 1
    assert history.conversations("local") == []


def test_reading_makes_nothing_and_the_file_is_nobody_elses(history: History) -> None:
    assert history.conversations("local", "word") == history.judged("local") == []
    with pytest.raises(UsageError):
        history.turns("local", "some-id")
    assert not history.path.parent.exists()
    history.begin("local", "papers", answered("One?"))
    assert history.path.parent.stat().st_mode & 0o777 == 0o700
    with closing(sqlite3.connect(history.path)) as db:
        db.execute("SELECT count(*) FROM turns").fetchone()
        modes = {path.name: path.stat().st_mode & 0o777 for path in history.path.parent.iterdir()}
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert set(modes.values()) == {0o600}, modes


def test_many_threads_at_once_begin_and_add_and_lose_nothing(history: History) -> None:
    start = threading.Barrier(8)
    shared: list[str] = []
    failures: list[BaseException] = []

    def work(owner: str) -> None:
        try:
            start.wait()
            id_ = history.begin(owner, "papers", answered("One?")).id  # all at once make the file, too
            for n in range(5):
                history.add(owner, id_, answered(f"{n}?"))
                history.conversations(owner, "one")
            shared.append(id_)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(f"person {n % 2}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for owner in ("person 0", "person 1"):
        assert [one.turns for one in history.conversations(owner)] == [6] * 4


def test_damage_is_told_and_nothing_is_touched(history: History, tmp_path: Path) -> None:
    id_ = history.begin("local", "papers", answered("One?")).id
    whole = history.path.read_bytes()
    with closing(sqlite3.connect(history.path)) as db, db:
        db.execute("UPDATE answers SET answer = x'00'")
    with pytest.raises(DamagedError, match="documents, and all that was indexed, are untouched"):
        history.turns("local", id_)
    for content in (b"", b"no database at all, but long enough to be looked at" * 100, whole[:5000], whole[:100]):
        history.path.write_bytes(content)
        for call in (lambda: history.conversations("local"), lambda: history.begin("local", "papers", answered("?"))):
            with pytest.raises(DamagedError, match="move it away to begin a new history"):
                call()
        assert history.path.read_bytes() == content
    history.path.rename(tmp_path / "away")
    assert history.begin("local", "papers", answered("New?")).turns == 1


def test_a_newer_programs_file_is_left_alone(history: History) -> None:
    history.begin("local", "papers", answered("One?"))
    with closing(sqlite3.connect(history.path)) as db:
        db.execute(f"PRAGMA user_version={database.SCHEMA_VERSION + 1}")
    with pytest.raises(DamagedError, match=f"has schema {database.SCHEMA_VERSION + 1}, this program reads"):
        history.begin("local", "papers", answered("Two?"))


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Cannot write"):
        History(tmp_path / "file" / ".people").begin("local", "papers", answered("One?"))


def test_titles_are_one_line_and_short(history: History) -> None:
    begun = history.begin("local", "papers", answered("What is\n\n" + "the meaning of it all " * 20))
    assert begun.title.startswith("What is the meaning")
    assert begun.title.endswith("…")
    assert len(begun.title) <= 101
    assert history.rename("local", begun.id, "  ").title == begun.title
    assert history.rename("local", begun.id, " Meaning ").title == "Meaning"


def test_a_draft_that_a_killed_process_left_is_no_obstacle(history: History) -> None:
    history.path.parent.mkdir(parents=True)
    history.path.with_suffix(".new").write_bytes(b"half a file")
    assert history.begin("local", "papers", answered("One?")).turns == 1
    assert os.listdir(history.path.parent) == [history.path.name]


def test_two_processes_lose_nothing(history: History) -> None:
    program = (
        "import sys; from pathlib import Path; from rag.history.store import History; from rag.types import Answer\n"
        "kept = History(Path(sys.argv[1]))\n"
        "sys.stdin.readline()\n"
        "id_ = kept.begin('local', 'papers', Answer('One?', 'Yes.', False, 'scribe')).id\n"
        "for n in range(10): kept.add('local', id_, Answer(f'{n}?', 'Yes.', False, 'scribe'))\n"
    )
    command = [sys.executable, "-c", program, str(history.path.parent)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        process.communicate("go\n")
    assert [process.returncode for process in both] == [0, 0]
    assert [one.turns for one in history.conversations("local")] == [11, 11]
