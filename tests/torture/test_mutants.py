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


def tested(folder: Path, tests: set[str]) -> subprocess.CompletedProcess[str]:
    """Runs these tests of the copy, up to the first that fails."""
    defined = re.compile(rf"def ({'|'.join(tests)})\(")
    files = [str(path) for path in sorted((folder / "tests").rglob("test_*.py")) if defined.search(path.read_text())]
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-p", "no:cacheprovider", *files, "-k", " or ".join(tests)]
    environment = os.environ | {"PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1800)


def test_with_all_defences_they_pass(copy: Path) -> None:
    done = tested(copy, {mutant.by for mutant in MUTANTS})
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_without_its_defence_a_test_fails(mutilated: Path, mutant: Mutant) -> None:
    done = tested(mutilated, {mutant.by})
    if " skipped" in done.stdout and done.returncode == 0:
        pytest.skip(f"{mutant.by} cannot run here")
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-1000:]
    assert mutant.by in done.stdout.partition("short test summary")[2], done.stdout[-3000:]
