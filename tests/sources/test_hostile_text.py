"""What a child hands over is worked on by the parent, which nobody kills: it must be quick, whatever the text is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SIZE = 40_000  # characters of a line: quadratic work on it would take minutes
SECONDS = 25  # of a processor, for a quarter of the patterns
PATTERNS = [
    "1 ", "1,", "1.", "(", "-", ". ", "! ", ". A", "x", "x-\n", '"', "...", "\n", "a\n", "1\n", "-\n", "A. ", "Mr. ",
    "2020 ", "FY2020 ", " | ", "$ ", "—", " — ", "%)", "。", "i v x ", "page ", "1 of ", "\u200d", "\xad", "\ufffe",
    "()", "FY ", "U.S. ", "a.b.", "\t", ", ", "'", "Ａ", "ﬁ", "a-\nb ", "e\u0301", "\u0301", "#", "/", "&", "<", "[",
]  # fmt: skip

PROGRAM = r"""
import itertools, json, resource, sys
from rag.index.chunk import chunk
from rag.sources.assemble import Gathered, assemble
from rag.sources.clean import join_hyphens, normalize, vocabulary
from rag.sources.parts import Bookmark, Facts, Part
from rag.sources.running import drop_running
from rag.sources.title import choose
from rag.types import Document, Mark

class Words:
    def count(self, texts):
        return [len(text.split()) for text in texts]

patterns, size, seconds = json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
for pattern, tail in itertools.product(patterns, ("", "x", "1", "-\nx")):
    print(repr(pattern), repr(tail), flush=True)
    text = pattern * (size // len(pattern)) + tail
    normalize(text)
    drop_running([text] * 6)
    join_hyphens(text, vocabulary([text]))
    choose(text, [text], text)
    outline = tuple(Bookmark("no such words " * 8, "path", 1) for _ in range(50))
    parts = [Part(text, f"p. {n}", n) for n in (1, 2)]
    body = assemble(Gathered(facts=Facts(pages=2, outline=outline, printed=True), parts=parts))
    chunk(Document("d", "u", "t", body.text, body.marks, body.headings), Words(), 254)
    chunk(Document("d", "u", "t", text, (Mark(0, "p. 1", 1),)), Words(), 254)
"""


@pytest.mark.fault(13, 15)
@pytest.mark.parametrize("part", range(4))
def test_no_text_takes_more_than_its_share(part: int) -> None:
    """In a process of its own: a regular expression that has lost its way cannot be interrupted."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(PATTERNS[part::4]), str(SIZE), str(SECONDS)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, [*done.stdout.splitlines()[-1:], done.stderr[-500:]]
