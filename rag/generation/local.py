"""A chat model on this machine, by transformers: greedy, streamed, stopped at the end token or the next turn.

Only safetensors and no code from a model's folder are ever loaded. The loop below runs in the thread of whoever
reads the stream: an error surfaces there, and closing the stream ends the work.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rag.errors import ModelError, UsageError
from rag.generation.models import Format, Model
from rag.generation.prompt import stable_beluga, until_turn
from rag.types import Message

HUB_TIMEOUT = 4.0  # seconds until a hub that does not answer counts as out of reach
FILES = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt"]


class LocalGenerator:
    """Raises ModelError, with what to do, when the model is missing, incomplete or damaged."""

    def __init__(self, model: Model, device: str | None = None) -> None:
        import torch

        self._spec = model
        folder = _folder(model)
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._tokenizer, self._model = _load(model, folder, self._device)
        self._format = model.format or (Format.CHAT_TEMPLATE if self._tokenizer.chat_template else Format.STABLE_BELUGA)
        added = self._tokenizer.get_added_vocab()
        self._controls = sorted((t for t in added if len(t) > 1 and not t.isspace() and not t.isalnum()), key=len)
        ends = self._model.generation_config.eos_token_id
        self._ends = {self._tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}

    @property
    def name(self) -> str:
        return self._spec.name

    @property
    def window(self) -> int:
        longest = int(getattr(self._model.config, "max_position_embeddings", 0) or 0)
        return min(self._spec.window or longest, longest or self._spec.window)

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        return len(self._encode(messages))

    def stream(self, messages: Sequence[Message], max_new_tokens: int) -> Iterator[str]:
        """Raises UsageError when prompt and answer would not fit the window together."""
        prompt = self._encode(messages)
        if len(prompt) + max_new_tokens > self.window:
            raise UsageError(
                f"The prompt of {len(prompt):,} tokens leaves no room for {max_new_tokens:,} more in the window of "
                f"{self.window:,} tokens of {self.name}. Ask for fewer passages."
            )
        return self._text(prompt, max_new_tokens)

    def _text(self, prompt: list[int], max_new_tokens: int) -> Iterator[str]:
        with closing(self._decoded(prompt, max_new_tokens)) as pieces:
            yield from until_turn(pieces)

    def _decoded(self, prompt: list[int], max_new_tokens: int) -> Generator[str, None, None]:
        """Text as soon as it is final: a character of several tokens, or a word's joint, waits for its last one."""
        tokens: list[int] = []
        shown = start = 0  # tokens[start:shown] were shown and are decoded again, for the sake of the joint
        for token in self._tokens(prompt, max_new_tokens):
            tokens.append(token)
            before = self._tokenizer.decode(tokens[start:shown], skip_special_tokens=True)
            text = self._tokenizer.decode(tokens[start:], skip_special_tokens=True)
            if len(text) > len(before) and not text.endswith("\ufffd"):
                yield text[len(before) :]
                start, shown = shown, len(tokens)

    def _tokens(self, prompt: list[int], max_new_tokens: int) -> Iterator[int]:
        import torch

        past = None
        ids = torch.tensor([prompt], device=self._device)
        for _ in range(max_new_tokens):
            try:
                with torch.inference_mode():  # never across a yield: it would hold in the caller's code, too
                    out = self._model(input_ids=ids, past_key_values=past, use_cache=True, logits_to_keep=1)
                    token = int(out.logits[0, -1].argmax())
            except torch.OutOfMemoryError as error:
                raise ModelError(
                    f"Not enough GPU memory for {self.name} and a prompt of {len(prompt):,} tokens. "
                    "Ask for fewer passages (-k), or use a smaller model."
                ) from error
            if token in self._ends:
                return
            yield token
            past = out.past_key_values
            ids = torch.tensor([[token]], device=self._device)

    def _encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the prompt. Control tokens come from the format alone, never from a message's text."""
        turns = [Message(turn.role, self._harmless(turn.content)) for turn in messages]
        if self._format is Format.STABLE_BELUGA:
            return list(self._tokenizer(stable_beluga(turns), split_special_tokens=True)["input_ids"])
        from jinja2 import TemplateError

        try:
            return self._templated(turns)
        except TemplateError:  # as of models that know no system turn: its text opens the user's then
            system, first, *rest = turns
            return self._templated([Message(first.role, f"{system.content}\n\n{first.content}"), *rest])

    def _templated(self, turns: Sequence[Message]) -> list[int]:
        chat = [{"role": turn.role, "content": turn.content} for turn in turns]
        encoded = self._tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)
        return list(encoded["input_ids"])

    def _harmless(self, text: str) -> str:
        """The text with a space inside whatever this tokenizer would take for one of its control tokens. (Its own
        `sanitize_control_tokens` is not in every version that we support.)"""
        for token in self._controls:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text


def _folder(model: Model) -> Path:
    """Where the model's files are: its folder, the local hub cache, or, at first use, fetched from the hub."""
    if (folder := Path(model.source)).is_dir():
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    wanted: dict[str, Any] = {"repo_id": model.source, "revision": model.revision, "allow_patterns": FILES}
    try:
        return Path(snapshot_download(**wanted, local_files_only=True))
    except LocalEntryNotFoundError:
        pass  # not here yet
    try:
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
            raise ConnectionError("HF_HUB_OFFLINE is set")
        return Path(snapshot_download(**wanted, etag_timeout=HUB_TIMEOUT))
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"Model {model.name} is not on this machine and could not be fetched from huggingface.co/{model.source} "
            f"({error.__class__.__name__}). Fetch it where there is a connection and give its folder with --model, "
            "or leave --model out: answers are then quoted from the documents, without a language model."
        ) from error


def _load(model: Model, folder: Path, device: str) -> tuple[Any, Any]:
    """Tokenizer and model from a folder, every weight accounted for."""
    _refuse_incomplete(model, folder)
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **local)
        half = device.startswith("cuda") or config.dtype in (torch.float16, torch.bfloat16)
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        network, report = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.bfloat16 if half else torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            **local,
        )
        network = network.to(device).eval()
    except torch.OutOfMemoryError as error:
        raise ModelError(f"Not enough GPU memory to load {model.name}. Use a smaller model.") from error
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            _damaged(model, folder, str(error).splitlines()[0][:200] if str(error) else "unreadable")
        ) from error
    if missing := sorted(report["missing_keys"]):
        raise ModelError(_damaged(model, folder, f"{len(missing)} weights are missing, {missing[0]} among them"))
    return tokenizer, network


def _refuse_incomplete(model: Model, folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ModelError(_damaged(model, folder, "there is no config.json"))
    if not any(folder.glob("*.safetensors")):
        pickled = any(folder.glob("*.bin"))
        reason = "its weights are pickled (.bin), which can run code" if pickled else "there are no weights"
        raise ModelError(_damaged(model, folder, f"{reason}; .safetensors files are needed"))


def _damaged(model: Model, folder: Path, reason: str) -> str:
    return (
        f"Model {model.name} in {folder} cannot be loaded: {reason}. Nothing was changed. Fetch its files again, or "
        "leave --model out: answers are then quoted from the documents, without a language model."
    )
