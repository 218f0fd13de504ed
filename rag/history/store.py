"""Conversations on disk. Whatever is asked of them is asked for an owner, who sees nothing of anybody else's.

Every call opens the file for itself, so that threads and processes need no agreement, and a file that was restored or
moved away is noticed; that costs less than a millisecond.
"""

from __future__ import annotations

import secrets
import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from rag.errors import UsageError
from rag.history import database
from rag.history.stored import packed, unpacked
from rag.types import Answer

FILE = "conversations.sqlite"
PAGE = 50  # conversations that are listed at once
LONGEST_TITLE = 100  # characters
LONGEST_NOTE = 4_000
MOST_WORDS = 20  # of a search that are looked for

_UNKNOWN = "There is no such conversation: it may have been deleted, or the link is not whole."


class Thumb(StrEnum):
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person thinks of an answer, and the answer that they `expected`, where they say so."""

    thumb: Thumb
    note: str = ""
    expected: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """`position` is higher the later something was last said in it: where the next page of a list begins."""

    id: str
    collection: str
    title: str
    began: datetime
    updated: datetime
    position: int
    turns: int


@dataclass(frozen=True, slots=True)
class Turn:
    """An answer with its question; `number` counts from 1 within the conversation."""

    number: int
    asked: datetime
    answer: Answer
    verdict: Verdict | None = None


class History:
    """All conversations under a folder, which is made when the first one begins.

    Errors: UsageError for a conversation that the owner does not have, whether or not somebody else does; DamagedError
    and StorageError as they say; LockedError where another process does not stop writing.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    # ------------------------------------------------------------------------------------------- reading

    def conversations(
        self, owner: str, matching: str = "", *, before: int | None = None, limit: int = PAGE
    ) -> list[Conversation]:
        """The owner's conversations, latest first, in which every word of `matching` occurs somewhere (as a part of a
        word will do; case and accents are not heeded). `before` the position of the last one gives the next page."""
        words = folded(matching).split()[:MOST_WORDS]
        sql, values = f"{_CONVERSATIONS} WHERE c.owner = ?", [owner]
        for word in words:
            sql += (
                " AND (instr(c.folded, ?) OR EXISTS"
                " (SELECT 1 FROM turns t WHERE t.conversation = c.id AND instr(t.folded, ?)))"
            )
            values += [word, word]
        if before is not None:
            sql += f" AND c.position < {int(before)}"
        with self._reading() as db:
            return list(
                map(self._conversation, db.execute(f"{sql} ORDER BY c.position DESC LIMIT {int(limit)}", values))
            )

    def conversation(self, owner: str, id_: str) -> Conversation:
        with self._reading() as db:
            return self._found(db, owner, id_)

    def turns(self, owner: str, id_: str) -> list[Turn]:
        with self._reading() as db:
            self._found(db, owner, id_)
            return list(map(self._turn, db.execute(f"{_TURNS} WHERE t.conversation = ? ORDER BY t.number", [id_])))

    def judged(self, owner: str) -> list[Turn]:
        """Every turn that the owner has a verdict on, oldest first."""
        with self._reading() as db:
            sql = f"{_TURNS} WHERE t.thumb != '' AND c.owner = ? ORDER BY t.id"
            return list(map(self._turn, db.execute(sql, [owner])))

    # ------------------------------------------------------------------------------------------- writing

    def begin(self, owner: str, collection: str, answer: Answer) -> Conversation:
        """A new conversation with its first turn, named by its question."""
        id_, now, title = secrets.token_hex(16), _now(), _title(answer.question)
        with self._writing() as db:
            db.execute(
                "INSERT INTO conversations VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [id_, owner, _text(collection), title, folded(title), now, now, _next(db)],
            )
            _add(db, id_, 1, answer)
            return self._found(db, owner, id_)

    def add(self, owner: str, id_: str, answer: Answer, at: int | None = None) -> Turn:
        """The next turn; or the one `at` a number, in place of that one and of all that followed it: a question that
        was edited, or asked again."""
        with self._writing() as db:
            found = self._found(db, owner, id_)
            number = max(1, min(at or found.turns + 1, found.turns + 1))
            db.execute("DELETE FROM turns WHERE conversation = ? AND number >= ?", [id_, number])
            _add(db, id_, number, answer)
            db.execute("UPDATE conversations SET updated = ?, position = ? WHERE id = ?", [_now(), _next(db), id_])
            return self._nth(db, id_, number)

    def judge(self, owner: str, id_: str, number: int, verdict: Verdict | None) -> Turn:
        """Keeps a verdict in place of the one before; None takes it back."""
        kept = verdict and [verdict.thumb, _text(verdict.note[:LONGEST_NOTE]), _text(verdict.expected[:LONGEST_NOTE])]
        with self._writing() as db:
            if not 1 <= number <= self._found(db, owner, id_).turns:
                raise UsageError("There is no such answer in this conversation: it may have been asked again.")
            sql = "UPDATE turns SET thumb = ?, note = ?, expected = ? WHERE conversation = ? AND number = ?"
            db.execute(sql, [*(kept or ("", "", "")), id_, number])
            return self._nth(db, id_, number)

    def rename(self, owner: str, id_: str, title: str) -> Conversation:
        with self._writing() as db:
            before = self._found(db, owner, id_)
            title = _title(title) or before.title
            db.execute("UPDATE conversations SET title = ?, folded = ? WHERE id = ?", [title, folded(title), id_])
            return self._found(db, owner, id_)

    def remove(self, owner: str, id_: str) -> None:
        """Deletes a conversation: nothing of it is left in the file."""
        with self._writing() as db:
            self._found(db, owner, id_)
            db.execute("DELETE FROM conversations WHERE id = ?", [id_])

    def clear(self, owner: str) -> int:
        """Deletes all that the owner has, and says how many conversations that were."""
        with self._writing() as db:
            return db.execute("DELETE FROM conversations WHERE owner = ?", [owner]).rowcount

    # ------------------------------------------------------------------------------------------ internals

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection whose reads see one state. Where nothing was ever kept, nothing is made."""
        with database.explained(self.path), closing(database.connect_to_read(self.path)) as db:
            db.execute("BEGIN")
            yield db
            db.execute("ROLLBACK")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction. What it overwrote is gone from the log, too, when it ends."""
        with database.explained(self.path), closing(database.connect(self.path)) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")
            with suppress(sqlite3.OperationalError):  # it is kept; a full disk leaves this to whoever writes next
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _found(self, db: sqlite3.Connection, owner: str, id_: str) -> Conversation:
        row = db.execute(f"{_CONVERSATIONS} WHERE c.id = ? AND c.owner = ?", [_text(id_), owner]).fetchone()
        if row is None:
            raise UsageError(_UNKNOWN)
        return self._conversation(row)

    def _nth(self, db: sqlite3.Connection, id_: str, number: int) -> Turn:
        return self._turn(db.execute(f"{_TURNS} WHERE t.conversation = ? AND t.number = ?", [id_, number]).fetchone())

    def _conversation(self, row: Sequence[Any]) -> Conversation:
        id_, collection, title, began, updated, position, turns = row
        with database.decoded(self.path):
            return Conversation(id_, collection, title, _time(began), _time(updated), position, turns)

    def _turn(self, row: Sequence[Any]) -> Turn:
        number, asked, thumb, note, expected, answer = row
        with database.decoded(self.path):
            verdict = Verdict(Thumb(thumb), note, expected) if thumb else None
            return Turn(number, _time(asked), unpacked(answer), verdict)


_CONVERSATIONS = (
    "SELECT c.id, c.collection, c.title, c.began, c.updated, c.position,"
    " (SELECT count(*) FROM turns t WHERE t.conversation = c.id) FROM conversations c"
)
_TURNS = (
    "SELECT t.number, t.asked, t.thumb, t.note, t.expected, a.answer FROM turns t"
    " JOIN answers a ON a.turn = t.id JOIN conversations c ON c.id = t.conversation"
)


def folded(text: str) -> str:
    """Text as a search compares it: "Müller's STRASSE" and "muller's strasse" are equal."""
    apart = unicodedata.normalize("NFKD", _text(text).casefold())
    return "".join(char for char in apart if not unicodedata.combining(char))


def _add(db: sqlite3.Connection, id_: str, number: int, answer: Answer) -> None:
    said = folded(f"{answer.question}\n{answer.text}")
    sql = "INSERT INTO turns(conversation, number, asked, folded) VALUES (?, ?, ?, ?) RETURNING id"
    (turn,) = db.execute(sql, [id_, number, _now(), said]).fetchone()
    db.execute("INSERT INTO answers VALUES (?, ?)", [turn, packed(answer)])


def _next(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(position), 0) + 1 FROM conversations").fetchone()[0])


def _title(question: str) -> str:
    """On one line, cut between words."""
    line = " ".join(_text(question).split())
    if len(line) <= LONGEST_TITLE:
        return line
    return f"{line[:LONGEST_TITLE].rpartition(' ')[0] or line[:LONGEST_TITLE]}…"


def _text(text: str) -> str:
    """Without lone surrogates, which SQLite cannot store."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _time(stored: str) -> datetime:
    return datetime.fromisoformat(stored)
