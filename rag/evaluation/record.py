"""What retrieval and an answer come to, measured against what is wanted, as a run keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rag.evaluation.matching import Level, matches, ranks, targets
from rag.evaluation.predictions import Cited, Found, Prediction
from rag.types import Answer, Example, Hit

SNIPPET = 300  # characters of a hit that a run keeps

LostBy = Callable[[Example], str]


def with_hits(example: Example, hits: Sequence[Hit], lost_by: LostBy | None = None) -> Prediction:
    """A prediction that knows what was retrieved, and at which ranks what is wanted stands."""
    wanted = {level: targets(example.evidence if example.answerable else (), level) for level in Level}
    found = {level.value: tuple(ranks(hits, items, level)) for level, items in wanted.items()}
    lost = bool(found[Level.PASSAGE]) and not any(found[Level.PASSAGE])
    return Prediction(
        example=example,
        hits=tuple(_found(hit, example) for hit in hits),
        ranks=found,
        grades={level.value: tuple(item.grade for item in items) for level, items in wanted.items()},
        lost_by=lost_by(example) if lost and lost_by else "",
    )


def _found(hit: Hit, example: Example) -> Found:
    passage = hit.passage
    right = any(matches(hit, evidence) for evidence in example.evidence)
    text = passage.text if len(passage.text) <= SNIPPET else f"{passage.text[:SNIPPET]}…"
    return Found(passage.document, passage.place, passage.page, passage.start, passage.end, hit.score, text, right)


def cited(answer: Answer, example: Example) -> tuple[Cited, ...]:
    """The citations of an answer, each with the evidence that its passage holds."""
    wanted = targets(example.evidence if example.answerable else (), Level.PASSAGE)
    kept = []
    for citation in answer.citations:
        at = ranks([Hit(citation.passage, 0.0)], wanted, Level.PASSAGE)
        holds = tuple(index for index, rank in enumerate(at) if rank is not None)
        passage = citation.passage
        kept.append(Cited(citation.number, passage.document, passage.place, citation.supported, holds))
    return tuple(kept)
