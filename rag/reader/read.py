"""Reading: for a question, which words of each passage answer it, whether any do, and which passage is about it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from rag.encoder.checkpoint import Checkpoint
from rag.encoder.engine import BATCH_TOKENS, Engine, batches, padded, stepped
from rag.encoder.tokens import TextTokenizer
from rag.errors import ModelError
from rag.reader.weights import Fit, Weights
from rag.types import Extract, Passage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Logits = NDArray[np.float32]

QUESTION_TOKENS = 64
LONGEST_ANSWER = 30  # tokens


@dataclass(frozen=True, slots=True)
class Row:
    """A question with a passage. `offsets` are the places, in characters, of the passage's own tokens, the first of
    which is at `text_start`."""

    ids: list[int]
    question: int  # its tokens, special ones included
    text_start: int
    offsets: list[tuple[int, int]]


class Runs(Protocol):
    """A model over batches of (ids, kinds, mask), as `graph` describes them."""

    def run(self, batches: Iterable[tuple[list[int], list[Any]]]) -> Iterator[tuple[list[int], list[Any]]]: ...


class Reader:
    """May be shared between threads; they take turns. Raises ModelError for weights of another encoder."""

    def __init__(self, encoder: Checkpoint, weights: Weights, device: str = "cpu") -> None:
        if weights.encoder != encoder.sha256:
            raise ModelError(
                f"{weights.path} was trained on another encoder than {encoder.folder} (SHA-256 {weights.encoder[:12]}… "
                f"against {encoder.sha256[:12]}…). Train a reader on this one, or set RAG_RERANK=late."
            )
        self._encoder = encoder
        self._weights = weights
        self._device = device
        self._lock = threading.Lock()

    @property
    def fit(self) -> Fit:
        return self._weights.fit

    def read(self, question: str, passages: Sequence[Passage]) -> list[Extract]:
        """What each passage says to the question, in their order."""
        with self._lock:
            rows = self._rows(question, passages)
            found: list[Extract | None] = [None] * len(rows)
            for places, (spans, heads) in self._engine.run(self._batches(rows)):
                for place, span, head in zip(places, spans, heads, strict=True):
                    found[place] = _extract(passages[place].text, rows[place], span, head)
        return [extract for extract in found if extract is not None]

    def _rows(self, question: str, passages: Sequence[Passage]) -> list[Row]:
        tokens = self._tokenizer
        (asked, _), *encoded = tokens.placed([question, *_heads(passages), *(p.text for p in passages)])
        above, texts = encoded[: len(passages)], encoded[len(passages) :]
        head = [*tokens.lead, *asked[:QUESTION_TOKENS], *tokens.tail]
        rows = []
        for (title, _), (ids, offsets) in zip(above, texts, strict=True):
            start = len(head) + len(title)
            room = self._encoder.config["max_position_embeddings"] - start - len(tokens.tail)
            rows.append(Row([*head, *title, *ids[:room], *tokens.tail], len(head), start, offsets[:room]))
        return rows

    def _batches(self, rows: Sequence[Row]) -> Iterator[tuple[list[int], list[Any]]]:
        import numpy as np

        most = self._encoder.config["max_position_embeddings"]
        widths = [min(stepped(len(row.ids)), most) for row in rows]
        for batch in batches(widths, BATCH_TOKENS):
            ids, mask = padded([rows[place].ids for place in batch], widths[batch[0]])
            kinds = np.zeros_like(ids)
            for number, place in enumerate(batch):
                kinds[number, rows[place].question : len(rows[place].ids)] = 1
            yield batch, [ids, kinds, mask]

    @cached_property
    def _tokenizer(self) -> TextTokenizer:
        return TextTokenizer(self._encoder)

    @cached_property
    def _engine(self) -> Runs:
        if self._device != "cpu":
            from rag.reader.network import TorchEngine

            return TorchEngine(self._encoder, self._weights, self._device)
        from rag.reader.graph import graph

        try:
            return Engine(graph(self._encoder, self._weights))
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{self._weights.path} does not fit its encoder ({error}). Get it again.") from error


def _heads(passages: Sequence[Passage]) -> list[str]:
    """What stands above each passage's text."""
    return [passage.headed.removesuffix(passage.text) for passage in passages]


def _extract(text: str, row: Row, span: Logits, head: Logits) -> Extract:
    import numpy as np

    own = span[row.text_start : row.text_start + len(row.offsets)].astype(np.float32)
    if not len(own):
        return Extract(0, 0, 0.0, float(head[0]), float(head[1]))
    first, last, score = best_span(own[:, 0], own[:, 1])
    likely = score - float(np.logaddexp.reduce(own[:, 0]) + np.logaddexp.reduce(own[:, 1]))
    start, end = whole_words(text, row.offsets[first][0], row.offsets[last][1])
    return Extract(start, end, likely, float(head[0]), float(head[1]))


def best_span(starts: Logits, ends: Logits, longest: int = LONGEST_ANSWER) -> tuple[int, int, float]:
    """The first and last token, at most `longest` of them, with the largest sum of logits, and that sum."""
    import numpy as np

    length = min(longest, len(starts))
    beyond = np.full(length - 1, -np.inf, np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(np.concatenate([ends, beyond]), length)
    sums = starts[:, None] + windows
    first, further = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(first), int(first + further), float(sums[first, further])


def whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    """Widened to the words that it begins and ends in: a word may be several tokens."""
    while start > 0 and text[start].isalnum() and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and text[end - 1].isalnum() and text[end].isalnum():
        end += 1
    return start, end
