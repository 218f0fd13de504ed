"""Questions that nobody ought to ask, by the seam that people have: the real embedder and reader, over the sample."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from strange_questions import KINDS, strange_questions

from rag import compose
from rag.answer import MAX_QUESTION
from rag.config import Config
from rag.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
SLOWEST = 2.0  # seconds, of ninety-nine in a hundred


def real_questions() -> list[str]:
    """The sample's, and those of the practice data where it is there."""
    beside = ROOT.parent / "shared" / "data"
    files = [
        DATA / "questions.jsonl",
        beside / "squad" / "questions.jsonl",
        beside / "financebench" / "questions.jsonl",
    ]
    lines = [line for file in files if file.is_file() for line in file.read_text(encoding="utf-8").splitlines()[:200]]
    return [json.loads(line)["question"] for line in lines]


@pytest.mark.slow
@pytest.mark.fault(23)
@pytest.mark.rounds(2 * len(KINDS), 1000)
def test_any_question_is_answered_or_declined_soon(tmp_path: Path, rounds: int, figure: Callable[[str], None]) -> None:
    """Processor time, of all threads, which is no less than what a question takes on a machine that does nothing else:
    on a busy one, the clock would tell of the others."""
    config = Config(indexes=tmp_path, ocr="off")
    collection = compose.collection(config)
    source = compose.source(config, DATA / "sample")
    collection.sync(source, compose.embedder(config), root=source.root)
    asker = compose.asker(config, collection)
    real = real_questions()
    asker.ask(real[0])  # which loads what is loaded once
    took, ended = [], Counter[str]()
    for kind, question in strange_questions(rounds, real):
        began = time.process_time()
        try:
            answer = asker.ask(question)
            json.dumps(answer.text, ensure_ascii=False).encode()  # nothing in it that cannot be shown
            ended["declined" if answer.abstained else "answered"] += 1
        except UsageError as error:
            ended["refused" if len(str(error)) < 200 else f"repeated, of {kind}"] += 1
        took.append((time.process_time() - began, kind))
    took.sort()
    at = {name: took[int(share * (len(took) - 1))] for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))}
    said = ", ".join(f"{name} {seconds:.2f} s" for name, (seconds, _) in at.items())
    figure(f"{rounds} strange questions, processor time: {said} ({at['max'][1]}); {dict(ended)}")
    assert at["p99"][0] < SLOWEST, took[-20:]
    assert ended.keys() == {"answered", "declined", "refused"}


@pytest.mark.fault(23)
def test_every_kind_is_strange_in_its_own_way() -> None:
    made = list(strange_questions(len(KINDS) * 4, ["How long is leave?"]))
    assert made == list(strange_questions(len(KINDS) * 4, ["How long is leave?"]))
    everything = "".join(question for _, question in made)
    assert {kind for kind, _ in made} == {kind.__name__ for kind in KINDS}
    assert max(len(question) for _, question in made) > 100 * MAX_QUESTION
    assert {"\x00", "\x1b", "\u202e", "🦊", '"', "<", "\u200d"} <= set(everything)
    assert any("\ud800" <= letter <= "\udfff" for letter in everything)
