"""Training a LoRA (Hu et al. 2021, arXiv 2106.09685) for a chat model, by the steps of `rag.training`.

The model's own weights stay as they are, in 16 bits on a GPU, or in 4 where that is too much (QLoRA, arXiv 2305.14314).
The loss is of the answer's tokens alone.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import ModelError, OutOfMemoryError, StorageError, UsageError
from rag.generation.adapters import FILES, library, without_renames
from rag.generation.cache import known_commit
from rag.generation.exercises import Exercise, Row, Rows
from rag.generation.fetch import Tell, files_of, ignore
from rag.generation.formats import Format
from rag.generation.models import Model, Shape
from rag.generation.options import Options, Precision
from rag.generation.precision import Machine, machine, need
from rag.generation.turns import Turns, end_tokens
from rag.generation.weights import Loaded, config_of, load, window
from rag.training.state import made_of
from rag.training.steps import Part, Plan, Progress, Settings, Worker, device, run

if TYPE_CHECKING:
    from torch import Tensor

TOKENS = 2048  # of one forward pass, padding included; a longer prompt has one of its own


@dataclass(frozen=True, slots=True)
class Lora:
    """`checkpointing`: activations are computed twice instead of kept. `float32`: no weights in 16 bits."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    checkpointing: bool = False
    float32: bool = False


def train(
    model: Model,
    exercises: Sequence[Exercise],
    folder: Path,
    settings: Settings,
    lora: Lora | None = None,
    form: Format | None = None,
    on_step: Callable[[Progress], None] = lambda progress: None,
    tell: Tell = ignore,
) -> None:
    """Leaves an adapter in `folder`, and the training's state, from which the same call goes on where it stopped.

    Raises UsageError for a model that cannot be trained or when no exercise fits its window, ModelError when it is
    missing or does not fit into memory, and what `rag.training.steps.run` raises.
    """
    import torch

    lora = lora or Lora()
    peft = library()
    loaded, precision = _loaded(model, lora, tell)
    turns = Turns(model, loaded.tokenizer, end_tokens(loaded.tokenizer, loaded.network), form)
    room = window(model, loaded.network)
    rows = Rows(turns, room)
    taught = [exercise for exercise in exercises if rows.fits(exercise)]
    if left := len(exercises) - len(taught):
        tell(f"{left:,} of {len(exercises):,} questions do not fit with their passage into {room:,} tokens; left out.")
    if not taught:
        raise UsageError(f"No question fits with its passage into the window of {model.name}. Nothing was trained.")
    network = _adapted(peft, loaded.network, model, lora, settings.seed)
    plan = Plan(partial(_drawn, taught), lambda item: len(item[0].question) + len(item[0].passage.text), settings)

    def parts(adapted: Any, step: int, worker: Worker) -> list[Part]:
        drawn = [rows.draw(exercise, seed) for exercise, seed in plan.batch(step)]
        total = sum(len(row.answer) for row in drawn) / worker.of  # gradients of several workers are averaged
        return [partial(_loss, adapted, part, total, worker.device) for part in passes(worker.share(drawn))]

    identity = _identity(model, turns, taught, settings, lora)
    settings = replace(settings, precision=precision)
    try:
        worker = run(network, plan.steps, parts, folder, settings, on_step, identity)
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError(
            f"Not enough memory to train {model.name} ({loaded.why}). What was learned before is kept in {folder}. Use "
            "--gradient-checkpointing, or a smaller model."
        ) from error
    if worker.number == 0:
        _save(network, folder)


def _drawn(taught: Sequence[Exercise], seed: int) -> Iterator[tuple[Exercise, str]]:
    for place, exercise in enumerate(taught):
        yield exercise, f"{seed}/{place}/{exercise.question}"


def _identity(model: Model, turns: Turns, taught: Sequence[Exercise], settings: Settings, lora: Lora) -> dict[str, str]:
    """What an adapter depends on. Not the near passages: an embedder finds them, and may find others on another machine
    (nor the precision that its memory has room for)."""
    shape = {"rank": lora.rank, "alpha": lora.alpha, "dropout": lora.dropout}
    names = {"model": model.source, "revision": known_commit(model) or "", "format": turns.format.value}
    data = ((exercise.question, exercise.passage, exercise.answers) for exercise in taught)
    return made_of(data, settings) | names | {name: str(value) for name, value in shape.items()}


# -------------------------------------------------------------------------------------------------- the model


def refuse(model: Model) -> None:
    """Raises UsageError for a model that cannot have an adapter, before anything else is done for one."""
    if model.is_gguf:
        raise UsageError(f"{model.name} is a GGUF model, which takes no adapter. Name one with safetensors weights.")


def _loaded(model: Model, lora: Lora, tell: Tell) -> tuple[Loaded, str]:
    """The model, and the precision to compute in beside it, as accelerate names it."""
    refuse(model)
    folder, on = files_of(model, tell), str(device())
    stored = config_of(model, folder)
    if "quantization_config" in stored:
        raise UsageError(f"{model.name} is stored quantised. Name the model that it was made from, and train that.")
    precision = choose(model.shape or Shape.of(stored), machine(on), lora)
    loaded = load(model, folder, on, Options(precision=precision), tell)
    return loaded, "no" if precision is Precision.FP32 else "bf16"


def choose(shape: Shape | None, on: Machine, lora: Lora) -> Precision:
    """The most exact of what training can be done in that free memory has room for. Raises ModelError when nothing is.

    Activations of a layer are taken for 34 bytes a token and unit (Korthikanti et al. 2022, arXiv 2205.05198, equation
    2, without what attention keeps of scores); with checkpointing they are kept of one layer, of the others the input.
    """
    ladder = [Precision.BF16] if on.has_gpu else [Precision.FP32, Precision.BF16]
    if on.has_gpu and on.bitsandbytes:
        ladder.append(Precision.NF4)
    if lora.float32:
        ladder = [Precision.FP32]
    if shape is None:
        return ladder[0]
    kept = 34 + 2 * shape.layers if lora.checkpointing else 34 * shape.layers
    needs = {precision: need(shape, precision) + kept * shape.hidden * TOKENS for precision in ladder}
    for precision, bytes_ in needs.items():
        if bytes_ <= on.free:
            return precision
    least = min(needs.values())
    advice = "a smaller model" if lora.checkpointing else "--gradient-checkpointing, or a smaller model"
    raise ModelError(
        f"There is not enough memory to train this model: about {least / 1e9:.1f} GB are needed, and "
        f"{on.free / 1e9:.1f} GB are free on {on.device}. Nothing was trained. Use {advice}."
    )


def _adapted(peft: Any, network: Any, model: Model, lora: Lora, seed: int) -> Any:
    """The network with a LoRA beside every linear map of its layers; nothing else learns."""
    import torch

    if getattr(network, "is_loaded_in_4bit", False):
        network = peft.prepare_model_for_kbit_training(network, use_gradient_checkpointing=False)
    torch.manual_seed(seed)
    config = peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    with without_renames():
        if lora.checkpointing:
            network.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        adapted = peft.get_peft_model(network, config)
    made_for = adapted.peft_config["default"]
    made_for.base_model_name_or_path, made_for.revision = model.source, known_commit(model)
    return adapted.train()


def _save(network: Any, folder: Path) -> None:
    """The configuration comes last: with it the adapter is whole."""
    try:
        with tempfile.TemporaryDirectory(dir=folder) as made:
            # Embeddings are not trained; whether their size has changed would be asked of the hub.
            network.save_pretrained(made, safe_serialization=True, save_embedding_layers=False)
            for name in reversed(FILES):
                os.replace(Path(made) / name, folder / name)
    except OSError as error:
        raise StorageError(
            f"The adapter cannot be written into {folder}: {error.strerror}. What was learned is kept; make room, and "
            "the same command writes it."
        ) from error


# --------------------------------------------------------------------------------------------------- the loss


def passes(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows in groups of TOKENS at most, padded as they are to the longest of their group."""
    groups: list[list[Row]] = []
    for row in sorted(rows, key=len):
        if groups and (len(groups[-1]) + 1) * len(row) <= TOKENS:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def collate(rows: Sequence[Row]) -> tuple[dict[str, Tensor], Tensor]:
    """What the network gets, padded on the left to shape (n, longest row), so that all answers end at the right; and
    labels (n, longest answer), -100 where there is none."""
    import torch

    width, longest = max(map(len, rows)), max(len(row.answer) for row in rows)
    ids, mask = torch.zeros(len(rows), width, dtype=torch.long), torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full((len(rows), longest), -100)
    for place, row in enumerate(rows):
        ids[place, width - len(row) :] = torch.tensor(row.prompt + row.answer)
        mask[place, width - len(row) :] = 1
        labels[place, longest - len(row.answer) :] = torch.tensor(row.answer)
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    return {"input_ids": ids, "attention_mask": mask, "position_ids": positions}, labels


def _loss(network: Any, rows: Sequence[Row], total: float, device: Any) -> dict[str, Tensor]:
    """The rows' share of the cross entropy of a step's `total` answer tokens. Logits are made of the last tokens only,
    where there are many words."""
    from torch.nn import functional

    inputs, labels = collate(rows)
    inputs, labels = {name: tensor.to(device) for name, tensor in inputs.items()}, labels.to(device)
    longest = labels.shape[1]
    logits = network(**inputs, use_cache=False, logits_to_keep=longest + 1).logits[:, -longest - 1 : -1]
    entropy = functional.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="sum"
    )
    return {"answer": entropy / total}
