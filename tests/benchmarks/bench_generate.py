"""Generation on a GPU against what the machine itself can do and against stock `generate`, in one run of a few minutes.

    python tests/benchmarks/bench_generate.py [--seconds 500] [--parts machine,bf16,...] [--tiny]

The network has the shape of Llama 2 7B, which Stable Beluga 7B is, and random weights in bfloat16: the same speed, but
no sense, so the output's length is forced and prompt lookup is not measured. Every part runs in a process of its own
with a time limit; one that fails says why, and the others go on. Without CUDA nothing is measured. `--tiny` takes the
same paths with a small network on a processor, where the figures mean nothing. The figures go to results/generate.json.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import logging
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent / "results"
Record = Callable[[str, Any], None]


@dataclass(frozen=True)
class Scale:
    device: str
    context: int = 1000  # tokens of context at which decoding is measured
    timed: int = 100  # tokens, around it
    stock: int = 40  # tokens that stock `generate` is timed for
    prompt: int = 1600
    questions: int = 64
    answer: int = 100
    rounds: int = 5
    block: int = 8192  # rows and columns of the matrix product
    read: int = 4 << 30  # bytes


FULL = Scale("cuda")
TINY = Scale("cpu", 40, 10, 6, 50, 3, 5, 1, 64, 1 << 20)
TARGETS = {  # figure → (what, target); all are to be reached from below, but the first token
    "share": ("decode at 1,000 tokens of context, share of the bandwidth limit", 0.7),
    "times_stock": ("the same, times stock generate with its dynamic cache", 4.0),
    "first_token_floors": ("first token of a 1,600-token prompt, times the matrix-rate floor (at most)", 1.5),
    "batch_times": ("64 questions (1,600 in, 100 out) in a batch, times the questions/s of one at a time", 5.0),
    "int8_times": ("8-bit weights, times our own bf16", 1.5),
    "int4_times": ("4-bit weights, times our own bf16", 2.0),
}


# ----------------------------------------------------------------------------------------- inside a part


def network(scale: Scale) -> Any:
    """Made where it is used: 13.5 GB of random numbers on the GPU in a second or two."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    shape = {"vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32}
    shape |= {"num_attention_heads": 32, "num_key_value_heads": 32}
    if scale.device == "cpu":
        shape = {"vocab_size": 97, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2}
        shape |= {"num_attention_heads": 4, "num_key_value_heads": 4}
    config = LlamaConfig(**shape, max_position_embeddings=4096, rms_norm_eps=1e-5, tie_word_embeddings=False)
    torch.manual_seed(0)
    dtype = torch.float32 if scale.device == "cpu" else torch.bfloat16
    with torch.device(scale.device):
        return AutoModelForCausalLM.from_config(config, dtype=dtype).eval()


def prompt(scale: Scale, length: int, seed: int) -> list[int]:
    return random.Random(seed).choices(range(3, 97 if scale.device == "cpu" else 32000), k=length)


def synchronise(scale: Scale) -> None:
    import torch

    if scale.device == "cuda":
        torch.cuda.synchronize()


def seconds(scale: Scale, work: Callable[[], Any]) -> float:
    synchronise(scale)
    start = time.perf_counter()
    work()
    synchronise(scale)
    return time.perf_counter() - start


def machine(scale: Scale, record: Record) -> None:
    """Bytes/s of reading and FLOP/s of multiplying, the best of many: what the other figures are shares of."""
    import torch

    if scale.device == "cuda":
        record("device", torch.cuda.get_device_name())
    record("torch", torch.__version__)
    record("bandwidth", read_rate(scale))
    dtype = torch.bfloat16 if scale.device == "cuda" else torch.float32
    a, b = (torch.randn(scale.block, scale.block, device=scale.device).to(dtype) for _ in range(2))
    times = [seconds(scale, lambda: a @ b) for _ in range(30)]
    record("matrix_rate", 2 * scale.block**3 / min(times))
    record("matrix_rate_median", 2 * scale.block**3 / median(times))


def read_rate(scale: Scale) -> float:
    import torch

    table = torch.ones(scale.read // 4 // 1024, 1024, device=scale.device)
    row = torch.ones(1, 1024, device=scale.device)
    ways: list[Callable[[], Any]] = [table.sum, lambda: table.sum(1), lambda: row @ table.T]
    times = [seconds(scale, lambda way=way: [way() for _ in range(4)]) for way in ways for _ in range(8)]
    return 4 * scale.read / min(times)


def speed(scale: Scale, decoder: Any) -> float:
    """Tokens/s around `context` tokens, the median of some rounds."""
    rates = []
    for seed in range(scale.rounds):
        stream = decoder.tokens(prompt(scale, scale.context - scale.timed // 2, seed), scale.timed)
        next(stream)
        synchronise(scale)
        start = time.perf_counter()
        made = sum(1 for _ in stream)
        rates.append(made / (time.perf_counter() - start))
    return median(rates)


def first_token(scale: Scale, decoder: Any) -> float:
    """Seconds from a prompt that shares nothing with those before to its first token."""

    def ask(seed: int) -> None:
        stream = decoder.tokens(prompt(scale, scale.prompt, seed), 2)
        next(stream)
        stream.close()

    return median([seconds(scale, lambda seed=seed: ask(seed)) for seed in range(100, 103 + scale.rounds)][2:])


def bytes_a_token(model: Any, scale: Scale) -> float:
    """What one step has to read: every weight but the table of embeddings, and the keys and values of the context."""
    tensors = [*model.parameters(), *model.buffers()]
    weights = sum(tensor.numel() * tensor.itemsize for tensor in tensors)
    table = model.model.embed_tokens.weight
    config = model.config
    cached = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * table.itemsize
    return weights - table.numel() * table.itemsize + cached * scale.context


def flops_of_a_prompt(model: Any, scale: Scale) -> float:
    """Multiplications and additions of the layers' weights and of causal attention; the head sees one token."""
    weights = sum(parameter.numel() for parameter in model.model.layers.parameters())
    attention = 2 * model.config.num_hidden_layers * model.config.hidden_size * scale.prompt**2
    return 2.0 * weights * scale.prompt + attention


def make_decoder(model: Any, scale: Scale, record: Record) -> Any:
    """Ready to be timed: compiled, tuned and captured, and how long that took."""
    from rag.generation.decode.decoder import Decoder

    decoder = Decoder(model, (), lookup=False)
    record("kernel", decoder._network is not None and not decoder._network.bounded)
    start = time.perf_counter()
    list(decoder.tokens(prompt(scale, scale.prompt, 99), 5))
    list(decoder.tokens(prompt(scale, scale.context, 98), 5))
    record("first_use_seconds", time.perf_counter() - start)
    return decoder


def bf16(scale: Scale, record: Record) -> None:
    import torch

    model = network(scale)
    decoder = make_decoder(model, scale, record)
    record("bytes_a_token", bytes_a_token(model, scale))
    record("flops", flops_of_a_prompt(model, scale))
    record("tokens_per_second", speed(scale, decoder))
    record("first_token_seconds", first_token(scale, decoder))
    text = prompt(scale, scale.prompt, 500)
    list(decoder.tokens(text, 2))
    follow_up = text[: -scale.prompt // 16]
    record("first_token_reused_seconds", seconds(scale, lambda: list(decoder.tokens(follow_up, 1))))
    if scale.device == "cuda":
        record("peak_memory", torch.cuda.max_memory_allocated())
    agreement(model, decoder, scale, record)
    guesses(decoder, scale, record)
    decoder.release()
    stock(model, scale, record, {})


def agreement(model: Any, decoder: Any, scale: Scale, record: Record) -> None:
    """Whether the fast ways say what transformers' forward says: logits after a prompt, of which half is known from
    before, and after two more tokens."""
    import torch

    text = prompt(scale, scale.context, 7)
    seen: list[Any] = []

    def choose(logits: Any) -> int:
        seen.append(logits.float().clone())
        return 5

    with torch.inference_mode():
        whole = model(input_ids=torch.tensor([[*text, 5, 5]], device=scale.device), logits_to_keep=3).logits[0].float()
    for known in (0, scale.context // 2):
        decoder.release()
        list(decoder.tokens(text[:known], 1)) if known else None
        seen.clear()
        list(decoder.tokens(text, 3, choose))
        cosines = torch.nn.functional.cosine_similarity(torch.stack(seen), whole, dim=-1)
        record(f"logits_cosine_{known}_known", float(cosines.min()))


def guesses(decoder: Any, scale: Scale, record: Record) -> None:
    """What a step that checks eight tokens costs, in steps for one: prompt lookup pays from there on."""
    from rag.generation.decode.decoder import WIDTH

    list(decoder.tokens(prompt(scale, scale.context, 8), 2))
    costs = []
    for width in (1, WIDTH):
        step = decoder._step(width, scale.context + width)
        fed = [[5] * width], [list(range(scale.context, scale.context + width))]
        times = [seconds(scale, lambda step=step, fed=fed: step.launch(*fed)) for _ in range(3 + 3 * scale.rounds)]
        costs.append(median(times[3:]))
    record("guess_step_times", costs[1] / costs[0])


def stock(model: Any, scale: Scale, record: Record, options: dict[str, Any]) -> None:
    """transformers' generate, timed by the difference of two lengths, which leaves the prompt out."""
    import torch

    ids = torch.tensor([prompt(scale, scale.context - scale.stock // 2, 0)], device=scale.device)
    few = max(2, scale.stock // 8)

    def run(count: int) -> None:
        forced = {"max_new_tokens": count, "min_new_tokens": count, "do_sample": False, "pad_token_id": 0}
        model.generate(ids, attention_mask=torch.ones_like(ids), eos_token_id=2, **forced, **options)

    for count in (scale.stock, few):  # also compiles, where that is asked for
        run(count)
    rates = []
    for _ in range(min(3, scale.rounds)):
        long, short = (seconds(scale, lambda count=count: run(count)) for count in (scale.stock, few))
        rates.append((scale.stock - few) / max(long - short, 1e-9))
    record("stock_tokens_per_second", median(rates))


def static(scale: Scale, record: Record) -> None:
    """transformers' own compiled way, for comparison, with a cache just as long as the text needs: its best case."""
    options = {"cache_implementation": "static"} if scale.device == "cuda" else {}
    stock(network(scale), scale, record, options)


def batch(scale: Scale, record: Record) -> None:
    import torch

    model = network(scale)
    decoder = make_decoder(model, scale, record)
    alone = [prompt(scale, scale.prompt, 200 + seed) for seed in range(min(3, scale.rounds))]
    spent = seconds(scale, lambda: [list(decoder.tokens(text, scale.answer)) for text in alone])
    record("questions_per_second_alone", len(alone) / spent)
    decoder.release()
    texts = [prompt(scale, scale.prompt, 300 + seed) for seed in range(scale.questions)]
    record("batch_first_use_seconds", seconds(scale, lambda: decoder.batch(texts, 2)))
    answers: list[list[int]] = []
    spent = seconds(scale, lambda: answers.extend(decoder.batch(texts, scale.answer)))
    assert [len(answer) for answer in answers] == [scale.answer] * scale.questions
    record("questions_per_second_batch", scale.questions / spent)
    if scale.device == "cuda":
        record("peak_memory", torch.cuda.max_memory_allocated())


def quantised(bits: int, library: str) -> Callable[[Scale, Record], None]:
    def part(scale: Scale, record: Record) -> None:
        import torch

        model = network(scale)
        if library == "torchao":
            if importlib.util.find_spec("torchao") is None:
                raise ModuleNotFoundError("torchao is not installed")
            from torchao.quantization import Int4WeightOnlyConfig, Int8WeightOnlyConfig, quantize_

            tiled = {"group_size": 128, "int4_packing_format": "tile_packed_to_4d"}
            quantize_(model, Int8WeightOnlyConfig() if bits == 8 else Int4WeightOnlyConfig(**tiled))
        else:
            from rag.generation.decode.quantised import quantise

            quantise(model, bits)
            record("bytes_a_token", bytes_a_token(model, scale))
        if scale.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        decoder = make_decoder(model, scale, record)
        record("tokens_per_second", speed(scale, decoder))
        record("first_token_seconds", first_token(scale, decoder))
        if scale.device == "cuda":
            record("peak_memory", torch.cuda.max_memory_allocated())

    return part


PARTS: dict[str, tuple[Callable[[Scale, Record], None], int]] = {  # in the order of their worth; seconds allowed
    "machine": (machine, 60),
    "bf16": (bf16, 200),
    "batch": (batch, 120),
    "int8": (quantised(8, "ours"), 100),
    "int4": (quantised(4, "ours"), 100),
    "static": (static, 120),
    "int8-torchao": (quantised(8, "torchao"), 100),
    "int4-torchao": (quantised(4, "torchao"), 100),
}


# ---------------------------------------------------------------------------------------- around the parts


class _Notes(logging.Handler):
    """What the library warns of is part of the result: a fallback explains a figure."""

    def __init__(self, record: Record) -> None:
        super().__init__(logging.WARNING)
        self._record = record

    def emit(self, line: logging.LogRecord) -> None:
        self._record("note", line.getMessage())


def run_part(name: str, scale: Scale, out: Path) -> None:
    """Appends a line of JSON for every figure as soon as it is known, so that a part cut short keeps its first ones."""

    def record(figure: str, value: Any) -> None:
        with out.open("a") as lines:
            lines.write(json.dumps([figure, value]) + "\n")

    part = PARTS[name][0]
    notes = _Notes(record)
    logging.getLogger("rag").addHandler(notes)
    start = time.perf_counter()
    try:
        part(scale, record)
    except Exception as error:  # a part is on its own; whatever stops it is its result
        record("failed", f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0][:300]}")
    logging.getLogger("rag").removeHandler(notes)
    record("seconds", time.perf_counter() - start)


def isolated(name: str, scale: Scale, allowed: float, out: Path) -> None:
    """Runs a part in a process of its own, which a fault of the GPU or a hanging compiler takes down alone."""
    command = [sys.executable, __file__, "--part", name, "--out", str(out)]
    command += ["--tiny"] if scale is TINY else []
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(command, stdout=errors, stderr=errors, cwd=ROOT, start_new_session=True)
        try:
            if child.wait(allowed) == 0:
                return
            errors.seek(0)
            last = (errors.read().strip() or "no message").splitlines()[-1]
            reason = f"ended with {child.returncode}: {last[:300]}"
        except subprocess.TimeoutExpired:
            reason = f"stopped after {allowed:.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # and what it started: the compiler has workers
            child.wait()
    with out.open("a") as lines:
        lines.write(json.dumps(["failed", reason]) + "\n")


def figures(out: Path) -> dict[str, Any]:
    """A part's figures; notes are kept together."""
    found: dict[str, Any] = {"notes": []}
    for line in out.read_text().splitlines() if out.exists() else []:
        name, value = json.loads(line)
        if name == "note":
            found["notes"] += [value] if value not in found["notes"] else []
        else:
            found.setdefault(name, value)
    return found


def ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else above / below


def derived(found: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    """The figures that have targets, None where one of their parts is missing."""

    def of(part: str, figure: str) -> float | None:
        value: float | None = found.get(part, {}).get(figure)
        return value

    ours = of("bf16", "tokens_per_second")
    floor = ratio(of("bf16", "flops"), of("machine", "matrix_rate"))
    return {
        "share": ratio(ours, ratio(of("machine", "bandwidth"), of("bf16", "bytes_a_token"))),
        "times_stock": ratio(ours, of("bf16", "stock_tokens_per_second")),
        "first_token_floors": ratio(of("bf16", "first_token_seconds"), floor),
        "batch_times": ratio(of("batch", "questions_per_second_batch"), of("batch", "questions_per_second_alone")),
        "int8_times": ratio(of("int8", "tokens_per_second"), ours),
        "int4_times": ratio(of("int4", "tokens_per_second"), ours),
    }


def met(figure: str, value: float | None) -> bool:
    target = TARGETS[figure][1]
    return value is not None and (value <= target if figure == "first_token_floors" else value >= target)


def table(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    at = found.get("machine", {})
    yield f"\n{at.get('device', 'processor')}, torch {at.get('torch', 'unknown')}"
    yield "\n| figure | measured | target | met |"
    yield "|---|---|---|---|"
    for figure, value in derived(found).items():
        what, target = TARGETS[figure]
        shown = "not measured" if value is None else f"{value:.2f}"
        yield f"| {what} | {shown} | {target:g} | {'yes' if met(figure, value) else 'no'} |"
    yield "\n| part | figure | value |"
    yield "|---|---|---|"
    for part, values in found.items():
        for name, value in values.items():
            for shown in value if name == "notes" else [value]:
                yield f"| {part} | {name.replace('_', ' ')} | {readable(shown)} |"


def readable(value: Any) -> str:
    if not isinstance(value, float | int) or isinstance(value, bool) or not math.isfinite(value):
        return str(value)
    return f"{value:.4g}" if abs(value) < 1e6 else f"{value / 1e9:,.1f}e9"


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a small network on a processor, to test this file")
    parser.add_argument("--parts", default=",".join(PARTS), help="which, by commas")
    parser.add_argument("--seconds", type=float, default=500, help="for all of them together")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    sys.path.insert(0, str(ROOT))
    scale = TINY if arguments.tiny else FULL
    if arguments.part:
        run_part(arguments.part, scale, arguments.out)
        return 0
    import torch

    if not arguments.tiny and not torch.cuda.is_available():
        print("generation on a GPU: skipped, because torch finds no CUDA device here. Nothing was measured.")
        return 0
    found = measured(arguments.parts.split(","), scale, arguments.seconds)
    print("\n".join(table(found)))
    if not arguments.tiny:
        RESULTS.mkdir(exist_ok=True)
        report = {"targets": derived(found), "parts": found}
        (RESULTS / "generate.json").write_text(json.dumps(report, indent=2) + "\n")
    return 0 if arguments.tiny or all(met(figure, value) for figure, value in derived(found).items()) else 1


def measured(names: list[str], scale: Scale, allowed: float) -> dict[str, dict[str, Any]]:
    """Part → its figures. On a processor all parts run here, because starting eight processes would take longer."""
    end = time.monotonic() + allowed
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            out = Path(folder) / name
            left = end - time.monotonic()
            if left < 5:
                found[name] = {"failed": "not begun: the time was up"}
                continue
            if scale is TINY:
                run_part(name, scale, out)
            else:
                isolated(name, scale, min(left, PARTS[name][1]), out)
            found[name] = figures(out)
            print(f"{name}: {found[name].get('failed', 'done')} ({end - time.monotonic():.0f} s left)", flush=True)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
