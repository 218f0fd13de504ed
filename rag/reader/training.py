"""Training the reader: plain torch, one process a GPU through accelerate, resumable at any step.

Everything that is drawn at random is drawn from the seed and the step's number, so that a training that was killed and
resumed ends in the same weights as one that was not.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import UsageError
from rag.reader.lessons import Lesson
from rag.reader.pairs import Pair, Pairs, Row

if TYPE_CHECKING:
    from rag.reader.network import Batch, ReaderNetwork

BUCKET = 64  # batches whose pairs are sorted by length together


@dataclass(frozen=True, slots=True)
class Settings:
    """`batch` counts pairs. The learning rate rises linearly over `warmup`, a share of all steps, and falls to 0."""

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


def batches(pairs: Sequence[Pair], size: int, seed: int) -> list[list[Pair]]:
    """Pairs in batches of about equal length, in an order drawn from the seed."""
    draw = random.Random(f"order/{seed}")  # noqa: S311 - no secret
    shuffled = draw.sample(pairs, len(pairs))
    made: list[list[Pair]] = []
    for start in range(0, len(shuffled), BUCKET * size):
        window = sorted(shuffled[start : start + BUCKET * size], key=_width)
        part = [window[place : place + size] for place in range(0, len(window), size)]
        draw.shuffle(part)
        made += part
    return made


def _width(pair: Pair) -> int:
    return max(len(row.ids) for row in (pair.answering, pair.lacking) if row)


def collate(pairs: Sequence[Pair], device: Any) -> Batch:
    import torch

    from rag.reader.network import Batch

    rows: list[Row] = []
    better: list[int] = []
    worse: list[int] = []
    for pair in pairs:
        if pair.answering and pair.elsewhere:
            better.append(len(rows))
            worse.append(len(rows) + 1)
        rows += [pair.answering, pair.lacking] if pair.answering else [pair.lacking]
    width = max(len(row.ids) for row in rows)
    ids, kinds = torch.zeros(len(rows), width, dtype=torch.long), torch.zeros(len(rows), width, dtype=torch.long)
    mask, words = torch.zeros(len(rows), width, dtype=torch.bool), torch.zeros(len(rows), width, dtype=torch.bool)
    for place, row in enumerate(rows):
        ids[place, : len(row.ids)] = torch.tensor(row.ids)
        kinds[place, : len(row.ids)] = torch.tensor(row.kinds)
        mask[place, : len(row.ids)] = True
        words[place, row.text_start : len(row.ids) - 1] = True
    tensors = {
        "starts": torch.tensor([row.span[0] if row.span else -100 for row in rows]),
        "ends": torch.tensor([min(row.span[1], len(row.ids) - 2) if row.span else -100 for row in rows]),
        "answers": torch.tensor([float(row.span is not None) for row in rows]),
        "better": torch.tensor(better, dtype=torch.long),
        "worse": torch.tensor(worse, dtype=torch.long),
    }
    whole = {"ids": ids, "kinds": kinds, "mask": mask, "words": words, **tensors}
    return Batch(**{name: tensor.to(device) for name, tensor in whole.items()})


def train(
    network: ReaderNetwork,
    pairs: Pairs,
    lessons: Sequence[Lesson],
    negatives: Sequence[Sequence[str]],
    folder: Path,
    settings: Settings,
    on_step: Callable[[Progress], None] = lambda progress: None,
) -> ReaderNetwork:
    """Trains in place; its state is kept in `folder`, from which the same call goes on where it stopped. Raises
    UsageError when what is kept there is of another training."""
    import torch
    from accelerate import Accelerator

    from rag.reader.network import learned, losses

    accelerator = Accelerator(mixed_precision=settings.precision, cpu=not torch.cuda.is_available())
    trained = [parameter for _, parameter in learned(network)]
    optimizer = torch.optim.AdamW(trained, lr=0.0, weight_decay=settings.weight_decay)
    marked = mark(lessons, settings)
    first, seconds = restore(network, optimizer, folder, marked)
    model, optimizer = accelerator.prepare(network, optimizer)
    plan = _Plan(pairs, lessons, negatives, settings)
    saved = started = time.monotonic()
    started -= seconds
    for step in range(first, plan.steps):
        group = plan.batch(step)[accelerator.process_index :: accelerator.num_processes]
        for part in optimizer.param_groups:
            part["lr"] = settings.learning_rate * rate(step, plan.steps, settings.warmup)
        with accelerator.autocast():
            parts = losses(model, collate(group, accelerator.device))
        accelerator.backward(sum(parts.values()))
        accelerator.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        figures = {name: float(value.detach()) for name, value in parts.items()}
        on_step(Progress(step + 1, plan.steps, figures, time.monotonic() - started))
        if accelerator.is_main_process and (time.monotonic() - saved > settings.save_seconds or step + 1 == plan.steps):
            state = {"step": step + 1, "seconds": time.monotonic() - started, "mark": marked}
            save(network, optimizer, folder, state)
            saved = time.monotonic()
    return network


class _Plan:
    """Which pairs are seen in which step. Only one epoch's are held at a time."""

    def __init__(
        self, pairs: Pairs, lessons: Sequence[Lesson], negatives: Sequence[Sequence[str]], settings: Settings
    ) -> None:
        self._pairs, self._lessons, self._negatives, self._settings = pairs, lessons, negatives, settings
        self._epoch = -1
        self._batches: list[list[Pair]] = []
        self._load(0)
        self._size = len(self._batches)
        self.steps = self._size * settings.epochs

    def batch(self, step: int) -> list[Pair]:
        self._load(step // self._size)
        return self._batches[step % self._size]

    def _load(self, epoch: int) -> None:
        if epoch != self._epoch:
            seed = self._settings.seed * 1000 + epoch
            drawn = list(self._pairs.draw(self._lessons, self._negatives, seed))
            self._batches, self._epoch = batches(drawn, self._settings.batch, seed), epoch


def rate(step: int, steps: int, warmup: float) -> float:
    """The learning rate's factor: up over the first `warmup` of the steps, then down to 0."""
    rising = max(1, math.ceil(warmup * steps))
    return (step + 1) / rising if step < rising else (steps - step) / max(1, steps - rising)


def mark(lessons: Sequence[Lesson], settings: Settings) -> str:
    """Tells one training from another: by its data and by every setting that its result depends on."""
    digest = hashlib.sha256(repr(replace(settings, save_seconds=0.0)).encode())
    for lesson in lessons:
        digest.update(repr(lesson).encode("utf-8", "replace"))
    return digest.hexdigest()


def save(network: Any, optimizer: Any, folder: Path, state: dict[str, Any]) -> None:
    """Weights, the optimizer's state and where they stand in one safetensors file, replaced in one step."""
    from safetensors.torch import save_file

    from rag.reader.network import learned

    tensors = {f"network.{name}": p.detach().cpu().contiguous() for name, p in learned(network)}
    names = [name for name, _ in learned(network)]
    for name, kept in zip(names, optimizer.state_dict()["state"].values(), strict=False):
        tensors |= {f"{moment}.{name}": kept[moment].cpu().contiguous() for moment in ("exp_avg", "exp_avg_sq")}
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "training.safetensors.partial"
    save_file(tensors, partial, {name: str(value) for name, value in state.items()})
    os.replace(partial, folder / "training.safetensors")


def restore(network: Any, optimizer: Any, folder: Path, marked: str) -> tuple[int, float]:
    """The step to go on with and the seconds spent so far: (0, 0) where nothing was saved. Raises UsageError."""
    import torch
    from safetensors import safe_open

    from rag.reader.network import learned

    path = folder / "training.safetensors"
    if not path.exists():
        return 0, 0.0
    with safe_open(str(path), framework="pt") as file:
        meta = file.metadata()
        if meta["mark"] != marked:
            raise UsageError(
                f"{folder} holds the progress of another training: of other data, settings or files in another order. "
                "Nothing was changed. Give another --out, or delete the folder."
            )
        step = int(meta["step"])
        state = {}
        for place, (name, parameter) in enumerate(learned(network)):
            with torch.no_grad():
                parameter.copy_(file.get_tensor(f"network.{name}"))
            moments = {moment: file.get_tensor(f"{moment}.{name}") for moment in ("exp_avg", "exp_avg_sq")}
            state[place] = {"step": torch.tensor(float(step)), **moments}
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return step, float(meta["seconds"])
