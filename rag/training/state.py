"""What is kept of a training: weights, the optimizer's state, and which training it is."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import DamagedError, StorageError, UsageError

if TYPE_CHECKING:
    from torch import nn

    from rag.training.steps import Settings

STATE = "training.safetensors"


def learned(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad)


class Keeper:
    """Keeps a training's state every so often, and when it is stopped. `done` counts its steps, and is None within the
    update of the weights, where it is neither at one step nor at the next."""

    def __init__(
        self,
        write: Callable[[dict[str, str]], None],
        settings: Settings,
        identity: Mapping[str, str],
        done: int,
        seconds: float,
    ) -> None:
        self._write, self._every = write, settings.save_seconds
        self._meta = {"identity": json.dumps(dict(identity))}
        self.done: int | None = done
        self._kept = done
        self._saved = time.monotonic()
        self._started = self._saved - seconds

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._saved > self._every

    def keep(self) -> None:
        if self.done is not None and self.done > self._kept:
            self._write({"step": str(self.done), "seconds": str(self.seconds), **self._meta})
            self._kept, self._saved = self.done, time.monotonic()


def save(network: nn.Module, optimizer: Any, folder: Path, meta: dict[str, str]) -> None:
    """Weights and the optimizer's state in one safetensors file, replaced in one step."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors = {f"network.{name}": p.detach().cpu().contiguous() for name, p in learned(network)}
    names = [name for name, _ in learned(network)]
    for name, state in zip(names, optimizer.state_dict()["state"].values(), strict=False):
        tensors |= {f"{moment}.{name}": state[moment].cpu().contiguous() for moment in ("exp_avg", "exp_avg_sq")}
    partial = folder / f"{STATE}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, meta)
        os.replace(partial, folder / STATE)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            partial.unlink()
        raise StorageError(
            f"{folder / STATE} cannot be written: {error}. What was saved before is kept; make room, and the same "
            "command goes on from there."
        ) from error


def restore(network: nn.Module, optimizer: Any, folder: Path, identity: Mapping[str, str]) -> tuple[int, float]:
    """The step to go on with and the seconds spent so far: (0, 0) where nothing was saved."""
    import torch
    from safetensors import SafetensorError, safe_open

    path = folder / STATE
    if not path.exists():
        return 0, 0.0
    try:
        with safe_open(str(path), framework="pt") as file:
            meta = file.metadata() or {}
            _refuse_another(folder, json.loads(meta.get("identity", "{}")), identity)
            step, seconds = int(meta["step"]), float(meta["seconds"])
            state = {}
            for place, (name, parameter) in enumerate(learned(network)):
                with torch.no_grad():
                    parameter.copy_(file.get_tensor(f"network.{name}"))
                moments = {moment: file.get_tensor(f"{moment}.{name}") for moment in ("exp_avg", "exp_avg_sq")}
                state[place] = {"step": torch.tensor(float(step)), **moments}
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise DamagedError(
            f"{path} is no progress that this training can go on from ({error}). Nothing was changed. Remove it to "
            "begin anew, or give another --out."
        ) from error
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return step, seconds


def steps_kept(folder: Path) -> int:
    """How many steps of a training that was stopped are not lost."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(folder / STATE), framework="pt") as file:
            return int((file.metadata() or {}).get("step", 0))
    except (OSError, ValueError, SafetensorError):
        return 0


def made_of(examples: Iterable[object], settings: Settings) -> dict[str, str]:
    """What a training's result depends on: its data, and every setting but how often it is kept."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(repr(example).encode("utf-8", "replace"))
    chosen = {name: str(value) for name, value in asdict(settings).items() if name != "save_seconds"}
    return {"data": digest.hexdigest(), **chosen}


def _refuse_another(folder: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    if other := sorted(name for name in {*before, *now} if before.get(name) != now.get(name)):
        raise UsageError(
            f"{folder} holds the progress of another training; what differs is: {', '.join(other)}. Nothing was "
            "changed. Give the same data and settings to go on with it, or another --out."
        )
