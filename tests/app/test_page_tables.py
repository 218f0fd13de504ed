"""Rows of tables, worked out without a page."""

from __future__ import annotations

from dataclasses import replace

from tab import HITS, hit

from app.tables import hit_rows, model_rows, stage_rows, summary, timing_rows
from rag.evaluation.explain import Stage
from rag.generation.models import MODELS
from rag.shapes import model_shape
from rag.types import Answer, Citation, Extract

ANSWER = Answer(
    "?",
    "Beta costs 20. [1]",
    abstained=False,
    model="scribe",
    citations=(Citation(1, HITS[0].passage, supported=True),),
    hits=(replace(HITS[0], extract=Extract(0, 1, -1.0, 0.0, 1.0)), HITS[1], hit("More", "more.txt", 3, 0.1)),
    offered=2,
    confidence=0.5,
    timings={"retrieve": 0.25, "write": 1.5, "first_token": 0.5, "check": 0.25},
)


def test_what_became_of_each_passage() -> None:
    rows = hit_rows(ANSWER)
    assert [row["What became of it"] for row in rows] == ["cited", "read, not cited", "dropped: no room, or not needed"]
    assert [row["Answers"] for row in rows] == ["50%", None, None]
    assert [row["Score"] for row in rows] == [0.9, 0.4, 0.1]
    assert rows[0]["Text"] == "Alpha costs 10 euros. Beta costs 20 euros, and Gamma 30."


def test_who_wrote_and_how_long_it_took() -> None:
    assert summary(ANSWER) == "Written by scribe, in 2.00 s. Held to be answerable with a probability of 50%."
    assert [tuple(row.values()) for row in timing_rows(ANSWER)] == [
        ("Finding passages", "0.250"),
        ("Writing the answer", "1.500"),
        ("Checking every citation", "0.250"),
        ("Until the first word, of writing", "0.500"),
    ]


def test_the_way_of_a_passage_through_the_searches() -> None:
    first, second = HITS
    third = hit("More", "more.txt", 3)
    through = [
        Stage("dense", [second, first], 50),
        Stage("keyword", [first], 50),
        Stage("fused", [first, second, third], 2),
    ]
    rows = stage_rows(through, 2)
    assert [(row["Document"], row["By meaning"], row["By words"], row["Both"]) for row in rows] == [
        ("prices.txt", 2, 1, 1),
        ("halls.txt", 1, None, 2),
        ("more.txt", None, None, 3),
    ]
    assert [row["What became of it"] for row in rows] == ["passed on", "passed on", "dropped: 2 are read"]


def test_models_with_what_they_need() -> None:
    (row,) = model_rows([{**model_shape(MODELS["beluga-7b"]), "path": None}])
    assert (row["Model"], row["Parameters"], row["Here"], row["Commercial use"]) == ("beluga-7b", "6.7 B", "no", "no")
    assert (row["bf16"], row["As stored"]) == ("16.4", "")
