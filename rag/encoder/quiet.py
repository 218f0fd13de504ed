"""Libraries that talk: what they say of themselves while they load is of no use to who asks a question."""

from __future__ import annotations

import logging
import os
import sys


def quieten() -> None:
    """Before transformers is imported: no progress bars, and no warnings of what it looks for and does not need."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    for name in ("torchao", "torch.utils._pytree", "transformers", "sentence_transformers", "huggingface_hub"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from transformers.utils import logging as own

    own.disable_progress_bar()


def unheard() -> None:
    """Before openvino is imported: its converter, which comes along with it, would tell Google Analytics that it was
    started, and has no setting against that. Without this package it uses a stub that tells nobody."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
