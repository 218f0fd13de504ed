"""Negatives: for each question the passages that keywords or the encoder take for its own, and that are not."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rag.reader.lessons import Lesson
from rag.types import Embedder

if TYPE_CHECKING:
    from rag.types import Vectors

DEPTH = 20  # passages that each of the two looks through
BLOCK = 1024  # questions compared with all passages at once


def mine(lessons: Sequence[Lesson], embedder: Embedder) -> list[tuple[str, ...]]:
    """For each lesson the contexts of its group, best first, that come up for its question without an answer in them.

    None for a question that does not bring up its own context ("What year was it?"): it names nothing that could tell
    a right passage from a wrong one.
    """
    found: list[tuple[str, ...]] = [()] * len(lessons)
    groups: dict[str, list[int]] = defaultdict(list)
    for place, lesson in enumerate(lessons):
        groups[lesson.group].append(place)
    for places in groups.values():
        contexts = list(dict.fromkeys(lessons[place].context for place in places))
        questions = [lessons[place].question for place in places]
        ranked = zip(_keyword(questions, contexts), _dense(questions, contexts, embedder), strict=True)
        for place, (by_keyword, by_meaning) in zip(places, ranked, strict=True):
            found[place] = _negatives(lessons[place], contexts, by_keyword, by_meaning)
    return found


def _negatives(lesson: Lesson, contexts: Sequence[str], *rankings: Sequence[int]) -> tuple[str, ...]:
    merged = dict.fromkeys(contexts[place] for column in zip(*rankings, strict=False) for place in column)
    if lesson.context not in merged:
        return ()
    answers = {lesson.context[start:end].casefold() for start, end in lesson.spans}
    return tuple(c for c in merged if c != lesson.context and not any(a in c.casefold() for a in answers))


def _dense(questions: Sequence[str], contexts: Sequence[str], embedder: Embedder) -> list[list[int]]:
    import numpy as np

    asked, there = embedder.embed_questions(questions), embedder.embed_passages(contexts)
    depth = min(DEPTH, len(contexts))
    ranked: list[list[int]] = []
    for start in range(0, len(asked), BLOCK):
        similarity: Vectors = asked[start : start + BLOCK] @ there.T
        ranked += np.argsort(-similarity, axis=1, kind="stable")[:, :depth].tolist()
    return ranked


def _keyword(questions: Sequence[str], contexts: Sequence[str]) -> list[list[int]]:
    """By BM25."""
    import tantivy

    schema = tantivy.SchemaBuilder()
    schema.add_text_field("text", stored=False, tokenizer_name="en_stem")
    schema.add_integer_field("place", stored=True)
    index = tantivy.Index(schema.build())
    writer = index.writer(num_threads=1)
    for place, context in enumerate(contexts):
        writer.add_document(tantivy.Document(text=context, place=place))
    writer.commit()
    index.reload()
    searcher = index.searcher()
    return [_searched(searcher, index, question) for question in questions]


def _searched(searcher: Any, index: Any, question: str) -> list[int]:
    words = " ".join(re.findall(r"\w+", question.lower()))
    query, _ = index.parse_query_lenient(words, ["text"])
    return [int(searcher.doc(address)["place"][0]) for _, address in searcher.search(query, DEPTH).hits]
