"""Many people at one model: order, bounds, cancels, out of memory, and nobody gets another's answer."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import Any

import pytest
import torch
from tiny import random_llama

from rag.errors import BusyError, ModelError, OutOfMemoryError
from rag.generation.local import LocalGenerator
from rag.generation.models import find
from rag.generation.prompted import PromptedWriter
from rag.generation.queue import Queued, release, shared
from rag.types import Hit, Message, Passage, Written

SECONDS = 30  # after which a test that waits has failed


class Gated:
    """Says the last message's text, letter by letter, each when `gate` is open; remembers the order of questions."""

    name = "gated"
    window = 4096

    def __init__(self) -> None:
        self.gate = Event()
        self.begun = Event()
        self.order: list[str] = []
        self.threads: set[int] = set()
        self.closed: list[str] = []
        self.said: dict[str, int] = {}  # letters taken of each

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        return len(messages[-1].content)

    def stream(self, messages: Sequence[Message], max_new_tokens: int) -> Iterator[str]:
        said = messages[-1].content
        self.order.append(said)
        self.said[said] = 0
        self.threads.add(threading.get_ident())
        if said == "oom":
            raise OutOfMemoryError("no room")
        try:
            for letter in said[:max_new_tokens]:
                self.begun.set()
                assert self.gate.wait(SECONDS)
                yield letter
                self.said[said] = self.said.get(said, 0) + 1
        finally:
            self.closed.append(said)


def turns(text: str) -> list[Message]:
    return [Message("user", text)]


@pytest.fixture
def gated() -> Iterator[tuple[Gated, Queued]]:
    inner = Gated()
    queue = Queued(inner, waiting=3)
    yield inner, queue
    inner.gate.set()
    queue.close()


def test_first_come_first_served_and_batch_work_yields(gated: tuple[Gated, Queued]) -> None:
    inner, queue = gated
    first = queue.stream(turns("first"), 99)
    assert inner.begun.wait(SECONDS)
    later = queue.batch.stream(turns("evaluation"), 99)
    second, third = queue.stream(turns("second"), 99), queue.stream(turns("third"), 99)
    assert queue.length == 3
    assert [reply.place for reply in (first, second, third, later)] == [0, 1, 2, 3]
    inner.gate.set()
    assert ["".join(reply) for reply in (later, third, second, first)] == ["evaluation", "third", "second", "first"]
    assert inner.order == ["first", "second", "third", "evaluation"]
    assert queue.length == 0
    assert len(inner.threads) == 1  # one thread of its own, whoever reads


def test_a_full_queue_says_how_long_it_is(gated: tuple[Gated, Queued]) -> None:
    inner, queue = gated
    running = queue.stream(turns("running"), 99)
    assert inner.begun.wait(SECONDS)
    waiting = [queue.stream(turns(f"{n}"), 99) for n in range(3)]
    with pytest.raises(BusyError, match="3 questions are waiting"):
        queue.stream(turns("one too many"), 99)
    inner.gate.set()
    assert ["".join(reply) for reply in (running, *waiting)] == ["running", "0", "1", "2"]


def test_a_reader_who_leaves_frees_the_model_and_the_place(gated: tuple[Gated, Queued]) -> None:
    inner, queue = gated
    endless = queue.stream(turns("x" * 4000), 4000)
    waiting = queue.stream(turns("never asked"), 99)
    last = queue.stream(turns("last"), 99)
    assert inner.begun.wait(SECONDS)
    waiting.close()
    assert queue.length == 1
    endless.close()
    inner.gate.set()
    assert "".join(last) == "last"
    assert list(endless) == []
    assert inner.order == ["x" * 4000, "last"]
    assert inner.closed == ["x" * 4000, "last"]


def test_letting_go_of_an_answer_is_leaving(gated: tuple[Gated, Queued]) -> None:
    inner, queue = gated
    endless = queue.stream(turns("x" * 4000), 4000)
    waiting = queue.stream(turns("never asked"), 99)
    assert inner.begun.wait(SECONDS)
    del waiting, endless
    inner.gate.set()
    assert "".join(queue.stream(turns("next"), 99)) == "next"
    assert inner.order == ["x" * 4000, "next"]
    assert inner.said["x" * 4000] <= 1


def test_an_error_goes_to_its_reader_alone(gated: tuple[Gated, Queued]) -> None:
    inner, queue = gated
    inner.gate.set()
    bad, good = queue.stream(turns("oom"), 99), queue.stream(turns("good"), 99)
    assert "".join(good) == "good"
    with pytest.raises(OutOfMemoryError):
        next(bad)
    assert list(bad) == []


def test_who_was_short_of_memory_comes_next_even_when_the_queue_is_full(gated: tuple[Gated, Queued]) -> None:
    inner, queue = gated
    bad = queue.stream(turns("oom"), 99)
    running = queue.stream(turns("running"), 99)
    assert inner.begun.wait(SECONDS)
    others = [queue.stream(turns(f"{n}"), 99) for n in range(3)]
    with pytest.raises(OutOfMemoryError):
        next(bad)
    again = queue.stream(turns("again"), 99)
    inner.gate.set()
    assert ["".join(reply) for reply in (running, again, *others)] == ["running", "again", "0", "1", "2"]
    assert inner.order == ["oom", "running", "again", "0", "1", "2"]


def test_closing_tells_everyone(gated: tuple[Gated, Queued]) -> None:
    inner, queue = gated
    running, waiting = queue.stream(turns("running"), 99), queue.stream(turns("waiting"), 99)
    assert inner.begun.wait(SECONDS)
    closing = Thread(target=queue.close)
    closing.start()
    with pytest.raises(ModelError, match="closed"):
        "".join(waiting)
    inner.gate.set()
    closing.join(SECONDS)
    with pytest.raises(ModelError, match="closed"):
        "".join(running)
    with pytest.raises(ModelError, match="closed"):
        queue.stream(turns("late"), 99)


def test_one_instance_for_everyone_who_asks_at_once() -> None:
    made: list[Gated] = []
    together = threading.Barrier(8)

    def make() -> Gated:
        made.append(Gated())
        return made[-1]

    def ask(_: int) -> Queued:
        together.wait(SECONDS)
        return shared("test", make)

    try:
        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(ask, range(8)))) == 1
        assert len(made) == 1
    finally:
        release("test")
    assert shared("test", make) is not None
    assert len(made) == 2
    release("test")


# ------------------------------------------------------------------------- a real model, a crowd, no memory


def tensor_bytes() -> int:
    gc.collect()
    return sum(o.numel() * o.element_size() for o in gc.get_objects() if type(o) is torch.Tensor)


def hit(text: str) -> Hit:
    return Hit(Passage("a.pdf", "file:///a.pdf", "A", "", "p. 1", 1, 0, len(text), text), 1.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalGenerator:
    folder = random_llama(tmp_path_factory.mktemp("crowd"), max_position_embeddings=4096)
    return LocalGenerator(find(str(folder)), device="cpu")


def out_of_memory_above(model: LocalGenerator, tokens: int) -> Any:
    """The network behaves as a GPU that has no room for a longer prompt."""

    def refuse(_: Any, __: Any, given: dict[str, Any]) -> None:
        if given["input_ids"].shape[1] > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory")

    return model._model.register_forward_pre_hook(refuse, with_kwargs=True)


@pytest.mark.fault(20)
def test_a_crowd_with_cancels_and_no_memory_gets_its_own_answers_or_an_error(model: LocalGenerator) -> None:
    asked = [turns(f"Question {n}: what does part {n * 37} cost?" + " Please." * (n % 5)) for n in range(20)]
    asked[7] = asked[13] = turns("Why? " * 300)  # which the network has no room for
    expected = ["".join(model.stream(question, 10)) for n, question in enumerate(asked) if n not in (7, 13)]
    assert len(set(expected)) == 18
    hook = out_of_memory_above(model, 400)
    baseline = tensor_bytes()
    queue = Queued(model)

    def ask(n: int) -> str | None:
        reply = queue.stream(asked[n], 10)
        if n % 6 == 5:  # reads a little, then leaves
            next(reply)
            reply.close()
            return None
        try:
            return "".join(reply)
        except OutOfMemoryError as error:
            return f"error: {error}"

    try:
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(ask, range(20)))
        right = iter(expected)
        for n, answer in enumerate(answers):
            if n in (7, 13):
                assert answer is not None
                assert answer.startswith("error: Not enough memory on cpu")
                continue
            mine = next(right)
            assert answer == (None if n % 6 == 5 else mine)
        assert "".join(queue.stream(asked[0], 10)) == expected[0]  # the next question works
        assert queue.length == 0
    finally:
        hook.remove()
        queue.close()
    assert tensor_bytes() == baseline


@pytest.mark.fault(20)
def test_out_of_memory_is_answered_with_fewer_passages_and_says_so(model: LocalGenerator) -> None:
    queue = Queued(model)
    hits = [hit(f"Part {n} costs {n * 10} euros. " * 4) for n in range(8)]
    writer = PromptedWriter(queue, reserve=200)
    whole = model.prompt_tokens(prompted(hits))
    three = model.prompt_tokens(prompted(hits[:3]))
    assert three < whole
    hook = out_of_memory_above(model, three)
    try:
        pieces, ended = drained(writer.write("What does part 3 cost?", hits))
        assert (ended.used, ended.notes) == (2, ("Not enough GPU memory: answered with 2 of 8 passages.",))
        assert pieces
    finally:
        hook.remove()
        queue.close()


@pytest.mark.fault(20)
def test_then_a_smaller_cache_then_it_says_so() -> None:
    class Small:
        """Has room for so many new tokens only."""

        name, window, room = "small", 4096, 128

        def __init__(self) -> None:
            self.tried: list[int] = []

        def prompt_tokens(self, messages: Sequence[Message]) -> int:
            return 1

        def stream(self, messages: Sequence[Message], max_new_tokens: int) -> Iterator[str]:
            self.tried.append(max_new_tokens)
            if max_new_tokens > self.room:
                raise OutOfMemoryError("no room")
            yield "It costs 20."

    small = Small()
    pieces, ended = drained(PromptedWriter(small).write("Why?", [hit("a"), hit("b")]))
    assert small.tried == [512, 512, 128]
    assert pieces == ["It costs 20."]
    assert ended is not None
    assert ended.used == 1
    assert ended.notes[1] == "Not enough GPU memory: the answer was limited to 128 tokens."
    small.room = 1
    with pytest.raises(OutOfMemoryError):
        drained(PromptedWriter(small).write("Why?", [hit("a")]))


def prompted(hits: Sequence[Hit]) -> list[Message]:
    from rag.generation.prompt import messages

    return messages("What does part 3 cost?", [h.passage for h in hits])


def drained(written: Any) -> tuple[list[str], Written | None]:
    pieces = []
    while True:
        try:
            pieces.append(next(written))
        except StopIteration as end:
            return pieces, end.value
