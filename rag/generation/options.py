"""What can be chosen about a chat model beside its name. No heavy library is needed to say it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rag.generation.formats import Format


class Precision(StrEnum):
    """How weights are kept. BNB8 and NF4 are bitsandbytes', INT8 and INT4 torchao's (weight-only, which compile)."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    INT8 = "int8"
    INT4 = "int4"
    BNB8 = "bnb8"
    NF4 = "nf4"

    @property
    def is_quantised(self) -> bool:
        return self in (Precision.INT8, Precision.INT4, Precision.BNB8, Precision.NF4)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Words drawn by their probability instead of the likeliest one. The same seed and prompt draw the same words,
    whatever else the process does."""

    seed: int
    temperature: float = 0.7
    top_p: float = 0.95  # only the likeliest words that together have this probability are drawn from


@dataclass(frozen=True, slots=True)
class Options:
    """`adapter` is a LoRA's folder or hub id; `merge` None merges it unless the weights are quantised. `sampling` None
    is greedy. `format` None means as the table, or the tokenizer, says."""

    precision: Precision = Precision.AUTO
    adapter: str = ""
    merge: bool | None = None
    sampling: Sampling | None = None
    format: Format | None = None
