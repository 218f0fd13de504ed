"""Models fetched from a hub on the loopback interface: resumed, verified, pinned, and then found without it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hub import Hub, serving
from tiny import SAID, TURNS, tiny_llama

from rag.errors import ModelError, StorageError
from rag.generation import fetch as fetching
from rag.generation.cache import PIN, known_commit, present
from rag.generation.fetch import fetch, files_of
from rag.generation.local import LocalGenerator
from rag.generation.models import MODELS, Model, find

COMMIT = "1" * 40
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tiny_llama(tmp_path_factory.mktemp("published"), SAID)
    published = {path.name: path.read_bytes() for path in folder.iterdir()}
    return published | {"README.md": b"read me", "consolidated.safetensors": b"the same again" * 1000}


@pytest.fixture
def hub(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving(dict(files), tmp_path / "cache", monkeypatch) as served:
        yield served


def asked_for(hub: Hub, name: str) -> list[str]:
    """The ranges asked for of a file, "" for all of it."""
    return [wanted for _, path, wanted in hub.requests if path.endswith(f"/{name}")]


def test_the_first_fetch_shows_the_licence_and_pins_the_commit(hub: Hub) -> None:
    told: list[str] = []
    model = Model("tiny", "owner/tiny", licence="Apache-2.0")
    assert present(model) is None
    folder = fetch(model, told.append)
    assert told[0] == "Licence of tiny: Apache-2.0; see https://huggingface.co/owner/tiny."
    assert f"tiny is pinned to revision {COMMIT}." in told
    assert folder == present(model)
    assert {path.name for path in folder.iterdir()} == set(hub.files) - {"README.md", "consolidated.safetensors"}
    assert "".join(LocalGenerator(model, "cpu").stream(TURNS, 50)) == SAID


def test_the_licence_of_a_model_that_we_do_not_know_is_as_the_hub_states_it(hub: Hub) -> None:
    told: list[str] = []
    fetch(find("owner/tiny"), told.append)
    assert told[0] == "Licence of owner/tiny: mit; see https://huggingface.co/owner/tiny."


def test_a_licence_without_commercial_use_says_so(hub: Hub) -> None:
    told: list[str] = []
    fetch(Model("tiny", "owner/tiny", licence="Non-Commercial", commercial=False), told.append)
    assert told[1].startswith("tiny may not be used commercially.")


def test_later_runs_keep_to_the_pinned_commit(hub: Hub) -> None:
    model = find("owner/tiny")
    fetch(model)
    hub.commit, hub.files = "2" * 40, hub.files | {WEIGHTS: b"another model" * 1000}
    assert known_commit(model) == COMMIT
    hub.requests.clear()
    assert files_of(model).name == COMMIT
    assert hub.requests == []
    refs = present(model).parents[1] / "refs"  # type: ignore[union-attr]
    (refs / "main").write_text("2" * 40)  # as another tool that follows the main branch leaves it
    assert known_commit(model) == COMMIT
    assert (refs / PIN).read_text() == COMMIT


def test_a_named_revision_needs_no_pin(hub: Hub) -> None:
    told: list[str] = []
    folder = fetch(Model("tiny", "owner/tiny", COMMIT), told.append)
    assert folder.name == COMMIT
    assert not any("pinned" in line for line in told)
    assert not (folder.parents[1] / "refs").exists()


def test_a_broken_connection_goes_on_where_it_broke(hub: Hub) -> None:
    hub.cut = WEIGHTS
    folder = fetch(find("owner/tiny"))
    assert (folder / WEIGHTS).read_bytes() == hub.files[WEIGHTS]
    first, second = asked_for(hub, WEIGHTS)
    assert first == ""
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= len(hub.files[WEIGHTS]) // 2


@pytest.mark.fault(21)
def test_a_killed_download_goes_on_where_it_was_killed(hub: Hub, tmp_path: Path) -> None:
    whole = hub.files[WEIGHTS]
    blobs = tmp_path / "cache" / "models--owner--tiny" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hashlib.sha256(whole).hexdigest()}.beluga.part").write_bytes(whole[:70_000])
    folder = fetch(find("owner/tiny"))
    assert asked_for(hub, WEIGHTS) == ["bytes=70000-"]
    assert (folder / WEIGHTS).read_bytes() == whole
    assert not list(blobs.glob("*.part"))


@pytest.mark.fault(21)
def test_an_interrupted_model_is_not_taken_for_a_whole_one(hub: Hub) -> None:
    model = find("owner/tiny")
    (fetch(model) / WEIGHTS).unlink()
    assert present(model) is None
    hub.requests.clear()
    assert fetch(model) == present(model)
    assert asked_for(hub, WEIGHTS) == []  # its blob was there


@pytest.mark.fault(21)
def test_what_is_not_what_was_published_is_removed_and_named(hub: Hub) -> None:
    model = find("owner/tiny")
    hub.spoilt = WEIGHTS
    with pytest.raises(ModelError, match=r"model\.safetensors of owner/tiny is damaged.*models fetch owner/tiny"):
        fetch(model)
    assert present(model) is None
    hub.spoilt = ""
    hub.requests.clear()
    fetch(model)
    assert asked_for(hub, WEIGHTS) == [""]
    assert asked_for(hub, "config.json") == []  # everything else was kept


def test_fetching_again_verifies_what_is_here(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    model = find("owner/tiny")
    blob = (fetch(model) / WEIGHTS).resolve()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch(model) == present(model)
    spoilt = bytearray(blob.read_bytes())
    spoilt[-1] ^= 1
    blob.write_bytes(spoilt)
    with pytest.raises(ModelError, match="damaged"):
        fetch(model)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    fetch(model)
    assert blob.read_bytes() == hub.files[WEIGHTS]


@pytest.mark.fault(21)
def test_offline_asks_nobody(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="not on this machine"):
        files_of(find("owner/tiny"))
    monkeypatch.delenv("HF_HUB_OFFLINE")
    fetch(find("owner/tiny"))
    hub.requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "".join(LocalGenerator(find("owner/tiny"), "cpu").stream(TURNS, 50)) == SAID
    assert hub.requests == []


def test_a_hub_that_is_gone_is_named_with_what_to_do(hub: Hub) -> None:
    hub.shutdown()
    hub.server_close()
    with pytest.raises(ModelError, match=r"could not be fetched.*the same command goes on from there.*leave --model"):
        fetch(find("owner/tiny"))


def test_an_unknown_repository_is_named(hub: Hub) -> None:
    with pytest.raises(ModelError, match=r"huggingface\.co/owner/absent"):
        fetch(find("owner/absent"))


def test_a_full_disk_is_noticed_before_anything_is_fetched(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")._replace(free=1000)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(StorageError, match=r"0\.0 GB free. Nothing was fetched"):
        fetch(find("owner/tiny"))
    assert not any("/resolve/" in path for _, path, _ in hub.requests)


def test_a_gguf_file_is_fetched_alone_and_compared_with_the_table(hub: Hub) -> None:
    hub.files["tiny.gguf"] = b"GGUF" * 5000
    path = fetch(find("owner/tiny/tiny.gguf"))
    assert path.read_bytes() == hub.files["tiny.gguf"]
    assert asked_for(hub, WEIGHTS) == []
    with pytest.raises(ModelError, match="not the one that known means"):
        fetch(Model("known", "owner/tiny", file="tiny.gguf", sha256="0" * 64))
    with pytest.raises(ModelError, match=r"There is no absent\.gguf"):
        fetch(find("owner/tiny/absent.gguf"))


# --------------------------------------------------------------------------------------- pickled weights


def pickled(files: dict[str, bytes], folder: Path) -> dict[str, bytes]:
    """The same model as Stable Beluga was published: two .bin shards in 32 bits and their index."""
    from safetensors.torch import load

    tensors = list(load(files[WEIGHTS]).items())
    shards = {"pytorch_model-00001-of-00002.bin": tensors[:5], "pytorch_model-00002-of-00002.bin": tensors[5:]}
    kept = {name: content for name, content in files.items() if name.endswith(".json")}
    for name, held in shards.items():
        torch.save(dict(held), folder / name)
        kept[name] = (folder / name).read_bytes()
    return kept | {"pytorch_model.bin.index.json": b"{}"}


def test_pickled_weights_of_the_table_become_safetensors_once(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model("beluga-test", "owner/tiny")
    monkeypatch.setitem(MODELS, "beluga-test", model)
    hub.files = pickled(hub.files, tmp_path)
    told: list[str] = []
    folder = fetch(model, told.append)
    assert any("pickled" in line for line in told)
    assert present(model) == folder
    assert not list(folder.glob("*.bin*"))
    assert "".join(LocalGenerator(model, "cpu").stream(TURNS, 50)) == SAID
    again = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert fetch(model) == folder
    assert again == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_pickled_weights_of_anyone_else_are_not_even_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.files = pickled(hub.files, tmp_path)
    with pytest.raises(ModelError, match=r"pickled \(\.bin\).*Nothing was fetched"):
        fetch(find("owner/tiny"))
    assert not any("/resolve/" in path for _, path, _ in hub.requests)


class Bomb:
    """Unpickled carelessly, it leaves a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.trace,))


@pytest.mark.fault(21)
def test_a_pickle_that_would_run_code_is_refused_unrun(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model("beluga-test", "owner/tiny")
    monkeypatch.setitem(MODELS, "beluga-test", model)
    hub.files = pickled(hub.files, tmp_path)
    torch.save({"weight": torch.zeros(2), "bomb": Bomb(tmp_path / "trace")}, tmp_path / "bomb.bin")
    hub.files["pytorch_model-00002-of-00002.bin"] = (tmp_path / "bomb.bin").read_bytes()
    with pytest.raises(ModelError, match="nothing of it was run"):
        fetch(model)
    assert not (tmp_path / "trace").exists()
    assert present(model) is None
