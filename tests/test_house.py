"""The order of the house: imports point one way, heavy libraries wait until they are used, README tells the truth."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "rag").rglob("*.py"))
PAGES = sorted((ROOT / "app").rglob("*.py"))
WINGS = {"sources", "index", "reader", "retrieval", "generation"}
HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "faiss",
    "openvino",
    "tantivy",
    "streamlit",
    "pypdfium2",
    "numpy",
    "ray",
    "pyarrow",
    "pymilvus",
    "grpc",
)


def level(module: str) -> float:
    """0 types, errors; encoder; 1 the wings; 2 answer, config, history; 3 evaluation, what shows, serves; 4 faces."""
    parts = module.split(".")
    first = parts[1] if len(parts) > 1 else ""
    if first in {"", "types", "errors"}:
        return 0
    if first in {"encoder", "training"}:
        return 0.5
    if first in WINGS:
        return 1
    second = ("answer", "compose", "history", "shapes", "notes")
    third = ("evaluation", "terminal", "api")
    return {"config": 1.5, **dict.fromkeys(second, 2), **dict.fromkeys(third, 3)}.get(first, 4)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> list[str]:
    """Our own modules that a module imports, wherever in it; `config` may name anything below it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "rag":
            direct = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name_of(p) for p in MODULES}
            found += [name for name in direct if name in modules] or [node.module]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] == "rag"]
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_only_forward(path: Path) -> None:
    name = name_of(path)
    for imported in imports(path):
        if level(name) == 1 and level(imported) == 1:
            assert imported.split(".")[1] == name.split(".")[1], f"{name} and {imported} meet in protocols only"
        else:
            assert level(imported) <= level(name), f"{name} imports {imported}"


NETWORKS = {"rag.reader.network"}  # torch modules, which nothing else imports before it needs them


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_heavy_libraries_are_imported_where_they_are_used(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            heavy = NETWORKS if name_of(path) in NETWORKS else {*HEAVY, *NETWORKS}
            assert not ({name.split(".")[0] for name in named} | set(named)) & heavy, f"{path}:{node.lineno}"


def test_help_loads_nothing_heavy() -> None:
    probe = (
        "import sys; from rag.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_library_does_not_know_the_page() -> None:
    for path in MODULES:
        assert not re.search(r"^\s*(from|import) (app|streamlit)\b", path.read_text(encoding="utf-8"), re.M), path


README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_path_of_the_readmes_tree_exists_and_every_module_is_in_it() -> None:
    tree = re.search(r"<!-- tree -->\n```\n(.*?)```", README, re.S)
    assert tree, "README.md has its tree between <!-- tree --> and a code fence"
    listed: set[str] = set()
    folders: list[str] = []
    for line in tree.group(1).splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        folders = folders[:depth]
        path = "".join(folders) + name
        assert (ROOT / path).exists(), path
        listed.add(path)
        if name.endswith("/"):
            folders.append(name)
    missing = {p.relative_to(ROOT).as_posix() for p in MODULES + PAGES if p.name != "__init__.py"} - listed
    assert not missing


def test_the_readme_shows_the_help_text_as_it_is() -> None:
    shown = re.search(r"<!-- help -->\n```\n(.*?)```", README, re.S)
    assert shown
    command = [sys.executable, "-m", "rag.cli", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"COLUMNS": "80", "PATH": ""})
    assert shown.group(1).strip() == done.stdout.strip()


def test_constraints_pin_every_direct_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [d for group in project["optional-dependencies"].values() for d in group]
    wanted = {re.split(r"[\[<>=]", d)[0].lower().replace("_", "-") for d in project["dependencies"] + extras}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    assert wanted - pinned == {"beluga-rag"}
