"""Conversations as Markdown and JSON to keep, and what was judged as a question set for `rag eval`. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rag.generation.sentences import MARKER
from rag.history.store import Conversation, Thumb, Turn
from rag.notes import notes
from rag.shapes import answer_shape
from rag.types import Answer, Citation


def as_json(conversation: Conversation, turns: Sequence[Turn]) -> str:
    whole = {
        "id": conversation.id,
        "title": conversation.title,
        "collection": conversation.collection,
        "began": conversation.began.isoformat(),
        "updated": conversation.updated.isoformat(),
        "turns": [_turn(turn) for turn in turns],
    }
    return json.dumps(whole, ensure_ascii=False, indent=2) + "\n"


def _turn(turn: Turn) -> dict[str, Any]:
    verdict = turn.verdict
    return {
        "number": turn.number,
        "asked": turn.asked.isoformat(),
        **answer_shape(turn.answer),
        "thumb": verdict.thumb if verdict else None,
        "note": verdict.note if verdict else "",
        "expected": verdict.expected if verdict else "",
    }


# ----------------------------------------------------------------------------------------------- Markdown


def markdown(conversation: Conversation, turns: Sequence[Turn]) -> str:
    """For people. What was asked, answered and cited stands as text: none of it becomes an image, HTML or a link, but
    for articles' own."""
    lines = [f"# {literal(conversation.title)}", ""]
    lines += [f"Collection {literal(conversation.collection)}, {conversation.began:%Y-%m-%d %H:%M} UTC.", ""]
    for turn in turns:
        lines += [*_section(turn), ""]
    return "\n".join(lines)


def _section(turn: Turn) -> Iterator[str]:
    answer = turn.answer
    yield f"## {literal(answer.question)}"
    yield ""
    if answer.understood not in ("", answer.question):
        yield f"*Understood as: {literal(answer.understood)}*"
        yield ""
    yield from (literal(line) for line in answer.text.splitlines())
    for citation in answer.citations:
        yield ""
        yield from _source(citation)
    for note in notes(answer):
        yield ""
        yield f"*{literal(note)}*"
    if verdict := turn.verdict:
        yield ""
        yield f"Judged: {verdict.thumb}. {literal(verdict.note)}".rstrip()
        if verdict.expected:
            yield ""
            yield f"Expected: {literal(verdict.expected)}"


def _source(citation: Citation) -> Iterator[str]:
    passage = citation.passage
    place = f", {passage.place}" if passage.place else ""
    source = literal(f"[{citation.number}] {passage.document}{place} [{passage.origin}]")
    if article := passage.article:
        source += f" {_link(article.link)} ({literal(article.attribution)})"
    yield source
    yield ""
    for line in passage.text.strip().splitlines():
        yield f"> {literal(line)}".rstrip()


# What CommonMark and its common extensions (tables, strikethrough, formulas) take for their own within a line, what
# they do so at its beginning, and what they make links of unasked.
_WITHIN = re.compile(r"([\\`*_\[\]<>&|~$#])")
_LEADING = re.compile(r"([+=-]|(?<=\d)[.)])")
_NUMBERED = re.compile(r"\d{1,9}")
_LINKED = re.compile(r"(:(?=//)|@|(?<=www)\.)", re.IGNORECASE)
_PERMANENT = re.compile(r"https://[\w.-]+/[\w./?=&%~:,()+-]*")


def literal(text: str) -> str:
    """Text as Markdown that shows it as it stands, on one line, and can still be read as it is written."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    escaped = _LINKED.sub(r"\\\1", _WITHIN.sub(r"\\\1", line))
    number = _NUMBERED.match(escaped)
    begin = _LEADING.match(escaped, number.end() if number else 0)
    return f"{escaped[: begin.start()]}\\{escaped[begin.start() :]}" if begin else escaped


def _link(url: str) -> str:
    return f"<{url}>" if _PERMANENT.fullmatch(url) else literal(url)


# --------------------------------------------------------------------------------------------- evaluation


def questions(turns: Iterable[Turn]) -> str:
    """The judged turns as the lines that `rag eval` reads. Of a question that was judged again, the last verdict holds.

    A good answer is right, and its citations are the evidence; a good refusal means that there is no answer. Of a bad
    one, only what the person expected is known: without that, it is a question with nothing to measure answers by.
    """
    latest = {turn.answer.understood or turn.answer.question: turn for turn in turns if turn.verdict}
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in map(_example, latest.values()))


def _example(turn: Turn) -> dict[str, Any]:
    answer, verdict = turn.answer, turn.verdict
    assert verdict is not None
    good = verdict.thumb is Thumb.UP
    question = answer.understood or answer.question
    expected = [verdict.expected] if verdict.expected else _answers(answer) if good else []
    return {
        "id": f"judged-{hashlib.sha256(question.encode('utf-8', 'replace')).hexdigest()[:12]}",
        "question": question,
        "answers": expected,
        "answerable": bool(expected) or not (good and answer.abstained),
        "evidence": [_evidence(citation) for citation in answer.citations if good and citation.supported],
        "thumb": verdict.thumb,
        "note": verdict.note,
    }


def _answers(answer: Answer) -> list[str]:
    """The words that answer, where they stand in one stretch, and the whole text."""
    if answer.abstained:
        return []
    spans = [answer.hits[span.number - 1].passage.text[span.start : span.end] for span in answer.spans]
    whole = " ".join(MARKER.sub(" ", answer.text).split())
    return list(dict.fromkeys([*(spans if len(spans) == 1 else []), whole]))


def _evidence(citation: Citation) -> dict[str, Any]:
    passage = citation.passage
    return {"document": passage.document, "page": passage.page, "text": passage.text.strip()}
