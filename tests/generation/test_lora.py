"""A LoRA trained from end to end on a handful of questions, and the model that it changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file
from tiny import CHATML, random_llama, tokenizer
from transformers import AutoModelForCausalLM

from rag.errors import ModelError, UsageError
from rag.generation import lora
from rag.generation.exercises import Exercise, Row, Rows
from rag.generation.formats import Format
from rag.generation.local import LocalGenerator
from rag.generation.lora import TOKENS, Lora, _loss, choose, collate, passes, train
from rag.generation.models import MODELS, Model, find
from rag.generation.options import Options, Precision
from rag.generation.precision import Machine
from rag.generation.prompt import REFUSAL, messages
from rag.generation.turns import Turns
from rag.training.steps import Progress, Settings
from rag.types import Passage

pytest.importorskip("peft")

SETTINGS = Settings(epochs=6, batch=2, learning_rate=2e-2, precision="no", save_seconds=0.0)
LORA = Lora(rank=8, alpha=16, float32=True)
ADAPTED = lora._adapted
WORDS = tokenizer()


def passage(text: str) -> Passage:
    return Passage("a.txt", "", "", "", "", None, 0, len(text), text)


def exercises() -> list[Exercise]:
    right, wrong = passage("Acme sells pumps."), passage("Beta sells nuts.")
    asked = [Exercise(f"Who sells {what}?", right, ("Acme",)) for what in ("pumps", "pipes", "taps")]
    return [*asked, Exercise("Who sells cars?", wrong, (), (right,))]


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_llama(tmp_path_factory.mktemp("base"), max_position_embeddings=2048)


def trained(
    base: Path, folder: Path, stop: int = 0, how: Lora = LORA, seen: list[Progress] | None = None
) -> list[Progress]:
    seen = [] if seen is None else seen

    def on_step(progress: Progress) -> None:
        seen.append(progress)
        if progress.step == stop:
            raise KilledError

    train(find(str(base)), exercises(), folder, SETTINGS, how, on_step=on_step)
    return seen


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Progress]]:
    folder = tmp_path_factory.mktemp("adapter")
    return folder, trained(base, folder)


def test_the_loss_falls(adapter: tuple[Path, list[Progress]]) -> None:
    losses = [progress.losses["answer"] for progress in adapter[1]]
    assert len(losses) == 12
    assert sum(losses[-3:]) < sum(losses[:3]) / 2


def test_ask_takes_the_adapter_and_answers_as_it_was_taught(base: Path, adapter: tuple[Path, list[Progress]]) -> None:
    question = messages("Who sells pumps?", [passage("Acme sells pumps.")])
    said = {
        name: "".join(LocalGenerator(find(str(base)), "cpu", Options(adapter=name)).stream(question, 24))
        for name in ("", str(adapter[0]))
    }
    assert said[""] != said[str(adapter[0])]
    assert said[str(adapter[0])] == "Acme [1]."


def test_the_adapter_names_its_model_and_is_nothing_but_an_adapter(
    base: Path, adapter: tuple[Path, list[Progress]]
) -> None:
    folder = adapter[0]
    made = json.loads((folder / "adapter_config.json").read_bytes())
    assert made["base_model_name_or_path"] == str(base)
    assert (made["r"], made["lora_alpha"], made["peft_type"]) == (8, 16, "LORA")
    tensors = load_file(folder / "adapter_model.safetensors")
    assert len(tensors) == 2 * 2 * 7  # A and B of seven maps in each of two layers
    assert all("lora_" in name for name in tensors)
    assert not list(folder.glob("*.bin"))
    assert not list(folder.glob("tmp*"))


def test_a_training_that_is_killed_and_resumed_ends_in_the_same_adapter(
    base: Path, adapter: tuple[Path, list[Progress]], tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        trained(base, tmp_path, stop=5)
    assert not (tmp_path / "adapter_config.json").exists()
    with pytest.raises(UsageError, match=r"of another training; what differs is: rank\."):
        trained(base, tmp_path, how=replace(LORA, rank=4))
    assert [progress.step for progress in trained(base, tmp_path)] == list(range(5, 13))
    whole, resumed = (load_file(folder / "adapter_model.safetensors") for folder in (adapter[0], tmp_path))
    for name, tensor in whole.items():
        assert torch.allclose(tensor, resumed[name], atol=1e-5), name


def test_checkpointing_computes_the_same(
    base: Path, adapter: tuple[Path, list[Progress]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks = []
    monkeypatch.setattr(lora, "_adapted", lambda *given: networks.append(ADAPTED(*given)) or networks[-1])
    seen: list[Progress] = []
    with pytest.raises(KilledError):
        trained(base, tmp_path, 3, replace(LORA, checkpointing=True), seen)
    assert [progress.losses for progress in seen] == [pytest.approx(one.losses, rel=1e-4) for one in adapter[1][:3]]
    assert any(getattr(module, "gradient_checkpointing", False) for module in networks[0].modules())


@pytest.fixture
def another_precision() -> Iterator[None]:
    """accelerate has one precision a process, as training has."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.usefixtures("another_precision")
def test_weights_of_four_bits_learn_too(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("bitsandbytes")
    monkeypatch.setattr(lora, "choose", lambda *_: Precision.NF4)
    seen: list[Progress] = []
    train(find(str(base)), exercises(), tmp_path, replace(SETTINGS, epochs=3), Lora(), on_step=seen.append)
    assert seen[-1].losses["answer"] < seen[0].losses["answer"]
    LocalGenerator(find(str(base)), "cpu", Options(precision=Precision.NF4, adapter=str(tmp_path)))


# -------------------------------------------------------------------------------------------------- the rows


@pytest.fixture(scope="module", params=[(form, pieces) for form in Format for pieces in ("bytes", "words")])
def turns(request: pytest.FixtureRequest) -> Turns:
    form, pieces = request.param
    words = tokenizer(pieces)
    words.chat_template = CHATML
    return Turns(Model("tiny", ""), words, frozenset({2}), form)


def test_a_row_is_the_writers_prompt_and_the_answer_up_to_its_end(turns: Turns) -> None:
    asked = messages("Who sells pumps?", [passage("Acme sells pumps.")])
    written = turns.answer(asked, "Alpha costs 20 euros [1].")
    assert written[-1] == 2
    said = turns._tokenizer.decode(written, skip_special_tokens=True)
    assert said.removesuffix("<|im_end|>").strip().startswith("Alpha costs 20 euros [1].")
    assert Rows(turns, 10_000).draw(exercises()[0], "0").prompt == turns.prompt(asked)


def rows(window: int = 10_000) -> Rows:
    return Rows(Turns(Model("tiny", ""), WORDS, frozenset({2})), window)


def read(row: Row) -> tuple[str, str]:
    return WORDS.decode(row.prompt), WORDS.decode(row.answer, skip_special_tokens=True)


def test_passages_are_shuffled_and_the_marker_is_the_right_ones() -> None:
    near = tuple(passage(f"Firm {n} sells things.") for n in range(5))
    exercise = Exercise("Who sells pumps?", passage("Acme sells pumps."), ("Acme",), near)
    seen = set()
    for number in range(40):
        row = rows().draw(exercise, str(number))
        assert row == rows().draw(exercise, str(number))
        prompt, answer = read(row)
        places = [n for n in (1, 2, 3) if f'[{n}] a.txt\n"""\nAcme sells pumps.' in prompt]
        assert answer == (f"Acme [{places[0]}]." if places else REFUSAL)
        seen.add((places[0] if places else 0, prompt.count('"""') // 2))
    assert {place for place, _ in seen} == {0, 1, 2, 3}
    assert {shown for _, shown in seen} == {1, 2, 3}


def test_what_does_not_answer_is_refused_and_markers_of_documents_are_no_markers() -> None:
    assert read(rows().draw(Exercise("Who?", passage("Nobody knows."), ()), "0"))[1] == REFUSAL
    exercise = Exercise("Who?", passage("Acme [3] sells."), ("Acme [3]",))
    assert read(rows().draw(exercise, "0"))[1] == "Acme (3) [1]."


def test_passages_are_dropped_for_want_of_room_but_never_the_right_one() -> None:
    near = tuple(passage("Firm sells things. " * 20) for _ in range(2))
    exercise = Exercise("Who sells pumps?", passage("Acme sells pumps."), ("Acme",), near)
    alone = len(rows().draw(replace(exercise, others=()), "0"))
    assert rows(alone).fits(exercise)
    assert not rows(alone - 1).fits(exercise)
    drawn = [rows(alone).draw(exercise, str(number)) for number in range(10)]
    assert {read(row)[1] for row in drawn} == {"Acme [1]."}
    assert max(map(len, drawn)) == alone


# -------------------------------------------------------------------------------------------------- the batch


def test_rows_are_padded_on_the_left_and_only_answers_count() -> None:
    inputs, labels = collate([Row([5, 6], [7]), Row([8], [9, 10, 2])])
    assert inputs["input_ids"].tolist() == [[0, 5, 6, 7], [8, 9, 10, 2]]
    assert inputs["attention_mask"].tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]
    assert inputs["position_ids"].tolist() == [[0, 0, 1, 2], [0, 1, 2, 3]]
    assert labels.tolist() == [[-100, -100, 7], [9, 10, 2]]


@torch.no_grad()
def test_the_loss_is_the_answers_own_whatever_it_is_padded_to(base: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(base)
    batch = [Row([5, 6, 7, 8], [9, 2]), Row([10], [11, 12, 2])]
    expected = 0.0
    for row in batch:
        logits = network(torch.tensor([row.prompt + row.answer])).logits[0].log_softmax(-1)
        expected -= sum(float(logits[len(row.prompt) + n - 1, token]) for n, token in enumerate(row.answer))
    assert float(_loss(network, batch, 5.0, "cpu")["answer"]) == pytest.approx(expected / 5, rel=1e-4)


def test_a_pass_holds_so_many_tokens() -> None:
    lengths = [TOKENS // 4, TOKENS // 2, TOKENS // 2, TOKENS + 5, 10]
    groups = passes(Row([0] * length, []) for length in lengths)
    half = TOKENS // 2
    assert [[len(row) for row in group] for group in groups] == [[10, TOKENS // 4], [half, half], [TOKENS + 5]]


# -------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("device", "gigabytes", "how", "chosen"),
    [
        ("cuda", 80, Lora(), Precision.BF16),
        ("cuda", 24, Lora(), Precision.NF4),
        ("cuda", 24, Lora(checkpointing=True), Precision.BF16),
        ("cpu", 60, Lora(), Precision.FP32),
        ("cpu", 30, Lora(), Precision.BF16),
        ("cuda", 80, Lora(float32=True), Precision.FP32),
    ],
)
def test_the_most_exact_precision_that_fits(device: str, gigabytes: int, how: Lora, chosen: Precision) -> None:
    on = Machine(device, gigabytes * 10**9, torchao=True, bitsandbytes=True, int4=True)
    assert choose(MODELS["beluga-7b"].shape, on, how) is chosen


def test_too_little_memory_says_what_would_help() -> None:
    on = Machine("cuda", 10**10, torchao=False, bitsandbytes=True, int4=False)
    with pytest.raises(ModelError, match=r"about 1\d\.\d GB are needed, and 10\.0 GB.*--gradient-checkpointing"):
        choose(MODELS["beluga-7b"].shape, on, Lora())


def test_what_cannot_be_trained_is_named(base: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a GGUF model"):
        train(MODELS["qwen-1.5b-gguf"], exercises(), tmp_path, SETTINGS)
    with pytest.raises(UsageError, match="No question fits"):
        train(replace(find(str(base)), window=100), exercises(), tmp_path, SETTINGS)
    config = json.loads((base / "config.json").read_bytes())
    for path in base.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "gptq"}}))
    with pytest.raises(UsageError, match="is stored quantised"):
        train(find(str(tmp_path)), exercises(), tmp_path, SETTINGS)
