"""Words and vectors by themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag.index.vectors import EXACT, VectorIndex
from rag.index.words import WordIndex

TEXTS = ["The cat sat on the mat", "A dog chases cats", "Zürich has trams; trams are blue"]


@pytest.fixture
def words() -> WordIndex:
    index = WordIndex()
    index.update((i, i % 2, text) for i, text in enumerate(TEXTS))
    return index


def test_words_match_by_stem_and_without_accents(words: WordIndex) -> None:
    assert {i for i, _ in words.search("cats", 9)} == {0, 1}
    assert [i for i, _ in words.search("zurich tram", 9)] == [2]
    assert words.search("unheard-of", 9) == []


def test_bm25_is_the_textbook_formula(words: WordIndex) -> None:
    """Robertson and Zaragoza, The Probabilistic Relevance Framework (2009), k1 = 1.2, b = 0.75, with Lucene's idf."""
    ((_, score),) = words.search("trams", 9)
    lengths = [6, 4, 6]
    idf = np.log(1 + (3 - 1 + 0.5) / (1 + 0.5))
    expected = idf * 2 * 2.2 / (2 + 1.2 * (1 - 0.75 + 0.75 * 6 / np.mean(lengths)))
    assert score == pytest.approx(expected, rel=1e-5)


@pytest.mark.fault(23)
@pytest.mark.parametrize(
    "question",
    [
        "",
        " ",
        '"',
        "a AND",
        "NOT",
        "title:x",
        "(",
        "a*",
        "C++ -x",
        "O'Neil",
        "[a TO b]",
        "\\",
        "^2",
        "\0",
        "🙂",
        "+-&&||!",
    ],
)
def test_no_question_is_syntax(words: WordIndex, question: str) -> None:
    assert isinstance(words.search(question, 5), list)


def test_words_removed_and_added_in_one_commit(words: WordIndex, tmp_path: Path) -> None:
    words.update([(7, 7, "a new cat")], remove=[0])
    assert {i for i, _ in words.search("cat", 9)} == {1, 7}
    on_disk = WordIndex(tmp_path)
    on_disk.update([(1, 1, "persistent words")])
    assert WordIndex(tmp_path).search("persistent", 1)[0][0] == 1


def test_words_among_documents_keep_their_scores(words: WordIndex) -> None:
    everywhere = dict(words.search("cat", 9))
    assert words.search("cat", 9, documents=[1]) == [(1, everywhere[1])]
    assert words.search("cat", 9, documents=[]) == []


def vectors(count: int, dimension: int = 8) -> np.ndarray:
    made = np.random.default_rng(0).normal(size=(count, dimension))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)


def indexed(ids: np.ndarray, stored: np.ndarray) -> VectorIndex:
    index = VectorIndex.empty(EXACT, stored.shape[1])
    index.add(ids, stored)
    return index


@pytest.mark.fault(24)
def test_vectors_agree_with_exact_search() -> None:
    ids, stored = np.arange(100, 150), vectors(50)
    index = indexed(ids, stored)
    for query in vectors(5):
        scores = stored @ query
        expected = [ids[i] for i in np.argsort(-scores)[:7]]
        found = index.search(query, 7)
        assert [i for i, _ in found] == expected
        assert [s for _, s in found] == pytest.approx(sorted(scores, reverse=True)[:7], abs=1e-5)
        assert {i for i, _ in index.search(query, 9, only=[101, 149])} == {101, 149}
        assert len(index.search(query, 999)) == 50
        assert index.search(query, 3, only=[]) == []


@pytest.mark.fault(24)
def test_vectors_survive_a_file_and_refuse_what_is_not_finite(tmp_path: Path) -> None:
    path = indexed(np.asarray([5, 6]), vectors(2)).save(tmp_path)
    assert VectorIndex.load(path).search(vectors(2)[1], 1)[0][0] == 6
    with pytest.raises(ValueError, match="finite"):
        indexed(np.asarray([1]), np.full((1, 8), np.nan, dtype=np.float32))
