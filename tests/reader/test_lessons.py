"""Questions to learn from, as files hold them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rag.errors import UsageError
from rag.reader.lessons import load

CONTEXT = "Acme was founded in 1910 by Ada Smith. It makes pumps."


def written(folder: Path, *rows: Any) -> Path:
    path = folder / "lessons.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_squads_rows(tmp_path: Path) -> None:
    start = CONTEXT.index("Ada")
    row = {"question": " Who  founded Acme?", "context": CONTEXT, "title": "Acme_(company)"}
    path = written(tmp_path, {**row, "answers": [{"text": " Ada Smith", "start": start - 1}]})
    [lesson] = load([path]).lessons
    assert lesson.question == "Who founded Acme?"
    assert lesson.title == "Acme (company)"
    assert [CONTEXT[a:b] for a, b in lesson.spans] == ["Ada Smith"]


def test_squads_rows_as_the_hubs_datasets_have_them(tmp_path: Path) -> None:
    start = CONTEXT.index("Ada")
    row = {"question": "Who founded Acme?", "context": CONTEXT}
    tables = [{"text": ["Ada Smith"], "answer_start": [start]}, {"text": [], "answer_start": []}]
    lists = [[{"text": "Ada Smith", "answer_start": start}]]
    found = load([written(tmp_path, *({**row, "answers": answers} for answers in tables + lists))])
    assert [lesson.spans for lesson in found.lessons] == [((start, start + 9),), (), ((start, start + 9),)]


def test_a_row_whose_answers_do_not_stand_where_they_are_said_to_is_no_unanswerable_one(tmp_path: Path) -> None:
    right, wrong = {"text": "1910", "start": 20}, {"text": "Ada Smith", "start": 0}
    rows = [{"question": "Who?", "context": CONTEXT, "answers": answers} for answers in ([right, wrong], [wrong], [])]
    found = load([written(tmp_path, *rows)])
    assert [lesson.spans for lesson in found.lessons] == [((20, 24),), ()]
    assert [problem.partition(": ")[2] for problem in found.problems] == [
        "no answer stands in the context where it is said to"
    ]


def test_rows_of_a_question_set(tmp_path: Path) -> None:
    evidence = [{"document": "acme.pdf", "page": 1, "text": CONTEXT}, {"document": "other.pdf", "text": "Nothing."}]
    answered = {"id": "1", "question": "When?", "answers": ["1910"], "answerable": True, "evidence": evidence}
    refused = {"id": "2", "question": "Where?", "answers": [], "answerable": False, "evidence": evidence[:1]}
    lessons = load([written(tmp_path, answered, refused)]).lessons
    assert [(each.question, each.spans) for each in lessons] == [("When?", ((20, 24),)), ("Where?", ())]


def test_a_bad_row_is_told_with_its_line_and_skipped(tmp_path: Path) -> None:
    good = {"question": "When?", "context": CONTEXT, "answers": [{"text": "1910", "start": 20}]}
    path = written(tmp_path, good, "{not json", {"context": CONTEXT, "answers": []}, '"text"', {**good, "question": ""})
    found = load([path])
    assert len(found.lessons) == 1
    assert [problem.split(": ")[0] for problem in found.problems] == [f"{path}:{line}" for line in (2, 3, 4, 5)]
    assert "'question' is missing" in found.problems[1]


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No question to learn from.*lessons\.jsonl:1"):
        load([written(tmp_path, "nonsense")])
    with pytest.raises(UsageError, match=r"missing\.jsonl cannot be read: No such file or directory\. Nothing"):
        load([tmp_path / "missing.jsonl"])
