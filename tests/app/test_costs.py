"""What a change costs, told before it is made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.costs import Cost, Here, costs, of_embedding_anew
from rag.config import Config
from rag.generation.precision import Machine

LAPTOP = Machine("cpu", 12_000_000_000, torchao=False, bitsandbytes=False, int4=False)
CARD = Machine("cuda", 140_000_000_000, torchao=True, bitsandbytes=True, int4=True)
HERE = Here(CARD, True, 500_000_000_000, "sample", "all-MiniLM-L6-v2", 284, 13)
NOW = Config()


def told(then: Config, here: Here = HERE, now: Config = NOW) -> dict[str, Cost]:
    return {cost.kind: cost for cost in costs(now, then, here)}


def test_what_stays_costs_nothing() -> None:
    assert costs(NOW, NOW, HERE) == []
    assert costs(NOW, replace(NOW, collection="other"), HERE) == []


def test_a_model_costs_memory_and_has_a_licence() -> None:
    found = told(replace(NOW, model="beluga-7b"))
    assert found["Memory"].text == "bf16: needs about 16.4 GB of 140.0 GB free on cuda."
    assert "no commercial use" in found["Licence"].text
    assert not any(cost.forbids for cost in found.values())
    assert "Time" not in found


def test_what_is_not_here_has_to_be_fetched_first() -> None:
    found = told(replace(NOW, model="qwen-1.5b"), replace(HERE, is_present=False))
    assert found["Download"].text == "qwen-1.5b is not on this machine: some 3.1 GB, once; the disk has 500.0 GB free."
    assert found["Download"].forbids
    assert found["Licence"].text == "Apache-2.0."
    gguf = told(replace(NOW, model="qwen-1.5b-gguf"), replace(HERE, is_present=False))
    assert "some 1.1 GB, once" in gguf["Download"].text
    full = told(replace(NOW, model="qwen-1.5b"), replace(HERE, is_present=False, disk=1_000_000_000))
    assert full["Download"].text == "qwen-1.5b is not on this machine: some 3.1 GB, and the disk has 1.0 GB free."


def test_what_does_not_fit_is_told_before_it_is_tried() -> None:
    small = replace(HERE, machine=LAPTOP)
    found = told(replace(NOW, model="beluga-7b"), small)
    assert found["Memory"].forbids
    assert "There is not enough memory for this model" in found["Memory"].text
    assert "writes slowly" in found["Time"].text
    quantised = told(replace(NOW, model="beluga-7b", precision="nf4"), small)
    assert quantised["Memory"] == Cost("Memory", "needs 6.8 GB, and 12.0 GB are free on cpu.")


def test_a_model_that_is_loaded_costs_nothing_more_and_one_that_is_left_stays() -> None:
    loaded = replace(HERE, models=("beluga-7b",))
    assert told(replace(NOW, model="beluga-7b"), loaded)["Memory"].text == "None: beluga-7b is loaded already."
    back = costs(replace(NOW, model="beluga-7b"), NOW, loaded)
    assert [cost.text.split(",")[0] for cost in back] == [
        "beluga-7b stays loaded",
        "None: answers are quoted from the documents",
    ]


@pytest.mark.parametrize(
    ("base", "kind", "says", "forbids"),
    [
        ("", "Not possible", "RAG_API_BASE", True),
        ("http://127.0.0.1:8000/v1", "Privacy", "this machine", False),
        ("https://api.example.org/v1", "Privacy", "leave this machine: they are sent to api.example.org", False),
    ],
)
def test_a_server_costs_privacy(base: str, kind: str, says: str, forbids: bool) -> None:
    found = told(replace(NOW, model="openai:gpt", api_base=base))
    assert says in found[kind].text
    assert found[kind].forbids is forbids


def test_what_there_is_not_cannot_be_chosen() -> None:
    assert "There is no model 'nonsense'" in told(replace(NOW, model="nonsense"))["Not possible"].text


def test_passages_cost_time_room_and_memory() -> None:
    assert "8 of them are read" in told(replace(NOW, passages=20))["Time"].text
    chatting = replace(NOW, model="beluga-7b")
    found = told(replace(chatting, passages=20), now=chatting)
    assert found["Room"].text == "The window of beluga-7b has 4,096 tokens: some 11 passages fit."
    assert found["Memory"].text == "2.1 GB for what it reads."
    assert "Room" not in told(replace(chatting, passages=9), now=chatting)


def test_another_embedder_means_indexing_anew() -> None:
    found = {cost.kind: cost for cost in of_embedding_anew("BAAI/bge-base-en", HERE)}
    assert "All 284 passages of sample are embedded again" in found["Indexing anew"].text
    assert found["Disk"].text.startswith("Some 0.4 MB more")
    (same,) = of_embedding_anew("all-MiniLM-L6-v2", HERE)
    assert same.forbids


def test_reranking_costs_time_and_ocr_indexing() -> None:
    assert "nothing is waited for" in told(replace(NOW, rerank="none"))["Time"].text
    assert "cross-encoder" in told(replace(NOW, rerank="owner/model"))["Time"].text
    assert "What OCR has read stays" in told(replace(NOW, ocr="off"))["Indexing"].text
    assert "13 documents" in told(NOW, now=replace(NOW, ocr="off"))["Indexing anew"].text
