"""A prediction → its scores, and how right and how sure it was. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rag.evaluation import metrics
from rag.evaluation.catalogue import KS, NDCG_K, PREFIX
from rag.evaluation.numbers import numeric_match
from rag.evaluation.predictions import Prediction
from rag.generation.sentences import MARKER


def cutoffs(predictions: Sequence[Prediction]) -> tuple[int, ...]:
    """The k that figures are given for: the usual ones, as deep as was retrieved, and that depth itself."""
    depth = depth_of(predictions)
    return (*(k for k in KS if k < depth), depth)


def depth_of(predictions: Sequence[Prediction]) -> int:
    return max((len(p.hits) for p in predictions), default=0) or 1


def scores(prediction: Prediction, ks: Sequence[int]) -> dict[str, float]:
    """Metric → score of one question. What is not defined for it is not there."""
    found = dict(_ranked(prediction, ks))
    if prediction.answer is not None:
        found |= _answered(prediction)
        found |= _cited(prediction)
    return found


def is_graded(prediction: Prediction) -> bool:
    """Whether an answer was to be written, and something is known of what would be right."""
    return prediction.answer is not None and bool(prediction.example.answers or not prediction.example.answerable)


def correctness(prediction: Prediction) -> float:
    """1 when the question was put right: refused where it has no answer; else as the judge says, or, without a
    judgement, when a gold answer is contained or its numbers are given."""
    example = prediction.example
    if not example.answerable:
        return float(prediction.abstained)
    if not prediction.answered:
        return 0.0
    if prediction.verdict is not None:
        return float(prediction.verdict)
    text = plain_answer(prediction)
    numbers = numeric_match(text, example.answers, example.question) or 0.0
    return max(metrics.containment(text, example.answers), numbers)


def plain_answer(prediction: Prediction) -> str:
    """What is compared with gold answers: the answer without its markers, nothing for a refusal."""
    return " ".join(MARKER.sub(" ", prediction.answer or "").split()) if prediction.answered else ""


def wrong_and_confidence(predictions: Sequence[Prediction]) -> tuple[list[float], list[float], list[float]]:
    """For the risk-coverage curve: how wrong each question's answer is, how sure the system was (refusals come last:
    they would be wrong if they had to be answered), and the score of its best passage. That score is also how sure
    the system is whose writer never says."""
    wrong = [0.0 if p.answered and correctness(p) else 1.0 for p in predictions]
    best = [p.hits[0].score if p.hits else None for p in predictions]
    says = any(p.confidence is not None for p in predictions)
    sure = [p.confidence if says else score for p, score in zip(predictions, best, strict=True)]
    answered = [value if p.answered else None for p, value in zip(predictions, sure, strict=True)]
    return wrong, _with_last(answered), _with_last(best)


def _with_last(values: Sequence[float | None]) -> list[float]:
    return [-float("inf") if value is None else value for value in values]


def _ranked(prediction: Prediction, ks: Sequence[int]) -> Iterator[tuple[str, float]]:
    for level, prefix in PREFIX.items():
        ranks, grades = prediction.ranks.get(level, ()), prediction.grades.get(level, ())
        if not ranks:
            continue
        for k in ks:
            yield f"{prefix}hit@{k}", metrics.hit_at(ranks, k)
            yield f"{prefix}recall@{k}", metrics.recall_at(ranks, k)
        yield f"{prefix}mrr", metrics.reciprocal_rank(ranks)
        yield f"{prefix}ndcg@{NDCG_K}", metrics.ndcg_at(ranks, grades, NDCG_K)


def _answered(prediction: Prediction) -> dict[str, float]:
    example, text, correct = prediction.example, plain_answer(prediction), correctness(prediction)
    if not example.answerable:
        refused = float(prediction.abstained)
        wrongly = float(prediction.answered)
        return {"accuracy": correct, "unanswerable_answered": wrongly, "exact_match_all": refused, "f1_all": refused}
    found = {"answerable_refused": float(prediction.abstained)}
    if example.answers:
        found |= {
            "correct": correct,
            "accuracy": correct,
            "containment": metrics.containment(text, example.answers),
            "exact_match": metrics.exact_match(text, example.answers),
            "f1": metrics.token_f1(text, example.answers),
            "rouge_l": metrics.rouge_l(text, example.answers),
        }
        if prediction.spans:
            found["span_exact_match"] = metrics.exact_match(prediction.spans[0], example.answers)
            found["span_f1"] = metrics.token_f1(prediction.spans[0], example.answers)
        found["exact_match_all"], found["f1_all"] = found["exact_match"], found["f1"]
        if (numbers := numeric_match(text, example.answers, example.question)) is not None:
            found["numeric_match"] = numbers
        if prediction.verdict is not None:
            found["judged_correct"] = float(prediction.verdict)
    return found


def _cited(prediction: Prediction) -> dict[str, float]:
    found: dict[str, float] = {}
    wanted = len(prediction.ranks.get("passage", ()))
    if prediction.cited:
        found["citation_support"] = metrics.citation_support([cited.supported for cited in prediction.cited])
    if wanted and prediction.answered:
        found["citation_recall"] = metrics.citation_recall([cited.holds for cited in prediction.cited], wanted)
        if prediction.cited:
            found["citation_precision"] = metrics.citation_precision([cited.holds for cited in prediction.cited])
    return found
