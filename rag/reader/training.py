"""Training the reader, by the steps of `rag.training`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.reader.lessons import Lesson
from rag.reader.pairs import Pair, Pairs, Row
from rag.training.state import made_of
from rag.training.steps import Part, Plan, Progress, Settings, Worker, run

if TYPE_CHECKING:
    from rag.reader.network import Batch, ReaderNetwork


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
    """Trains in place; its state is kept in `folder`, from which the same call goes on where it stopped. The batches
    of `settings` are of pairs. Raises UsageError when what is kept there is of another training."""
    from rag.reader.network import losses

    plan = Plan(lambda seed: pairs.draw(lessons, negatives, seed), _width, settings)

    def parts(model: Any, step: int, worker: Worker) -> list[Part]:
        return [partial(losses, model, collate(worker.share(plan.batch(step)), worker.device))]

    run(network, plan.steps, parts, folder, settings, on_step, made_of(lessons, settings))
    return network


def _width(pair: Pair) -> int:
    return max(len(row.ids) for row in (pair.answering, pair.lacking) if row)
