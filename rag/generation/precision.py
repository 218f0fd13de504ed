"""Which precision a model is loaded in: what was asked for, or the best that free memory has room for, and why."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

from rag.errors import ModelError, UsageError
from rag.generation.models import Shape
from rag.generation.options import Precision

WORKSPACE = 768 << 20  # bytes: activations of the prefill, library handles, fragments
CACHED = 4096  # tokens whose keys and values have to fit beside the weights
INT4_CAPABILITY = (8, 0)  # of the GPU, for torchao's tiled int4

# Bytes a parameter of a linear map takes, with its scales: int8 has one a row; int4 a scale and a zero in 16 bits for
# each group of 128; nf4 one of 8 bits for each 64, themselves quantised (QLoRA, arXiv 2305.14314, says 4.127 bits).
BYTES = {
    Precision.FP32: 4.0,
    Precision.BF16: 2.0,
    Precision.INT8: 1.0,
    Precision.INT4: 0.53125,
    Precision.BNB8: 1.0,
    Precision.NF4: 0.516,
}
GROUP = 128


@dataclass(frozen=True, slots=True)
class Machine:
    """What a model can be put on: `free` bytes on `device` ("cpu", "cuda"), and the libraries at hand."""

    device: str
    free: int
    torchao: bool
    bitsandbytes: bool
    int4: bool  # whether the device has torchao's int4

    @property
    def has_gpu(self) -> bool:
        return self.device.startswith("cuda")


@dataclass(frozen=True, slots=True)
class Choice:
    """`spread`: layers that do not fit on the device are kept beside it, which is slow."""

    precision: Precision
    why: str
    spread: bool = False


def machine(device: str) -> Machine:
    """As it is now: what other programs hold is not free."""
    ao, bnb = (importlib.util.find_spec(name) is not None for name in ("torchao", "bitsandbytes"))
    if device.startswith("cuda"):
        import torch

        free = torch.cuda.mem_get_info(device)[0]
        return Machine(device, free, ao, bnb, torch.cuda.get_device_capability(device) >= INT4_CAPABILITY)
    import psutil

    return Machine(device, int(psutil.virtual_memory().available), ao, bnb, int4=False)


def weight_bytes(shape: Shape, precision: Precision) -> int:
    """Embeddings, head and norms are never quantised."""
    rest = 4 if precision is Precision.FP32 else 2
    return int(shape.matrices * BYTES[precision] + (shape.parameters - shape.matrices) * rest)


def need(shape: Shape, precision: Precision, window: int = CACHED) -> int:
    """Bytes for the weights, the cache of one conversation, and what computing takes."""
    return weight_bytes(shape, precision) + shape.cache_bytes(min(window or CACHED, CACHED)) + WORKSPACE


def choose(asked: Precision, shape: Shape | None, on: Machine, *, half: bool, stored: str = "") -> Choice:
    """`half`: the checkpoint is kept in 16 bits. `stored`: how it is quantised already, if it is.

    Raises UsageError for what this machine or checkpoint cannot do, ModelError when nothing fits.
    """
    if stored:
        if asked is not Precision.AUTO:
            raise UsageError(
                f"The model is kept in {stored} already and is loaded so; leave --precision {asked.value} out."
            )
        return Choice(Precision.AUTO, f"as it is stored: {stored}")
    if asked is not Precision.AUTO:
        return _asked(asked, shape, on)
    plain = Precision.BF16 if half or on.has_gpu else Precision.FP32
    if shape is None:
        return Choice(plain, f"{plain.value}: how much memory this kind of model needs is not known beforehand")
    for precision in _ladder(plain, on):
        if need(shape, precision) <= on.free:
            return Choice(precision, _why(precision, plain, shape, on))
    smallest = _ladder(plain, on)[-1]
    short = f"{smallest.value} needs {_gb(need(shape, smallest))}, and {_gb(on.free)} are free on {on.device}"
    if not on.has_gpu:
        raise ModelError(f"There is not enough memory for this model: {short}. Use a smaller one, or a GGUF model.")
    return Choice(plain, f"{plain.value}, spread over GPU, memory and disk, which is slow: {short}", spread=True)


def _asked(asked: Precision, shape: Shape | None, on: Machine) -> Choice:
    if asked is Precision.INT4 and not on.int4:
        raise UsageError(
            f"--precision int4 needs an NVIDIA GPU of compute capability {INT4_CAPABILITY[0]}.{INT4_CAPABILITY[1]} or "
            "newer. Use nf4, or a GGUF model on a processor."
        )
    if shape is None or not on.has_gpu or weight_bytes(shape, asked) <= on.free:
        return Choice(asked, f"{asked.value}: as asked for")
    short = f"needs {_gb(need(shape, asked))}, and {_gb(on.free)} are free on {on.device}"
    if asked.is_quantised:
        raise UsageError(f"--precision {asked.value} {short}. Use a smaller model, or --precision auto.")
    return Choice(asked, f"{asked.value}, spread over GPU, memory and disk, which is slow: it {short}", spread=True)


def _ladder(plain: Precision, on: Machine) -> list[Precision]:
    """From the most exact to the smallest that this machine can do."""
    steps = [plain]
    if on.torchao:
        steps.append(Precision.INT8)
        steps += [Precision.INT4] if on.int4 else []
    if on.bitsandbytes:
        steps += [Precision.NF4] if Precision.INT4 not in steps else []
    return steps


def _why(chosen: Precision, plain: Precision, shape: Shape, on: Machine) -> str:
    fits = f"{chosen.value}: needs about {_gb(need(shape, chosen))} of {_gb(on.free)} free on {on.device}"
    return fits if chosen is plain else f"{fits}; {plain.value} would need {_gb(need(shape, plain))}"


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"


def quantisation(precision: Precision) -> Any:
    """The configuration that transformers quantises by while it loads; None for plain weights. Raises ModelError when
    its library is missing."""
    if precision in (Precision.INT8, Precision.INT4):
        _refuse_missing("torchao", precision)
        from torchao.quantization import Int4WeightOnlyConfig, Int8WeightOnlyConfig
        from transformers import TorchAoConfig

        if precision is Precision.INT8:
            return TorchAoConfig(Int8WeightOnlyConfig())
        return TorchAoConfig(Int4WeightOnlyConfig(group_size=GROUP, int4_packing_format="tile_packed_to_4d"))
    if precision in (Precision.BNB8, Precision.NF4):
        _refuse_missing("bitsandbytes", precision)
        import torch
        from transformers import BitsAndBytesConfig

        if precision is Precision.BNB8:
            return BitsAndBytesConfig(load_in_8bit=True)
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    return None


def _refuse_missing(library: str, precision: Precision) -> None:
    if importlib.util.find_spec(library) is None:
        raise ModelError(
            f"--precision {precision.value} needs {library}, which is not installed: pip install 'beluga-rag[gpu]'."
        )
