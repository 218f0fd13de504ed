"""A chat model in one GGUF file, by llama.cpp: for machines without a GPU. The file holds its own precision.

llama.cpp keeps the last prompt's keys and values, so a prompt that begins like the one before it (the instructions
always do) is read from where the two part.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any

from rag.errors import ModelError, UsageError
from rag.generation.fetch import Tell, files_of, ignore
from rag.generation.formats import Format, rendered, until_turn
from rag.generation.models import Model
from rag.generation.options import Options, Precision
from rag.generation.prompt import require_room
from rag.types import Message

CONTEXT = 8192  # tokens at most: the cache is allocated whole, and a processor reads no longer prompt in good time


class GgufGenerator:
    """Raises ModelError, with what to do, when llama.cpp or the model is missing or damaged; UsageError for options
    that a GGUF file cannot have."""

    def __init__(self, model: Model, options: Options | None = None, tell: Tell = ignore) -> None:
        options = options or Options()
        _refuse(model, options)
        try:
            import llama_cpp
        except ImportError as error:
            raise ModelError(
                f"{model.name} is a GGUF file, which needs llama.cpp: pip install 'beluga-rag[gguf]' (it is compiled "
                "then, which takes minutes and a C++ compiler)."
            ) from error
        path = files_of(model, tell)
        self._spec, self._sampling = model, options.sampling
        window = min(model.window or CONTEXT, CONTEXT)
        tell(f"Loading {model.name} by llama.cpp with a window of {window:,} tokens.")
        try:
            self._llama = llama_cpp.Llama(str(path), n_ctx=window, n_gpu_layers=-1, verbose=False)
        except (ValueError, OSError) as error:
            raise ModelError(
                f"{path} cannot be loaded: {error}. Nothing was changed. Fetch it again, or leave --model out."
            ) from error
        self._window = min(window, self._trained_on())
        template = self._llama.metadata.get("tokenizer.chat_template")
        self._template = _template(template) if template else _no_template
        own = Format.CHAT_TEMPLATE if template else Format.STABLE_BELUGA
        self._format = options.format or model.format or own
        if self._format is Format.CHAT_TEMPLATE and template is None:
            raise UsageError(f"{model.name} has no chat template. Set RAG_FORMAT to its own format.")
        self._controls, self._ends = _special(self._llama)

    @property
    def name(self) -> str:
        return self._spec.name

    @property
    def window(self) -> int:
        return self._window

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        return len(self._encode(messages))

    def stream(self, messages: Sequence[Message], max_new_tokens: int) -> Iterator[str]:
        """Raises UsageError when prompt and answer would not fit the window together."""
        prompt = self._encode(messages)
        require_room(self, len(prompt), max_new_tokens)
        return self._text(prompt, max_new_tokens)

    def _text(self, prompt: list[int], max_new_tokens: int) -> Iterator[str]:
        with closing(self._decoded(prompt, max_new_tokens)) as pieces:
            yield from until_turn(pieces, self._format)

    def _decoded(self, prompt: list[int], max_new_tokens: int) -> Generator[str, None, None]:
        """Text as soon as it is final: a character of several tokens waits for its last one."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        begun = False
        with closing(self._tokens(prompt, max_new_tokens)) as tokens:
            for token in tokens:
                piece = decoder.decode(self._llama.detokenize([token]))
                if text := piece if begun else piece.lstrip():  # a first word carries the space before it
                    begun = True
                    yield text

    def _tokens(self, prompt: list[int], max_new_tokens: int) -> Generator[int, None, None]:
        how: dict[str, Any] = {"temp": 0.0}
        if self._sampling is not None:
            self._llama.set_seed(self._sampling.seed)
            how = {"temp": self._sampling.temperature, "top_p": self._sampling.top_p, "top_k": 0, "min_p": 0.0}
        with closing(self._llama.generate(prompt, **how)) as tokens:
            for _, token in zip(range(max_new_tokens), tokens, strict=False):
                if token in self._ends:
                    return
                yield token

    def _encode(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the prompt. Control tokens come from the format alone, never from a message's text."""
        turns = [Message(turn.role, self._harmless(turn.content)) for turn in messages]
        is_template = self._format is Format.CHAT_TEMPLATE
        text = self._template(turns) if is_template else rendered(self._format, turns)
        has_controls = is_template or self._format.has_control_tokens
        return list(self._llama.tokenize(text.encode("utf-8", "replace"), special=has_controls))

    def _harmless(self, text: str) -> str:
        for token in self._controls:
            text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def _trained_on(self) -> int:
        kind = self._llama.metadata.get("general.architecture", "")
        return int(self._llama.metadata.get(f"{kind}.context_length", CONTEXT))


def _refuse(model: Model, options: Options) -> None:
    if options.precision is not Precision.AUTO:
        raise UsageError(f"{model.name} is a GGUF file and holds its own precision; leave --precision out.")
    if options.adapter:
        raise UsageError(f"{model.name} is a GGUF file, which takes no LoRA adapter of peft; leave --adapter out.")


Render = Callable[[Sequence[Message]], str]


def _no_template(_: Sequence[Message]) -> str:
    raise AssertionError("a format was chosen instead")


def _template(source: str) -> Render:
    """Messages to text by a chat template, which is foreign code: it runs in jinja2's sandbox, as in transformers."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    compiled = environment.from_string(source)

    def render(turns: Sequence[Message]) -> str:
        chat = [{"role": turn.role, "content": turn.content} for turn in turns]
        return compiled.render(messages=chat, add_generation_prompt=True, bos_token="", eos_token="")

    def render_any(turns: Sequence[Message]) -> str:
        try:
            return render(turns)
        except TemplateError:  # as of models that know no system turn: its text opens the user's then
            system, first, *rest = turns
            return render([Message(first.role, f"{system.content}\n\n{first.content}"), *rest])

    return render_any


def _special(llama: Any) -> tuple[list[str], set[int]]:
    """Texts that the tokenizer would take for control tokens, shortest first, and the tokens that end an answer."""
    import llama_cpp

    vocabulary = llama_cpp.llama_model_get_vocab(llama.model)
    flags = llama_cpp.LLAMA_TOKEN_ATTR_CONTROL | llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED
    flags |= llama_cpp.LLAMA_TOKEN_ATTR_UNKNOWN
    controls, ends = [], set()
    for token in range(llama.n_vocab()):
        if llama_cpp.llama_vocab_is_eog(vocabulary, token):
            ends.add(token)
        if llama_cpp.llama_vocab_get_attr(vocabulary, token) & flags:
            controls.append(llama_cpp.llama_vocab_get_text(vocabulary, token).decode("utf-8", "replace"))
    return sorted((c for c in controls if len(c) > 1 and not c.isspace() and not c.isalnum()), key=len), ends
