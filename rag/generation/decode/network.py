"""A Llama taken apart: the same modules that transformers loaded, called in an order of our own.

transformers' forward leaves the GPU waiting for Python between some 1,300 small kernels a token; what it offers
against that, compiling the whole model, compiles 32 equal layers one by one, once for each cache length. Here one
layer is compiled and serves for all, attention stays outside with a kernel of its own, and a whole step is one graph.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rag.generation.decode.attention import cached_attention, prefill_attention

if TYPE_CHECKING:
    from torch import Tensor

    from rag.generation.decode.cache import KeyValueCache

log = logging.getLogger(__name__)

FAMILIES = {"llama", "mistral", "qwen2"}  # model types whose layers are what `project` and `finish` say
FIXED_ROPE = {"default", "linear", "llama3"}  # the others change with the length of the text
VARIANTS = 64  # shapes for which one function may be compiled: widths, batch sizes, and prompts of any length


def unsupported(model: Any) -> str:
    """Why this model cannot be taken apart; empty when it can."""
    config = model.config
    layers = getattr(getattr(model, "model", None), "layers", None)
    if config.model_type not in FAMILIES or layers is None or not hasattr(model, "lm_head"):
        return f"models of type {config.model_type} are not known"
    if "sliding_attention" in (getattr(config, "layer_types", None) or []) or _slides(config):
        return "its attention slides"
    if (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default") not in FIXED_ROPE:
        return "its rotary embedding changes with the length"
    devices = {tensor.device for tensor in model.parameters()}
    if len(devices) != 1 or any(hasattr(module, "_hf_hook") for module in model.modules()):
        return "it is spread over several devices"
    if next(iter(devices)).type not in ("cuda", "cpu"):
        return f"device {next(iter(devices)).type} is not known"
    return ""


def _slides(config: Any) -> bool:
    """Mistral's first version slides over 4,096 tokens in every layer, and says so by a number alone."""
    return config.model_type == "mistral" and getattr(config, "sliding_window", None) is not None


# -------------------------------------------------------------------------------------------- one layer


def project(layer: Any, hidden: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values of a layer, (batch, heads, tokens, head dimension), turned to their positions."""
    attention = layer.self_attn
    shape = (*hidden.shape[:2], -1, attention.head_dim)
    hidden = layer.input_layernorm(hidden)
    query = attention.q_proj(hidden).view(shape).transpose(1, 2)
    key = attention.k_proj(hidden).view(shape).transpose(1, 2)
    value = attention.v_proj(hidden).view(shape).transpose(1, 2)
    return _turned(query, cos, sin), _turned(key, cos, sin), value


def _turned(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    import torch

    half = heads.shape[-1] // 2
    crossed = torch.cat((-heads[..., half:], heads[..., :half]), dim=-1)
    return heads * cos[:, None] + crossed * sin[:, None]


def project_into(
    layer: Any, hidden: Tensor, cos: Tensor, sin: Tensor, keys: Tensor, values: Tensor, rows: Tensor, positions: Tensor
) -> Tensor:
    """Queries; keys and values go to their places in the cache. `rows` is (batch, 1), `positions` (batch, tokens)."""
    query, key, value = project(layer, hidden, cos, sin)
    keys[rows, :, positions] = key.transpose(1, 2)
    values[rows, :, positions] = value.transpose(1, 2)
    return query


def finish(layer: Any, hidden: Tensor, attended: Tensor) -> Tensor:
    """What follows the attention. `attended` is (batch, heads, tokens, head dimension)."""
    attended = attended.transpose(1, 2).reshape(*hidden.shape[:2], -1)
    hidden = hidden + layer.self_attn.o_proj(attended)
    out: Tensor = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
    return out


def predict(norm: Any, head: Any, hidden: Tensor) -> Tensor:
    logits: Tensor = head(norm(hidden))
    return logits


class _Compiled:
    """A function, compiled where that works. Without a compiler for Triton's launchers, say, it runs as it is."""

    def __init__(self, function: Callable[..., Any]) -> None:
        import torch

        self._plain = function
        # Else matrix by vector, which is nearly all of a step for one token, misses the bandwidth.
        options: dict[str, Any] = {"coordinate_descent_tuning": True}
        self._fast: Callable[..., Any] | None = torch.compile(function, fullgraph=True, options=options)

    def __call__(self, *arguments: Any) -> Any:
        import torch

        if self._fast is not None:
            try:
                return self._fast(*arguments)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # a compiler fails in many ways, and none of them should cost the answer
                log.warning("Decoding without torch.compile, more slowly: %s", _first_line(error))
                self._fast = None
        return self._plain(*arguments)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200] if lines else ''}"


# ------------------------------------------------------------------------------------------- all of them


class Network:
    """`prefill` and `step` write to a cache and return logits; both expect to run without gradients."""

    def __init__(self, model: Any, compiled: bool) -> None:
        import torch

        self._body = model.model
        self._head = model.lm_head
        first, size = self._body.layers[0].self_attn, self._body.layers[0].self_attn.head_dim
        self.shape = (len(self._body.layers), int(model.config.num_key_value_heads), int(size))
        self.heads = int(model.config.num_attention_heads)
        self.window = int(getattr(model.config, "max_position_embeddings", 0) or 0)
        self.device = model.device
        self.dtype = self._body.norm.weight.dtype
        weight = getattr(first.q_proj, "weight", None)
        self.quantised = weight is None or type(weight.data) is not torch.Tensor or not weight.is_floating_point()
        self.attend = self._attention()
        self.bounded = self.attend is cached_attention  # it reads all of the cache that it is given
        if compiled:
            torch._dynamo.config.recompile_limit = max(VARIANTS, torch._dynamo.config.recompile_limit)
        maybe: Callable[[Callable[..., Any]], Callable[..., Any]] = _Compiled if compiled else lambda plain: plain
        self._project, self._project_into = maybe(project), maybe(project_into)
        self._finish, self._predict = maybe(finish), maybe(predict)

    def prefill(self, ids: list[int], cache: KeyValueCache, row: int, start: int) -> Tensor:
        """Reads `ids` into a row behind its first `start` tokens; logits (vocabulary,) of what follows them."""
        import torch

        end = start + len(ids)
        positions = torch.arange(start, end, device=self.device)[None]
        hidden = self._body.embed_tokens(torch.tensor([ids], device=self.device))
        cos, sin = self._body.rotary_emb(hidden, position_ids=positions)
        for tensor in (hidden, cos, sin):
            torch._dynamo.maybe_mark_dynamic(tensor, 1)  # one compilation for prompts of any length
        for layer, keys, values in self._layers(cache):
            query, key, value = self._project(layer, hidden, cos, sin)
            keys[row, :, start:end] = key[0]
            values[row, :, start:end] = value[0]
            known = (key, value) if start == 0 else (keys[row, None, :, :end], values[row, None, :, :end])
            attended = prefill_attention(query, *known)
            torch._dynamo.maybe_mark_dynamic(hidden, 1)
            torch._dynamo.maybe_mark_dynamic(attended, 2)
            hidden = self._finish(layer, hidden, attended)
        logits: Tensor = self._predict(self._body.norm, self._head, hidden[:, -1:])[0, 0]
        return logits

    def step(self, tokens: Tensor, positions: Tensor, cache: KeyValueCache, limit: int) -> Tensor:
        """Logits (rows, tokens, vocabulary) after each of a few new tokens (rows, tokens) of each row. Positions of a
        row ascend by one and lie below `limit`; without the kernel, as much of the cache is read."""
        import torch

        rows = torch.arange(cache.rows, device=self.device)[:, None]
        hidden = self._body.embed_tokens(tokens)
        cos, sin = self._body.rotary_emb(hidden, position_ids=positions)
        for layer, keys, values in self._layers(cache):
            query = self._project_into(layer, hidden, cos, sin, keys, values, rows, positions)
            attended = self.attend(query, keys[:, :, :limit], values[:, :, :limit], positions)
            hidden = self._finish(layer, hidden, attended)
        logits: Tensor = self._predict(self._body.norm, self._head, hidden)
        return logits

    def _layers(self, cache: KeyValueCache) -> Iterator[tuple[Any, Tensor, Tensor]]:
        return zip(self._body.layers, cache.keys, cache.values, strict=True)

    def _attention(self) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
        """The kernel where it agrees with torch, else torch."""
        import torch

        size = self.shape[2]
        if self.device.type != "cuda" or size & (size - 1) or size < 16 or self.dtype == torch.float32:
            return cached_attention
        try:
            from rag.generation.decode.kernel import flash_decode  # here, because not every machine has Triton

            _compare(flash_decode, self.heads, self.shape[1], size, self.dtype, self.device)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # as of a compiler, above
            log.warning("Decoding with torch's own attention, more slowly: %s", _first_line(error))
            return cached_attention
        return flash_decode


def _compare(attend: Any, heads: int, of_keys: int, size: int, dtype: Any, device: Any) -> None:
    """Raises ArithmeticError when `attend` differs from `cached_attention`."""
    import torch

    generator = torch.Generator(device).manual_seed(0)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device, dtype=torch.float32).to(dtype)

    for width in (1, 8):
        query, keys, values = noise(2, heads, width, size), noise(2, of_keys, 320, size), noise(2, of_keys, 320, size)
        positions = torch.tensor([[5], [300]], device=device) + torch.arange(width, device=device)
        expected = cached_attention(query, keys, values, positions).float()
        error = float((attend(query, keys, values, positions).float() - expected).abs().max())
        if not error < 0.05:
            raise ArithmeticError(f"the kernel differs from torch by {error}")
