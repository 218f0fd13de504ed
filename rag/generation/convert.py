"""Pickled weights (pytorch_model*.bin), read once as tensors only, kept as safetensors in at most 16 bits.

Stable Beluga was published so. torch's restricted unpickler builds tensors and nothing else; from then on only
safetensors are loaded. One shard is in memory at a time.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from rag.errors import ModelError

COPIED = ("*.json", "*.model", "*.jinja", "*.txt")
OLD_INDEX = "pytorch_model.bin.index.json"
NEW_INDEX = "model.safetensors.index.json"


def to_safetensors(folder: Path, target: Path) -> None:
    """`target` appears when it is whole, or not at all. Raises ModelError for a damaged or dangerous shard."""
    shards = sorted(folder.glob("pytorch_model*.bin"))
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        where: dict[str, str] = {}
        for shard in shards:
            name = shard.name.replace("pytorch_model", "model").replace(".bin", ".safetensors")
            where.update(dict.fromkeys(_convert(shard, temporary / name), name))
        size = sum(path.stat().st_size for path in temporary.glob("*.safetensors"))
        index = {"metadata": {"total_size": size}, "weight_map": where}
        (temporary / NEW_INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")
        for path in {path for pattern in COPIED for path in folder.glob(pattern)}:
            if path.name != OLD_INDEX:
                shutil.copyfile(path, temporary / path.name)
        shutil.rmtree(target, ignore_errors=True)
        temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _convert(shard: Path, target: Path) -> list[str]:
    """Writes one shard, and returns the names of its tensors."""
    import torch
    from safetensors.torch import save_file
    from transformers.modeling_utils import load_state_dict

    try:
        tensors = load_state_dict(str(shard), weights_only=True)
    except Exception as error:  # the unpickler's, torch's and zipfile's own, for bytes that may be anything
        raise ModelError(
            f"{shard} holds no weights that can be read as tensors only ({type(error).__name__}); nothing of it was "
            "run. Remove it and fetch the model again."
        ) from error
    kept = {
        # A clone: safetensors refuses tensors that share memory, as tied weights do.
        name: (tensor.to(torch.bfloat16) if tensor.dtype == torch.float32 else tensor.clone()).contiguous()
        for name, tensor in tensors.items()
    }
    save_file(kept, target, metadata={"format": "pt"})
    return list(kept)
