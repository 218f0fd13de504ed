"""Who may log in: what is kept of a password, and what neither answer nor time tells."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from app.people import by_password
from app.server import passwords
from app.server.passwords import Passwords
from rag.errors import DamagedError, StorageError, UsageError

GOOD = "correct horse battery"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_COST", (2**4, 8, 1))
    monkeypatch.setattr(passwords, "_NOBODYS", passwords._hashed("nobody's"))


@pytest.fixture
def people(tmp_path: Path) -> Passwords:
    return Passwords(tmp_path / "indexes" / ".people")


def test_only_the_right_password_of_the_right_person(people: Passwords) -> None:
    assert people.put("Anna", GOOD)
    assert people.put("bert@example.org", "another long one")
    assert people.names() == ["anna", "bert@example.org"]
    assert people.check("anna", GOOD) == people.check(" ANNA ", GOOD) == by_password("anna")
    for name, password in {
        ("anna", GOOD + " "): None,
        ("anna", GOOD[:-1]): None,
        ("anna", ""): None,
        ("anna", "another long one"): None,
        ("bert", "another long one"): None,
        ("", GOOD): None,
        ("carl", GOOD): None,
        ("../anna", GOOD): None,
        ("\ud800", "\ud800"): None,
    }:
        assert people.check(name, password) is None, name


def test_nothing_stored_tells_a_password_and_equal_ones_differ(people: Passwords) -> None:
    people.put("anna", GOOD)
    people.put("bert", GOOD)
    stored = people.path.read_text()
    assert GOOD not in stored
    assert people.proof("anna") != people.proof("bert")
    assert people.path.stat().st_mode & 0o777 == 0o600
    assert people.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_name_that_nobody_has_costs_as_much_as_any_other(people: Passwords, monkeypatch: pytest.MonkeyPatch) -> None:
    people.put("anna", GOOD)
    paid: list[tuple[int, int, int]] = []
    scrypt = passwords._scrypt

    def counted(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
        paid.append((n, r, p))
        return scrypt(password, salt, n, r, p)

    monkeypatch.setattr(passwords, "_scrypt", counted)
    for name in ("anna", "nobody", "no name at all!", ""):
        people.check(name, "wrong password")
    assert paid == [(2**4, 8, 1)] * 4


def test_what_nobody_is_checked_against_costs_what_a_new_password_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    cost = "$".join(map(str, passwords._COST))
    assert passwords._NOBODYS.startswith(f"scrypt${cost}$")
    n, r, p = passwords._COST
    assert n * r * p >= 2**15 * 8 * 3  # OWASP's least


def test_a_changed_password_replaces_the_one_before(people: Passwords) -> None:
    people.put("anna", GOOD)
    before = people.proof("anna")
    assert not people.put("anna", "an even better one")
    assert people.proof("anna") not in ("", before)
    assert people.check("anna", GOOD) is None
    people.remove("anna")
    assert people.proof("anna") == ""
    assert people.check("anna", "an even better one") is None
    with pytest.raises(UsageError, match="There is: nobody"):
        people.remove("anna")


@pytest.mark.parametrize("name", ["", "a b", "../x", "-x", "Ä", "x" * 129, "a\nb", "*"])
def test_names_that_nobody_can_have(people: Passwords, name: str) -> None:
    with pytest.raises(UsageError, match="is no name for a person"):
        people.put(name, GOOD)
    assert not people.path.exists()


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
def test_passwords_that_are_refused(people: Passwords, password: str) -> None:
    with pytest.raises(UsageError, match="10 to 1,024 characters"):
        people.put("anna", password)


def test_a_damaged_file_lets_nobody_in_and_is_left_alone(people: Passwords) -> None:
    people.put("anna", GOOD)
    for content in ("", "{", "[]", '{"version": 2, "people": {}}', '{"version": 1}', '{"version": 1, "people": []}'):
        people.path.write_text(content)
        for call in (people.names, lambda: people.check("anna", GOOD), lambda: people.put("bert", GOOD)):
            with pytest.raises(DamagedError, match="Documents and conversations are untouched"):
                call()
        assert people.proof("anna") == ""
        assert people.path.read_text() == content


@pytest.mark.parametrize(
    "entry", ["", "scrypt", "scrypt$a$8$1$AA==$AA==", "scrypt$16$8$1$AA==$!", "scrypt$3$8$1$AA==$AA=="]
)
def test_an_edited_entry_lets_nobody_in(people: Passwords, entry: str) -> None:
    people.put("anna", GOOD)
    people.path.write_text(json.dumps({"version": 1, "people": {"anna": entry}}))
    assert people.check("anna", GOOD) is None


def test_many_at_once_lose_nobody(people: Passwords) -> None:
    start = threading.Barrier(8)

    def add(name: str) -> None:
        start.wait()
        people.put(name, GOOD)

    threads = [threading.Thread(target=add, args=(f"person-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert people.names() == [f"person-{n}" for n in range(8)]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Nothing was changed"):
        Passwords(tmp_path / "file" / ".people").put("anna", GOOD)
