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

from rag.encoder.memory import is_out_of_memory
from rag.errors import OutOfMemoryError
from rag.generation.decode.simple import simple_tokens
from rag.generation.fetch import Tell, files_of, ignore
from rag.generation.formats import until_turn
from rag.generation.models import Model
from rag.generation.options import Options
from rag.generation.prompt import require_room
from rag.generation.sampling import Draw
from rag.generation.turns import Turns, end_tokens
from rag.generation.weights import load, window
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
        self._ends = end_tokens(self._tokenizer, self._model)
        self._turns = Turns(model, self._tokenizer, self._ends, options.format)
        self._loop = (loop or self._usual_loop())(self._model, self._ends)
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
        return window(self._spec, self._model)

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        return len(self._encode(messages))

    def stream(self, messages: Sequence[Message], max_new_tokens: int) -> Iterator[str]:
        """Raises UsageError when prompt and answer would not fit the window together, OutOfMemoryError when the GPU
        has no room for them; the next prompt works."""
        prompt = self._encode(messages)
        require_room(self, len(prompt), max_new_tokens)
        return self._text(prompt, max_new_tokens)

    def _text(self, prompt: list[int], max_new_tokens: int) -> Iterator[str]:
        with closing(self._decoded(prompt, max_new_tokens)) as pieces:
            yield from until_turn(pieces, self._turns.format)

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
            if not is_out_of_memory(error):
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
        with self._words:
            return self._turns.prompt(messages)
