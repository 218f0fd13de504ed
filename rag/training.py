"""Training by steps, for whatever learns: plain torch, one process a GPU through accelerate, resumable at any step.

Everything that is drawn at random is drawn from the seed and the step's number, so that a training that was killed and
resumed ends in the same weights as one that was not.
"""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rag.errors import DamagedError, StorageError, UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

Example = TypeVar("Example")

STATE = "training.safetensors"
BUCKET = 64  # batches whose examples are sorted by length together


@dataclass(frozen=True, slots=True)
class Settings:
    """`batch` counts examples. The learning rate rises linearly over `warmup`, a share of all steps, and falls to 0."""

    epochs: int = 2
    batch: int = 16
    learning_rate: float = 1e-4
    warmup: float = 0.06
    weight_decay: float = 0.01
    seed: int = 0
    precision: str = "bf16"  # or "no": float32
    save_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Progress:
    step: int
    steps: int
    losses: dict[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class Worker:
    """One of `of` processes that train together, each on a `device` of its own."""

    number: int
    of: int
    device: Any

    def share(self, batch: Sequence[Example]) -> Sequence[Example]:
        """Its part of a batch, which is never empty: all have to take part in every step."""
        return batch[self.number :: self.of] or batch[:1]


Part = Callable[[], "dict[str, Tensor]"]
Parts = Callable[[Any, int, Worker], Sequence[Part]]


def run(
    network: nn.Module,
    steps: int,
    parts: Parts,
    folder: Path,
    settings: Settings,
    on_step: Callable[[Progress], None] = lambda progress: None,
    made_of: Mapping[str, str] | None = None,
) -> Worker:
    """Trains what requires a gradient, in place; its state is kept in `folder`, from which the same call goes on where
    it stopped; an interrupt loses no step. Returns which of the processes this is.

    `parts(model, step, worker)` are the losses of a step, by name, to be computed one after the other: their gradients
    add up, and only one part's activations are held at a time.

    Raises UsageError when `folder` holds a training of which other things are said in `made_of`, DamagedError when its
    state cannot be read and StorageError when it cannot be written.
    """
    import torch
    from accelerate import Accelerator

    accelerator = Accelerator(mixed_precision=settings.precision, cpu=not torch.cuda.is_available())
    trained = [parameter for _, parameter in learned(network)]
    raw = torch.optim.AdamW(trained, lr=0.0, weight_decay=settings.weight_decay)
    first, seconds = restore(network, raw, folder, made_of or {})
    model, optimizer = accelerator.prepare(network, raw)
    worker = Worker(accelerator.process_index, accelerator.num_processes, accelerator.device)
    keeper = _Keeper(partial(save, network, raw, folder), settings, made_of or {}, first, seconds)
    try:
        for step in range(first, steps):
            torch.manual_seed(settings.seed * 1_000_003 + step)  # of dropout
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * rate(step, steps, settings.warmup)
            figures = _add_gradients(accelerator, model, parts(model, step, worker))
            accelerator.clip_grad_norm_(trained, 1.0)
            keeper.done = None
            optimizer.step()
            optimizer.zero_grad()
            keeper.done = step + 1
            on_step(Progress(step + 1, steps, figures, keeper.seconds))
            if worker.number == 0 and (keeper.is_due or step + 1 == steps):
                keeper.keep()
    except KeyboardInterrupt:
        if worker.number == 0:
            keeper.keep()
        raise
    return worker


class _Keeper:
    """Keeps a training's state every so often, and when it is stopped. `done` counts its steps, and is None within the
    update of the weights, where it is neither at one step nor at the next."""

    def __init__(
        self,
        write: Callable[[dict[str, str]], None],
        settings: Settings,
        made_of: Mapping[str, str],
        done: int,
        seconds: float,
    ) -> None:
        self._write, self._every = write, settings.save_seconds
        self._meta = {"settings": json.dumps(asdict(settings)), "made_of": json.dumps(dict(made_of))}
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


def device() -> Any:
    """Of this process: a GPU of its own, or the processor."""
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available()).device


def _add_gradients(accelerator: Any, model: Any, parts: Sequence[Part]) -> dict[str, float]:
    """The losses, of all parts together."""
    figures: dict[str, float] = {}
    for place, part in enumerate(parts, start=1):
        # Gradients of several processes are brought together once a step, with those of its last part.
        with nullcontext() if place == len(parts) else accelerator.no_sync(model):
            with accelerator.autocast():
                losses = part()
            accelerator.backward(sum(losses.values()))
        for name, loss in losses.items():
            figures[name] = figures.get(name, 0.0) + float(loss.detach())
    return figures


def learned(network: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad)


def rate(step: int, steps: int, warmup: float) -> float:
    """The learning rate's factor: up over the first `warmup` of the steps, then down to 0."""
    rising = max(1, math.ceil(warmup * steps))
    return (step + 1) / rising if step < rising else (steps - step) / max(1, steps - rising)


# ---------------------------------------------------------------------------------------- which when


class Plan(Generic[Example]):
    """Which examples are seen in which step. Only one epoch's, as `draw` draws them from a seed, are held at a time."""

    def __init__(
        self, draw: Callable[[int], Iterable[Example]], width: Callable[[Example], int], settings: Settings
    ) -> None:
        self._draw, self._width, self._settings = draw, width, settings
        self._epoch = -1
        self._batches: list[list[Example]] = []
        self._load(0)
        self._size = len(self._batches)
        self.steps = self._size * settings.epochs

    def batch(self, step: int) -> list[Example]:
        self._load(step // self._size)
        return self._batches[step % self._size]

    def _load(self, epoch: int) -> None:
        if epoch != self._epoch:
            seed = self._settings.seed * 1000 + epoch
            drawn = list(self._draw(seed))
            self._batches, self._epoch = batches(drawn, self._settings.batch, seed, self._width), epoch


def batches(examples: Sequence[Example], size: int, seed: int, width: Callable[[Example], int]) -> list[list[Example]]:
    """Examples in batches of about equal width, in an order drawn from the seed."""
    draw = random.Random(f"order/{seed}")  # noqa: S311 - no secret
    shuffled = draw.sample(examples, len(examples))
    made: list[list[Example]] = []
    for start in range(0, len(shuffled), BUCKET * size):
        window = sorted(shuffled[start : start + BUCKET * size], key=width)
        part = [window[place : place + size] for place in range(0, len(window), size)]
        draw.shuffle(part)
        made += part
    return made


# ------------------------------------------------------------------------------------------ what is kept


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


def restore(network: nn.Module, optimizer: Any, folder: Path, made_of: Mapping[str, str]) -> tuple[int, float]:
    """The step to go on with and the seconds spent so far: (0, 0) where nothing was saved."""
    import torch
    from safetensors import SafetensorError, safe_open

    path = folder / STATE
    if not path.exists():
        return 0, 0.0
    try:
        with safe_open(str(path), framework="pt") as file:
            meta = file.metadata() or {}
            _refuse_another(folder, json.loads(meta.get("made_of", "{}")), made_of)
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


def _refuse_another(folder: Path, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    if other := sorted(name for name in {*before, *now} if before.get(name) != now.get(name)):
        raise UsageError(
            f"{folder} holds another training: its {', '.join(other)} differ. Nothing was changed. Give the same data "
            "and settings to go on with it, or another --out."
        )
