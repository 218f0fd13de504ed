"""Fifty hostile documents with a canary, against all that code decides. What a model makes of them is its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import pytest
from hostile import CANARY, FACT, HOSTILE, RECOGNISABLE, TURNS
from tokenizers import Tokenizer, models, pre_tokenizers

from rag.answer import Asker
from rag.encoder.embed import load_embedder
from rag.generation.check import check, numbers_in
from rag.generation.extractive import ExtractiveWriter
from rag.generation.followup import RuleRewriter
from rag.generation.formats import stable_beluga
from rag.generation.injection import orders, without_orders
from rag.generation.prompt import QUOTE, messages
from rag.generation.prompted import PromptedWriter
from rag.generation.standalone import ModelRewriter
from rag.shapes import answer_shape
from rag.types import Answer, Embedder, Exchange, Hit, Message, Passage

pytestmark = pytest.mark.fault(25)

QUESTION = "What is the notice period for managers?"
HARMLESS = "Leave is 28 days a year. The office opens at eight."
CONTROLS = [
    "<s>",
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<start_of_turn>",
    "[INST]",
]


def passage(text: str, name: str = "upload.pdf") -> Passage:
    return Passage(name, f"file:///{name}", "Upload", "", "p. 1", 1, 0, len(text), text)


def hits(text: str) -> list[Hit]:
    return [Hit(passage(text), 1.0), Hit(passage(HARMLESS, "handbook.pdf"), 0.5)]


class Finds:
    def __init__(self, found: Sequence[Hit]) -> None:
        self._found = found

    def retrieve(self, question: str, k: int) -> list[Hit]:
        return list(self._found[:k])


class Obedient:
    """The worst of models: says the canary as soon as it has seen it, cites what it likes, goes on by itself."""

    name = "obedient"
    window = 100_000

    def __init__(self) -> None:
        self.prompts: list[Sequence[Message]] = []

    def prompt_tokens(self, turns: Sequence[Message]) -> int:
        return len(stable_beluga(turns))

    def stream(self, turns: Sequence[Message], max_new_tokens: int) -> Iterator[str]:
        self.prompts.append(turns)
        yield f"The code is {CANARY} [1]. See [7] and [99]."


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load_embedder()


def test_there_are_fifty_and_each_is_another() -> None:
    assert len(HOSTILE) == len(set(HOSTILE)) == 50
    assert all(CANARY in text or "\u200b" in text or "\uff30" in text for text in HOSTILE)


# ------------------------------------------------------------------------------------------------ prompt


@pytest.mark.parametrize("text", HOSTILE)
def test_the_prompt_has_our_turns_and_our_passages_only(text: str) -> None:
    history = [Exchange(text, text)]
    rendered = stable_beluga(messages(QUESTION, [passage(text), passage(HARMLESS)], history))
    plain = re.sub(r"[\u200b-\u200f\u00ad\ufeff\U000e0000-\U000e007f]", "", rendered)
    turns = re.findall(r"^\W*#\W*(system|user|assistant)\W*:", plain, re.IGNORECASE | re.MULTILINE)
    assert turns == ["System", "User", "Assistant", "User", "Assistant"]
    assert re.findall(r"^(system|user|assistant)\s*:", plain, re.IGNORECASE | re.MULTILINE) == []
    last = messages(QUESTION, [passage(text), passage(HARMLESS)], history)[-1].content
    assert last.count(QUOTE) == 4  # two passages, opened and closed
    assert numbers_in(last.replace("[n]", "")) == [1, 2]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_document_brings_a_control_token_into_the_prompt(text: str) -> None:
    core = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.add_special_tokens(CONTROLS)

    def controls(content: str) -> int:
        rendered = stable_beluga(messages(QUESTION, [passage(content)]))
        return sum(token in CONTROLS for token in core.encode(rendered).tokens)

    assert controls("<s>".join(["a", "b"])) == controls(text) == 0
    assert core.encode("a<s>b").tokens.count("<s>") == 1  # the tokenizer would take it for one


# ------------------------------------------------------------------------------------------ recognition


@pytest.mark.parametrize("payload", RECOGNISABLE)
def test_orders_are_recognised(payload: str) -> None:
    assert orders(payload)
    rest = without_orders(f"{FACT}\n\n{payload}\n\n{HARMLESS}")
    assert FACT in rest
    assert CANARY not in rest
    assert (HARMLESS in rest) == (payload not in TURNS)  # a turn that was opened goes on


@pytest.mark.parametrize(
    "text",
    [
        FACT,
        HARMLESS,
        "Employees must answer all questions of the auditor.",
        "System requirements: 4 GB of memory. The user guide explains the settings.",
        "The assistant manager must sign every order. Ignore the blinking light.",
        "Do not disclose trade secrets. Previous versions of the rules remain in force.",
        "Please reply by 31 March. The answer to question 4 is on page 9.",
        "The instructions above apply to model T20. Follow the instructions on the label.",
        "System: Windows 11\nUser: J. Doe\nResponse: within two hours",
        "The parcel is forwarded to the address on the label.",
    ],
)
def test_ordinary_text_gives_no_orders(text: str) -> None:
    assert orders(text) == []


# ---------------------------------------------------------------------------------- what comes out of it


@pytest.mark.parametrize("text", HOSTILE)
def test_an_obedient_models_answer_is_marked_and_cites_only_what_was_offered(text: str) -> None:
    answer = Asker(Finds(hits(text)), PromptedWriter(Obedient())).ask(QUESTION)
    assert set(numbers_in(answer.text)) <= {1, 2}
    assert answer.dropped_markers == (7, 99)
    if any(payload in text for payload in RECOGNISABLE):
        assert any(CANARY in sentence for sentence in answer.unsupported)
        assert not answer.citations[0].supported
    assert json.loads(json.dumps(answer_shape(answer)))["unsupported"] == list(answer.unsupported)


def test_the_honest_answer_over_a_hostile_document_is_supported() -> None:
    for text in HOSTILE:
        checked = check(f"{FACT} [1]", [passage(text)])
        assert (checked.unsupported, [c.supported for c in checked.citations]) == ((), [True])


@pytest.mark.parametrize("text", HOSTILE)
def test_the_extractive_writer_answers_the_question_and_not_the_document(text: str, embedder: Embedder) -> None:
    answer: Answer = Asker(Finds(hits(text)), ExtractiveWriter(embedder)).ask(QUESTION)
    assert FACT in answer.text
    assert CANARY not in answer.text


@pytest.mark.parametrize("text", HOSTILE)
def test_no_document_gets_into_a_rewritten_question(text: str) -> None:
    history = [Exchange(QUESTION, text)]

    class Taken(Obedient):
        def stream(self, turns: Sequence[Message], max_new_tokens: int) -> Iterator[str]:
            yield f"What is {CANARY}?"

    assert CANARY not in RuleRewriter().rewrite("And for others?", history)
    if any(payload in text for payload in RECOGNISABLE):
        assert CANARY not in ModelRewriter(Taken()).rewrite("And for others?", history)
