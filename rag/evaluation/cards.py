"""Questions as cards of a report: unfolded, each shows what was expected beside what was answered and retrieved."""

from __future__ import annotations

from rag.evaluation.matching import Level
from rag.evaluation.metrics import reciprocal_rank
from rag.evaluation.page import Html, join, tag
from rag.evaluation.predictions import Found, Prediction
from rag.evaluation.scores import correctness, is_graded

SHOWN = 5  # hits of a question
LONGEST = 400  # characters of a quotation


def goodness(prediction: Prediction) -> tuple[float, float]:
    """Correctness of the answer, then how high the evidence stands; 1 for what was not to be done."""
    right = correctness(prediction) if is_graded(prediction) else 1.0
    ranks = prediction.ranks.get(Level.PASSAGE, ())
    return right, reciprocal_rank(ranks) if ranks else 1.0


def sureness(prediction: Prediction) -> float:
    """How sure the system was: the writer's confidence, or the best passage's score where there is none."""
    if prediction.confidence is not None:
        return prediction.confidence
    return prediction.hits[0].score if prediction.hits else 0.0


def question_card(prediction: Prediction) -> Html:
    """A question that unfolds to what was expected, beside what was answered and retrieved."""
    example = prediction.example
    expected = [tag("p", " or ".join(example.answers) or ("—" if example.answerable else "no answer in the documents"))]
    for evidence in example.evidence:
        place = f"{evidence.document}{f', p. {evidence.page}' if evidence.page else ''}"
        expected.append(quote(place, evidence.text, "right"))
    found = got(prediction, SHOWN)
    body = tag("div", tag("div", tag("h3", "Expected"), *expected), tag("div", tag("h3", "Got"), *found))
    return tag("details", tag("summary", example.question, tag("small", fate(prediction))), body)


def got(prediction: Prediction, most: int) -> list[Html]:
    """What was answered, the first hits, and the first right one further down; right ones are marked."""
    answered = [] if prediction.answer is None else [_answer(prediction)]
    ranked = list(enumerate(prediction.hits, 1))
    further = [] if any(hit.right for hit in prediction.hits[:most]) else [it for it in ranked[most:] if it[1].right]
    return answered + [_hit(rank, hit) for rank, hit in ranked[:most] + further[:1]]


def quote(head: str, text: str, kind: str) -> Html:
    cut = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return tag("div", tag("small", head, class_="soft"), tag("br"), tag("small", cut), class_=f"quote {kind}")


def _hit(rank: int, hit: Found) -> Html:
    place = f", {hit.place}" if hit.place else ""
    head = f"{'✓ ' if hit.right else ''}{rank}. {hit.document}{place} ({hit.score:.3f})"
    return quote(head, hit.text, "right" if hit.right else "wrong")


def _answer(prediction: Prediction) -> Html:
    if prediction.error:
        return tag("p", f"Failed: {prediction.error}", class_="bad")
    if prediction.abstained:
        return tag("p", "Refused.", class_="good" if not prediction.example.answerable else "bad")
    lines = (prediction.answer or "").split("\n")
    kind = ("good" if correctness(prediction) else "bad") if is_graded(prediction) else None
    return tag("p", lines[0], *(join([tag("br"), line]) for line in lines[1:]), class_=kind)


def fate(prediction: Prediction) -> str:
    """Where the evidence stands, or what lost it, and how sure the system was."""
    ranks = [rank for rank in prediction.ranks.get(Level.PASSAGE, ()) if rank is not None]
    parts = [f"evidence first at {min(ranks)}"] if ranks else []
    if not ranks and prediction.ranks.get(Level.PASSAGE):
        parts.append(f"evidence not among the first {len(prediction.hits)}")
    if prediction.lost_by:
        parts.append(f"lost by {prediction.lost_by}")
    if prediction.confidence is not None:
        parts.append(f"confidence {prediction.confidence:.3f}")
    return " · ".join([*parts, prediction.example.id])
