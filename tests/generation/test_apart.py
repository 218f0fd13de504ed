"""A generation server needs none of the ingestion's libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tiny import SAID, TURNS, tiny_llama

ABSENT = [
    "faiss", "tantivy", "openvino", "pypdfium2", "pypdf", "docx", "pptx", "openpyxl", "lxml", "wikipedia", "streamlit",
    "sentence_transformers", "charset_normalizer", "bitsandbytes", "torchao", "llama_cpp",
]  # fmt: skip

PROGRAM = """
import importlib, importlib.util, pkgutil, sys

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):  # what finders of distributions and caches have beside
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {absent!r} else self.finder.find_spec(name, path, target)

for name in [name for name in sys.modules if name.partition(".")[0] in {absent!r}]:
    del sys.modules[name]
sys.meta_path[:] = [Hiding(finder) for finder in sys.meta_path]

import rag.generation
for module in pkgutil.iter_modules(rag.generation.__path__, "rag.generation."):
    importlib.import_module(module.name)

from rag.generation.local import LocalGenerator
from rag.generation.models import find
from rag.generation.prompted import PromptedWriter
from rag.generation.queue import Queued
from rag.types import Message

queue = Queued(LocalGenerator(find({folder!r}), "cpu"))
print("".join(queue.stream([Message(role, text) for role, text in {turns!r}], 50)))
assert not [name for name in sys.modules if name.partition(".")[0] in {absent!r}]
"""


def test_generation_imports_and_runs_without_ingestions_libraries(tmp_path: Path) -> None:
    folder = str(tiny_llama(tmp_path, SAID))
    turns = [(turn.role, turn.content) for turn in TURNS]
    program = PROGRAM.format(absent=ABSENT, folder=folder, turns=turns)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == SAID
