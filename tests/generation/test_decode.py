"""Fast decoding against the simple loop, on small random networks in float32: the tokens must be the same."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch._dynamo.testing import CompileCounter
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from rag.generation.decode.decoder import Decoder
from rag.generation.decode.lookup import PATIENCE, Lookup
from rag.generation.decode.network import project, unsupported
from rag.generation.decode.quantised import GROUP, quantise, rounded_to_4, rounded_to_8
from rag.generation.decode.simple import simple_tokens

ENDS = {2}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads would only wait for one another over matrices as small as these."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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


@pytest.fixture
def read(model: LlamaForCausalLM) -> Iterator[list[int]]:
    """Grows by the number of tokens of every pass through the network."""
    counts: list[int] = []
    hook = model.model.embed_tokens.register_forward_hook(lambda _, given, __: counts.append(given[0].numel()))
    yield counts
    hook.remove()


def test_only_what_differs_from_the_last_prompt_is_read(model: LlamaForCausalLM, read: list[int]) -> None:
    first, second = prompt(100), prompt(100)[:90] + prompt(20, seed=1)
    expectations = [expected(model, text, 10) for text in (first, second, first[:95])]
    decoder = Decoder(model, ENDS, lookup=False)
    seen = []
    for text, wanted in zip((first, second, first[:95]), expectations, strict=True):
        read.clear()
        assert list(decoder.tokens(text, 10)) == wanted
        seen.append(read[0])
    assert seen == [100, 20, 5]


def test_a_follow_up_reads_neither_the_prompt_nor_the_answer_again(model: LlamaForCausalLM, read: list[int]) -> None:
    decoder = Decoder(model, ENDS, lookup=False)
    answer = list(decoder.tokens(prompt(100), 10))
    follow_up = prompt(100) + answer + prompt(30, seed=2)
    wanted = expected(model, follow_up, 10)
    read.clear()
    assert list(decoder.tokens(follow_up, 10)) == wanted
    assert read[0] <= 31  # the answer's last token was never fed


def test_the_cache_grows_and_keeps_what_it_holds(model: LlamaForCausalLM, read: list[int]) -> None:
    decoder = Decoder(model, ENDS, lookup=False)
    list(decoder.tokens(prompt(100), 10))
    longer = prompt(100) + prompt(300, seed=3)
    wanted = expected(model, longer, 10)
    read.clear()
    assert list(decoder.tokens(longer, 10)) == wanted
    assert read[0] == 300


def test_a_cache_that_cannot_grow_beside_itself_gives_up_what_it_holds(
    model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = Decoder(model, ENDS)
    list(decoder.tokens(prompt(100), 10))
    zeros, failed = torch.zeros, []

    def once(*given: object, **options: object) -> torch.Tensor:
        if not failed:
            failed.append(given)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return zeros(*given, **options)

    monkeypatch.setattr(torch, "zeros", once)
    longer = prompt(100) + prompt(300, seed=3)
    assert list(decoder.tokens(longer, 10)) == expected(model, longer, 10)
    assert failed


def test_the_end_token_is_not_given_and_ends(model: LlamaForCausalLM) -> None:
    whole = expected(model, prompt(40), 40, set())
    end = whole[20]
    decoder = Decoder(model, {end})
    assert list(decoder.tokens(prompt(40), 40)) == whole[: whole.index(end)]
    assert list(Decoder(model, {whole[0]}).tokens(prompt(40), 40)) == []


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_max_new_tokens_is_kept(model: LlamaForCausalLM, count: int) -> None:
    decoder = Decoder(model, set())
    assert list(decoder.tokens(prompt(40), count)) == expected(model, prompt(40), count, set())
    assert decoder.batch([prompt(40)], count) == [expected(model, prompt(40), count, set())]


def test_closing_the_stream_ends_the_work_and_the_next_prompt_is_right(
    model: LlamaForCausalLM, read: list[int]
) -> None:
    decoder = Decoder(model, ENDS)
    stream = decoder.tokens(prompt(60), 40)
    for _ in range(5):
        next(stream)
    made = len(read)
    stream.close()
    assert list(stream) == []
    assert len(read) == made <= 6  # one step ahead at most
    for text in (prompt(60), prompt(70, seed=4)):
        assert list(decoder.tokens(text, 40)) == expected(model, text, 40)


def test_streams_that_are_read_in_turns_do_not_mix(model: LlamaForCausalLM) -> None:
    decoder = Decoder(model, ENDS)
    texts = [prompt(50, seed) for seed in range(3)]
    streams = [decoder.tokens(text, 15) for text in texts]
    answers = list(zip(*itertools.zip_longest(*streams), strict=True))
    assert [[t for t in answer if t is not None] for answer in answers] == [expected(model, t, 15) for t in texts]


def test_threads_do_not_mix(model: LlamaForCausalLM) -> None:
    decoder = Decoder(model, ENDS)
    texts = [prompt(50, seed) for seed in range(6)]
    with ThreadPoolExecutor(3) as pool:
        batch = pool.submit(decoder.batch, texts, 12)
        alone = list(pool.map(lambda text: list(decoder.tokens(text, 12)), texts))
    wanted = [expected(model, text, 12) for text in texts]
    assert alone == wanted
    assert batch.result() == wanted


def test_no_mode_of_torch_leaks_into_the_reader(model: LlamaForCausalLM) -> None:
    for _ in Decoder(model, ENDS).tokens(prompt(20), 3):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()


def test_a_choice_is_asked_for_every_token(model: LlamaForCausalLM) -> None:
    def second(logits: torch.Tensor) -> int:
        return int(logits.topk(2).indices[1])

    wanted = list(simple_tokens(model, ENDS, prompt(40), 20, second))
    assert list(Decoder(model, ENDS).tokens(prompt(40), 20, second)) == wanted
    assert wanted != expected(model, prompt(40), 20)


# ------------------------------------------------------------------------------------------- prompt lookup


def test_guesses_from_the_text_save_steps_and_change_nothing() -> None:
    model = network(seed=5, repeats=True)
    steps: list[int] = []
    model.model.embed_tokens.register_forward_hook(lambda *_: steps.append(1))
    plain = list(Decoder(model, ENDS, lookup=False).tokens(prompt(40), 120))
    alone = len(steps)
    steps.clear()
    assert list(Decoder(model, ENDS).tokens(prompt(40), 120)) == plain == expected(model, prompt(40), 120)
    assert len(steps) - len(plain) - 1 < alone / 3  # the simple loop's steps are counted as well


@pytest.mark.parametrize("seed", range(6))
def test_guesses_that_fail_half_way_change_nothing(seed: int) -> None:
    """A prompt that repeats itself invites guesses, of which a random network bears out few."""
    model = network(2, seed)
    text = (prompt(17, seed) * 9)[:150]
    text += expected(model, text, 30, set())[:25] + text[-9:]
    assert list(Decoder(model, ENDS).tokens(text, 60)) == expected(model, text, 60)


def test_a_guess_is_what_followed_the_latest_occurrence() -> None:
    lookup = Lookup()
    text = [1, 2, 3, 7, 1, 2, 3, 8, 9, 1, 2, 3]
    assert lookup.guess(text, 2) == [8, 9]
    assert lookup.guess([*text, 8], 7) == [9, 1, 2, 3, 8, 9, 1]
    assert lookup.guess([*text, 8, 5], 7) == []


def test_guessing_ends_when_it_does_not_pay() -> None:
    lookup, text = Lookup(), [1, 2, 3, 4, 1, 2, 3]
    for _ in range(PATIENCE):
        assert lookup.guess(text, 1) == [4]
        lookup.learn(0)
    assert lookup.guess(text, 1) == []


# --------------------------------------------------------------------------------------------------- batch


@pytest.mark.parametrize("heads_of_keys", [4, 2])
def test_a_batch_gives_each_prompt_its_own_answer(heads_of_keys: int) -> None:
    model = network(heads_of_keys)
    ends = {2, *range(40, 46)}  # answers of many lengths, so that rows change hands
    texts = [prompt(20)[: seed % 25] + prompt(10 + 13 * seed % 90, seed) for seed in range(20)]
    answers = Decoder(model, ends).batch(texts, 15)
    assert answers == [expected(model, text, 15, ends) for text in texts]
    assert len({len(answer) for answer in answers}) > 4


def test_what_all_prompts_begin_with_is_read_once(model: LlamaForCausalLM, read: list[int]) -> None:
    texts = [prompt(100) + prompt(10 + seed, seed + 1) for seed in range(10)]
    wanted = [expected(model, text, 5) for text in texts]
    read.clear()
    assert Decoder(model, ENDS).batch(texts, 5) == wanted
    assert sum(count for count in read if count > 8) == 119 + sum(10 + seed for seed in range(9))


def test_equal_prompts_and_none(model: LlamaForCausalLM) -> None:
    decoder = Decoder(model, ENDS)
    assert decoder.batch([], 5) == []
    assert decoder.batch([prompt(9)] * 10, 5) == [expected(model, prompt(9), 5)] * 10


def test_a_batch_can_be_left(model: LlamaForCausalLM, read: list[int]) -> None:
    decoder = Decoder(model, set())
    work = decoder.finished([prompt(30, seed) for seed in range(12)], 5)
    number, answer = next(work)
    assert answer == expected(model, prompt(30, number), 5, set())
    read.clear()
    work.close()  # type: ignore[attr-defined]
    assert read == []


def test_a_batch_that_does_not_fit_goes_on_with_fewer_rows(model: LlamaForCausalLM) -> None:
    """A step for more than two rows runs out of memory, as a GPU might."""

    def small(_: object, given: tuple[torch.Tensor, ...]) -> None:
        if given[0].shape[0] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    texts = [prompt(30 + seed, seed) for seed in range(5)]
    wanted = [expected(model, text, 8) for text in texts]
    hook = model.model.embed_tokens.register_forward_pre_hook(small)
    assert Decoder(model, ENDS).batch(texts, 8) == wanted
    hook.remove()


def test_out_of_memory_reaches_the_reader_and_the_next_prompt_works(model: LlamaForCausalLM) -> None:
    decoder = Decoder(model, ENDS)
    stream = decoder.tokens(prompt(40), 30)
    next(stream)

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    hook = model.model.layers[1].mlp.register_forward_hook(fail)
    with pytest.raises(torch.OutOfMemoryError):
        list(stream)
    with pytest.raises(torch.OutOfMemoryError):
        list(decoder.tokens(prompt(50), 30))
    hook.remove()
    assert list(decoder.tokens(prompt(50), 30)) == expected(model, prompt(50), 30)
    decoder.release()
    assert list(decoder.tokens(prompt(40), 30)) == expected(model, prompt(40), 30)


# ------------------------------------------------------------------------------- what is fast, and what is not


def test_what_is_not_known_is_decoded_by_the_simple_loop(caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    other = GPT2LMHeadModel(GPT2Config(vocab_size=97, n_embd=32, n_layer=2, n_head=2, n_positions=128)).eval()
    decoder = Decoder(other, ENDS)
    assert caplog.text.count("simple loop") == 1
    assert "gpt2" in caplog.text
    assert list(decoder.tokens(prompt(20), 10)) == expected(other, prompt(20), 10)
    assert decoder.batch([prompt(20), prompt(9)], 5) == [expected(other, prompt(20), 5), expected(other, prompt(9), 5)]
    decoder.release()


def test_sliding_attention_and_changing_rotary_embeddings_are_not_taken_apart() -> None:
    shape = {"vocab_size": 97, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    shape |= {"num_attention_heads": 2, "num_key_value_heads": 2}
    slides = MistralForCausalLM(MistralConfig(**shape, sliding_window=16))
    assert "slides" in unsupported(slides)
    assert not unsupported(MistralForCausalLM(MistralConfig(**shape, sliding_window=None)))
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
    assert "rotary" in unsupported(LlamaForCausalLM(LlamaConfig(**shape, rope_parameters=rope)))


def test_biases_and_other_families() -> None:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=97, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    assert not unsupported(model)
    assert list(Decoder(model, ENDS).tokens(prompt(50), 30)) == expected(model, prompt(50), 30)


def test_layers_are_compiled_once_for_all_of_them_and_for_all_lengths(model: LlamaForCausalLM) -> None:
    compiled = CompileCounter()
    made = torch.compile(project, backend=compiled, fullgraph=True)
    with torch.no_grad():
        for length in (7, 30, 31, 200):
            hidden, angles = torch.randn(1, length, 64), torch.randn(1, length, 16)
            for tensor in (hidden, angles):
                torch._dynamo.maybe_mark_dynamic(tensor, 1)
            for layer in model.model.layers:
                for ours, plain in zip(
                    made(layer, hidden, angles, angles), project(layer, hidden, angles, angles), strict=True
                ):
                    torch.testing.assert_close(ours, plain)
    assert compiled.frame_count == 1


def test_a_compiler_that_fails_costs_speed_alone(
    model: LlamaForCausalLM, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)
    decoder = Decoder(model, ENDS, compiled=True)
    assert list(decoder.tokens(prompt(40), 20)) == expected(model, prompt(40), 20)
    assert "no C compiler" in caplog.text
    assert len(caplog.records) <= 4  # once for each function, not for each token


def broken(*_: object) -> None:
    raise RuntimeError("no C compiler")


KERNEL = """
import torch
from rag.generation.decode.attention import cached_attention
from rag.generation.decode.kernel import flash_decode
torch.manual_seed(0)
for batch, heads, of_keys, width in [(1, 2, 2, 1), (2, 4, 2, 1), (1, 4, 2, 8)]:
    query = torch.randn(batch, heads, width, 32)
    keys, values = torch.randn(2, batch, of_keys, 192, 32).unbind()
    for start in (0, 63, 64, 150):
        positions = torch.tensor([[max(0, start - 9 * row)] for row in range(batch)]) + torch.arange(width)
        given = query, keys, values, positions
        torch.testing.assert_close(flash_decode(*given), cached_attention(*given), atol=1e-5, rtol=1e-5)
print("agrees")
"""


def test_the_kernel_agrees_with_torch_in_tritons_interpreter() -> None:
    pytest.importorskip("triton", reason="Triton is not installed: torch for a GPU brings it")
    command = [sys.executable, "-c", KERNEL]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if "only 0-dimensional arrays can be converted" in done.stderr:
        pytest.skip("the interpreter of this Triton does not know this numpy")
    assert done.stdout.strip() == "agrees", done.stderr


# ------------------------------------------------------------------------------------------ 8 and 4 bits


def test_8_bits_are_the_nearest_of_255() -> None:
    steps, scale = rounded_to_8(torch.tensor([[1.27, -0.5, 0.004], [0.0, 0.0, 0.0]]))
    assert steps.tolist() == [[127, -50, 0], [0, 0, 0]]
    assert scale[0].item() == pytest.approx(0.01)


def test_4_bits_are_the_nearest_of_16_in_each_group() -> None:
    weight = torch.arange(16.0).repeat(8).view(1, GROUP) - 3
    packed, scale, offset = rounded_to_4(weight)
    assert (scale.item(), offset.item()) == (1, -3)
    assert torch.cat((packed & 15, packed >> 4), 2).flatten().tolist() == (weight[0] + 3).tolist()


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("tokens", [1, 5])
def test_a_quantised_layer_is_the_layer_of_its_rounded_weights(bits: int, bias: bool, tokens: int) -> None:
    torch.manual_seed(0)
    whole = torch.nn.Linear(2 * GROUP, 24, bias=bias)
    holder = torch.nn.ModuleDict({"layer": whole, "lm_head": torch.nn.Linear(2 * GROUP, 8)})
    given = torch.randn(1, tokens, 2 * GROUP)
    if bits == 8:
        steps, scale = rounded_to_8(whole.weight.detach())
        weight = steps * scale
    else:
        packed, scale, offset = rounded_to_4(whole.weight.detach())
        weight = (torch.cat((packed & 15, packed >> 4), 2) * scale + offset).flatten(1)
    holder.lm_head = torch.nn.Linear(2 * GROUP, 8)
    torch.testing.assert_close(
        quantise(holder, bits).layer(given), torch.nn.functional.linear(given, weight, whole.bias)
    )
    assert (weight - whole.weight).abs().max() < 0.13 / 2 ** (bits - 1)  # of weights up to a sixteenth


@pytest.mark.parametrize("bits", [8, 4])
def test_a_quantised_network_is_decoded_as_the_simple_loop_does(bits: int) -> None:
    model = quantise(network(), bits)
    assert list(Decoder(model, ENDS).tokens(prompt(40), 20)) == expected(model, prompt(40), 20)
    assert Decoder(model, ENDS).batch([prompt(40)], 20) == [expected(model, prompt(40), 20)]
