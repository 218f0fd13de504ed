"""Question → Answer: all of retrieval-augmented generation in one short file.

retrieve hits, let the writer write over those that it has room for, check every citation against its passage.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Generator, Sequence
from contextlib import closing

from rag.errors import UsageError
from rag.generation.check import Alike, check
from rag.types import Answer, Exchange, Hit, Retriever, Rewriter, Writer, Writing, Written

MAX_QUESTION = 4_000  # characters
DEFAULT_HITS = 8

# What ECMA-48 has a terminal act on: control sequences (colours), strings (a window's title), and short escapes.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[#-/]?[0-Z\\^-~]"
)


class Asker:
    """`rewriter` makes follow-ups stand alone before anything is searched for; without one, they are asked as they are.
    `alike` helps to recognise a paraphrase (see rag.generation.check)."""

    def __init__(
        self, retriever: Retriever, writer: Writer, rewriter: Rewriter | None = None, alike: Alike | None = None
    ) -> None:
        self._retriever = retriever
        self._writer = writer
        self._rewriter = rewriter
        self._alike = alike

    def ask(self, question: str, k: int = DEFAULT_HITS, history: Sequence[Exchange] = ()) -> Answer:
        """Raises UsageError for a question that is empty or too long, and what retriever and writer raise."""
        pieces = self.stream(question, k, history)
        while True:
            try:
                next(pieces)
            except StopIteration as end:
                answer: Answer = end.value
                return answer

    def understand(self, question: str, history: Sequence[Exchange]) -> str:
        """The question in words that stand alone: what is searched for, and may be shown before that takes place."""
        question = clean_question(question)
        if not history or self._rewriter is None:
            return question
        return clean_question(self._rewriter.rewrite(question, history)[:MAX_QUESTION])

    def stream(
        self, question: str, k: int = DEFAULT_HITS, history: Sequence[Exchange] = (), understood: str = ""
    ) -> Generator[str, None, Answer]:
        """Yields the text as it is written and returns the Answer (`answer = yield from ...`). `understood` is what
        `understand` has returned, where that was asked for before.

        The Answer's text can differ from what was streamed: markers that were never offered are gone from it, and
        others set right. Closing the generator stops the writer.
        """
        question = clean_question(question)
        watch = _Stopwatch()
        asked = understood or self.understand(question, history)
        if history:
            watch.lap("understand")
        hits = tuple(self._retriever.retrieve(asked, k))
        offered, recalled = self._fitted(asked, hits, history)
        watch.lap("retrieve")
        text, written = "", Written()
        if offered:
            told = (recalled,) if recalled else ()
            text, written = yield from _heard(self._writer.write(asked, offered, *told), watch)
            offered = offered[: written.used]  # None: all of them
        watch.lap("write")
        abstained = not text
        if abstained:
            text = _refusal(hits, offered)
            yield text
        passages = [] if abstained else [hit.passage for hit in offered]
        checked = check(text, passages, self._alike, repair=not written.verbatim)
        watch.lap("check")
        return Answer(
            question=question,
            text=text if abstained else checked.text,
            abstained=abstained,
            model=self._writer.name,
            citations=checked.citations,
            hits=tuple(hits),
            offered=len(offered),
            unsupported=() if abstained else checked.unsupported,
            repaired=checked.repaired,
            dropped_markers=checked.dropped_markers,
            confidence=written.confidence,
            spans=() if abstained else written.spans,
            notes=written.notes,
            understood=asked,
            forgotten=len(history) - len(recalled),
            prompt=written.prompt,
            timings=watch.seconds,
        )

    def _fitted(
        self, question: str, hits: Sequence[Hit], history: Sequence[Exchange]
    ) -> tuple[list[Hit], list[Exchange]]:
        """The hits and the exchanges that the writer has room for together; a passage goes before all history."""
        recalled = self._writer.recall(question, history) if history else []
        if hits and recalled and (offered := self._writer.fit(question, hits, recalled)):
            return offered, recalled
        return (self._writer.fit(question, hits) if hits else []), []


def _heard(writing: Writing, watch: _Stopwatch) -> Generator[str, None, tuple[str, Written]]:
    """Yields the pieces of a text, and returns it whole, with what its writer knows of it."""
    pieces: list[str] = []
    with closing(writing):
        while True:
            try:
                piece = next(writing)
            except StopIteration as end:
                return "".join(pieces).strip(), end.value
            if not pieces:
                watch.note("first_token")
            pieces.append(piece)
            yield piece


def clean_question(question: str) -> str:
    """The question on one line, without terminal escapes, control characters and lone surrogates.

    Raises UsageError when nothing that could be asked is left, or more than `MAX_QUESTION` characters are.
    """
    visible = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in _ESCAPES.sub("", question))
    question = " ".join(visible.split())
    if not any(unicodedata.category(c)[0] in "LNS" for c in question):
        raise UsageError("Please type a question.")
    if len(question) > MAX_QUESTION:
        raise UsageError(f"Question is {len(question):,} characters; the limit is {MAX_QUESTION:,}.")
    return question


def _refusal(hits: Sequence[Hit], offered: Sequence[Hit]) -> str:
    """Why there is no answer: nothing was found, nothing fitted, or what was found does not say."""
    if not hits:
        return "Nothing was found for this question: there are no documents to look in, or none that match."
    if not offered:
        return f"{len(hits)} passages were found, but none fits into the model's window beside this question."
    places: dict[str, list[str]] = {}
    for hit in offered:
        places.setdefault(hit.passage.document, []).append(hit.passage.place)
    looked_at = "; ".join(_with_places(document, found) for document, found in places.items())
    passages = "the best passage" if len(offered) == 1 else f"the {len(offered)} best passages"
    return f"The documents do not say. Looked at {passages}, none of which answers the question: {looked_at}."


def _with_places(document: str, places: Sequence[str]) -> str:
    known = [place for place in dict.fromkeys(places) if place]
    return f"{document} ({', '.join(known)})" if known else document


class _Stopwatch:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()

    def note(self, stage: str) -> None:
        self.seconds[stage] = time.perf_counter() - self._start

    def lap(self, stage: str) -> None:
        self.note(stage)
        self._start = time.perf_counter()
