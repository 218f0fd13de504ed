"""What programs see: stable names, and nothing that JSON cannot say."""

from __future__ import annotations

import json

from rag.shapes import answer_shape
from rag.types import Answer, Citation, Hit, Passage, Span

NOTICE = Passage("handbook.pdf", "file:///h.pdf", "Handbook", "", "p. 2", 2, 100, 120, "It is three months. ")


def test_an_answer_with_where_it_stands() -> None:
    answer = Answer(
        question="How long?",
        text="It is three months. [1]",
        abstained=False,
        model="scribe",
        citations=(Citation(1, NOTICE, True),),
        hits=(Hit(NOTICE, 0.5),),
        offered=1,
        confidence=0.75,
        spans=(Span(1, 6, 18),),
    )
    shape = json.loads(json.dumps(answer_shape(answer)))
    assert shape["confidence"] == 0.75
    assert shape["spans"] == [{"number": 1, "start": 6, "end": 18, "text": "three months"}]
    assert shape["citations"][0] == {
        "number": 1,
        "document": "handbook.pdf",
        "page": 2,
        "place": "p. 2",
        "text": NOTICE.text,
        "supported": True,
        "origin": "private",
        "article": None,
    }
    assert (shape["hits"][0]["rank"], shape["hits"][0]["start"], shape["hits"][0]["end"]) == (1, 100, 120)
