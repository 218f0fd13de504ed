"""Fast decoding against the simple loop, on small random networks in float32: the tokens must be the same."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from rag.generation.decode.decoder import Decoder
from rag.generation.decode.lookup import PATIENCE, Lookup
from rag.generation.decode.simple import simple_tokens

ENDS = {2}


def network(heads_of_keys: int = 4, seed: int = 0, repeats: bool = False) -> LlamaForCausalLM:
    """With `repeats`, a network whose next token depends on the last one alone, so that its text goes in circles."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=97, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=heads_of_keys, max_position_embeddings=512, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8)  # or every text ends in one and the same token
        for layer in model.model.layers if repeats else []:
            layer.self_attn.o_proj.weight.zero_()
    return model


def prompt(length: int, seed: int = 0) -> list[int]:
    return random.Random(seed).choices(range(3, 97), k=length)


def expected(model: LlamaForCausalLM, text: list[int], count: int, ends: set[int] = ENDS) -> list[int]:
    return list(simple_tokens(model, ends, text, count))


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return network()


def test_the_simple_loop_agrees_with_generate(model: LlamaForCausalLM) -> None:
    ids = torch.tensor([prompt(30)])
    made = model.generate(ids, max_new_tokens=40, do_sample=False, pad_token_id=0, eos_token_id=None)
    assert expected(model, ids[0].tolist(), 40, set()) == made[0, 30:].tolist()
    assert len(set(made[0, 30:].tolist())) > 10  # a text that could go wrong


@pytest.mark.parametrize("heads_of_keys", [4, 2, 1])
@pytest.mark.parametrize("length", [1, 2, 3, 40, 255, 256, 300])
def test_tokens_are_the_simple_loops(heads_of_keys: int, length: int) -> None:
    model = network(heads_of_keys)
    decoder = Decoder(model, ENDS)
    assert list(decoder.tokens(prompt(length), 40)) == expected(model, prompt(length), 40)
