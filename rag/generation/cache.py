"""Where a model's files are in the Hugging Face cache, found without a network.

A model without a revision of its own is pinned at its first fetch: the commit stands in `refs/beluga-rag` of its
folder in the cache, so that later runs use the same files whatever happens to the hub's main branch, and `hf cache
prune` leaves them alone.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from rag.generation.models import Model

PIN = "beluga-rag"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")

_COMMIT = re.compile(r"[0-9a-f]{40}")


def present(model: Model) -> Path | None:
    """The model's folder (a GGUF model's file) on this machine, complete; None when it is not here."""
    path = Path(model.source)
    if path.is_dir() or path.is_file():
        return path
    commit = known_commit(model)
    if commit is None:
        return None
    snapshot = storage(model) / "snapshots" / commit
    if model.file:
        return snapshot / model.file if (snapshot / model.file).is_file() else None
    return next((f for f in (snapshot, converted(model, commit)) if missing_file(f) is None), None)


def missing_file(folder: Path) -> str | None:
    """What a folder lacks to be a whole model that can be loaded, or None."""
    if not (folder / "config.json").is_file():
        return "there is no config.json"
    if not any((folder / name).is_file() for name in TOKENIZERS):
        return "there is no tokenizer"
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = set(json.loads(index.read_bytes())["weight_map"].values())
        absent = sorted(shard for shard in shards if not (folder / shard).is_file())
        return f"{absent[0]} is missing" if absent else None
    if any(folder.glob("*.safetensors")):
        return None
    pickled = any(folder.glob("*.bin"))
    reason = "its weights are pickled (.bin), which can run code" if pickled else "there are no weights"
    return f"{reason}; .safetensors files are needed"


def converted(model: Model, commit: str) -> Path:
    """Where safetensors that were made from pickled weights are kept: with the model, so that they go when it goes."""
    return storage(model) / "safetensors" / commit


def cache() -> Path:
    """The folder of the Hugging Face cache: HF_HUB_CACHE, or below HF_HOME."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def storage(model: Model) -> Path:
    return cache() / f"models--{model.source.replace('/', '--')}"


def known_commit(model: Model) -> str | None:
    """The commit that is used: the table's, the pinned one, the cache's main; None when none is known yet."""
    refs = [model.revision] if model.revision else [PIN, "main"]
    for ref in refs:
        if _COMMIT.fullmatch(ref):
            return ref
        path = storage(model) / "refs" / ref
        if path.is_file():
            return path.read_text(encoding="utf-8").strip()
    return None


def pin(model: Model, commit: str) -> bool:
    """Whether the commit was not pinned before. A revision that is a commit needs no pin."""
    if model.revision is not None and _COMMIT.fullmatch(model.revision):
        return False
    ref = storage(model) / "refs" / (model.revision or PIN)
    if ref.is_file() and ref.read_text(encoding="utf-8").strip() == commit:
        return False
    ref.parent.mkdir(parents=True, exist_ok=True)
    temporary = ref.with_name(f"{ref.name}.{os.getpid()}.tmp")
    temporary.write_text(commit, encoding="utf-8")
    temporary.replace(ref)
    return True


def is_offline() -> bool:
    from huggingface_hub import constants

    told = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    return told or bool(constants.HF_HUB_OFFLINE)
