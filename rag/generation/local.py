"""A chat model on this machine, by transformers: streamed, stopped at the end token or the next turn.

The loop runs in the thread of whoever reads the stream: an error surfaces there, and closing the stream ends the work
and frees its memory. Several threads share a model through `rag.generation.queue`.
"""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from threading import Lock
from typing import Any, Protocol

from rag.errors import OutOfMemoryError, UsageError
from rag.generation.decode.simple import simple_tokens
from rag.generation.fetch import Tell, files_of, ignore
from rag.generation.formats import Format, rendered, until_turn
from rag.generation.models import Model
from rag.generation.options import Options
from rag.generation.sampling import Draw
from rag.generation.weights import load
from rag.types import Message


class Loop(Protocol):
    """Prompt to tokens, without an end token. `choose` picks one from logits of shape (vocabulary,); the likeliest is
    taken without it. Closing it ends the work."""

    def tokens(
        self, prompt_ids: list[int], max_new_tokens: int, choose: Callable[[Any], int] | None = None
    ) -> Generator[int, None, None]: ...


MakeLoop = Callable[[Any, Collection[int]], Loop]  # from a loaded transformers causal LM and its end tokens


class SimpleLoop:
    """One forward pass a token. It keeps nothing between calls, and greedy it repeats itself bit for bit on one machine
    with the same versions and precision. Another batch size, GPU, kernel or loop adds numbers in another order: two
    tokens within rounding of each other may then change places, and the text goes another way from there."""

    def __init__(self, network: Any, ends: Collection[int]) -> None:
        self._network, self._ends = network, ends

    def tokens(
        self, prompt_ids: list[int], max_new_tokens: int, choose: Callable[[Any], int] | None = None
    ) -> Generator[int, None, None]:
        return simple_tokens(self._network, self._ends, prompt_ids, max_new_tokens, choose)


class LocalGenerator:
    """Raises ModelError, with what to do, when the model is missing, incomplete or damaged.

    `loop` makes what turns a prompt into tokens: None is the fast decoder on a GPU, the simple loop elsewhere. `tell`
    hears of a download, and of the precision and why.
    """

    def __init__(
        self,
        model: Model,
        device: str | None = None,
        options: Options | None = None,
        loop: MakeLoop | None = None,
        tell: Tell = ignore,
    ) -> None:
        import torch

        options = options or Options()
        self._spec = model
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        loaded = load(model, files_of(model, tell), self._device, options, tell)
        self._tokenizer, self._model = loaded.tokenizer, loaded.network
        self._words = Lock()  # a tokenizer that is read and set by two threads at once raises "Already borrowed"
        has_template = self._tokenizer.chat_template is not None
        own = Format.CHAT_TEMPLATE if has_template else Format.STABLE_BELUGA
        self._format = options.format or model.format or own
        if self._format is Format.CHAT_TEMPLATE and not has_template:
            raise UsageError(f"{model.name} has no chat template. Set RAG_FORMAT to one of its own format.")
        added = self._tokenizer.get_added_vocab()
        self._controls = sorted((t for t in added if len(t) > 1 and not t.isspace() and not t.isalnum()), key=len)
        ends = self._model.generation_config.eos_token_id
        self._ends = {self._tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}
        self._loop = (loop or self._usual_loop())(self._model, frozenset(self._ends))
        self._sampling = options.sampling

    def _usual_loop(self) -> MakeLoop:
        if not self._device.startswith("cuda"):
            return SimpleLoop
        from rag.generation.decode.decoder import Decoder

        return Decoder

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
        """Raises UsageError when prompt and answer would not fit the window together, OutOfMemoryError when the GPU
        has no room for them; the next prompt works."""
        prompt = self._encode(messages)
        if len(prompt) + max_new_tokens > self.window:
            raise UsageError(
                f"The prompt of {len(prompt):,} tokens leaves no room for {max_new_tokens:,} more in the window of "
                f"{self.window:,} tokens of {self.name}. Ask for fewer passages."
            )
        return self._text(prompt, max_new_tokens)

    def _text(self, prompt: list[int], max_new_tokens: int) -> Iterator[str]:
        with closing(self._decoded(prompt, max_new_tokens)) as pieces:
            yield from until_turn(pieces, self._format)

    def _decoded(self, prompt: list[int], max_new_tokens: int) -> Generator[str, None, None]:
        """Text as soon as it is final: a character of several tokens, or a word's joint, waits for its last one."""
        tokens: list[int] = []
        shown = start = 0  # tokens[start:shown] were shown and are decoded again, for the sake of the joint
        with closing(self._tokens(prompt, max_new_tokens)) as coming:
            for token in coming:
                tokens.append(token)
                with self._words:
                    before = self._tokenizer.decode(tokens[start:shown], skip_special_tokens=True)
                    text = self._tokenizer.decode(tokens[start:], skip_special_tokens=True)
                if len(text) > len(before) and not text.endswith("\ufffd"):
                    yield text[len(before) :]
                    start, shown = shown, len(tokens)

    def _tokens(self, prompt: list[int], max_new_tokens: int) -> Generator[int, None, None]:
        draw = Draw(self._sampling) if self._sampling else None
        try:
            with closing(self._loop.tokens(prompt, max_new_tokens, draw)) as tokens:
                yield from tokens
            return
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            traceback.clear_frames(error.__traceback__)  # which hold the cache that was too large
        self._release()
        raise OutOfMemoryError(
            f"Not enough memory on {self._device} for {self.name} and a prompt of {len(prompt):,} tokens. "
            "Ask for fewer passages (-k), or use a smaller model or --precision."
        )

    def _release(self) -> None:
        """Gives what the failed attempt held back to the device."""
        import torch

        if hasattr(self._loop, "release"):
            self._loop.release()
        gc.collect()
        if self._device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the prompt. Control tokens come from the format alone, never from a message's text."""
        turns = [Message(turn.role, self._harmless(turn.content)) for turn in messages]
        with self._words:
            return self._encoded(turns)

    def _encoded(self, turns: Sequence[Message]) -> list[int]:
        if self._format is not Format.CHAT_TEMPLATE:
            split = not self._format.has_control_tokens
            return list(self._tokenizer(rendered(self._format, turns), split_special_tokens=split)["input_ids"])
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
        """The text with a space inside whatever this tokenizer would take for one of its control tokens, and without
        the halves of characters that none can read. (Its own `sanitize_control_tokens` is not in every version that
        we support.)"""
        text = text.encode("utf-8", "replace").decode("utf-8")
        for token in self._controls:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text


def _is_out_of_memory(error: BaseException) -> bool:
    """CUDA's allocator has an error of its own; cuBLAS, the driver and the processor's allocator say it in words."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error).lower()
    return any(words in said for words in ("out of memory", "can't allocate memory", "cublas_status_alloc_failed"))
