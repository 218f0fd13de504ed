"""Names of chat models."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import UsageError
from rag.generation.formats import Format
from rag.generation.models import MODELS, find


def test_stable_beluga_is_known_with_its_window_format_and_licence() -> None:
    model = find("beluga-7b")
    assert (model.source, model.window, model.format) == ("stabilityai/StableBeluga-7B", 4096, Format.STABLE_BELUGA)
    assert "Non-Commercial" in model.licence


def test_every_name_is_its_key() -> None:
    assert all(find(name).name == name for name in MODELS)


def test_a_folder_is_a_model(tmp_path: Path) -> None:
    model = find(str(tmp_path))
    assert (model.name, model.source, model.format, model.window) == (tmp_path.name, str(tmp_path), None, 0)


def test_a_hub_id_is_a_model() -> None:
    assert find("owner/model-1.5B").source == "owner/model-1.5B"
    pinned = find("owner/model@0123abc")
    assert (pinned.source, pinned.revision) == ("owner/model", "0123abc")


@pytest.mark.parametrize("name", ["beluga", "", "a/b/c", "/no/such/folder", "../x/y", "owner/ model"])
def test_an_unknown_name_lists_what_exists(name: str) -> None:
    with pytest.raises(UsageError, match=r"Known models: beluga-7b, beluga-13b"):
        find(name)
