"""What leaves the history: pages to keep, JSON for programs, and questions that `rag eval` reads."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rag.evaluation.questions import BadRow, read_questions
from rag.history.export import as_json, literal, markdown, questions
from rag.history.store import Conversation, Thumb, Turn, Verdict
from rag.types import Answer, Article, Citation, Evidence, Example, Hit, Passage, Span

THEN = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
TALK = Conversation("abc", "papers", "How long is the notice?", THEN, THEN, 1, 1)
NOTICE = Passage(
    "hand_book.pdf", "file:///h.pdf", "Handbook", "Leaving", "p. 2", 2, 0, 20, "It is three months.\nNot two."
)
ARTICLE = Article("en", 1, 2, "2026-01-01T00:00:00Z", "https://en.wikipedia.org/w?oldid=2", "CC BY-SA 4.0")
TURING = Passage("Alan Turing", "wiki:1", "Alan Turing", "", "Early life", None, 0, 9, "Born 1912.", ARTICLE)


def answered(question: str = "How long is the notice?", understood: str = "") -> Answer:
    return Answer(
        question=question,
        text="It is three months. [1] He was born in 1912. [2]",
        abstained=False,
        model="scribe",
        citations=(Citation(1, NOTICE, True), Citation(2, TURING, False)),
        hits=(Hit(NOTICE, 0.5), Hit(TURING, 0.25)),
        offered=2,
        spans=(Span(1, 6, 18),),
        understood=understood or question,
    )


def turn(answer: Answer, thumb: Thumb | None = None, note: str = "", expected: str = "", number: int = 1) -> Turn:
    return Turn(number, THEN, answer, thumb and Verdict(thumb, note, expected))


def read_back(lines: str, folder: Path) -> list[Example]:
    (folder / "judged.jsonl").write_text(lines, encoding="utf-8")
    bad: list[BadRow] = []
    examples = list(read_questions(folder / "judged.jsonl", bad.append))
    assert not bad
    return examples


def test_a_good_answer_becomes_a_question_with_its_answer_and_evidence(tmp_path: Path) -> None:
    follow_up = answered("And for managers?", "How long is the notice for managers?")
    (example,) = read_back(questions([turn(answered()), turn(follow_up, Thumb.UP, "Great")]), tmp_path)
    assert example.question == "How long is the notice for managers?"  # stands alone
    assert example.answers == ("three months", "It is three months. He was born in 1912.")
    assert example.answerable
    assert example.evidence == (Evidence("hand_book.pdf", 2, "It is three months.\nNot two."),)


def test_refusals_and_bad_answers(tmp_path: Path) -> None:
    refused = Answer("Who is the king?", "The documents do not say.", True, "scribe")
    rows = {
        "right to refuse": turn(replace(refused, question="A?"), Thumb.UP),
        "should not have refused": turn(replace(refused, question="B?"), Thumb.DOWN),
        "the person knows better": turn(replace(refused, question="C?"), Thumb.DOWN, "p. 9", "Charles"),
        "wrong": turn(answered("D?"), Thumb.DOWN, "No!"),
    }
    examples = read_back(questions(rows.values()), tmp_path)
    assert [(e.question, e.answers, e.answerable, e.evidence) for e in examples] == [
        ("A?", (), False, ()),
        ("B?", (), True, ()),
        ("C?", ("Charles",), True, ()),
        ("D?", (), True, ()),
    ]
    assert [json.loads(line)["note"] for line in questions(rows.values()).splitlines()] == ["", "", "p. 9", "No!"]


def test_of_a_question_judged_twice_the_last_verdict_holds(tmp_path: Path) -> None:
    (example,) = read_back(questions([turn(answered(), Thumb.DOWN), turn(answered(), Thumb.UP)]), tmp_path)
    assert example.answers[0] == "three months"
    assert read_back(questions([turn(answered())]), tmp_path) == []


def test_json_holds_what_is_shown() -> None:
    shape = json.loads(as_json(TALK, [turn(answered(), Thumb.DOWN, "No!", "Two"), turn(answered(), number=2)]))
    assert (shape["title"], shape["collection"], shape["began"]) == (TALK.title, "papers", "2026-05-04T09:30:00+00:00")
    first, second = shape["turns"]
    assert (first["question"], first["answer"]) == (answered().question, answered().text)
    assert (first["thumb"], first["note"], first["expected"]) == ("down", "No!", "Two")
    assert (second["number"], second["thumb"]) == (2, None)
    assert first["citations"][1]["article"]["link"] == ARTICLE.link


def test_markdown_shows_question_answer_and_sources() -> None:
    page = markdown(TALK, [turn(answered("1. And for *managers*?", "Notice for managers?"), Thumb.DOWN, "No!", "Two")])
    assert page.splitlines() == [
        "# How long is the notice?",
        "",
        "Collection papers, 2026-05-04 09:30 UTC.",
        "",
        "## 1\\. And for \\*managers\\*?",
        "",
        "*Understood as: Notice for managers?*",
        "",
        "It is three months. \\[1\\] He was born in 1912. \\[2\\]",
        "",
        "\\[1\\] hand\\_book.pdf, p. 2 \\[private\\]",
        "",
        "> It is three months.",
        "> Not two.",
        "",
        "\\[2\\] Alan Turing, Early life \\[wikipedia\\] <https://en.wikipedia.org/w?oldid=2>"
        " (Wikipedia contributors, CC BY-SA 4.0)",
        "",
        "> Born 1912.",
        "",
        "Judged: down. No!",
        "",
        "Expected: Two",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("![x](https://evil.example/a.png)", r"!\[x\](https\://evil.example/a.png)"),
        ("<img src=//evil.example>", r"\<img src=//evil.example\>"),
        ("[x]: https://evil.example", r"\[x\]: https\://evil.example"),
        ("see www.evil.example or a@evil.example", r"see www\.evil.example or a\@evil.example"),
        ("# no heading\n---\n- no list", r"\# no heading --- - no list"),
        ("- no list", r"\- no list"),
        ("12) no list", r"12\) no list"),
        ("3.5 % of 1,000", r"3\.5 % of 1,000"),
        ("=== no heading", r"\=== no heading"),
        ("a | b `c` $d$ ~~e~~ &amp; \\", r"a \| b \`c\` \$d\$ \~\~e\~\~ \&amp; \\"),
        ("\x1b[31mred\u202e\x00", r"\[31mred"),
    ],
)
def test_foreign_text_is_shown_as_it_stands(text: str, shown: str) -> None:
    assert literal(text) == shown


def test_only_a_plain_link_of_an_article_is_one() -> None:
    odd = replace(TURING, article=replace(ARTICLE, link="https://evil.example/> <script>"))
    page = markdown(TALK, [turn(replace(answered(), citations=(Citation(1, odd, True),)))])
    assert "<" not in page.replace(r"\<", "")
