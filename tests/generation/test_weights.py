"""Real quantised, spread and adapted models, on the processor."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import SAID, TURNS, random_llama, tiny_llama

from rag.errors import ModelError, UsageError
from rag.generation.decode.simple import simple_tokens
from rag.generation.local import LocalGenerator
from rag.generation.models import Model, find
from rag.generation.options import Options, Precision
from rag.generation.precision import Machine
from rag.generation.weights import Loaded, load


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("scripted"), SAID)


@pytest.fixture(scope="module")
def random(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_llama(tmp_path_factory.mktemp("random"))


def loaded(folder: Path, **options: Any) -> Loaded:
    return load(find(str(folder)), folder, "cpu", Options(**options))


def logits(network: Any) -> torch.Tensor:
    with torch.inference_mode():
        return network(input_ids=torch.arange(5, 25)[None]).logits.float()


@pytest.mark.parametrize("precision", [Precision.BF16, Precision.INT8, Precision.BNB8, Precision.NF4])
def test_a_quantised_model_is_smaller_and_says_the_same(scripted: Path, precision: Precision) -> None:
    if precision.is_quantised:
        pytest.importorskip("torchao" if precision is Precision.INT8 else "bitsandbytes")
    told: list[str] = []
    generator = LocalGenerator(find(str(scripted)), "cpu", Options(precision=precision), tell=told.append)
    assert "".join(generator.stream(TURNS, max_new_tokens=50)) == SAID
    assert told == [f"Loading {scripted.name} on cpu in {precision.value}: as asked for."]


@pytest.mark.parametrize(("precision", "apart"), [(Precision.INT8, 0.05), (Precision.BNB8, 0.1), (Precision.NF4, 0.5)])
def test_a_quantised_network_is_near_the_plain_one(random: Path, precision: Precision, apart: float) -> None:
    pytest.importorskip("torchao" if precision is Precision.INT8 else "bitsandbytes")
    plain = logits(loaded(random, precision=Precision.BF16).network)
    network = loaded(random, precision=precision).network
    quantised = logits(network)
    assert 0 < (quantised - plain).norm() / plain.norm() < apart
    assert type(network.model.layers[0].mlp.up_proj.weight) is not torch.nn.Parameter


def test_int4_on_a_processor_is_refused_with_a_way_out(random: Path) -> None:
    with pytest.raises(UsageError, match="Use nf4"):
        loaded(random, precision=Precision.INT4)


def test_auto_says_what_it_took_and_why(random: Path) -> None:
    small = Machine("cpu", free=10**12, torchao=True, bitsandbytes=True, int4=False)
    taken = load(find(str(random)), random, "cpu", Options(), on=small)
    assert taken.why.startswith("fp32: needs about 0.8 GB of 1000.0 GB free on cpu")
    assert taken.network.dtype == torch.float32


def test_a_model_larger_than_its_device_is_spread_and_says_the_same(random: Path) -> None:
    ids = list(range(5, 25))
    whole = loaded(random, precision=Precision.BF16).network
    card = Machine("cuda", free=1, torchao=False, bitsandbytes=False, int4=False)  # on which nothing fits
    size = 2 * sum(p.numel() for p in whole.parameters())
    spread = load(
        find(str(random)), random, "cuda", Options(), on=card, max_memory={"cpu": size * 2 // 3, "disk": 10**9}
    )
    assert {"cpu", "disk"} <= {str(device) for device in spread.network.hf_device_map.values()}
    expected = list(simple_tokens(whole, {2}, ids, 20))
    assert list(simple_tokens(spread.network, {2}, ids, 20)) == expected
    assert "spread over GPU, memory and disk" in spread.why


# ------------------------------------------------------------------------------------- quantised checkpoints


def test_a_checkpoint_that_is_quantised_already_is_loaded_as_it_comes(random: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    made = loaded(random, precision=Precision.NF4)
    made.network.save_pretrained(tmp_path)
    made.tokenizer.save_pretrained(tmp_path)
    again = loaded(tmp_path)
    assert again.why == "as it is stored: bitsandbytes, 4 bits"
    assert torch.equal(logits(again.network), logits(made.network))


@pytest.mark.parametrize(("method", "needed"), [("gptq", "optimum and gptqmodel"), ("awq", "gptqmodel")])
def test_a_missing_library_is_named(random: Path, tmp_path: Path, method: str, needed: str) -> None:
    if find_spec("gptqmodel"):
        pytest.skip("gptqmodel is installed")
    for path in random.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_bytes())
    config["quantization_config"] = {"quant_method": method, "bits": 4, "group_size": 128, "desc_act": False}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=rf"quantised by {method}, which needs {needed}: pip install .*gptqmodel"):
        loaded(tmp_path)


# ------------------------------------------------------------------------------------------------- adapters


@pytest.fixture(scope="module")
def adapter(random: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    peft = pytest.importorskip("peft")
    folder = tmp_path_factory.mktemp("adapter")
    torch.manual_seed(5)
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    peft.get_peft_model(loaded(random).network, config).save_pretrained(folder)
    return folder


def test_an_adapter_changes_the_model_merged_or_not(random: Path, adapter: Path) -> None:
    plain = logits(loaded(random).network)
    merged = loaded(random, adapter=str(adapter)).network
    beside = loaded(random, adapter=str(adapter), merge=False).network
    assert (logits(merged) - plain).abs().max() > 0.1
    assert torch.allclose(logits(merged), logits(beside), atol=1e-4)
    assert not any("lora" in name for name, _ in merged.named_parameters())
    assert any("lora" in name for name, _ in beside.named_parameters())


def test_quantised_weights_keep_the_adapter_beside_them(random: Path, adapter: Path) -> None:
    pytest.importorskip("bitsandbytes")
    network = loaded(random, adapter=str(adapter), precision=Precision.NF4).network
    assert any("lora" in name for name, _ in network.named_parameters())
    assert (logits(network) - logits(loaded(random, precision=Precision.NF4).network)).abs().max() > 0.1


def test_an_adapter_of_another_model_is_named(scripted: Path, adapter: Path) -> None:
    with pytest.raises(ModelError, match=r"does not fit the model.*It was made for"):
        loaded(scripted, adapter=str(adapter))


def test_a_pickled_or_missing_adapter_is_refused(random: Path, adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_bytes((adapter / "adapter_config.json").read_bytes())
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="Pickled adapters"):
        loaded(random, adapter=str(tmp_path))
    with pytest.raises(UsageError, match="no model"):
        loaded(random, adapter=str(tmp_path / "absent"))


def test_a_generator_takes_its_adapter_from_its_options(random: Path, adapter: Path) -> None:
    model = Model("adapted", str(random))
    with_it = LocalGenerator(model, "cpu", Options(adapter=str(adapter)))
    without = LocalGenerator(model, "cpu")
    assert list(with_it._tokens([5, 6, 7], 12)) != list(without._tokens([5, 6, 7], 12))
