"""A tab at a page, without a browser: a small collection, and answers that can be worked out by hand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from rag.answer import Asker
from rag.types import Exchange, Hit, Passage, Writing, Written

MAIN = str(Path(__file__).parents[2] / "app" / "main.py")

PRICES = "Alpha costs 10 euros.\nBeta costs 20 euros, and Gamma 30."
STORAGE = "Beta is stored in hall 4."


def hit(text: str, document: str, page: int, score: float = 1.0) -> Hit:
    return Hit(Passage(document, f"shelf:{document}", document, "", f"p. {page}", page, 0, len(text), text), score)


HITS = [hit(PRICES, "prices.txt", 1, 0.9), hit(STORAGE, "halls.txt", 1, 0.4)]


class Found:
    def __init__(self, hits: Sequence[Hit]) -> None:
        self.hits = list(hits)
        self.asked: list[str] = []

    def retrieve(self, question: str, k: int) -> list[Hit]:
        self.asked.append(question)
        return self.hits[:k]


class Scribe:
    """Writes the same pieces for every question; with `gates`, each piece waits for its own."""

    name = "scribe"

    def __init__(self, *pieces: str, gates: Sequence[threading.Event] = (), knows: Written | None = None) -> None:
        self.pieces = pieces
        self.gates = gates
        self.knows = knows or Written()
        self.closed = threading.Event()

    def recall(self, question: str, history: Sequence[Exchange]) -> list[Exchange]:
        return list(history)

    def fit(self, question: str, hits: Sequence[Hit], history: Sequence[Exchange] = ()) -> list[Hit]:
        return list(hits)

    def write(self, question: str, hits: Sequence[Hit], history: Sequence[Exchange] = ()) -> Writing:
        try:
            for place, piece in enumerate(self.pieces):
                if place < len(self.gates):
                    assert self.gates[place].wait(20)
                yield piece
            return self.knows
        finally:
            self.closed.set()


def asker(*pieces: str, hits: Sequence[Hit] = HITS, **how: Any) -> Asker:
    return Asker(Found(hits), Scribe(*pieces, **how))


def tab(**query: str) -> AppTest:
    test = AppTest.from_file(MAIN, default_timeout=30)
    for name, value in query.items():
        test.query_params[name] = value
    return test


def prose(test: AppTest) -> list[str]:
    """Every text that `app.prose` shows, with sources in brackets, in the order of the page."""
    return ["".join(f"[{text}]" if kind == "source" else text for kind, text, *_ in pieces) for pieces in drawn(test)]


def drawn(test: AppTest) -> Iterator[list[list[Any]]]:
    for element in test.get("bidi_component"):
        data = json.loads(element.proto.json) if element.proto.json else None
        if isinstance(data, dict):
            yield data["pieces"]


def ask(test: AppTest, question: str) -> AppTest:
    test.chat_input[0].set_value(question).run()
    return settled(test)


def settled(test: AppTest) -> AppTest:
    """Once nothing is being answered any more."""
    chat = test.session_state["conversation"]
    if chat.answering:
        assert chat.answering.wait(20)
        test.run()
    assert not test.exception
    return test
