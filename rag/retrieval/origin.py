"""Private documents before Wikipedia's articles, where both have something to say.

Which is better known is decided by retrieval, which source is to be believed by people: their own documents come
first as soon as they come near the best. Nothing is hidden, and places are kept for the other kind.
"""

from __future__ import annotations

from rag.types import Hit, Origin, Retriever

DEPTH = 50  # hits looked through: a private passage that is not among them answers nothing
MARGIN = 0.15  # of the best score: a private passage this near it may answer as well
KEPT = 4  # of so many places, one at least stays with Wikipedia, if it had one


class PrivateFirst:
    """A Retriever that reorders the hits of another: private ones near the best first, the others in their order."""

    def __init__(self, inner: Retriever) -> None:
        self._inner = inner

    def retrieve(self, question: str, k: int) -> list[Hit]:
        hits = self._inner.retrieve(question, max(k, DEPTH))
        if not hits:
            return hits
        enough = hits[0].score - MARGIN * abs(hits[0].score)
        near = [hit for hit in hits if hit.passage.origin is Origin.PRIVATE and hit.score >= enough]
        others = [hit for hit in hits if hit not in near]
        foreign = sum(hit.passage.origin is Origin.WIKIPEDIA for hit in hits[:k])
        first = near[: max(1, k - min(foreign, k // KEPT))]
        return _falling([*first, *others])[:k]


def _falling(hits: list[Hit]) -> list[Hit]:
    """The same order under scores that say so: higher is better, always."""
    score = hits[0].score if hits else 0.0
    top = max((hit.score for hit in hits), default=score)
    lowered: list[Hit] = []
    for hit in hits:
        top = min(top, hit.score) if lowered else top
        lowered.append(Hit(hit.passage, top))
    return lowered
