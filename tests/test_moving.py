"""`rag export`, `rag import` and `rag reembed` as people use them."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import WordEmbedder
from safetensors.numpy import load_file, save_file

from rag import compose
from rag.cli import main
from rag.config import Config
from rag.encoder.hub import find
from rag.errors import FingerprintError
from rag.terminal import SyncProgress

NOTES = {
    "fox.txt": "The red fox lives in the forest of Arden. It hunts at night.",
    "sub/owl.md": "# Owls\n\nThe barn owl nests in old towers.",
    "sub/price.csv": "Item,Price\nLantern,12\nRope,7\n",
}
Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "notes"
    for name, text in NOTES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def rag(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on the temporary indexes: (exit code, JSON or text of standard output, standard error)."""
    monkeypatch.setenv("RAG_INDEXES", str(tmp_path / "indexes"))
    monkeypatch.setenv("RAG_OCR", "off")
    monkeypatch.setenv("RAG_RERANK", "none")

    def run(*arguments: object) -> tuple[int, Any, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, json.loads(out) if "--json" in arguments and out else out, err

    return run


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every embedder is that of words, called by its model's name; "words" without one."""
    monkeypatch.setattr(compose, "DEFAULT_EMBEDDER", "words")
    monkeypatch.setattr(compose, "named_embedder", lambda config, name="": WordEmbedder(name or "words"))
    monkeypatch.setattr(compose, "own_embedder", lambda made_by, called: called or made_by.model)


@pytest.mark.usefixtures("words")
def test_a_collection_is_carried_to_another_place(
    rag: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rag("index", folder)
    found = rag("search", "where do owls nest?", "--json")
    file, there = tmp_path / "notes.zip", ("--indexes", tmp_path / "there")
    with monkeypatch.context() as patched:
        for name in ("embedder", "named_embedder"):
            patched.setattr(compose, name, lambda *_: pytest.fail("nothing is to be embedded"))
        code, out, err = rag("export", file)
        assert (code, err) == (0, "")
        assert f"Exported collection 'default' to {file}: 3 documents, 3 passages, 0.0 MB." in out
        assert "holds the whole text of the documents and their paths, and is not encrypted" in out
        said = f"rag: {file} exists already: --force replaces it. Nothing was written.\n"
        assert rag("export", file) == (2, "", said)
        assert rag("export", file, "--force", "--json")[1]["passages"] == 3
        code, out, _ = rag("import", file, *there)
        assert code == 0
        assert out.startswith("Collection 'default' is here: 3 documents, 3 passages, embedded by words@1; nothing was")
        assert out.count("\n") == 1  # the model has a name, and the folder is where it was
        code, _, err = rag("import", file, *there)
        assert (code, "There is a collection 'default'" in err, err.count("\n")) == (2, True, 1)
        assert rag("import", file, *there, "--replace", "--json")[1]["replaced"] is True
        assert rag("import", file, *there, "--collection", "b", "--json")[1]["collection"] == "b"
        code, out, _ = rag("import", file, *there, "--dry-run")
        assert code == 0
        assert out.startswith("3 documents, 3 passages, embedded by words@1, all as they were exported. Nothing was")
    for collection in ("default", "b"):
        assert rag("search", "where do owls nest?", "--json", *there, "--collection", collection) == found


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize("told", [True, False])
def test_its_folder_is_kept_in_step_where_it_is_now(rag: Run, folder: Path, tmp_path: Path, told: bool) -> None:
    (folder / "notes").mkdir()
    (folder / "notes" / "deep.txt").write_text("Deeper still.")
    rag("index", folder)
    moved, file = tmp_path / "else where" / "papers", tmp_path / "notes.zip"
    moved.parent.mkdir()
    rag("export", file)
    shutil.move(folder, moved)
    there = ("--indexes", tmp_path / "there")
    code, out, _ = rag("import", file, *there, *(["--root", f"{folder}={moved}"] if told else []))
    assert code == 0
    assert (f"Not here are the folders that it was made of: {folder}." in out) is not told
    code, report, _ = rag("index", moved, *there, "--json")
    assert (code, report["embedded"]) == (0, 0)
    assert (report["unchanged"], report["added"]) == ((4, 0) if told else (0, 4))
    hits = rag("search", "where do owls nest?", *there, "--json")[1]["hits"]
    assert hits[0]["uri"] == (moved / "sub/owl.md").as_uri()
    if not told:  # the paths of the other machine are let go of when that is said
        code, report, _ = rag("index", folder, "--prune", *there, "--json")
        assert (code, report["removed"]) == (0, 4)
        assert rag("info", *there, "--json")[1]["documents"] == 4
    assert rag("verify", *there)[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("export",), 2, "FILE"),
        (("export", "x.zip"), 2, "No collection 'default'"),
        (("import",), 2, "FILE"),
        (("import", "/no/such/file.zip"), 2, "No such file or directory. Nothing was changed"),
        (("import", __file__), 5, "is damaged, or is no export of a collection"),
        (("reembed",), 2, "No collection 'default'"),
        (("reembed", "--model", "x"), 2, "No collection 'default'"),
        (("reembed", "--rollback"), 2, "No collection 'default'"),
        (("reembed", "--drop"), 2, "No collection 'default'"),
        (("reembed", "--rollback", "--drop"), 2, "choose one. Nothing was changed"),
    ],
)
def test_bad_input_is_one_line_and_an_exit_code(rag: Run, arguments: tuple[str, ...], code: int, says: str) -> None:
    got, out, err = rag(*arguments)
    assert (got, out, len(err.splitlines())) == (code, "", 1)
    assert says in err


@pytest.mark.usefixtures("words")
def test_a_collection_is_brought_over_and_back(rag: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rag("index", folder)
    code, out, err = rag("reembed", "--model", "other")
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first.startswith(
        "Collection 'default' is searched by other from now on: 3 documents, 3 passages; 3 embedded"
    )
    assert second.startswith(
        "The former vectors, by words, are kept (about 0.0 MB): `rag reembed --rollback` goes back"
    )
    _, info, _ = rag("info", "--json")
    assert (info["model"], info["side"]["model"], info["side"]["state"]) == ("other", "words", "former")
    assert rag("search", "owls", "--json")[1]["hits"][0]["document"] == "sub/owl.md"
    assert (
        rag("reembed", "--model", "other")[1] == "Collection 'default' is embedded by other already; nothing to do.\n"
    )
    code, out, err = rag("reembed", "--model", "third")
    assert (code, out) == (2, "")
    assert "--drop gives them up" in err
    assert rag("reembed", "--rollback", "--json")[1]["model"] == "words"
    assert rag("reembed", "--model", "third", "--drop", "--json")[1]["former"] == "words"
    code, out, _ = rag("reembed", "--drop")
    assert (code, out.startswith("The other vectors of collection 'default' are gone;")) == (0, True)
    assert rag("reembed", "--drop")[0] == rag("reembed", "--rollback")[0] == 2
    assert rag("verify")[0] == 0
    monkeypatch.setenv("RAG_EMBEDDER", "third")
    assert "RAG_EMBEDDER is third" in rag("reembed", "--model", "words")[2]


@pytest.fixture(scope="module")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """all-MiniLM-L6-v2 of two layers, and with half the window."""
    folder = tmp_path_factory.mktemp("models") / "small"
    shutil.copytree(find("all-MiniLM-L6-v2").folder, folder)
    for name, key, value in (
        ("config.json", "num_hidden_layers", 2),
        ("sentence_bert_config.json", "max_seq_length", 128),
    ):
        settings = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**settings, key: value}))
    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "layer." not in name or int(name.split(".")[2]) < 2}
    save_file(kept, folder / "model.safetensors")
    return folder


def test_after_a_change_of_model_asking_is_as_simple_as_before(
    rag: Run, folder: Path, small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With real models. One that has no name is remembered by its folder; in a process that stays, too."""
    (folder / "long.txt").write_text(" ".join(f"Sentence {i} tells of badgers." for i in range(60)))
    rag("index", folder)
    config = Config.from_environment()
    asker = compose.asker(config, compose.collection(config))
    before = asker.ask("Where does the barn owl nest?", 5)
    monkeypatch.chdir(small_model.parent)
    code, report, _ = rag("reembed", "--model", "./small", "--json")
    assert (code, report["model"], report["former"]) == (0, "small", "all-MiniLM-L6-v2")
    monkeypatch.chdir(folder)
    _, answer, _ = rag("ask", "Where does the barn owl nest?", "--json")
    assert "old towers" in answer["answer"]
    after = asker.ask("Where does the barn owl nest?", 5)
    assert "old towers" in after.text
    assert [hit.score for hit in after.hits] != [hit.score for hit in before.hits]
    assert rag("index", folder, "--json")[1]["embedded"] == 0
    monkeypatch.setenv("RAG_EMBEDDER", "all-MiniLM-L6-v2")
    code, _, err = rag("search", "owls")
    assert code == 2
    assert "was embedded by small@" in err
    monkeypatch.delenv("RAG_EMBEDDER")
    (folder / "new.txt").write_text("Badgers dig setts.")
    rag("index", folder)
    code, report, _ = rag("reembed", "--rollback", "--json")
    assert (code, report["model"], report["embedded"]) == (0, "all-MiniLM-L6-v2", 1)
    hits = asker.ask("Where does the barn owl nest?", 5).hits
    assert {hit.passage.document for hit in hits} >= {"sub/owl.md"}


def test_a_model_without_a_name_has_to_be_named(
    rag: Run, folder: Path, tmp_path: Path, small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_EMBEDDER", str(small_model))
    rag("index", folder)
    rag("export", tmp_path / "notes.zip")
    monkeypatch.delenv("RAG_EMBEDDER")
    code, out, _ = rag("import", tmp_path / "notes.zip", "--collection", "copy")
    assert (code, "give the folder of that model, or its hub id with the revision, as RAG_EMBEDDER" in out) == (0, True)
    code, _, err = rag("search", "owls", "--collection", "copy")
    assert code == FingerprintError.exit_code
    assert "was embedded by small@" in err
    assert "as RAG_EMBEDDER" in err
    monkeypatch.setenv("RAG_EMBEDDER", str(small_model))
    assert rag("search", "owls", "--collection", "copy")[0] == 0


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)])
@pytest.mark.parametrize("command", ["export", "import"])
def test_what_is_stopped_has_not_happened_and_says_so(
    rag: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, number: int, code: int
) -> None:
    rag("index", folder)
    rag("export", tmp_path / "notes.zip")
    monkeypatch.setattr(SyncProgress, "documents", lambda *_: os.kill(os.getpid(), number))
    where = {"export": (tmp_path / "other.zip",), "import": (tmp_path / "notes.zip", "--collection", "copy")}[command]
    try:
        ended, out, err = rag(command, *where)
    except SystemExit as end:
        ended, out, err = int(end.code or 0), "", ""
    assert (ended, out) == (code, "")
    assert err in ("", f"Stopped. Nothing was {command}ed.\n".replace("exported", "written"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["indexes", "notes", "notes.zip"]
    assert [path.name for path in (tmp_path / "indexes").iterdir()] == ["default"]
