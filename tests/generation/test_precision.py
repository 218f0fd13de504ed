"""Which precision, and why: sums that can be done by hand."""

from __future__ import annotations

import pytest

from rag.errors import ModelError, UsageError
from rag.generation.models import MODELS, Shape
from rag.generation.options import Precision
from rag.generation.precision import WORKSPACE, Machine, choose, need, weight_bytes

GB = 10**9
TINY = Shape(layers=2, hidden=8, intermediate=16, heads=4, kv_heads=2, vocabulary=100)
SEVEN = MODELS["beluga-7b"].shape
assert SEVEN is not None


def gpu(free: float, torchao: bool = True, bitsandbytes: bool = True, int4: bool = True) -> Machine:
    return Machine("cuda", int(free * GB), torchao, bitsandbytes, int4)


def cpu(free: float, torchao: bool = True) -> Machine:
    return Machine("cpu", int(free * GB), torchao, True, int4=False)


def test_a_shape_counts_its_parameters_as_their_publishers_do() -> None:
    published = {
        "beluga-7b": 6_738_415_616,
        "beluga-13b": 13_015_864_320,
        "beluga-70b": 68_976_648_192,
        "qwen-7b": 7_615_616_512,
        "mistral-7b": 7_248_023_552,
        "qwen-1.5b": 1_543_714_304,
    }
    assert {name: MODELS[name].shape.parameters for name in published} == published  # type: ignore[union-attr]


def test_weights_and_cache_by_hand() -> None:
    # queries and output 8*8 each, keys and values 8*4 each, three maps of 8*16, two layers
    assert TINY.matrices == 2 * (2 * 64 + 2 * 32 + 3 * 128)
    # five norms of 8, embeddings and head of 100*8
    assert TINY.parameters == TINY.matrices + 5 * 8 + 2 * 800
    assert weight_bytes(TINY, Precision.BF16) == 2 * TINY.parameters
    assert weight_bytes(TINY, Precision.INT8) == TINY.matrices + 2 * 1640
    assert TINY.cache_bytes(10) == 10 * 2 * 2 * 2 * 2 * 2  # tokens, keys and values, layers, heads, width, 16 bits
    assert need(TINY, Precision.BF16, 10) == 2 * TINY.parameters + TINY.cache_bytes(10) + WORKSPACE


def test_a_shape_is_read_from_a_configuration() -> None:
    config = {
        "num_hidden_layers": 2,
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 100,
    }
    assert Shape.of(config) == TINY
    assert Shape.of({"model_type": "mamba"}) is None


@pytest.mark.parametrize(
    ("on", "precision", "spread", "why"),
    [
        (gpu(80), Precision.BF16, False, "bf16: needs about 16.4 GB of 80.0 GB free on cuda"),
        (gpu(12), Precision.INT8, False, "bf16 would need 16.4 GB"),
        (gpu(8), Precision.INT4, False, "bf16 would need 16.4 GB"),
        (gpu(8, int4=False), Precision.NF4, False, "nf4: needs about"),
        (gpu(12, torchao=False), Precision.NF4, False, "nf4: needs about"),
        (gpu(8, torchao=False, bitsandbytes=False), Precision.BF16, True, "slow: bf16 needs 16.4 GB, and 8.0 GB"),
        (gpu(4), Precision.BF16, True, "slow: int4 needs"),
        (cpu(64), Precision.FP32, False, "fp32: needs about"),
        (cpu(20), Precision.INT8, False, "fp32 would need"),
    ],
)
def test_auto_takes_the_most_exact_that_fits_and_says_why(
    on: Machine, precision: Precision, spread: bool, why: str
) -> None:
    choice = choose(Precision.AUTO, SEVEN, on, half=False)
    assert (choice.precision, choice.spread) == (precision, spread)
    assert why in choice.why


def test_a_processor_keeps_sixteen_bits_where_the_checkpoint_has_them() -> None:
    assert choose(Precision.AUTO, SEVEN, cpu(64), half=True).precision is Precision.BF16


def test_what_fits_nowhere_on_a_processor_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"not enough memory.*nf4 needs .* and 2\.0 GB are free on cpu.*GGUF"):
        choose(Precision.AUTO, SEVEN, cpu(2), half=True)


def test_what_was_asked_for_is_kept_or_refused_with_a_way_out() -> None:
    assert choose(Precision.NF4, SEVEN, gpu(80), half=True).precision is Precision.NF4
    assert choose(Precision.BF16, SEVEN, gpu(8), half=True).spread
    with pytest.raises(UsageError, match="int4 needs an NVIDIA GPU"):
        choose(Precision.INT4, SEVEN, cpu(64), half=True)
    with pytest.raises(UsageError, match=r"int8 needs .* 4\.0 GB are free"):
        choose(Precision.INT8, SEVEN, gpu(4), half=True)


def test_a_quantised_checkpoint_is_loaded_as_it_comes() -> None:
    choice = choose(Precision.AUTO, SEVEN, gpu(8), half=True, stored="gptq, 4 bits")
    assert choice.why == "as it is stored: gptq, 4 bits"
    with pytest.raises(UsageError, match="gptq, 4 bits already"):
        choose(Precision.INT8, SEVEN, gpu(8), half=True, stored="gptq, 4 bits")


def test_a_model_of_unknown_shape_is_tried_plain() -> None:
    assert choose(Precision.AUTO, None, gpu(1), half=True).precision is Precision.BF16
