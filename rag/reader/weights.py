"""The reader's weights on disk: an encoder's layers and three heads, in float16, without the word embeddings.

Those are taken from the encoder that is installed, and never trained. The file names that encoder by its checksum, so
that layers are not put on word vectors that they were not trained on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = "reader.safetensors"
SHIPPED = Path(__file__).parent / "weights"
WORDS = "embeddings.word_embeddings.weight"
FORMAT = "beluga-rag reader 1"


@dataclass(frozen=True, slots=True)
class Fit:
    """How the reader's figures are put to use; chosen on practice questions, not learned with the layers.

    `ranking` weighs the features of a hit (`rag.retrieval.reread`). `judgement` is how the extractive writer chooses
    sentences and refuses (`rag.generation.extractive.Judgement`), by field.
    """

    ranking: Mapping[str, float]
    judgement: Mapping[str, Any]


# Of a reader that was trained from nothing, until tests/benchmarks/fit_reader.py has seen it: found and read alike.
UNFITTED = Fit(
    ranking={"found": 1.0, "prose": -0.2, "relevance": 0.01, "answers": 0.01, "likely": 0.03},
    judgement={
        "ranking": {"words": 1.0, "rank": 1.0, "answers": 0.3, "words of it": 1.0, "surely": 0.5, "other row": -1.0},
        "decision": {"named": 0.7, "numbered": 1.0, "answers": 0.3, "bias": -4.0},
        "threshold": 0.2,
    },
)


@dataclass(frozen=True, slots=True)
class Weights:
    """`tensor` gives a weight by its name, as transformers' BertModel calls the encoder's, and "span", "answer" and
    "relevance" with ".weight" and ".bias" for the heads. `encoder` is the SHA-256 of the encoder's own weights."""

    path: Path
    encoder: str
    fit: Fit
    names: frozenset[str]
    tensor: Callable[[str], NDArray[Any]]


def read(folder: Path) -> Weights:
    """Raises ModelError, naming the file, when it is missing, damaged or not a reader's."""
    from safetensors import SafetensorError, safe_open

    path = folder / FILE
    if not path.is_file():
        raise ModelError(f"There is no {path}. Train a reader with `rag train reader`, or name another folder.")
    try:
        file: Any = safe_open(str(path), framework="numpy")
        meta = file.metadata() or {}
        names = frozenset(file.keys())
        fit = Fit(**json.loads(meta["fit"]))
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{path} is no reader, or not a whole one ({error}). Get it again, or train one.") from error
    if meta.get("format") != FORMAT:
        raise ModelError(f"{path} is of another version ({meta.get('format')!r}). Get it again, or train one.")
    return Weights(path, meta["encoder"], fit, names, file.get_tensor)


def write(folder: Path, tensors: Mapping[str, Any], encoder: str, fit: Fit) -> Path:
    """`tensors` are numpy arrays. The file appears whole or not at all."""
    import numpy as np
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    half = {name: np.ascontiguousarray(tensor, dtype=np.float16) for name, tensor in tensors.items()}
    with _replacing(folder / FILE) as partial:
        save_file(half, partial, {"format": FORMAT, "encoder": encoder, "fit": json.dumps(asdict(fit))})
    return folder / FILE


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    partial = path.with_name(path.name + ".partial")
    yield partial
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)
