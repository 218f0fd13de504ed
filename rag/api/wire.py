"""OpenAI's chat completions as this project speaks them: what comes in, what goes out. Pure."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rag.errors import ModelError, RagError, UsageError
from rag.shapes import answer_shape
from rag.terminal import plain
from rag.types import Answer, Exchange

MOST_MESSAGES = 200
LONGEST_TURN = 4_000  # characters of an earlier question or answer; what is over that is left out


@dataclass(frozen=True, slots=True)
class Asked:
    question: str
    history: tuple[Exchange, ...]
    stream: bool


class UnknownModelError(UsageError):
    """A request names another model than the one that there is."""


def asked(body: Any, model: str) -> Asked:
    """What a request's JSON asks. Raises UsageError."""
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list) or not body["messages"]:
        raise UsageError('The body must be a JSON object with "messages", a list that is not empty.')
    if body.get("model") not in (None, "", model):
        raise UnknownModelError(f"There is no model {str(body['model'])[:80]!r} here; there is {model!r}.")
    if len(body["messages"]) > MOST_MESSAGES:
        raise UsageError(f"There are {len(body['messages'])} messages; the limit is {MOST_MESSAGES}.")
    said = [(_role(message), _text(message)) for message in body["messages"]]
    *earlier, (role, question) = [(role, text) for role, text in said if role != "system"] or [("", "")]
    if role != "user":
        raise UsageError('The last of the "messages" must be the user\'s: it is the question.')
    return Asked(question, tuple(_exchanges(earlier)), body.get("stream") is True)


def _role(message: Any) -> str:
    role = message.get("role") if isinstance(message, dict) else None
    if role in ("system", "developer"):  # our own instructions stand: those of callers have no effect
        return "system"
    if role in ("user", "assistant"):
        return str(role)
    raise UsageError('Each of the "messages" has a "role": system, user or assistant.')


def _text(message: Mapping[str, Any]) -> str:
    """The text of a message, which may come in parts."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
    texts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise UsageError('The "content" of a message is a text, or a list of parts of type "text".')
    whole = "\n".join(str(text) for text in texts)
    return whole.encode("utf-8", "replace").decode()  # JSON can hold half a character


def _exchanges(said: Sequence[tuple[str, str]]) -> Iterator[Exchange]:
    """Questions with the answers that follow them. An answer that nobody asked for is left out."""
    question, answers = None, []
    for role, text in [*said, ("user", "")]:
        if role == "assistant":
            answers.append(text)
            continue
        if question is not None:
            yield Exchange(question[:LONGEST_TURN], "\n".join(answers)[:LONGEST_TURN])
        question, answers = text, []


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer's id and time, which all of its chunks share."""

    model: str
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answer: Answer) -> dict[str, Any]:
        message = {"role": "assistant", "content": harmless(answer.text) + sources(answer)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {**self._head("chat.completion"), "choices": [choice], **_grounds(answer)}

    def opening(self, understood: str) -> str:
        return self._chunk({"role": "assistant", "content": ""}, rag={"understood": understood})

    def piece(self, text: str) -> str:
        return self._chunk({"content": text})

    def closing(self, answer: Answer) -> str:
        tail = sources(answer)
        return (self.piece(tail) if tail else "") + self._chunk({}, "stop", **_grounds(answer)) + "data: [DONE]\n\n"

    def _chunk(self, delta: Mapping[str, Any], finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _event({**self._head("chat.completion.chunk"), "choices": [choice], **more})

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def models(model: str) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": model, "object": "model", "created": 0, "owned_by": "beluga-rag"}]}


def problem(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def problem_of(error: RagError) -> tuple[int, dict[str, Any]]:
    """The HTTP status and body of an error."""
    if isinstance(error, UnknownModelError):
        return 404, problem(str(error), "invalid_request_error", "model_not_found")
    if isinstance(error, UsageError):
        return 400, problem(str(error), "invalid_request_error")
    return (503 if isinstance(error, ModelError) else 500), problem(str(error), "server_error")


def broken_off(error: RagError) -> str:
    return _event(problem_of(error)[1])


def harmless(text: str) -> str:
    """Without images: a client that renders Markdown would fetch them, and tell their server what it read."""
    return text.replace("![", "! [")


def harmless_pieces(text: str, held: str) -> tuple[str, str]:
    """The same for a stream: what can be sent of `held` + `text`, and what has to wait for the next piece."""
    text = harmless(held + text)
    return (text[:-1], "!") if text.endswith("!") else (text, "")


def sources(answer: Answer) -> str:
    """What [n] means, for clients that show nothing but the text."""
    lines = []
    for citation in answer.citations:
        place = f", {citation.passage.place}" if citation.passage.place else ""
        named = plain(f"{citation.passage.document}{place}").translate(_MARKUP)
        lines.append(f"\n[{citation.number}] {named}{'' if citation.supported else ' (does not bear it out)'}")
    return f"\n\nSources:{''.join(lines)}" if lines else ""


_MARKUP = str.maketrans("<>[]`", "‹›()'")


def _grounds(answer: Answer) -> dict[str, Any]:
    shape = answer_shape(answer)
    return {"sources": shape["citations"], "rag": shape}


def _event(data: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
