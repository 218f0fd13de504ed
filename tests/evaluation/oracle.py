"""An asker that answers by heart, four questions for it, and a clock that stands still."""

from __future__ import annotations

from collections.abc import Sequence

from rag.errors import ModelError
from rag.types import Answer, Citation, Evidence, Example, Hit, Passage


def hit(page: int, score: float, document: str = "a.pdf", text: str = "Some text.") -> Hit:
    return Hit(Passage(document, "", "", "", f"p. {page}", page, 0, len(text), text), score)


HITS = (hit(1, 0.9), hit(3, 0.8), hit(4, 0.7), hit(1, 0.6, "b.pdf"))
EXAMPLES = [
    Example("right", "What does an ant cost?", ("1 euro",), True, (Evidence("a.pdf", 3, "Ant 1 euro"),)),
    Example("wrong", "What does a bee cost?", ("2 euros",), True, (Evidence("b.pdf", 1), Evidence("b.pdf", 9))),
    Example("refused", "What does a cow cost?", ("3 euros",), True, (Evidence("c.pdf", 1),)),
    Example("unanswerable", "What does a dog cost?", (), False),
]


class Oracle:
    """Answers by heart; `fails` are questions it raises an error for."""

    def __init__(self, fails: Sequence[str] = ()) -> None:
        self.asked: list[str] = []
        self.fails = set(fails)

    def ask(self, question: str) -> Answer:
        self.asked.append(question)
        if question in self.fails:
            raise ModelError(f"no memory for {question}")
        cited = Citation(2, HITS[1].passage, True)
        text = "The ant is 1 euro [2]." if "ant" in question else "It is 7 euros [1]."
        citations = (cited,) if "ant" in question else (Citation(1, HITS[0].passage, False),)
        if "cow" in question:
            return Answer(question, "The documents do not say.", True, "oracle", (), HITS, 4, timings={"write": 0.5})
        return Answer(question, text, False, "oracle", citations, HITS, 4, timings={"retrieve": 0.25, "write": 0.5})


def one_second() -> float:
    return 1.0
