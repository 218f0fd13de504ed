"""The JSON shapes that programs see, of `--json` and of whatever else answers in JSON: their names are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rag.notes import notes

PRECISIONS = ("bf16", "int8", "int4", "nf4")  # that a model's needs are told for

if TYPE_CHECKING:
    from rag.generation.models import Model
    from rag.types import Answer, Citation, Hit, Passage, Span, SyncReport


def sync_shape(report: SyncReport) -> dict[str, Any]:
    return {**asdict(report), "files": [file.as_json() for file in report.files]}


def hits_shape(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    return [{"rank": rank, **_hit(hit)} for rank, hit in enumerate(hits, 1)]


def answer_shape(answer: Answer) -> dict[str, Any]:
    return {
        "question": answer.question,
        "understood": answer.understood,
        "answer": answer.text,
        "abstained": answer.abstained,
        "confidence": answer.confidence,
        "model": answer.model,
        "citations": [_citation(citation) for citation in answer.citations],
        "spans": [_span(span, answer.hits[span.number - 1].passage) for span in answer.spans],
        "hits": hits_shape(answer.hits),
        "offered": answer.offered,
        "unsupported": list(answer.unsupported),
        "repaired": list(answer.repaired),
        "dropped_markers": list(answer.dropped_markers),
        "forgotten": answer.forgotten,
        "notes": list(notes(answer)),
        "timings": {stage: round(seconds, 4) for stage, seconds in answer.timings.items()},
    }


def _hit(hit: Hit) -> dict[str, Any]:
    passage = hit.passage
    return {
        "score": round(hit.score, 6),
        "document": passage.document,
        "uri": passage.uri,
        "title": passage.title,
        "place": passage.place,
        "page": passage.page,
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
        **_origin(passage),
    }


def _span(span: Span, passage: Passage) -> dict[str, Any]:
    return {**asdict(span), "text": passage.text[span.start : span.end]}


def _citation(citation: Citation) -> dict[str, Any]:
    passage = citation.passage
    return {
        "number": citation.number,
        "document": passage.document,
        "page": passage.page,
        "place": passage.place,
        "text": passage.text,
        "supported": citation.supported,
        **_origin(citation.passage),
    }


def _origin(passage: Passage) -> dict[str, Any]:
    """Which kind of knowledge it is, and what an article has to be cited by."""
    article = passage.article
    return {
        "origin": passage.origin,
        "article": {**asdict(article), "attribution": article.attribution} if article else None,
    }


def model_shape(model: Model) -> dict[str, Any]:
    """A chat model of the table. Memory is in bytes, with one conversation's cache; a GGUF file has one precision."""
    from rag.generation.cache import known_commit, present
    from rag.generation.options import Precision
    from rag.generation.precision import WORKSPACE, need

    assert model.shape is not None, "every model of the table has its shape"
    here = present(model)
    memory: dict[str, int] = {p.value: need(model.shape, p, model.window) for p in Precision if p.value in PRECISIONS}
    if model.is_gguf:
        memory = {"as stored": model.bytes + model.shape.cache_bytes(4096) + WORKSPACE}
    return {
        "name": model.name,
        "source": model.source,
        "revision": known_commit(model),
        "parameters": model.shape.parameters,
        "memory": memory,
        "window": model.window,
        "licence": model.licence,
        "commercial": model.commercial,
        "path": str(here) if here else None,
    }
