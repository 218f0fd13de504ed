"""The benchmark of generation itself: its parts run on a small network, and what goes wrong in one stays there."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

PATH = Path(__file__).resolve().parents[1] / "benchmarks" / "bench_generate.py"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads would only wait for one another over matrices as small as these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_generate", PATH)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_generate"] = module  # where its dataclass looks for its own annotations
    spec.loader.exec_module(module)
    return module


def test_every_part_runs_on_a_small_network(bench: ModuleType) -> None:
    ours = [name for name in bench.PARTS if "torchao" not in name]
    found = bench.measured(ours, bench.TINY, 200)
    assert [values["failed"] for values in found.values() if "failed" in values] == []
    assert all(value is not None and value > 0 for value in bench.derived(found).values())
    assert found["bf16"]["logits_cosine_0_known"] > 0.9999
    assert found["bf16"]["logits_cosine_20_known"] > 0.9999
    shown = "\n".join(bench.table(found))
    assert "not measured" not in shown
    assert "| 4-bit weights, times our own bf16 |" in shown


def test_a_part_that_fails_says_why_and_the_others_go_on(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(scale: object, record: bench.Record) -> None:
        record("tokens_per_second", 7.0)
        raise RuntimeError("out of luck\nand more")

    monkeypatch.setitem(bench.PARTS, "int8", (broken, 10))
    found = bench.measured(["int8", "machine"], bench.TINY, 100)
    assert found["int8"]["failed"] == "RuntimeError: out of luck"
    assert found["int8"]["tokens_per_second"] == 7.0  # what was known before
    assert found["machine"]["bandwidth"] > 0
    assert "not measured" in "\n".join(bench.table(found))


def test_a_part_in_a_process_of_its_own_comes_back_or_is_stopped(bench: ModuleType, tmp_path: Path) -> None:
    bench.isolated("machine", bench.TINY, 100, tmp_path / "whole")
    assert bench.figures(tmp_path / "whole")["matrix_rate"] > 0
    bench.isolated("machine", bench.TINY, 0.01, tmp_path / "stopped")
    assert bench.figures(tmp_path / "stopped")["failed"] == "stopped after 0 s"
    bench.isolated("no such part", bench.TINY, 100, tmp_path / "broken")
    assert bench.figures(tmp_path / "broken")["failed"] == "ended with 1: KeyError: 'no such part'"


def test_figures_are_the_shares_that_they_say(bench: ModuleType) -> None:
    found = {
        "machine": {"bandwidth": 4.3e12, "matrix_rate": 790e12},
        "bf16": {
            "tokens_per_second": 240.0,
            "bytes_a_token": 13.7e9,
            "stock_tokens_per_second": 40.0,
            "flops": 21.4e12,
        },
        "int8": {"tokens_per_second": 480.0},
    }
    values = bench.derived(found)
    assert values["share"] == pytest.approx(240 * 13.7 / 4300)
    assert values["times_stock"] == 6
    assert values["int8_times"] == 2
    assert values["int4_times"] is None
    assert values["first_token_floors"] is None
    assert bench.met("times_stock", 4.0)
    assert not bench.met("first_token_floors", 1.6)
    assert not bench.met("share", None)


def test_the_shape_is_llama_2_7bs(bench: ModuleType) -> None:
    """13.2 GB to read for a token, half a megabyte for each token of context, and 27 ms at 790 TFLOP/s for a prompt."""
    model = bench.network(bench.Scale("meta"))
    assert bench.bytes_a_token(model, bench.FULL) == pytest.approx(13.74e9, rel=0.01)
    assert bench.flops_of_a_prompt(model, bench.FULL) / 790e12 == pytest.approx(0.027, rel=0.02)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, which takes minutes")
def test_without_a_gpu_it_is_skipped_with_a_reason(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main([]) == 0
    assert "no CUDA device here" in capsys.readouterr().out


def test_the_lines_of_a_part_are_read_one_by_one(bench: ModuleType, tmp_path: Path) -> None:
    lines = [["note", "slow"], ["note", "slow"], ["a", 1], ["note", "slower"]]
    (tmp_path / "out").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert bench.figures(tmp_path / "out") == {"notes": ["slow", "slower"], "a": 1}
    assert bench.figures(tmp_path / "none") == {"notes": []}
