"""Damage to the files of an index: found before a native library sees them, searched around, and repaired."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from conftest import Shelf, WordEmbedder
from workload import Held, edited, held, library, passages

from rag.index.collection import Collection
from rag.index.vectors import VectorIndex
from rag.index.words import WordIndex

Damage = Callable[[Path], None]  # to a file that is there


def flipped(at: float, bit: int = 0) -> Damage:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[min(int(at * len(content)), len(content) - 1)] ^= 1 << bit
        path.write_bytes(content)

    return damage


def cut(to: float) -> Damage:
    return lambda path: path.write_bytes(path.read_bytes()[: int(to * path.stat().st_size)]) and None


def zeroed(start: float, end: float) -> Damage:
    def damage(path: Path) -> None:
        content = path.read_bytes()
        a, b = int(start * len(content)), int(end * len(content)) + 1
        path.write_bytes(content[:a] + bytes(len(content[a:b])) + content[b:])

    return damage


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def replaced(by: Path) -> Damage:
    return lambda path: shutil.copyfile(by, path) and None


LISTED: dict[str, Damage] = {
    **{f"cut to {to:.2%}": cut(to) for to in (0, 0.0001, 0.3, 0.999)},
    **{f"a bit of byte {n} of 12": flipped((n + 0.5) / 12, n % 8) for n in range(12)},
    "its second half zeroed": zeroed(0.5, 1),
    "longer by a byte": longer,
    "deleted": Path.unlink,
}


@pytest.fixture
def index(memory: Path) -> Collection:
    """A collection whose generation has several segments, with an older one and another collection's beside it."""
    rng = random.Random(5)
    files = library(rng, 14)
    made = Collection(memory / "indexes", "default")
    for name in ("older", "newest"):
        made.sync(Shelf(dict(files)), WordEmbedder(), prune=True)
        shutil.copytree(published(made), memory / name)
        files = edited(files, rng, 5) if name == "older" else files
    other = Collection(memory / "indexes", "other")
    other.sync(Shelf(dict(edited(files, rng, 20))), WordEmbedder())
    shutil.copytree(published(other), memory / "other")
    assert held(made) == passages(files)
    return made


def published(collection: Collection) -> Path:
    return collection.home / f"generation-{collection.info()['generation']}"


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def strangers(memory: Path, victim: Path) -> Iterator[Path]:
    """Whole files of the same kind, that are not this one: of another collection, and of an older generation."""
    for folder in ("other", "older", "newest"):
        for path in files_of(memory / folder):
            if path.suffix == victim.suffix and path.read_bytes() != victim.read_bytes():
                yield path


def drawn(rng: random.Random, victim: Path, others: Sequence[Path]) -> tuple[str, Damage]:
    start = rng.random()
    kinds = {
        "bit flipped": flipped(rng.random(), rng.randrange(8)),
        "truncated": cut(rng.random()),
        "zeroed": zeroed(start, rng.uniform(start, 1)),
        "swapped": replaced(rng.choice(others)) if others else longer,
        "deleted": Path.unlink,
    }
    kind = rng.choices(list(kinds), weights=[4, 2, 2, 3, 1])[0]
    return kind, kinds[kind]


@pytest.mark.fault(5)
@pytest.mark.rounds(40, 500)
def test_every_damage_is_found_before_the_file_is_used(
    rounds: int, index: Collection, memory: Path, monkeypatch: pytest.MonkeyPatch, figure: Callable[[str], None]
) -> None:
    rng, truth, folder = random.Random(rounds), held(index), published(index)
    index.close()
    victims = files_of(folder)
    cases = [(name, damage, victim) for victim in victims for name, damage in LISTED.items()]
    cases = rng.sample(cases, min(rounds // 2, len(cases)))
    for _ in range(rounds - len(cases)):
        victim = rng.choice(victims)
        cases.append((*drawn(rng, victim, list(strangers(memory, victim))), victim))
    done: Counter[str] = Counter()
    for name, damage, original in cases:
        copy = memory / "copy" / "default"
        shutil.copytree(index.home, copy)
        victim = copy / original.relative_to(index.home)
        damage(victim)
        if not victim.exists() or victim.read_bytes() != original.read_bytes():  # else: zeroes where zeroes were
            hurt = Collection(copy.parent, "default")
            assert_found_and_searched_around(hurt, truth, victim, monkeypatch)
            if rng.random() < 0.2:
                assert any("rebuilt" in line for line in hurt.repair())
                assert hurt.verify() == []
                assert held(hurt) == truth
                assert not hurt.notes
            hurt.close()
            done[name] += 1
        shutil.rmtree(copy.parent)
    assert sum(done.values()) > 0.8 * rounds
    figure(f"{sum(done.values())} damages to the files of an index, of {len(done)} kinds: all found before use")


def assert_found_and_searched_around(
    hurt: Collection, truth: Held, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    with monkeypatch.context() as watched:
        for index, name in ((VectorIndex, "load"), (WordIndex, "open")):
            real = getattr(index, name)
            watched.setattr(index, name, lambda path, real=real: opened.append(path) or real(path))
        assert held(hurt) == truth
    assert not [path for path in opened if victim.is_relative_to(path)], "a native library has read it"
    assert "Index damaged" in hurt.notes[0]
    assert "rag repair" in hurt.notes[0]
    assert any(victim.name in problem for problem in hurt.verify())
