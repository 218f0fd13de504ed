"""Every fault has its tests, and every defence that the torture takes away is still there to be taken."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import FAULTS
from torture.mutants import MUTANTS, Mutant

TESTS = Path(__file__).parent


def marks(path: Path) -> Iterator[int]:
    """The rows that a test file's tests are marked with: as decorators, or for the file as a whole."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
            yield from (ast.literal_eval(argument) for argument in node.args)


MARKED = {row for path in TESTS.rglob("test_*.py") for row in marks(path)}


@pytest.mark.parametrize("row", FAULTS)
def test_every_fault_has_a_test(row: int) -> None:
    assert row in MARKED, FAULTS[row]
    assert row in {mutant.row for mutant in MUTANTS}, f"no defence is taken away: {FAULTS[row]}"


def test_there_are_no_other_faults() -> None:
    assert FAULTS.keys() >= MARKED
    assert list(FAULTS) == list(range(1, len(FAULTS) + 1))


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_every_defence_is_there_to_be_taken(mutant: Mutant) -> None:
    """A mutant that fits nothing any more proves nothing: bring it up to date with the code that it takes away."""
    before = mutant.path.read_text(encoding="utf-8")
    after = mutant.applied(before)
    assert after != before
    if mutant.path.suffix == ".py":
        ast.parse(after)
