"""Messages as a model's own token ids, by its format or its tokenizer's chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rag.errors import UsageError
from rag.generation.formats import Format, answered, rendered
from rag.generation.models import Model
from rag.types import Message


class Turns:
    """Control tokens come from the format alone, never from a message's text. `form` None means as the table, or the
    tokenizer, says. Raises UsageError for a template that the tokenizer does not have."""

    def __init__(self, model: Model, tokenizer: Any, ends: frozenset[int], form: Format | None = None) -> None:
        self._tokenizer = tokenizer
        self._ends = ends
        has_template = tokenizer.chat_template is not None
        self.format = form or model.format or (Format.CHAT_TEMPLATE if has_template else Format.STABLE_BELUGA)
        if self.format is Format.CHAT_TEMPLATE and not has_template:
            raise UsageError(f"{model.name} has no chat template. Set RAG_FORMAT to one of its own format.")
        added = tokenizer.get_added_vocab()
        self._controls = sorted((t for t in added if len(t) > 1 and not t.isspace() and not t.isalnum()), key=len)

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Up to where the assistant's text begins."""
        turns = [Message(turn.role, self._harmless(turn.content)) for turn in messages]
        if self.format is Format.CHAT_TEMPLATE:
            return self._templated(turns)
        return self._ids(rendered(self.format, turns))

    def answer(self, messages: Sequence[Message], text: str) -> list[int]:
        """What a model that answers `text` writes behind the prompt of `messages`, with the token that ends it."""
        prompt, text = self.prompt(messages), self._harmless(text)
        turns = [Message(turn.role, self._harmless(turn.content)) for turn in messages]
        if self.format is Format.CHAT_TEMPLATE:
            whole = self._templated([*turns, Message("assistant", text)], prompted=False)
        else:
            whole = self._ids(answered(self.format, turns, text))
        if whole[: len(prompt)] != prompt:  # a template that opens an answer otherwise, a tokenizer that joins the two
            whole = [*prompt, *self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]]
        written = whole[len(prompt) :]
        end = next((place for place, token in enumerate(written) if token in self._ends), None)
        if end is not None:
            return written[: end + 1]
        usual = self._tokenizer.eos_token_id
        return written if usual is None else [*written, usual]

    def _ids(self, text: str) -> list[int]:
        split = not self.format.has_control_tokens
        return list(self._tokenizer(text, split_special_tokens=split)["input_ids"])

    def _templated(self, turns: Sequence[Message], prompted: bool = True) -> list[int]:
        from jinja2 import TemplateError

        try:
            return self._template(turns, prompted)
        except TemplateError:  # as of models that know no system turn: its text opens the user's then
            system, first, *rest = turns
            return self._template([Message(first.role, f"{system.content}\n\n{first.content}"), *rest], prompted)

    def _template(self, turns: Sequence[Message], prompted: bool) -> list[int]:
        chat = [{"role": turn.role, "content": turn.content} for turn in turns]
        encoded = self._tokenizer.apply_chat_template(chat, add_generation_prompt=prompted, return_dict=True)
        return list(encoded["input_ids"])

    def _harmless(self, text: str) -> str:
        """The text with a space inside whatever this tokenizer would take for one of its control tokens, and without
        the halves of characters that none can read. (Its own `sanitize_control_tokens` is not in every version that
        we support.)"""
        text = text.encode("utf-8", "replace").decode("utf-8")
        for token in self._controls:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text


def end_tokens(tokenizer: Any, network: Any) -> frozenset[int]:
    """Those that end what a model writes."""
    ends = network.generation_config.eos_token_id
    return frozenset({tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None})
