"""The program without each of its defences, and the test that fails for want of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mutants import MUTANTS, ROOT, Mutant

pytestmark = pytest.mark.torture
HANGS = 124
PARTS = ("rag", "tests", "app", "data", "pyproject.toml", "README.md", "constraints.txt")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, to be mutilated."""
    folder = tmp_path_factory.mktemp("mutants")
    for part in PARTS:
        of = shutil.ignore_patterns("__pycache__", "results")
        copied = shutil.copytree if (ROOT / part).is_dir() else shutil.copyfile
        copied(ROOT / part, folder / part, **({"ignore": of} if (ROOT / part).is_dir() else {}))
    return folder


@pytest.fixture
def mutilated(copy: Path, mutant: Mutant) -> Iterator[Path]:
    victim = copy / mutant.file
    whole = victim.read_text(encoding="utf-8")
    victim.write_text(mutant.applied(whole), encoding="utf-8")
    yield copy
    victim.write_text(whole, encoding="utf-8")


def tested(folder: Path, tests: set[str], seconds: float) -> tuple[int, str]:
    """Runs these tests of the copy up to the first that fails: the exit code, and what pytest said."""
    defined = re.compile(rf"def ({'|'.join(tests)})\(")
    files = [str(path) for path in sorted((folder / "tests").rglob("test_*.py")) if defined.search(path.read_text())]
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-p", "no:cacheprovider", *files, "-k", " or ".join(tests)]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return HANGS, ""
    said = done.stdout[-3000:] + done.stderr[-1000:]
    return done.returncode, said.decode(errors="replace")  # a test that fails shows what it failed on, whatever that is


def test_with_all_defences_they_pass(copy: Path) -> None:
    code, said = tested(copy, {mutant.by for mutant in MUTANTS}, 3600)
    assert code == 0, said


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_without_its_defence_a_test_fails(mutilated: Path, mutant: Mutant) -> None:
    """Or hangs, or dies: so may a library that reads what it never should have been given."""
    code, said = tested(mutilated, {mutant.by}, 600)
    if code == 0 and " skipped" in said:
        pytest.skip(f"{mutant.by} cannot run here")
    assert code == 1 or code == HANGS or code < 0, said
    assert code != 1 or mutant.by in said.partition("short test summary")[2], said
