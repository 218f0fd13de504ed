"""Files of any name, from the folder to the answer and over to another machine: none acts on a terminal or a page."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import WordEmbedder

from app.cells import safe
from app.documents import _rows
from app.views import JOINER, literal
from rag import compose
from rag.cli import main
from rag.config import Config

pytestmark = pytest.mark.fault(18)

NAMES = [
    b"caf\xe9_\xff.txt",
    b"\xc3\x28\xa0\xa1.txt",  # no UTF-8
    b"\xed\xa0\x80.txt",  # a lone surrogate, as some would encode it
    b"a\nb.txt",
    b"a\rb\tc.txt",
    b"\x1b[31mred\x1b[0m.txt",
    b"\x1b]0;title\x07.txt",
    b"\x9b31mred.txt",
    "\u009b31mred.txt".encode(),
    b"\x7f\x08\x08.txt",
    "\u202egnp.txt".encode(),
    "\u2066\u2067\u200f\u061c.txt".encode(),
    "\u200b\ufeff\u2060.txt".encode(),
    "\u2028line\u2029.txt".encode(),
    "e\u0301 \u00e9.txt".encode(),
    "日本語 한국어 🦊.txt".encode(),
    b"x" * 251 + b".txt",
    "é".encode() * 125 + b".txt",
    b"-rf.txt",
    b"--prune.txt",
    b"--.txt",
    b"=cmd|'x'!A0.txt",
    b"~.txt2.txt",
    b"*.txt",
    b"[ab]?{c,d}.txt",
    b"!important.txt",
    b"file:%2F%2F%2Fetc%2Fpasswd.txt",
    b"http:example.org.txt",
    b"wiki:en:1.txt",
    b"%00%0a%41.txt",
    b"100%s %n {0}.txt",
    b"\\\\server\\share.txt",
    b"x\\..\\..\\etc.txt",
    b"C:x.txt",
    b"CON.txt",
    b"NUL.txt",
    b"aux .txt",
    b"trailing dots...txt",
    b" leading and trailing .txt",
    b"'; DROP TABLE files; --.txt",
    b"\"quotes\" 'and' `ticks`.txt",
    b"$(id) `id` ; | & .txt",
    b"<script>alert(1)<%2fscript>.txt",
    b"![x](http:%2F%2Fevil%2Fx.png).txt",
    b":red[x] **bold** _it_ $x$.txt",
    b"[1] see [2].txt",
    b"ledger.sqlite.txt",
    b"con.html",
]


@pytest.fixture
def rag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs a command: its exit code, and all that it showed, of which nothing acts on a terminal."""
    monkeypatch.setattr(compose, "embedder", lambda config: WordEmbedder())
    monkeypatch.setenv("RAG_RERANK", "none")
    monkeypatch.setenv("RAG_INDEXES", str(tmp_path / "indexes"))

    def run(*arguments: str) -> tuple[int, str]:
        code = main(arguments)
        out, err = capsys.readouterr()
        acting = {c for c in out + err if not c.isprintable() and c != "\n"}
        assert not acting, (arguments, acting)
        (out + err).encode()  # no lone surrogate
        return code, out

    return run


def test_any_name_goes_the_whole_way(tmp_path: Path, rag: Callable[..., tuple[int, str]]) -> None:
    folder = os.fsencode(tmp_path / "docs")
    os.mkdir(folder)
    for number, name in enumerate(NAMES):
        with open(folder + b"/" + name, "w", encoding="utf-8") as file:
            file.write(f"findable{number} stands here.")
    code, out = rag("index", str(tmp_path / "docs"), "--json")
    report = json.loads(out)
    assert (code, report["added"]) == (0, len(NAMES))
    assert rag("index", str(tmp_path / "docs"))[1].startswith(f"0 new, 0 changed, 0 renamed, 0 removed, {len(NAMES)}")

    collection = compose.collection(Config(indexes=tmp_path / "indexes"))
    held = collection.held("", len(NAMES) + 1)
    collection.close()
    assert {row.key for row in held} == {folder + b"/" + name for name in NAMES}
    assert {row.outcome.status for row in held} == {"indexed"}

    code, _ = rag("export", str(tmp_path / "copy.zip"))
    assert code == 0
    assert rag("import", str(tmp_path / "copy.zip"), "--collection", "copy")[0] == 0
    for name in ("default", "copy"):
        assert rag("info", "--collection", name)[0] == rag("verify", "--collection", name)[0] == 0
        for number in range(len(NAMES)):
            code, out = rag("search", f"findable{number}", "-k", "1", "--collection", name, "--json")
            (hit,) = json.loads(out)["hits"]
            assert f"findable{number} " in hit["text"]
            assert hit["document"].isprintable()
    for number in range(0, len(NAMES), 6):
        code, out = rag("ask", f"findable{number}", "--collection", "copy")
        assert code == 0
        assert f"findable{number} stands here." in out


def test_the_page_gets_no_name_that_acts(tmp_path: Path, rag: Callable[..., tuple[int, str]]) -> None:
    """What its Library shows: one line each, in cells that start no formula; that none is markup, a browser sees."""
    os.mkdir(tmp_path / "docs")
    for number, name in enumerate(NAMES):
        with open(os.fsencode(tmp_path / "docs") + b"/" + name, "w") as file:
            file.write(f"text {number}")
    rag("index", str(tmp_path / "docs"))
    rows = safe(_rows((tmp_path / "indexes", "default", ""), (), "", ()))
    assert isinstance(rows, dict)
    assert len(rows["Name"]) == len(NAMES)
    for name in rows["Name"]:
        assert name.isprintable()
        assert name.encode()
        assert not name.startswith(("=", "+", "-", "@"))
    for name in NAMES:  # where one lies is shown as it is called on the disk
        assert literal(os.fsdecode(b"/docs/" + name)).replace(JOINER, "").encode().decode().isprintable(), name


@pytest.mark.parametrize("name", ["-rf.txt", "*.txt", "file:x.txt", "a\nb.txt", "--prune.txt"])
def test_one_such_file_can_be_named_alone(tmp_path: Path, rag: Callable[..., tuple[int, str]], name: str) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / name).write_text("findable text")
    (tmp_path / "docs" / "other.txt").write_text("other text")
    code, out = rag("index", "--json", "--", str(tmp_path / "docs" / name))
    assert (code, json.loads(out)["added"]) == (0, 1)
    assert "findable" in rag("search", "findable")[1]


def test_a_missing_one_is_named_safely(rag: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    for name in NAMES:
        code, _ = rag("index", "--", os.fsdecode(os.fsencode(tmp_path) + b"/missing/" + name))
        assert code == 2
