"""A folder's tokenizer and network, by transformers, in the precision that was chosen, every weight accounted for.

Only safetensors and no code from a model's folder are ever loaded.
"""

from __future__ import annotations

import importlib.util
import json
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import ModelError, OutOfMemoryError
from rag.generation.cache import missing_file
from rag.generation.fetch import Tell, ignore
from rag.generation.models import Model, Shape
from rag.generation.options import Options, Precision
from rag.generation.precision import Choice, Machine, choose, machine, quantisation

LOCAL = {"local_files_only": True, "trust_remote_code": False}
LIBRARIES = {  # what transformers needs for checkpoints that are quantised already, by its names for the methods
    "gptq": ("optimum", "gptqmodel"),
    "awq": ("gptqmodel",),
    "compressed-tensors": ("compressed_tensors",),
    "torchao": ("torchao",),
    "bitsandbytes": ("bitsandbytes",),
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """`why` says which precision it is in and for what reason."""

    tokenizer: Any
    network: Any
    why: str


def load(
    model: Model,
    folder: Path,
    device: str,
    options: Options,
    tell: Tell = ignore,
    on: Machine | None = None,
    max_memory: dict[int | str, int] | None = None,
) -> Loaded:
    """Raises ModelError, with what to do, when the model is incomplete or damaged or does not fit; UsageError for a
    precision that it cannot have. `on` and `max_memory` (bytes by device) stand for the machine as it is."""
    if reason := missing_file(folder):
        raise ModelError(damaged(model, folder, reason))
    import torch
    from safetensors import SafetensorError

    stored = _config(model, folder)
    _refuse_without_libraries(model, stored)
    half = stored.get("dtype", stored.get("torch_dtype")) in ("float16", "bfloat16")
    choice = choose(
        options.precision,
        model.shape or Shape.of(stored),
        on or machine(device),
        half=half,
        stored=_stored_quantised(stored),
    )
    tell(f"Loading {model.name} on {device} in {choice.why}.")
    try:
        tokenizer, network, missing = _loaded(folder, device, choice, half, max_memory)
    except torch.OutOfMemoryError as error:
        traceback.clear_frames(error.__traceback__)  # which hold what was loaded so far
        raise OutOfMemoryError(
            f"Not enough GPU memory to load {model.name} ({choice.why}). Use another --precision or a smaller model."
        ) from None
    except ImportError as error:
        raise ModelError(f"{model.name} cannot be loaded, because a library is missing: {error}") from error
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else "unreadable"
        raise ModelError(damaged(model, folder, reason)) from error
    if missing:
        raise ModelError(damaged(model, folder, f"{len(missing)} weights are missing, {missing[0]} among them"))
    if options.adapter:
        from rag.generation.adapters import attach

        quantised = choice.precision.is_quantised or choice.precision is Precision.AUTO
        network = attach(network, options.adapter, merge=not quantised if options.merge is None else options.merge)
    return Loaded(tokenizer, network.eval(), choice.why)


def _loaded(
    folder: Path, device: str, choice: Choice, half: bool, max_memory: dict[int | str, int] | None
) -> tuple[Any, Any, list[str]]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    kind = torch.float32 if choice.precision is Precision.FP32 else torch.bfloat16
    if choice.precision is Precision.AUTO and not half and device == "cpu":
        kind = torch.float32  # quantised already, with the rest in 32 bits
    how: dict[str, Any] = {"dtype": kind, "device_map": {"": device}, **LOCAL}
    if (quantised := quantisation(choice.precision)) is not None:
        how["quantization_config"] = quantised
    if choice.spread:
        # Left behind on purpose: layers on disk are read from there for as long as the process lives.
        how |= {"device_map": "auto", "max_memory": max_memory, "offload_folder": tempfile.mkdtemp(prefix="beluga-")}
    tokenizer = AutoTokenizer.from_pretrained(folder, **LOCAL)
    network, report = AutoModelForCausalLM.from_pretrained(
        folder, use_safetensors=True, output_loading_info=True, **how
    )
    return tokenizer, network, sorted(report["missing_keys"])


def _config(model: Model, folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "config.json").read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(damaged(model, folder, f"config.json cannot be read ({error})")) from error


def _stored_quantised(config: dict[str, Any]) -> str:
    """How a checkpoint is quantised already, as people know it ("gptq, 4 bits"); empty when it is not."""
    found = config.get("quantization_config")
    if not isinstance(found, dict):
        return ""
    method = str(found.get("quant_method") or ("bitsandbytes" if "load_in_4bit" in found else "quantised"))
    bits = found.get("bits") or (4 if found.get("load_in_4bit") else 8 if found.get("load_in_8bit") else None)
    return f"{method}, {bits} bits" if bits else method


def _refuse_without_libraries(model: Model, config: dict[str, Any]) -> None:
    method = _stored_quantised(config).partition(",")[0]
    needed = LIBRARIES.get(method, ())
    if absent := [library for library in needed if importlib.util.find_spec(library) is None]:
        named, missing = " and ".join(needed), " ".join(absent)
        raise ModelError(f"{model.name} is quantised by {method}, which needs {named}: pip install {missing}.")


def damaged(model: Model, folder: Path, reason: str) -> str:
    return (
        f"Model {model.name} in {folder} cannot be loaded: {reason}. Nothing was changed. Fetch its files again, or "
        "leave --model out: answers are then quoted from the documents, without a language model."
    )
