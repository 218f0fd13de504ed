"""What people should know about an answer beside its text, a line each. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from rag.generation.injection import orders
from rag.types import Answer


def notes(answer: Answer) -> Iterator[str]:
    yield from answer.notes
    for sentence in answer.repaired:
        yield f"Its citation was set right: {sentence}"
    for sentence in answer.unsupported:
        yield f"Not borne out by its source: {sentence}"
    for citation in answer.citations:
        if orders(citation.passage.text):
            yield f"[{citation.number}] holds instructions to an assistant, which were treated as text."
    if 0 < answer.offered < len(answer.hits):
        yield f"{answer.offered} of {len(answer.hits)} passages were read; the others had no room, or were not needed."
    if answer.forgotten:
        times = "exchange was" if answer.forgotten == 1 else f"{answer.forgotten} exchanges were"
        yield f"The earliest {times} left out of the prompt, for lack of room."
