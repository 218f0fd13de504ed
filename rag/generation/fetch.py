"""A model's files, fetched from the hub: what is missing is downloaded, resumed, compared with its digest, and pinned.

They go into the Hugging Face cache, laid out as the hub's client does, so that other tools find them, too.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

from rag.errors import ModelError, RagError, StorageError
from rag.generation.cache import PIN, cache, converted, is_offline, known_commit, pin, present, storage
from rag.generation.models import MODELS, Model
from rag.generation.transfer import download

Tell = Callable[[str], None]

HUB_TIMEOUT = 4.0  # seconds until a hub that does not answer counts as out of reach
WANTED = ("*.json", "*.safetensors", "*.model", "*.jinja", "*.txt")
UNWANTED = ("consolidated*", "*/*", "training_args*")  # the same weights once more, folders, a trainer's leftovers


def ignore(_: str) -> None:
    """For callers that want no notices."""


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    size: int
    digest: str  # SHA-256 of a large file, git's SHA-1 of a small one


def files_of(model: Model, tell: Tell = ignore) -> Path:
    """Where the model is, fetched from the hub at first use. Raises ModelError, with what to do."""
    return present(model) or fetch(model, tell)


def fetch(model: Model, tell: Tell = ignore) -> Path:
    """The model's files, whole: what is missing is downloaded (an interrupted download goes on), and every file is
    compared with the digest that the hub published. Raises ModelError or StorageError."""
    if (here := present(model)) and Path(model.source) == here:
        return here  # a folder or file of the user's own
    if is_offline():
        return _verified_here(model, here, tell)
    commit, licence, files = _listed(model)
    size = sum(file.size for file in files)
    if here is None:
        tell(f"Licence of {model.name}: {model.licence or licence}; see https://huggingface.co/{model.source}.")
        if model.commercial is False:
            tell(f"{model.name} may not be used commercially. `rag models` lists models that may.")
        tell(f"Fetching {model.name}: {len(files)} files, {size / 1e9:.2f} GB, revision {commit[:12]}, into {cache()}.")
    _refuse_full_disk(model, size)
    snapshot = _downloaded(model, commit, files, tell)
    if pin(model, commit):
        tell(f"{model.name} is pinned to revision {commit}.")
    if model.file:
        return snapshot / model.file
    if any(file.name.endswith(".bin") for file in files):
        from rag.generation.convert import to_safetensors

        if here is not None:
            return here
        tell("Its weights are pickled: reading them once, as tensors only, and keeping them as safetensors.")
        to_safetensors(snapshot, converted(model, commit))
        return converted(model, commit)
    return snapshot


def _refuse_full_disk(model: Model, size: int) -> None:
    store = storage(model)
    held = sum(blob.stat().st_size for blob in (store / "blobs").glob("*"))
    existing = next(folder for folder in (store, *store.parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free
    if size - held > free:
        raise StorageError(
            f"{model.name} needs {(size - held) / 1e9:.1f} GB more, and {existing} has {free / 1e9:.1f} GB free. "
            "Nothing was fetched. Make room, or set HF_HUB_CACHE to another disk."
        )


# -------------------------------------------------------------------------------------------------- the hub


def _listed(model: Model) -> tuple[str, str, list[_File]]:
    """The commit to fetch, the licence and the files that are needed, as the hub lists them."""
    from huggingface_hub import HfApi

    pinned = model.revision or (known_commit(model) if (storage(model) / "refs" / PIN).is_file() else None)
    info = asked(
        model,
        lambda: HfApi().model_info(model.source, revision=pinned, files_metadata=True, timeout=HUB_TIMEOUT),
    )
    files = [_File(s.rfilename, s.size or 0, s.lfs.sha256 if s.lfs else s.blob_id or "") for s in info.siblings or ()]
    licence = getattr(info.card_data, "license", None) or "none is stated"
    return str(info.sha), str(licence), _needed(model, files)


def _needed(model: Model, files: Iterable[_File]) -> list[_File]:
    files = list(files)
    if model.file:
        found = [file for file in files if file.name == model.file]
        if not found:
            raise ModelError(f"There is no {model.file} in https://huggingface.co/{model.source}. Check the name.")
        return found
    kept = [f for f in files if _matches(f.name, WANTED) and not _matches(f.name, UNWANTED)]
    if any(file.name.endswith(".safetensors") for file in kept):
        return kept
    pickled = [file for file in files if _matches(file.name, ("pytorch_model*.bin",))]
    if not pickled:
        raise ModelError(f"https://huggingface.co/{model.source} has no weights that can be loaded (.safetensors).")
    if MODELS.get(model.name) != model:
        raise ModelError(
            f"The weights of {model.source} are pickled (.bin), which can run code; .safetensors files are needed. "
            "Nothing was fetched. Look for a conversion of it, or use another model."
        )
    return kept + pickled


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _downloaded(model: Model, commit: str, files: Sequence[_File], tell: Tell) -> Path:
    """The snapshot's folder, every file in it whole and compared with its digest, laid out as the hub's client does."""
    from huggingface_hub import hf_hub_url

    store, progress = storage(model), _Progress(model.name, sum(file.size for file in files), tell)
    snapshot = store / "snapshots" / commit
    for file in sorted(files, key=lambda file: file.size):
        url = hf_hub_url(model.source, file.name, revision=commit)
        blob = store / "blobs" / file.digest
        asked(model, partial(download, url, blob, file.size, progress.gained))
        _verify(model, blob, file)
        pointer = snapshot / file.name
        pointer.parent.mkdir(parents=True, exist_ok=True)
        if not pointer.exists():
            pointer.unlink(missing_ok=True)
            pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    return snapshot


class _Progress:
    """Tells at every tenth of the whole."""

    def __init__(self, name: str, total: int, tell: Tell) -> None:
        self._name, self._total, self._tell = name, total, tell
        self._done = self._told = 0

    def gained(self, size: int) -> None:
        self._done += size
        tenths = 10 * self._done // max(1, self._total)
        if tenths > self._told:
            self._told = tenths
            self._tell(f"{self._name}: {self._done / 1e9:.2f} of {self._total / 1e9:.2f} GB")


def asked(model: Model, ask: Callable[[], Any]) -> Any:
    """What the hub answers. Its errors and its network library's become one ModelError that says what to do."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    page = f"https://huggingface.co/{model.source}"
    try:
        return ask()
    except GatedRepoError as error:
        raise ModelError(
            f"{model.name}: its publisher asks for consent first. Give it at {page}, then set HF_TOKEN to your token."
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"{page} has no revision {model.revision}. Name another one: {model.source}@main.") from error
    except RepositoryNotFoundError as error:
        raise ModelError(f"{page} does not exist, or is private: check the name, or set HF_TOKEN.") from error
    except RagError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise StorageError(f"{cache()} cannot be written: {error.strerror}. What has arrived is kept.") from error
        raise _unreachable(model, error) from error
    except Exception as error:  # the client's network library has its own family of errors, and changes it
        raise _unreachable(model, error) from error


def _unreachable(model: Model, error: Exception) -> ModelError:
    return ModelError(
        f"Model {model.name} is not on this machine and could not be fetched from huggingface.co/{model.source} "
        f"({type(error).__name__}). What has arrived is kept: the same command goes on from there. Or fetch it where "
        "there is a connection and give its folder with --model, or leave --model out: answers are then quoted from "
        "the documents, without a language model."
    )


# --------------------------------------------------------------------------------------------- verification


def _verified_here(model: Model, here: Path | None, tell: Tell) -> Path:
    """What is in the cache, compared with the digests that its files are named by."""
    if here is None:

        def refuse() -> None:
            raise ConnectionError("HF_HUB_OFFLINE is set")

        asked(model, refuse)
    assert here is not None
    for path in [here] if here.name == model.file else sorted(here.iterdir()):
        if path.is_symlink():
            _verify(model, path.resolve(), _File(path.name, 0, path.resolve().name))
    tell(f"{model.name} is here and whole (HF_HUB_OFFLINE is set: nothing was looked up).")
    return here


def _verify(model: Model, blob: Path, file: _File) -> None:
    """Raises ModelError, and removes the blob, when its content is not what was published."""
    if file.name == model.file and model.sha256 and model.sha256 != file.digest:
        raise ModelError(f"The hub's {file.name} is not the one that {model.name} means (its SHA-256 differs).")
    if _digest(blob, file.digest) == file.digest:
        return
    blob.unlink()
    raise ModelError(
        f"{file.name} of {model.name} is damaged: its checksum is not the published one. It was removed; everything "
        f"else is kept. Run `rag models fetch {model.name}` again."
    )


def _digest(path: Path, like: str) -> str:
    """SHA-256 of a file, or the SHA-1 that git would give it, whichever `like` is."""
    with path.open("rb") as stream:
        if len(like) == 64:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        head = b"blob %d\0" % path.stat().st_size
        return hashlib.file_digest(stream, lambda: hashlib.sha1(head, usedforsecurity=False)).hexdigest()
