"""How many tokens a prompt is for a server's model, and how many fit: asked of the server, or bounded.

| server                | count of a prompt                              | window                              |
|-----------------------|------------------------------------------------|-------------------------------------|
| vLLM                  | exact: /tokenize, chat template included        | max_model_len of /v1/models         |
| llama.cpp             | exact: /apply-template, then /tokenize          | n_ctx of /props                     |
| TGI                   | exact: /chat_tokenize                           | max_total_tokens of /info           |
| Ollama                | upper bound                                     | context_length of /api/ps, else 4,096 |
| any other             | upper bound                                     | 4,096; 16,384 for api.openai.com    |

The bound is one token for each byte of UTF-8: byte-level BPE, and SentencePiece with byte fallback, never need more.
English takes four to five bytes a token, so the bound wastes window where it is short, and never exceeds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rag.generation.transport import RefusedError, Server

Chat = Sequence[dict[str, str]]
Way = Callable[[Server, str, Chat], int | None]

WINDOW = 4096  # tokens, where nobody says
HOSTED = {"api.openai.com": 16_384}  # the smallest window of the models that are served there
TURN = 16  # tokens that a chat template spends on a turn, at most: markers, role, line breaks
OPENING = 64  # and on the whole: the first token, a default system line, the opening of the answer


@dataclass(frozen=True, slots=True)
class Counter:
    """`count` is exact, template included, or else an upper bound."""

    count: Callable[[Chat], int]
    exact: bool


def find_counter(server: Server, model: str) -> Counter:
    """The first way of counting that the server has. Raises RefusedError when it refuses the key, ModelError when it
    cannot be reached."""
    probe = [{"role": "user", "content": "Hello"}]
    for way in (_by_vllm, _by_llama_cpp, _by_tgi):
        try:
            if way(server, model, probe) is not None:
                return Counter(partial(_counted, way, server, model), exact=True)
        except RefusedError as refused:
            if refused.status in (401, 403, 429):
                raise
        except ValueError:  # a page, say: not this kind of server
            continue
    return Counter(upper_bound, exact=False)


def _counted(way: Way, server: Server, model: str, chat: Chat) -> int:
    return way(server, model, chat) or upper_bound(chat)


def upper_bound(chat: Chat) -> int:
    return OPENING + sum(TURN + len(turn["content"].encode()) for turn in chat)


def window_of(server: Server, model: str) -> int:
    """Tokens that prompt and answer share, as the server says, or WINDOW."""
    for url, look in (
        (f"{server.base}/models", lambda reply: _of_models(reply, model)),
        (f"{server.root}/props", _of_props),
        (f"{server.root}/info", lambda reply: reply.get("max_total_tokens")),
        (f"{server.root}/api/ps", lambda reply: _of_running(reply, model)),
    ):
        window = _asked(server, url, look)
        if window:
            return window
    return HOSTED.get(server.host, WINDOW)


def _asked(server: Server, url: str, look: Callable[[Any], Any]) -> int:
    """0 when the server has no such endpoint, or says nothing that could be a window."""
    try:
        found = look(server.call(url))
    except RefusedError as refused:
        if refused.status in (401, 403, 429):
            raise
        return 0
    except (AttributeError, KeyError, TypeError, ValueError):  # another server's idea of this endpoint, or a page
        return 0
    return found if isinstance(found, int) and found > 0 else 0


def _of_models(reply: Any, model: str) -> Any:
    return next((each.get("max_model_len") for each in reply["data"] if each.get("id") == model), None)


def _of_props(reply: Any) -> Any:
    return reply["default_generation_settings"]["n_ctx"]


def _of_running(reply: Any, model: str) -> Any:
    names = (model, f"{model}:latest")
    return next((each.get("context_length") for each in reply["models"] if each.get("name") in names), None)


def _by_vllm(server: Server, model: str, chat: Chat) -> int | None:
    reply = server.call(f"{server.root}/tokenize", {"model": model, "messages": list(chat)})
    return _number(reply, "count")


def _by_llama_cpp(server: Server, model: str, chat: Chat) -> int | None:
    prompt = server.call(f"{server.root}/apply-template", {"messages": list(chat)})
    if not isinstance(prompt, dict) or not isinstance(prompt.get("prompt"), str):
        return None
    asked = {"content": prompt["prompt"], "add_special": True, "parse_special": True}
    return _length(server.call(f"{server.root}/tokenize", asked), "tokens")


def _by_tgi(server: Server, model: str, chat: Chat) -> int | None:
    return _length(
        server.call(f"{server.root}/chat_tokenize", {"model": model, "messages": list(chat)}), "tokenize_response"
    )


def _number(reply: Any, name: str) -> int | None:
    found = reply.get(name) if isinstance(reply, dict) else None
    return found if isinstance(found, int) and found > 0 else None


def _length(reply: Any, name: str) -> int | None:
    found = reply.get(name) if isinstance(reply, dict) else None
    return len(found) if isinstance(found, list) and found else None
