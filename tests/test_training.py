"""Steps, and what is kept of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from rag.errors import DamagedError, StorageError, UsageError
from rag.training.state import STATE, learned, restore, save, steps_kept
from rag.training.steps import Plan, Settings, Worker, rate, run

SETTINGS = Settings(epochs=2, batch=3, learning_rate=0.1, precision="no", save_seconds=0.0)


def test_the_learning_rate_rises_and_falls() -> None:
    assert [rate(step, 10, 0.2) for step in (0, 1, 2, 6, 9)] == [0.5, 1.0, 1.0, 0.5, 0.125]


def test_every_example_is_seen_once_an_epoch_with_those_of_its_width() -> None:
    plan = Plan(lambda seed: range(8), lambda number: number, SETTINGS)
    assert plan.steps == 6
    epochs = [[plan.batch(step) for step in range(start, start + 3)] for start in (0, 3)]
    for epoch in epochs:
        assert sorted(map(tuple, epoch)) == [(0, 1, 2), (3, 4, 5), (6, 7)]
    assert plan.batch(0) == epochs[0][0]


def test_every_worker_has_a_share() -> None:
    assert [Worker(number, 2, None).share([1, 2, 3]) for number in (0, 1)] == [[1, 3], [2]]
    assert Worker(1, 2, None).share([1]) == [1]


def test_the_gradients_of_a_steps_parts_add_up(tmp_path: Path) -> None:
    whole, parted = nn.Linear(2, 1), nn.Linear(2, 1)
    parted.load_state_dict(whole.state_dict())
    inputs = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]])
    seen = []
    for name, network, sizes in (("whole", whole, [3]), ("parted", parted, [1, 2])):

        def parts(model: nn.Module, step: int, worker: Worker, sizes: list[int] = sizes) -> list:
            return [lambda rows=rows: {"square": model(rows).square().sum() / 3} for rows in inputs.split(sizes)]

        run(network, 4, parts, tmp_path / name, SETTINGS, lambda progress: seen.append(progress.losses["square"]))
    assert whole.weight.allclose(parted.weight, atol=1e-6)
    assert seen[:4] == pytest.approx(seen[4:], rel=1e-5)
    assert seen[3] < seen[0]


def kept(folder: Path, **meta: str) -> nn.Module:
    network = nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    save(network, optimizer, folder, {"step": "7", "seconds": "1.5", **meta})
    return network


def test_what_is_kept_is_restored(tmp_path: Path) -> None:
    assert steps_kept(tmp_path) == 0
    network, other = kept(tmp_path), nn.Linear(2, 1)
    assert restore(other, torch.optim.AdamW(other.parameters()), tmp_path, {}) == (7, 1.5)
    assert steps_kept(tmp_path) == 7
    assert [name for name, _ in learned(other)] == ["weight", "bias"]
    assert other.weight.equal(network.weight)


def test_another_training_or_none_is_not_gone_on_with(tmp_path: Path) -> None:
    kept(tmp_path, identity='{"data": "a", "rank": "8"}')
    network = nn.Linear(2, 1)
    before = network.weight.detach().clone()
    optimizer = torch.optim.AdamW(network.parameters())
    with pytest.raises(UsageError, match=r"another training; what differs is: data, model\..*another --out"):
        restore(network, optimizer, tmp_path, {"data": "b", "rank": "8", "model": "m"})
    (tmp_path / STATE).write_bytes(b"junk")
    with pytest.raises(DamagedError, match=r"training\.safetensors is no progress.*Remove it"):
        restore(network, optimizer, tmp_path, {})
    assert steps_kept(tmp_path) == 0
    assert network.weight.equal(before)


def test_a_disk_that_takes_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"training\.safetensors cannot be written"):
        kept(tmp_path / "file")
