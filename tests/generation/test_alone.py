"""Generation by itself, as on a machine that has nothing of what indexing needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import rag.generation

ABSENT = ("faiss", "tantivy", "openvino", "pypdfium2", "pypdf", "streamlit", "starlette", "uvicorn", "docx", "lxml")
MODULES = sorted(Path(rag.generation.__file__).parent.rglob("*.py"))
PROBE = f"""
import sys, importlib
for name in {ABSENT!r}:
    sys.modules[name] = None  # importing it fails
for name in sys.argv[1:]:
    importlib.import_module(name)
from rag.generation.prompted import PromptedWriter
from rag.generation.check import check
from rag.types import Hit, Passage

class Model:
    name, window = "model", 10_000
    def prompt_tokens(self, turns): return 100
    def stream(self, turns, most): yield "Alpha costs 20 [1]."

found = [Hit(Passage("a", "", "a", "", "", None, 0, 17, "Alpha costs 20 €."), 1.0)]
text = "".join(PromptedWriter(Model()).write("What does Alpha cost?", found))
print(check(text, [hit.passage for hit in found]).citations[0].supported)
"""


def test_generation_needs_nothing_of_the_other_wings() -> None:
    names = [
        ".".join(["rag", "generation", *path.relative_to(Path(rag.generation.__file__).parent).with_suffix("").parts])
        for path in MODULES
    ]
    wanted = [
        name for name in names if not name.endswith(("__init__", "kernel"))
    ]  # kernel: Triton, where there is a GPU
    done = subprocess.run([sys.executable, "-c", PROBE, *wanted], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("True", 0), done.stderr
