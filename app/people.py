"""Who asks, and what is theirs: which folder of collections, and which of the common ones they may read.

A person's own collections lie in a folder of their own, so that whatever is handed that folder (a list, a search, a
sync) can reach nobody else's. Collections beside those folders are common: made on the command line, and read, never
changed, by those whom the file `readers` in the collection names.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

from rag import compose
from rag.compose import PEOPLE
from rag.config import Config
from rag.errors import StorageError, UsageError
from rag.index.collection import LEDGER

HOMES = "homes"
READERS = "readers"
EVERYBODY = "*"  # who has logged in

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,127}")


@dataclass(frozen=True, slots=True)
class Person:
    """`id` says whose a conversation is, and is never shown; `name` is what they log in by, and what `readers` says.
    Where nobody logs in there is one person, whose name is empty."""

    id: str
    name: str = ""


LOCAL = Person("local")


def by_password(name: str) -> Person:
    return Person(f"password:{name}", name)


def called(name: str) -> str:
    """A name as it is compared and stored. Raises UsageError for one that no person can have."""
    name = name.strip().casefold()
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:80]!r} is no name for a person: use up to 128 letters from a to z, digits and . _ @ + -, "
            "beginning with a letter or digit."
        )
    return name


def own(config: Config, person: Person) -> Config:
    """The same settings over the person's own collections."""
    if person == LOCAL:
        return config
    folder = hashlib.sha256(person.id.encode()).hexdigest()[:32]
    return replace(config, indexes=_common(config) / PEOPLE / HOMES / folder, store="")


def collections(config: Config, person: Person) -> dict[str, Config]:
    """The settings to ask each collection by, of all that the person may read, by name. Their own go before common
    ones of the same name. What a server holds is common."""
    if config.store and person == LOCAL:
        return {config.collection: config}
    found = {name: own(config, person) for name in _names(own(config, person).indexes)}
    if person != LOCAL:
        beside = replace(config, indexes=_common(config))
        common = {name: beside.indexes / name for name in _names(beside.indexes)}
        if config.store:
            common = {config.collection: compose.collection(beside).home}
        found = {name: beside for name, home in common.items() if _reads(home, person)} | found
    return {name: replace(found[name], collection=name) for name in sorted(found)}


def at(config: Config, person: Person, name: str) -> Config:
    """The settings to ask a collection by. One that the person may not read is looked for among their own, like one
    that there never was."""
    return collections(config, person).get(name) or replace(own(config, person), collection=name)


def may_change(config: Config, person: Person, name: str) -> bool:
    """Whether a collection is, or would be, the person's own."""
    return at(config, person, name).indexes == own(config, person).indexes


def share(config: Config, name: str, people: list[str]) -> list[str]:
    """Lets people read a common collection, and says who then does: those before, too. Raises UsageError."""
    home = _home(config, name)
    known = readers(home)
    return _write(home, sorted({*known, *(one if one == EVERYBODY else called(one) for one in people)}))


def unshare(config: Config, name: str, people: list[str]) -> list[str]:
    """Takes that back, for some or, without names, for all."""
    home = _home(config, name)
    gone = {one if one == EVERYBODY else called(one) for one in people}
    return _write(home, [one for one in readers(home) if people and one not in gone])


def readers(home: Path) -> list[str]:
    try:
        return (home / READERS).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):  # what cannot be read lets nobody in
        return []


def _common(config: Config) -> Path:
    """The folder of the common collections, also of settings that are over a person's own."""
    homes = config.indexes.parent
    return homes.parents[1] if (homes.name, homes.parent.name) == (HOMES, PEOPLE) else config.indexes


def _home(config: Config, name: str) -> Path:
    collection = compose.collection(replace(config, collection=name))
    collection.require()
    collection.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    return collection.home


def _names(indexes: Path) -> list[str]:
    return sorted(path.parent.name for path in indexes.glob(f"*/{LEDGER}") if not path.parent.name.startswith("."))


def _reads(home: Path, person: Person) -> bool:
    named = readers(home)
    return EVERYBODY in named or (bool(person.name) and person.name in named)


def _write(home: Path, names: list[str]) -> list[str]:
    draft = home / f"{READERS}.new"
    try:
        draft.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        draft.chmod(0o600)
        draft.replace(home / READERS)
    except OSError as error:
        raise StorageError(f"Cannot write {home / READERS}: {error.strerror}. Nothing was changed.") from error
    return names
