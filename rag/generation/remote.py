"""A chat model behind an OpenAI-compatible HTTP server: vLLM, llama.cpp, Ollama, TGI, transformers serve, OpenAI.

The same seam as a local model, so a GPU elsewhere, or many of them, is a setting. Text is greedy where the server heeds
temperature 0, streamed, and cut where the model starts the next turn by itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, TypeVar

from rag.errors import ModelError
from rag.generation.counting import Counter, find_counter, window_of
from rag.generation.formats import until_turn
from rag.generation.prompt import require_room
from rag.generation.transport import ATTEMPTS, CutError, RefusedError, Server, stopped
from rag.types import Message

Known = TypeVar("Known")

# How servers differ: parameters that some of them, or of their models, refuse, and what is sent instead.
OPTIONAL = {"temperature": "", "max_tokens": "max_completion_tokens"}


class RemoteGenerator:
    """`window` in tokens overrides what the server says of itself.

    Nothing is asked of the server before the first prompt is counted. Raises ModelError, with what to do, when it
    cannot be reached, refuses, or stops in the middle.
    """

    def __init__(self, server: Server, model: str, window: int = 0) -> None:
        self._server = server
        self._model = model
        self._set_window = window
        self._known_window = 0
        self._counter: Counter | None = None
        self._renamed: dict[str, str] = {}

    @property
    def name(self) -> str:
        return f"openai:{self._model}"

    @property
    def window(self) -> int:
        if not self._known_window:
            self._known_window = self._set_window or self._explained(lambda: window_of(self._server, self._model))
        return self._known_window

    @property
    def counts_exactly(self) -> bool:
        """Whether prompts are counted by the server's own tokenizer; otherwise the count is an upper bound."""
        return self._counting().exact

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        counter = self._counting()
        return self._explained(lambda: counter.count(as_json(messages)))

    def stream(self, messages: Sequence[Message], max_new_tokens: int) -> Iterator[str]:
        require_room(self, self.prompt_tokens(messages), max_new_tokens, ", or set RAG_API_WINDOW")
        return self._text(messages, max_new_tokens)

    def _text(self, messages: Sequence[Message], max_new_tokens: int) -> Iterator[str]:
        body = {
            "model": self._model,
            "messages": as_json(messages),
            "stream": True,
            "temperature": 0,
            "max_tokens": max_new_tokens,
        }
        with closing(self._completed(body)) as pieces:
            yield from until_turn(pieces)

    def _completed(self, body: dict[str, Any]) -> Generator[str, None, None]:
        """The answer's text, piece by piece. A parameter that the server does not take is left out from then on. A
        server that dies before its first word is asked again: behind a balancer, that is another one. After it nobody
        is, since what was shown would be another answer's."""
        cuts, begun = 0, False
        while True:
            sent = {self._renamed.get(name, name): value for name, value in body.items()}
            sent.pop("", None)
            try:
                with closing(self._server.events(f"{self._server.base}/chat/completions", sent)) as events:
                    for piece in _pieces(events, self._server.host):
                        begun = True
                        yield piece
                return
            except CutError:
                cuts += 1
                if begun or cuts == ATTEMPTS:
                    raise
                self._server.wait(cuts)
            except RefusedError as refused:
                named = next((n for n in OPTIONAL if n in sent and n in (refused.parameter, *_words(refused.told))), "")
                if refused.status not in (400, 422) or not named:
                    raise self._error(refused) from None
                self._renamed[named] = OPTIONAL[named]

    def _counting(self) -> Counter:
        if self._counter is None:
            self._counter = self._explained(lambda: find_counter(self._server, self._model))
        return self._counter

    def _explained(self, asked: Callable[[], Known]) -> Known:
        try:
            return asked()
        except RefusedError as refused:
            raise self._error(refused) from None

    def _error(self, refused: RefusedError) -> ModelError:
        at, told = f"The server at {self._server.host}", f" It says: {refused.told}" if refused.told else ""
        if refused.status in (401, 403):
            known = "does not take the key in RAG_API_KEY" if self._server.key else "wants a key: set RAG_API_KEY"
            return ModelError(f"{at} {known} (HTTP {refused.status}).{told}")
        if refused.status == 404:
            return ModelError(f"{at} has no model {self._model!r}, or --api-base is not its base URL (HTTP 404).{told}")
        if refused.status == 429:
            return ModelError(f"{at} has too much to do for this key (HTTP 429). Ask again later.{told}")
        return ModelError(f"{at} refused the question (HTTP {refused.status}). Nothing was changed.{told}")


def as_json(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _pieces(events: Iterator[str], host: str) -> Iterator[str]:
    """The text of a stream of chat.completion.chunk events, or of a single chat.completion.

    Raises ModelError when it carries an error, makes no sense, or ends before the model has finished.
    """
    finished = False
    for event in events:
        if event.strip() == "[DONE]":
            return
        for choice in _choices(event, host):
            said = choice.get("delta") or choice.get("message") or {}
            if isinstance(text := said.get("content"), str) and text:
                yield text
            finished = finished or bool(choice.get("finish_reason"))
    if not finished:
        raise CutError(stopped(host, "the connection broke"))


def _choices(event: str, host: str) -> list[dict[str, Any]]:
    try:
        chunk = json.loads(event)
    except ValueError:
        chunk = None
    if not isinstance(chunk, dict):
        raise ModelError(f"The server at {host} sends no chat completions. Is --api-base the base URL of its API?")
    if error := chunk.get("error"):
        told = error.get("message", "") if isinstance(error, dict) else error
        shown = "".join(c if c.isprintable() else " " for c in str(told))[:300]
        raise ModelError(f"The server at {host} gave up in the middle of its answer. It says: {shown}")
    choices = chunk.get("choices")
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


def _words(told: str) -> list[str]:
    return [word.strip("'\"`.,:;()") for word in told.split()]
