from __future__ import annotations

import pytest

from rag.errors import UsageError
from rag.sources.globs import compile_globs


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        ("*.pdf", ["a.pdf", "x/y/B.PDF"], ["a.pdf.txt", "pdf"]),
        ("reports/*.pdf", ["reports/a.pdf"], ["reports/2023/a.pdf", "x/reports/a.pdf"]),
        ("reports/**", ["reports/a.pdf", "reports/2023/a.pdf"], ["reports", "other/a.pdf"]),
        ("**/2023/*", ["2023/a", "x/2023/a", "x/y/2023/a"], ["x/2023/y/a"]),
        ("a/**/b.txt", ["a/b.txt", "a/x/y/b.txt"], ["b.txt", "a/x/c.txt"]),
        ("draft?.[tm]*", ["draft1.txt", "x/draft2.md"], ["draft10.txt", "draft1.pdf"]),
        ("[!a]*", ["b.txt"], ["a.txt"]),
        ("drafts/", ["drafts", "x/drafts"], ["drafts/a"]),
        ("a+b (1).txt", ["a+b (1).txt"], ["aab (1).txt"]),
        ("é*", ["été.txt"], ["ete.txt"]),
    ],
)
def test_globs(glob: str, matching: list[str], others: list[str]) -> None:
    matches = compile_globs([glob])
    assert [path for path in matching + others if matches(path)] == matching


def test_one_of_several_is_enough_and_nonsense_is_refused() -> None:
    matches = compile_globs(["*.md", "*.txt"])
    assert matches("a.md")
    assert matches("a.txt")
    assert not matches("a.pdf")
    with pytest.raises(UsageError, match=r"\[z-a\]"):
        compile_globs(["[z-a]"])
