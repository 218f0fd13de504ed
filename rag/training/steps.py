"""Training by steps, for whatever learns: plain torch, one process a GPU through accelerate, resumable at any step.

Everything that is drawn at random is drawn from the seed and the step's number, so that a training that was killed and
resumed ends in the same weights as one that was not.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rag.training.state import Keeper, learned, restore, save

if TYPE_CHECKING:
    from torch import Tensor, nn

Example = TypeVar("Example")

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
    identity: Mapping[str, str] | None = None,
) -> Worker:
    """Trains what requires a gradient, in place; its state is kept in `folder`, from which the same call goes on where
    it stopped; an interrupt loses no step. Returns which of the processes this is.

    `parts(model, step, worker)` are the losses of a step, by name, to be computed one after the other: their gradients
    add up, and only one part's activations are held at a time.

    Raises UsageError when `folder` holds another training than this, by its `identity` (see `made_of`), DamagedError
    when its state cannot be read and StorageError when it cannot be written.
    """
    import torch
    from accelerate import Accelerator

    accelerator = Accelerator(mixed_precision=settings.precision, cpu=not torch.cuda.is_available())
    trained = [parameter for _, parameter in learned(network)]
    raw = torch.optim.AdamW(trained, lr=0.0, weight_decay=settings.weight_decay)
    first, seconds = restore(network, raw, folder, identity or {})
    model, optimizer = accelerator.prepare(network, raw)
    worker = Worker(accelerator.process_index, accelerator.num_processes, accelerator.device)
    keeper = Keeper(partial(save, network, raw, folder), settings, identity or {}, first, seconds)
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
