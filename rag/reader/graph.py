"""The reader as an OpenVINO graph: the encoder's layers with the reader's own weights, and its heads."""

from __future__ import annotations

from typing import Any

from rag.encoder.bert import Layers, tensors
from rag.encoder.checkpoint import Checkpoint
from rag.encoder.quiet import unheard
from rag.reader.weights import WORDS, Weights


def graph(encoder: Checkpoint, weights: Weights) -> Any:
    """An openvino.Model: token ids and kinds (0 question, 1 passage), int32 (n, length), and a mask, float32 (n, 1, 1,
    length), to logits of the span's start and end, float32 (n, length, 2), and of answer and relevance, (n, 2)."""
    unheard()
    from openvino import Model, PartialShape, Type
    from openvino import opset13 as op

    words = tensors(encoder)
    layers = Layers(encoder.config, lambda name: (words if name == WORDS else weights.tensor)(name))
    ids = op.parameter(PartialShape([-1, -1]), Type.i32, name="ids")
    kinds = op.parameter(PartialShape([-1, -1]), Type.i32, name="kinds")
    mask = op.parameter(PartialShape([-1, 1, 1, -1]), Type.f32, name="mask")
    states = layers.encode(layers.embed(ids, kinds), mask)
    first = op.gather(states, op.constant(0), op.constant(1))
    heads = op.concat([layers.linear(first, "answer"), layers.linear(first, "relevance")], 1)
    return Model([op.result(layers.linear(states, "span")), op.result(heads)], [ids, kinds, mask], "reader")
