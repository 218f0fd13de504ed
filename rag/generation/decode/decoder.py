"""Greedy decoding of one prompt, streamed, and of many, in rows: the loop around the network's steps.

Both give the tokens that the simple loop gives, as far as the hardware allows: sums are taken in another order, which
in bfloat16 decides otherwise where two tokens are all but equally likely. The same prompt in the same circumstances
gives the same answer; alone, with guesses, or among others in a batch it may part from itself at such a place.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rag.generation.decode.cache import KeyValueCache, bucket, common_length
from rag.generation.decode.graph import Step
from rag.generation.decode.lookup import Lookup
from rag.generation.decode.network import Network, unsupported
from rag.generation.decode.rows import Rows
from rag.generation.decode.simple import simple_tokens

if TYPE_CHECKING:
    from torch import Tensor

    Choice = Callable[[Tensor], int]

log = logging.getLogger(__name__)

WIDTH = 8  # tokens that one step checks: the last one and seven guesses
READ_AT_LEAST = 2  # a compiled prefill is for prompts of any length but one


class Decoder:
    """Holds the keys and values of the latest prompt and answer: of the next prompt only what differs is read.

    `end_token_ids` end an answer. `compiled` and `graphs` are on where there is CUDA; `lookup` is on unless the weights
    are quantised, whose fast kernels are for one token at a time. The model must stay as it is.

    Safe to use from several threads: they take turns, token by token. Two open streams cost each other their cache, so
    a queue before it is faster.
    """

    def __init__(
        self,
        model: Any,
        end_token_ids: Collection[int],
        *,
        compiled: bool | None = None,
        graphs: bool | None = None,
        lookup: bool | None = None,
    ) -> None:
        self._model = model
        self._ends = frozenset(end_token_ids)
        self._lock = threading.RLock()
        self._network: Network | None = None
        inner = model.get_base_model() if hasattr(model, "peft_config") and hasattr(model, "get_base_model") else model
        if reason := unsupported(inner):
            log.warning("Decoding by the simple loop, more slowly: %s", reason)
            return
        on_gpu = inner.device.type == "cuda"
        self._network = Network(inner, on_gpu if compiled is None else compiled)
        self._graphs = on_gpu if graphs is None else graphs
        self._lookup = not self._network.quantised if lookup is None else lookup
        self._forget()

    def tokens(
        self, prompt_ids: list[int], max_new_tokens: int, choose: Choice | None = None
    ) -> Generator[int, None, None]:
        """The tokens that follow a prompt, each as soon as it is known, without an end token; closing the iterator
        ends the work. `choose` samples from logits (vocabulary,); the likeliest is taken without it.

        Raises torch.OutOfMemoryError, after which the next prompt works.
        """
        if self._network is None:
            return simple_tokens(self._model, self._ends, prompt_ids, max_new_tokens, choose)
        return self._streamed(list(prompt_ids), max_new_tokens, choose)

    def batch(self, prompts: Sequence[list[int]], max_new_tokens: int) -> list[list[int]]:
        """The answers to many prompts, in their order."""
        answers: dict[int, list[int]] = dict(self.finished(prompts, max_new_tokens))
        return [answers[number] for number in range(len(prompts))]

    def finished(self, prompts: Sequence[list[int]], max_new_tokens: int) -> Iterator[tuple[int, list[int]]]:
        """Answers with their prompt's number, as they are finished. A stream that is read meanwhile goes first."""
        if self._network is None:
            for number, prompt in enumerate(prompts):
                yield number, list(simple_tokens(self._model, self._ends, prompt, max_new_tokens))
            return
        yield from Rows(self._network, self._ends, self._graphs, self._lock).finished(prompts, max_new_tokens)

    def release(self) -> None:
        """Gives the cache's memory back; the next prompt is read from its beginning."""
        with self._lock:
            if self._network is not None:
                self._settle()
                self._forget()

    # ------------------------------------------------------------------------------------------ one stream

    def _forget(self) -> None:
        self._cache: KeyValueCache | None = None
        self._steps: dict[tuple[int, int], Step] = {}
        self._held: list[int] = []  # tokens whose keys and values are in the cache, in the first `_known` places
        self._known = 0
        self._reader: object = None  # the stream whose step was launched last

    def _streamed(self, text: list[int], max_new_tokens: int, choose: Choice | None) -> Generator[int, None, None]:
        """While the caller looks at one token, the GPU already works on the next."""
        last = len(text) + max_new_tokens
        lookup = Lookup() if self._lookup and choose is None else None
        stream = object()
        fresh = self._read(text, last, choose) if max_new_tokens > 0 else []
        while len(text) < last:
            keep, over = self._cut(fresh, last - len(text))
            text += keep
            guess: list[int] = []
            if not over:
                guess = lookup.guess(text, WIDTH - 1) if lookup else []
                self._launch(stream, text, guess)
            yield from keep
            if over:
                return
            fresh = self._collect(stream, text, guess, last, choose)
            if lookup and guess:
                lookup.learn(len(fresh) - 1)

    def _cut(self, fresh: list[int], room: int) -> tuple[list[int], bool]:
        """What is left of fresh tokens before an end token or the end of the room, and whether that is the end."""
        for place, token in enumerate(fresh[:room]):
            if token in self._ends:
                return fresh[:place], True
        return fresh[:room], len(fresh) >= room

    def _read(self, text: list[int], last: int, choose: Choice | None) -> list[int]:
        """The first token after a text, of which only what the cache does not hold is read."""
        import torch

        assert self._network is not None
        with self._lock:
            self._reader = None
            cache = self._room(last + WIDTH)
            common = common_length(self._held[: self._known], text)
            start = self._known = max(0, min(common, len(text) - READ_AT_LEAST))
            with torch.no_grad():
                logits = self._network.prefill(text[start:], cache, 0, start)
            token = choose(logits) if choose else int(logits.argmax())
            self._held, self._known = text, len(text)
            return [token]

    def _room(self, tokens: int) -> KeyValueCache:
        """The cache, with room for so many tokens. One that grows, grows well: every step is captured anew."""
        import torch

        assert self._network is not None
        old, network = self._cache, self._network
        if old is not None and old.capacity >= tokens:
            return old
        self._settle()
        self._steps.clear()  # graphs know the old places
        capacity = bucket(max(tokens, min(2 * old.capacity, network.window + WIDTH) if old else 0))
        try:
            new = KeyValueCache(network.shape, 1, capacity, network.dtype, network.device)
            if old is not None:
                new.take(old, self._known)
        except torch.OutOfMemoryError:
            if old is None:
                raise
            del old  # what it holds is given up for the room
            self._forget()
            torch.cuda.empty_cache()
            new = KeyValueCache(network.shape, 1, bucket(tokens), network.dtype, network.device)
        self._cache = new
        if self._graphs and not network.bounded:  # now, or an answer would wait for it in its middle
            for width in (1, WIDTH) if self._lookup else (1,):
                self._step(width, capacity)
        return new

    def _settle(self) -> None:
        """A step that nobody waited for may still be running, in a graph that is to go."""
        import torch

        if self._network is not None and self._network.device.type == "cuda":
            torch.cuda.synchronize(self._network.device)

    def _launch(self, stream: object, text: list[int], guess: list[int]) -> None:
        """Feeds the last token, and guesses at what follows it. After another stream's turn nothing is launched."""
        with self._lock:
            if self._held is not text or self._cache is None:
                return
            fed = [text[-1], *guess]
            width = WIDTH if guess else 1
            first = len(text) - 1
            step = self._step(width, first + width)
            step.launch([fed + [0] * (width - len(fed))], [list(range(first, first + width))])
            self._known = len(text)
            self._reader = stream

    def _step(self, width: int, end: int) -> Step:
        assert self._network is not None
        assert self._cache is not None
        limit = min(self._cache.capacity, bucket(end)) if self._network.bounded else self._cache.capacity
        if (width, limit) not in self._steps:
            self._steps[width, limit] = Step(self._network, self._cache, width, limit, self._graphs)
        return self._steps[width, limit]

    def _collect(
        self, stream: object, text: list[int], guess: list[int], last: int, choose: Choice | None
    ) -> list[int]:
        """The tokens that the launched step decided: one, and one more for each guess that was right."""
        with self._lock:
            if self._reader is not stream:  # another stream has used the cache since
                return self._read(text, last, choose)
            width = WIDTH if guess else 1
            step = self._step(width, len(text) - 1 + width)
            if choose:
                return [choose(step.logits[0, 0])]
            chosen = step.chosen()[0]
            right = common_length(guess, chosen)
            return chosen[: right + 1]
