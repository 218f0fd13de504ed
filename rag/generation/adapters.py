"""LoRA adapters (peft), by folder or hub id, attached to a loaded model: merged into its weights or beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rag.errors import ModelError
from rag.generation.fetch import asked
from rag.generation.models import Model, find

FILES = ["adapter_config.json", "adapter_model.safetensors"]


def attach(network: Any, name: str, *, merge: bool) -> Any:
    """The model with the adapter. Merged, it costs nothing a token; not merged, quantised weights stay as they are.

    Raises ModelError when the adapter is missing, pickled, or made for another model.
    """
    folder = _folder(name)
    try:
        from peft import PeftModel
    except ImportError as error:
        raise ModelError("LoRA adapters need peft, which is not installed: pip install 'beluga-rag[gpu]'.") from error
    try:
        adapted = PeftModel.from_pretrained(network, folder, is_trainable=False)
        if merge:
            return adapted.merge_and_unload(safe_merge=True).eval()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"Adapter {name} does not fit the model: {str(error).splitlines()[0][:200]}. It was made for "
            f"{_made_for(folder)}. Nothing was changed; leave --adapter out, or use it with its own model."
        ) from error
    return adapted.get_base_model().eval()  # peft has put its layers into it


def _folder(name: str) -> Path:
    folder = Path(name).expanduser()
    if not folder.is_dir():
        model = find(name)
        folder = asked(model, lambda: _snapshot(model))
    if not all((folder / file).is_file() for file in FILES):
        raise ModelError(
            f"Adapter {name}: {folder} lacks {' or '.join(FILES)}. Pickled adapters (.bin) are not loaded."
        )
    return folder


def _snapshot(model: Model) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    wanted: dict[str, Any] = {"revision": model.revision, "allow_patterns": FILES}
    try:
        return Path(snapshot_download(model.source, local_files_only=True, **wanted))
    except LocalEntryNotFoundError:
        return Path(snapshot_download(model.source, **wanted))


def _made_for(folder: Path) -> str:
    try:
        return str(json.loads((folder / "adapter_config.json").read_bytes()).get("base_model_name_or_path"))
    except ValueError:
        return "an unknown model"
