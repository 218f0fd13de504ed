"""Private documents before Wikipedia's articles, where both have something to say.

Which is better known is decided by retrieval, which source is to be believed by people: their own documents come
first as soon as they come near the best, or a reader found that they answer. Nothing is hidden, and places are kept for
the other kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rag.types import Hit, Origin, Retriever

DEPTH = 50  # hits looked through: a private passage that is not among them answers nothing
MARGIN = 0.25  # of the way from the best score to the middle one: a private passage this near may answer as well
KEPT = 4  # of so many places, one at least stays with Wikipedia, if it had one


class PrivateFirst:
    """A Retriever that reorders the hits of another: private ones that may answer first, the others in their order."""

    def __init__(self, inner: Retriever) -> None:
        self._inner = inner

    def retrieve(self, question: str, k: int) -> list[Hit]:
        hits = self._inner.retrieve(question, max(k, DEPTH))
        near = _near(hits)
        foreign = sum(hit.passage.origin is Origin.WIKIPEDIA for hit in hits[:k])
        first = near[: max(1, k - min(foreign, k // KEPT))]
        taken = {id(hit) for hit in first}
        return _falling([*first, *(hit for hit in hits if id(hit) not in taken)])[:k]


def _near(hits: Sequence[Hit]) -> list[Hit]:
    """The private ones that come near the best, or that answer as it does."""
    if not hits:
        return []
    best, middle = hits[0], hits[len(hits) // 2]
    enough = best.score - MARGIN * (best.score - middle.score)
    return [
        hit
        for hit in hits
        if hit.passage.origin is Origin.PRIVATE
        and (hit.score >= enough or (hit.extract is not None and hit.extract.answers > 0))
    ]


def _falling(hits: Sequence[Hit]) -> list[Hit]:
    """The same order under scores that say so: higher is better, always."""
    top = max((hit.score for hit in hits), default=0.0)
    lowered: list[Hit] = []
    for number, hit in enumerate(hits):
        top = min(top, hit.score) if number else top
        lowered.append(replace(hit, score=top))
    return lowered
