"""Answers without a language model, by an embedder that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rag.generation.check import check, normal
from rag.generation.extractive import ALONE, PASSAGES, SENTENCES, ExtractiveWriter, Judgement
from rag.generation.terms import terms
from rag.types import Article, Fingerprint, Hit, Passage, Written


class WordEmbedder:
    """A text is the set of its content words, hashed to 512 axes: the cosine is the overlap of words."""

    fingerprint = Fingerprint("words", "1", 512, "sum", True, "", "", 512, "none")

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.zeros((len(texts), 512), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in terms(text).all:
                row[sum(ord(c) * 31**i for i, c in enumerate(word)) % 512] = 1
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)

    embed_questions = embed_passages


def hit(text: str, document: str = "handbook.pdf", heading: str = "") -> Hit:
    return Hit(Passage(document, f"file:///{document}", "Handbook", heading, "p. 1", 1, 0, len(text), text), 1.0)


HITS = [
    hit("Lunch is served at noon. The canteen closes at two."),
    hit("Notice periods\nThe notice period for managers is three\nmonths. Leave is 28 days."),
    hit("Prices in euros\nModel Price Weight\nAlpha 20 1,577\nBeta 30 2,100", "prices.pdf"),
]


def answer(question: str, hits: Sequence[Hit]) -> str:
    return written(question, hits)[0]


def written(question: str, hits: Sequence[Hit], judgement: Judgement = ALONE) -> tuple[str, Written]:
    writing, pieces = ExtractiveWriter(WordEmbedder(), judgement).write(question, hits), []
    while True:
        try:
            pieces.append(next(writing))
        except StopIteration as end:
            return "".join(pieces), end.value


def test_quotes_the_sentence_that_answers() -> None:
    assert answer("What is the notice period for managers?", HITS) == (
        "The notice period for managers is three months. [2]"
    )


def test_quotes_a_table_row_behind_its_head() -> None:
    assert answer("What is the price of model Alpha?", HITS).splitlines()[0] == (
        "Prices in euros Model Price Weight … Alpha 20 1,577 [3]"
    )


@pytest.mark.parametrize("question", ["Who founded Microsoft?", "zzz", "?", "What is the capital of Peru?"])
def test_abstains_when_nothing_answers(question: str) -> None:
    assert answer(question, HITS) == ""


def test_abstains_over_passages_without_a_sentence() -> None:
    assert answer("What is the notice period?", [hit(""), hit("Notice period")]) == ""


def test_never_quotes_the_same_sentence_twice() -> None:
    twice = [
        hit("The notice period for managers is three months."),
        hit("The notice period for managers is three months."),
    ]
    assert answer("What is the notice period for managers?", twice).count("three months") == 1


def test_fit_takes_the_leading_hits() -> None:
    many = [hit(f"Sentence {n}.") for n in range(PASSAGES + 5)]
    assert ExtractiveWriter(WordEmbedder()).fit("?", many) == many[:PASSAGES]


def test_scores_best_evidence_first() -> None:
    scored = ExtractiveWriter(WordEmbedder()).score("What is the notice period for managers?", HITS)
    assert scored[0].candidate.quote == "The notice period for managers is three months."
    assert [s.evidence for s in scored] == sorted((s.evidence for s in scored), reverse=True)
    assert all(0 < s.probability < 1 for s in scored)
    assert len(scored) == 6  # two sentences, two sentences, two rows


def test_says_how_sure_it_is_and_where_the_answer_stands() -> None:
    _, knows = written("What is the notice period for managers?", HITS)
    [span] = knows.spans
    assert (span.number, HITS[1].passage.text[span.start : span.end]) == (
        2,
        "The notice period for managers is three\nmonths.",
    )
    [cell] = written("What is the price of model Beta?", HITS)[1].spans
    assert HITS[cell.number - 1].passage.text[cell.start : cell.end] == "Beta 30 2,100"
    [number] = written("How many months is the notice period for managers?", HITS)[1].spans
    assert HITS[1].passage.text[number.start : number.end] == "three"
    _, unsure = written("Who founded Microsoft?", HITS)
    assert unsure.spans == ()
    assert 0 <= (unsure.confidence or 0) < ALONE.threshold <= (knows.confidence or 0) <= 1


def test_another_row_is_not_quoted_beside_the_right_one() -> None:
    assert answer("What is the price of model Alpha?", HITS).count("\n") == 0


@given(st.lists(st.text(alphabet="ab. A1\n|[]", max_size=80), max_size=4), st.text(alphabet="abA1 ?", max_size=30))
def test_every_quotation_stands_in_the_passage_that_it_cites(texts: list[str], question: str) -> None:
    hits = [hit(text) for text in texts]
    text, knows = written(question, hits, replace(ALONE, threshold=0))
    lines = text.splitlines()
    assert len(knows.spans) == len(lines)
    for span in knows.spans:
        assert hits[span.number - 1].passage.text[span.start : span.end].strip()
    assert len(lines) <= SENTENCES
    for line in lines:
        quote, _, number = line.removesuffix("]").rpartition(" [")
        evidence = normal(hits[int(number) - 1].passage.text)
        assert all(piece in evidence for piece in quote.split(" … "))
    assert all(citation.supported for citation in check(text, [h.passage for h in hits]).citations)


def test_private_documents_are_quoted_before_wikipedia_where_both_answer() -> None:
    article = Article(
        "en", 1, 2, "2026-01-01T00:00:00Z", "https://en.wikipedia.org/w/index.php?oldid=2", "CC BY-SA 4.0"
    )
    known = hit("The notice period for managers is two months, as everybody knows.", "Notice")
    known = replace(known, passage=replace(known.passage, article=article))
    own = hit("For managers the notice period is three months.")
    text = "".join(ExtractiveWriter(WordEmbedder()).write("How long is the notice period for managers?", [known, own]))
    assert text.split("\n") == [
        "For managers the notice period is three months. [2]",
        "The notice period for managers is two months, as everybody knows. [1]",
    ]
