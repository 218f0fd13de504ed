"""The reader as a torch module: an encoder's layers with three heads over (question, passage).

Devlin et al. 2019 (arXiv 1810.04805), section 4.2, for the span; the other two heads read the [CLS] vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rag.encoder.checkpoint import Checkpoint
from rag.encoder.quiet import quieten
from rag.reader.weights import Weights
from rag.training.state import learned

FROZEN = "embeddings.word_embeddings."  # taken from the encoder that is installed: neither trained nor shipped


@dataclass(frozen=True, slots=True)
class Batch:
    """`ids`, `kinds` (n, length) and `mask`, True for tokens; `words`, True where a span may lie. `starts` and `ends`
    (n) are token places, -100 without an answer; `answers` (n) is 1.0 where the answer is there; of the rows `better`
    and `worse` the former are more relevant."""

    ids: Tensor
    kinds: Tensor
    mask: Tensor
    words: Tensor
    starts: Tensor
    ends: Tensor
    answers: Tensor
    better: Tensor
    worse: Tensor


class ReaderNetwork(nn.Module):
    def __init__(self, encoder: nn.Module, hidden_size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.span = nn.Linear(hidden_size, 2)
        self.answer = nn.Linear(hidden_size, 1)
        self.relevance = nn.Linear(hidden_size, 1)

    @classmethod
    def from_encoder(cls, folder: Path, seed: int = 0) -> ReaderNetwork:
        """A network that has not learned yet, on the encoder in `folder`; its heads are drawn from `seed`."""
        quieten()
        from transformers import AutoModel

        encoder = AutoModel.from_pretrained(
            folder, attn_implementation="eager", local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        torch.manual_seed(seed)
        network = cls(encoder, encoder.config.hidden_size)
        encoder.pooler = None
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0  # two epochs do not overfit, and a resumed training needs no random state
        for layer in encoder.encoder.layer:
            layer.attention.self.dropout_prob = 0.0
            layer.attention.self.attention_dropout = 0.0
        for name, parameter in network.encoder.named_parameters():
            parameter.requires_grad = not name.startswith(FROZEN)
        return network

    def forward(self, ids: Tensor, kinds: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits: spans (n, length, 2), answer (n), relevance (n)."""
        states = self.encoder(input_ids=ids, token_type_ids=kinds, attention_mask=mask).last_hidden_state
        first = states[:, 0]
        return self.span(states), self.answer(first).squeeze(-1), self.relevance(first).squeeze(-1)


def losses(network: Any, batch: Batch) -> dict[str, Tensor]:
    """The three parts of the loss, each a mean: cross entropy of start and end over the passage's words, of the answer
    being there, and of the more relevant passage winning its pair (RankNet, Burges et al. 2005)."""
    spans, answer, relevance = network(batch.ids, batch.kinds, batch.mask)
    logits = spans.float().masked_fill(~batch.words.unsqueeze(-1), -1e4)
    placed = [
        functional.cross_entropy(logits[..., column], places, ignore_index=-100, reduction="sum")
        for column, places in enumerate((batch.starts, batch.ends))
    ]
    margin = relevance.float()[batch.better] - relevance.float()[batch.worse]
    return {
        "span": (placed[0] + placed[1]) / (2 * (batch.starts >= 0).sum().clamp(min=1)),
        "answer": functional.binary_cross_entropy_with_logits(answer.float(), batch.answers),
        "relevance": functional.softplus(-margin).sum() / max(1, len(margin)),
    }


class TorchEngine:
    """The network on a GPU, in half precision. Satisfies `rag.reader.read.Runs`."""

    def __init__(self, encoder: Checkpoint, weights: Weights, device: str) -> None:
        bf16 = not device.startswith("cuda") or torch.cuda.is_bf16_supported()
        self._dtype = torch.bfloat16 if bf16 else torch.float16
        self._device = device
        network = ReaderNetwork.from_encoder(encoder.transformer)
        load(network, weights)
        self._network = network.to(device, self._dtype).eval()

    def run(self, batches: Iterable[tuple[list[int], list[Any]]]) -> Iterator[tuple[list[int], list[Any]]]:
        with torch.inference_mode():
            for places, (ids, kinds, mask) in batches:
                inputs = [torch.from_numpy(array).to(self._device) for array in (ids, kinds, mask[:, 0, 0] == 0)]
                spans, answer, relevance = self._network(*inputs)
                yield places, [spans.float().cpu().numpy(), torch.stack([answer, relevance], 1).float().cpu().numpy()]


def exported(network: ReaderNetwork) -> dict[str, Any]:
    """What is shipped, as numpy arrays by name: all that was trained."""
    return {name.removeprefix("encoder."): p.detach().float().cpu().numpy() for name, p in learned(network)}


def load(network: ReaderNetwork, weights: Weights) -> None:
    """Puts a reader's weights into a network on the same encoder."""
    with torch.no_grad():
        for name, parameter in learned(network):
            tensor = weights.tensor(name.removeprefix("encoder.")).astype("float32")
            parameter.copy_(torch.from_numpy(tensor))
