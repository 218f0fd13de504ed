"""A SentenceTransformer's folder, read as its own files describe it; no model is loaded.

modules.json names the stages (Transformer, Pooling, Normalize, …), each with its own small JSON file. Weights are
safetensors only: a pickle runs code when it is opened. Nothing of the model's author is ever imported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rag.errors import ModelError

# What models were trained with but do not say in config_sentence_transformers.json: (question, passage).
_E5 = ("query: ", "passage: ")
_BGE = ("Represent this sentence for searching relevant passages: ", "")
_UNWRITTEN_PROMPTS = {
    **{f"{family}-{size}": _E5 for family in ("e5", "multilingual-e5") for size in ("small", "base", "large")},
    **{f"e5-{size}-v2": _E5 for size in ("small", "base", "large")},
    **{f"bge-{size}-en-v1.5": _BGE for size in ("small", "base", "large")},
}
_POOLINGS_BY_OLD_KEY = {  # in the order in which sentence-transformers joins them
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_STOCK_OUTPUT = {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}
_UNLIMITED = 100_000  # tokenizers without a limit say 1e30
_DEFAULT_WINDOW = 512
_HEADER_LIMIT = 100 << 20  # the safetensors format's own limit on its header


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a model's folder says of itself. `config` and `tensors` are the transformer's config.json and the data
    types by tensor name; `poolings` are joined in their order; `further` are the stages besides Transformer,
    Pooling and Normalize; `stock` is False where a stage has settings that only sentence-transformers honours."""

    name: str
    folder: Path
    transformer: Path
    weights: tuple[Path, ...]
    sha256: str
    config: Mapping[str, Any]
    tensors: Mapping[str, str]
    poolings: tuple[str, ...]
    further: tuple[str, ...]
    max_tokens: int
    lowercase: bool
    question_prompt: str
    passage_prompt: str
    stock: bool


def read(folder: Path, name: str, names: Mapping[str, str] = MappingProxyType({})) -> Checkpoint:
    """The checkpoint in `folder`, its weights checked for completeness and hashed (a tenth of a second for 90 MB).

    `names` are known models' names by the SHA-256 of their weights: the same weights are the same model, whatever
    their folder is called. Raises ModelError for anything missing, cut short or unsafe, naming the file.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder} is not a folder. Give the folder of a SentenceTransformer model.")
    modules = _modules(folder)
    kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
    stage = {kind: folder / str(module.get("path", "")) for kind, module in zip(kinds, modules, strict=True)}
    transformer = stage[kinds[0]]
    weights = _weights(transformer)
    tensors = {tensor: dtype for path in weights for tensor, dtype in _tensors(path).items()}
    config = _json(transformer / "config.json") if kinds[0] == "Transformer" else {}
    settings = _json(transformer / "sentence_bert_config.json", {})
    pooling = _json(stage["Pooling"] / "config.json") if "Pooling" in stage else {}
    sha256 = _sha256(weights)
    name = names.get(sha256, name)
    question, passage = _prompts(_json(folder / "config_sentence_transformers.json", {}), name)
    return Checkpoint(
        name=name,
        folder=folder,
        transformer=transformer,
        weights=weights,
        sha256=sha256,
        config=config,
        tensors=tensors,
        poolings=_poolings(pooling),
        further=tuple(kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")),
        max_tokens=_max_tokens(settings, _json(transformer / "tokenizer_config.json", {}), config),
        lowercase=bool(settings.get("do_lower_case", False)),
        question_prompt=question,
        passage_prompt=passage,
        stock=kinds[:2] == ["Transformer", "Pooling"] and _is_stock(settings, pooling),
    )


def _modules(folder: Path) -> list[Mapping[str, Any]]:
    if not any(folder.iterdir()):
        raise ModelError(f"{folder} is empty. Put a SentenceTransformer model there, or name another model.")
    path = folder / "modules.json"
    if not path.is_file():
        raise ModelError(f"{folder} has no modules.json, so it is no SentenceTransformer model, or not a whole one.")
    modules = _json_file(path)
    if not isinstance(modules, list) or not modules:
        raise ModelError(f"{path} lists no modules. Get the model again.")
    for module in modules:
        kind = str(module.get("type", "")) if isinstance(module, dict) else ""
        if not kind.startswith("sentence_transformers."):
            raise ModelError(
                f"{path} asks for {kind or module!r}, code of the model's author, which is never run here."
            )
    return modules


def _json_file(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path} is missing. Get the model again.") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}). Get the model again.") from error


def _json(path: Path, default: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    if default is not None and not path.is_file():
        return default
    value = _json_file(path)
    if not isinstance(value, dict):
        raise ModelError(f"{path} is not a JSON object. Get the model again.")
    return value


# ------------------------------------------------------------------------------------------------ weights


def _weights(folder: Path) -> tuple[Path, ...]:
    single = folder / "model.safetensors"
    found = (single,) if single.is_file() else tuple(sorted(folder.glob("model-*-of-*.safetensors")))
    if found:
        return found
    if any(folder.glob("*.bin")):
        raise ModelError(
            f"{folder} holds its weights only as a pickle (.bin), which can run code and is never opened. "
            "Get a revision of the model with model.safetensors."
        )
    raise ModelError(f"{folder} has no model.safetensors. Get the model again.")


def _tensors(path: Path) -> dict[str, str]:
    """Data types by tensor name, from a safetensors header: 8 bytes of its length, then JSON, then the tensors."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, _HEADER_LIMIT)))
        header.pop("__metadata__", None)
        end = 8 + length + max((entry["data_offsets"][1] for entry in header.values()), default=0)
        types = {name: str(entry["dtype"]) for name, entry in header.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} is not a readable safetensors file ({error}). Get the model again.") from error
    size = path.stat().st_size
    if size != end:
        raise ModelError(f"{path} is not whole: {size:,} bytes instead of {end:,}. Get the model again.")
    return types


def _sha256(paths: Sequence[Path]) -> str:
    """Of the one weights file; of the hashes of all, where there are several."""
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


# --------------------------------------------------------------------------------------------- definition


def _poolings(pooling: Mapping[str, Any]) -> tuple[str, ...]:
    modes = pooling.get("pooling_mode")
    if isinstance(modes, str):
        return (modes,)
    if isinstance(modes, list):
        return tuple(str(mode) for mode in modes)
    return tuple(mode for key, mode in _POOLINGS_BY_OLD_KEY.items() if pooling.get(key)) or ("mean",)


def _prompts(settings: Mapping[str, Any], name: str) -> tuple[str, str]:
    """(question, passage), chosen as SentenceTransformer.encode_query and encode_document choose them."""
    prompts = settings.get("prompts") or {}
    default = prompts.get(settings.get("default_prompt_name") or "", "")
    question = prompts.get("query", default)
    passage = next((prompts[key] for key in ("document", "passage", "corpus") if key in prompts), default)
    if question or passage:
        return str(question), str(passage)
    return _UNWRITTEN_PROMPTS.get(name, ("", ""))


def _max_tokens(settings: Mapping[str, Any], tokenizer: Mapping[str, Any], config: Mapping[str, Any]) -> int:
    """The window in tokens, special tokens included."""
    stated = settings.get("max_seq_length") or tokenizer.get("model_max_length") or _UNLIMITED
    positions = config.get("max_position_embeddings") or _UNLIMITED
    if config.get("model_type") in ("roberta", "xlm-roberta"):
        positions -= config.get("pad_token_id", 1) + 1  # RoBERTa counts positions from past the padding's number
    window = int(min(stated, positions))
    return window if window < _UNLIMITED else _DEFAULT_WINDOW


def _is_stock(settings: Mapping[str, Any], pooling: Mapping[str, Any]) -> bool:
    return (
        settings.get("transformer_task", "feature-extraction") == "feature-extraction"
        and settings.get("modality_config", _STOCK_OUTPUT) == _STOCK_OUTPUT
        and not any(settings.get(key) for key in ("processing_kwargs", "query_expansion", "query_length"))
        and not settings.get("document_length")
        and bool(pooling.get("include_prompt", True))
        and set(_poolings(pooling)) <= set(_POOLINGS_BY_OLD_KEY.values())
    )
