"""People and their passwords: one small file, in which a password can be recognised and not read.

A password is checked as slowly for a name that nobody has as for any other, so that neither the answer nor its time
tells which names there are.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.people import Person, by_password, called
from rag.errors import DamagedError, RagError, StorageError, UsageError

FILE = "people.json"
SHORTEST, LONGEST = 10, 1_024  # characters of a password
_VERSION = 1
_COST = (2**15, 8, 3)  # scrypt's n, r, p as OWASP recommends them: 32 MiB, about a tenth of a second
_MEMORY = 64 * 2**20


class Passwords:
    """The file in a folder. Raises DamagedError for one that cannot be understood, StorageError as it says."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE

    def names(self) -> list[str]:
        return sorted(self._read())

    def proof(self, name: str) -> str:
        """What changes with the person's password, and is empty for nobody, or while nobody can be looked up: a login
        lasts no longer than this."""
        try:
            return self._read().get(name, "")
        except RagError:
            return ""

    def check(self, name: str, password: str) -> Person | None:
        """The person, if that is their password."""
        try:
            name = called(name)
        except UsageError:
            name = ""
        stored = self._read().get(name)
        is_theirs = _matches(password[:LONGEST], stored or _NOBODYS)
        return by_password(name) if stored and is_theirs else None

    def put(self, name: str, password: str) -> bool:
        """Gives a person a password, and says whether they are new. Raises UsageError for one that is too short."""
        name = called(name)
        if not SHORTEST <= len(password) <= LONGEST:
            raise UsageError(f"A password has {SHORTEST} to {LONGEST:,} characters. Nothing was changed.")
        with self._changing() as people:
            is_new = name not in people
            people[name] = _hashed(password)
        return is_new

    def remove(self, name: str) -> None:
        """Raises UsageError for a name that nobody has."""
        if called(name) not in (there := self.names()):
            raise UsageError(f"There is no person {name!r}. There is: {', '.join(there) or 'nobody'}.")
        with self._changing() as people:
            people.pop(called(name), None)

    def _read(self) -> dict[str, str]:
        try:
            stored = json.loads(self.path.read_bytes())
            if stored["version"] != _VERSION:
                raise ValueError(f"version {stored['version']}")
            return {str(name): str(entry) for name, entry in stored["people"].items()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StorageError(
                f"{self.path} cannot be read: {error.strerror}. Nobody can log in until it can."
            ) from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DamagedError(
                f"The people in {self.path} cannot be read ({error}); nobody can log in. Documents and conversations "
                "are untouched. Restore the file from a backup, or move it away and add people again."
            ) from error

    @contextmanager
    def _changing(self) -> Iterator[dict[str, str]]:
        """The people, written back whole when all went well. Two processes take turns."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = os.open(self.path.parent, os.O_RDONLY)
        except OSError as error:
            raise StorageError(f"Cannot write {self.path}: {error.strerror}. Nothing was changed.") from error
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            people = self._read()
            yield people
            self._write(json.dumps({"version": _VERSION, "people": people}, indent=2))
        finally:
            os.close(folder)

    def _write(self, content: str) -> None:
        draft = self.path.with_suffix(".new")
        try:
            draft.unlink(missing_ok=True)
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as error:
            raise StorageError(f"Cannot write {self.path}: {error.strerror}. Nothing was changed.") from error


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(16)
    return "$".join(["scrypt", *map(str, _COST), _text(salt), _text(_scrypt(password, salt, *_COST))])


def _matches(password: str, stored: str) -> bool:
    try:
        _, n, r, p, salt, digest = stored.split("$")
        return hmac.compare_digest(_scrypt(password, _bytes(salt), int(n), int(r), int(p)), _bytes(digest))
    except ValueError:  # an entry that somebody has edited lets nobody in
        return False


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "replace"), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


_NOBODYS = "$".join(["scrypt", *map(str, _COST), _text(bytes(16)), _text(bytes(32))])
