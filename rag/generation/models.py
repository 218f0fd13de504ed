"""The table of chat models by name: where their weights are, how they are spoken to, under which licence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from rag.errors import UsageError


class Format(Enum):
    STABLE_BELUGA = "Stable Beluga"
    CHAT_TEMPLATE = "the tokenizer's chat template"


@dataclass(frozen=True, slots=True)
class Model:
    """`source` is an id on the Hugging Face hub or a folder. `window` is in tokens; 0 means as the model's own
    configuration says. `format` None means the tokenizer's chat template if it has one, else Stable Beluga's."""

    name: str
    source: str
    revision: str | None = None
    format: Format | None = None
    window: int = 0
    licence: str = "see the model's page"


_BELUGA_LICENCE = "Stable Beluga Non-Commercial Community License"

# Revisions are None where no commit was verified yet: the hub's main branch is taken then.
MODELS = {
    model.name: model
    for model in (
        Model("beluga-7b", "stabilityai/StableBeluga-7B", None, Format.STABLE_BELUGA, 4096, _BELUGA_LICENCE),
        Model("beluga-13b", "stabilityai/StableBeluga-13B", None, Format.STABLE_BELUGA, 4096, _BELUGA_LICENCE),
        Model("beluga-70b", "stabilityai/StableBeluga2", None, Format.STABLE_BELUGA, 4096, _BELUGA_LICENCE),
        Model("qwen-7b", "Qwen/Qwen2.5-7B-Instruct", None, Format.CHAT_TEMPLATE, 32_768, "Apache-2.0"),
        Model("qwen-1.5b", "Qwen/Qwen2.5-1.5B-Instruct", None, Format.CHAT_TEMPLATE, 32_768, "Apache-2.0"),
    )
}

_HUB_ID = re.compile(r"(?P<source>[\w-][\w.-]*/[\w-][\w.-]*)(?:@(?P<revision>[\w./-]+))?")


def find(name: str) -> Model:
    """A name of the table, a folder, or a hub id ("owner/model" or "owner/model@revision").

    Raises UsageError for anything else, listing what there is.
    """
    if name in MODELS:
        return MODELS[name]
    if name.strip() and (folder := Path(name).expanduser()).is_dir():
        return Model(folder.resolve().name, str(folder.resolve()))
    if hub_id := _HUB_ID.fullmatch(name):
        return Model(name, hub_id["source"], hub_id["revision"])
    raise UsageError(
        f"There is no model {name!r}. Known models: {', '.join(MODELS)}; or give a folder, or a hub id as owner/model."
    )
