"""The table of chat models by name: where their weights are, how they are spoken to, under which licence.

Sizes and needs come from a model's shape, so that a table can show them before anything is downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import UsageError
from rag.generation.formats import Format


@dataclass(frozen=True, slots=True)
class Shape:
    """A decoder of Llama's kind, by the numbers of its configuration."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    vocabulary: int
    tied: bool = False  # the output head is the embedding matrix
    biased: bool = False  # queries, keys and values have a bias (Qwen2)
    head: int = 0  # width of one head where it is not hidden / heads

    @property
    def head_width(self) -> int:
        return self.head or self.hidden // self.heads

    @property
    def matrices(self) -> int:
        """Parameters of the layers' linear maps: what quantisation shrinks."""
        queries, keys = self.heads * self.head_width, self.kv_heads * self.head_width
        attention = 2 * self.hidden * queries + 2 * self.hidden * keys
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    @property
    def parameters(self) -> int:
        biases = self.layers * (self.heads + 2 * self.kv_heads) * self.head_width if self.biased else 0
        norms = (2 * self.layers + 1) * self.hidden
        return self.matrices + biases + norms + (1 if self.tied else 2) * self.vocabulary * self.hidden

    def cache_bytes(self, tokens: int) -> int:
        """Keys and values of so many tokens in 16 bits."""
        return 2 * 2 * self.layers * self.kv_heads * self.head_width * tokens

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Shape | None:
        """From a config.json; None for a model of another kind."""
        try:
            heads = int(config["num_attention_heads"])
            return cls(
                layers=int(config["num_hidden_layers"]),
                hidden=int(config["hidden_size"]),
                intermediate=int(config["intermediate_size"]),
                heads=heads,
                kv_heads=int(config.get("num_key_value_heads") or heads),
                vocabulary=int(config["vocab_size"]),
                tied=bool(config.get("tie_word_embeddings", False)),
                biased=config.get("model_type") == "qwen2" or bool(config.get("attention_bias", False)),
                head=int(config.get("head_dim") or 0),
            )
        except (KeyError, TypeError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class Model:
    """`source` is an id on the Hugging Face hub, a folder, or a GGUF file; `file` a GGUF file in a repository of the
    hub. `window` is in tokens; 0 means as the model's own configuration says. `format` None means the tokenizer's
    chat template if it has one, else Stable Beluga's."""

    name: str
    source: str
    revision: str | None = None
    format: Format | None = None
    window: int = 0
    licence: str = ""  # empty: as the model's page states it
    commercial: bool | None = None  # whether the licence allows commercial use; None where we do not know
    shape: Shape | None = None
    file: str = ""
    sha256: str = ""  # of `file`
    bytes: int = 0  # of `file`

    @property
    def is_gguf(self) -> bool:
        return bool(self.file) or self.source.endswith(".gguf")


_BELUGA = "Stable Beluga Non-Commercial Community License (and Llama 2's)"
_LLAMA_7B = Shape(32, 4096, 11_008, 32, 32, 32_000)
_LLAMA_13B = Shape(40, 5120, 13_824, 40, 40, 32_000)
_LLAMA_70B = Shape(80, 8192, 28_672, 64, 8, 32_000)
_QWEN_7B = Shape(28, 3584, 18_944, 28, 4, 152_064, biased=True)
_QWEN_SMALL = Shape(28, 1536, 8960, 12, 2, 151_936, tied=True, biased=True)
_MISTRAL_7B = Shape(32, 4096, 14_336, 32, 8, 32_768)

# Revision None: no commit of that repository was verified yet. The first fetch takes its main branch and pins it.
MODELS = {
    model.name: model
    for model in (
        Model(
            "beluga-7b",
            "stabilityai/StableBeluga-7B",
            "329adcfc39f48dce183eb0b155b732dbe03c6304",
            Format.STABLE_BELUGA,
            4096,
            _BELUGA,
            False,
            _LLAMA_7B,
        ),
        Model(
            "beluga-13b",
            "stabilityai/StableBeluga-13B",
            None,
            Format.STABLE_BELUGA,
            4096,
            _BELUGA,
            False,
            _LLAMA_13B,
        ),
        Model("beluga-70b", "stabilityai/StableBeluga2", None, Format.STABLE_BELUGA, 4096, _BELUGA, False, _LLAMA_70B),
        Model(
            "qwen-7b",
            "Qwen/Qwen2.5-7B-Instruct",
            "a09a35458c702b33eeacc393d103063234e8bc28",
            Format.CHAT_TEMPLATE,
            32_768,
            "Apache-2.0",
            True,
            _QWEN_7B,
        ),
        Model(
            "mistral-7b",
            "mistralai/Mistral-7B-Instruct-v0.3",
            "c170c708c41dac9275d15a8fff4eca08d52bab71",
            Format.CHAT_TEMPLATE,
            32_768,
            "Apache-2.0",
            True,
            _MISTRAL_7B,
        ),
        Model(
            "qwen-1.5b",
            "Qwen/Qwen2.5-1.5B-Instruct",
            "989aa7980e4cf806f80c7fef2b1adb7bc71aa306",
            Format.CHAT_TEMPLATE,
            32_768,
            "Apache-2.0",
            True,
            _QWEN_SMALL,
        ),
        Model(
            "qwen-1.5b-gguf",
            "Qwen/Qwen2.5-1.5B-Instruct-GGUF",
            "91cad51170dc346986eccefdc2dd33a9da36ead9",
            Format.CHAT_TEMPLATE,
            32_768,
            "Apache-2.0",
            True,
            _QWEN_SMALL,
            "qwen2.5-1.5b-instruct-q4_k_m.gguf",
            "6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e",
            1_117_320_736,
        ),
    )
}

_HUB_ID = re.compile(
    r"(?P<source>[\w-][\w.-]*/[\w-][\w.-]*)(?:/(?P<file>[\w-][\w./-]*\.gguf))?(?:@(?P<revision>[\w./-]+))?"
)


def find(name: str) -> Model:
    """A name of the table, a folder, a GGUF file, or a hub id: "owner/model", "owner/model@revision", or
    "owner/model/file.gguf@revision".

    Raises UsageError for anything else, listing what there is.
    """
    if name in MODELS:
        return MODELS[name]
    path = Path(name).expanduser()
    if name.strip() and (path.is_dir() or (path.suffix == ".gguf" and path.is_file())):
        return Model(path.resolve().name, str(path.resolve()))
    if hub_id := _HUB_ID.fullmatch(name):
        return Model(name, hub_id["source"], hub_id["revision"], file=hub_id["file"] or "")
    raise UsageError(
        f"There is no model {name!r}. Known models: {', '.join(MODELS)}; or give a folder, a .gguf file, or a hub id "
        "as owner/model."
    )
