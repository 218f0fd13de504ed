"""Question → Answer, with a retriever and a writer that can be worked out by hand."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answer import MAX_QUESTION, Asker, clean_question
from rag.errors import UsageError
from rag.types import Answer, Exchange, Hit, Passage, Span, Writing, Written


def hit(text: str, document: str = "handbook.pdf", place: str = "p. 1") -> Hit:
    return Hit(Passage(document, f"file:///{document}", "Handbook", "", place, 1, 0, len(text), text), 1.0)


LEAVE = hit("Leave is 28 days a year.")
NOTICE = hit("The notice period is three months.", place="p. 2")
PRICES = hit("Alpha costs 20 euros.", "prices.txt", place="")
HITS = [LEAVE, NOTICE, PRICES]


class Shelf:
    """A retriever that finds the same hits for every question."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        self._hits = hits
        self.asked: list[tuple[str, int]] = []

    def retrieve(self, question: str, k: int) -> list[Hit]:
        self.asked.append((question, k))
        return list(self._hits[:k])


class Scribe:
    """A writer that has room for `room` hits and writes the same pieces over whatever it is given."""

    name = "scribe"

    def __init__(self, *pieces: str, room: int = 10, knows: Written | None = None) -> None:
        self._pieces = pieces
        self._knows = knows or Written()
        self._room = room
        self.given: list[list[Hit]] = []
        self.closed = False

    def fit(self, question: str, hits: Sequence[Hit]) -> list[Hit]:
        return list(hits[: self._room])

    def write(self, question: str, hits: Sequence[Hit]) -> Writing:
        self.given.append(list(hits))
        try:
            yield from self._pieces
            return self._knows
        finally:
            self.closed = True


def run(pieces: Generator[str, None, Answer]) -> tuple[list[str], Answer]:
    seen = []
    while True:
        try:
            seen.append(next(pieces))
        except StopIteration as end:
            return seen, end.value


def test_an_answer_carries_what_it_rests_on() -> None:
    shelf, scribe = Shelf(HITS), Scribe("The notice period ", "is 3 months [2]. Leave is 30 days [1][9].")
    answer = Asker(shelf, scribe).ask("  What is\nthe notice period? ", k=3)
    assert shelf.asked == [("What is the notice period?", 3)]
    assert answer.question == "What is the notice period?"
    assert answer.text == "The notice period is 3 months [2]. Leave is 30 days [1]."
    assert (answer.abstained, answer.model, answer.offered) == (False, "scribe", 3)
    assert [(c.number, c.passage, c.supported) for c in answer.citations] == [
        (2, NOTICE.passage, True),
        (1, LEAVE.passage, False),  # 28 days, not 30
    ]
    assert answer.unsupported == ("Leave is 30 days [1].",)
    assert answer.dropped_markers == (9,)
    assert answer.hits == tuple(HITS)


def test_streams_as_it_is_written_and_returns_the_answer() -> None:
    pieces, answer = run(Asker(Shelf(HITS), Scribe("Leave is ", "28 days [1].")).stream("How long is leave?"))
    assert pieces == ["Leave is ", "28 days [1]."]
    assert answer.text == "".join(pieces)


def test_the_writer_gets_only_the_hits_that_fit() -> None:
    scribe = Scribe("Leave is 28 days [1]. Alpha costs 20 euros [3].", room=2)
    answer = Asker(Shelf(HITS), scribe).ask("How long is leave?")
    assert scribe.given == [[LEAVE, NOTICE]]
    assert (answer.offered, len(answer.hits)) == (2, 3)
    assert answer.dropped_markers == (3,)  # retrieved, but never offered


def test_timings_by_stage() -> None:
    class Slow(Scribe):
        def write(self, question: str, hits: Sequence[Hit]) -> Writing:
            time.sleep(0.02)
            yield "Leave "
            time.sleep(0.02)
            yield "is 28 days [1]."
            return Written()

    timings = Asker(Shelf(HITS), Slow()).ask("How long is leave?").timings
    assert set(timings) == {"retrieve", "first_token", "write", "check"}
    assert 0.02 <= timings["first_token"] <= timings["write"] - 0.02
    assert timings["retrieve"] < 0.02 > timings["check"]


@pytest.mark.fault(24)
def test_nothing_found_is_said_and_no_writer_is_asked() -> None:
    scribe = Scribe("never")
    pieces, answer = run(Asker(Shelf([]), scribe).stream("How long is leave?"))
    assert (answer.abstained, answer.citations, answer.hits, answer.offered) == (True, (), (), 0)
    assert answer.text.startswith("Nothing was found for this question")
    assert pieces == [answer.text]
    assert scribe.given == []


@pytest.mark.parametrize("written", [(), ("",), (" ", "\n")])
def test_found_but_not_answering_says_what_was_looked_at(written: tuple[str, ...]) -> None:
    pieces, answer = run(Asker(Shelf(HITS), Scribe(*written)).stream("Who is the king?"))
    assert answer.abstained
    assert answer.text == (
        "The documents do not say. Looked at the 3 best passages, none of which answers the question: "
        "handbook.pdf (p. 1, p. 2); prices.txt."
    )
    assert pieces[-1] == answer.text
    assert (answer.citations, answer.unsupported, answer.offered) == ((), (), 3)


def test_no_passage_that_fits_is_a_refusal_of_its_own() -> None:
    answer = Asker(Shelf(HITS), Scribe("never", room=0)).ask("How long is leave?")
    assert answer.abstained
    assert answer.text.startswith("3 passages were found, but none fits")


def test_closing_the_stream_stops_the_writer() -> None:
    scribe = Scribe("one", "two")
    stream = Asker(Shelf(HITS), scribe).stream("How long is leave?")
    assert next(stream) == "one"
    stream.close()
    assert scribe.closed


def test_errors_of_the_writer_reach_whoever_asked() -> None:
    class Failing(Scribe):
        def write(self, question: str, hits: Sequence[Hit]) -> Writing:
            yield "Leave"
            raise MemoryError("gone")

    with pytest.raises(MemoryError, match="gone"):
        Asker(Shelf(HITS), Failing()).ask("How long is leave?")


def test_what_the_writer_knows_goes_with_the_answer() -> None:
    knows = Written(0.75, (Span(2, 21, 33),))
    answer = Asker(Shelf(HITS), Scribe("It is three months [2].", knows=knows)).ask("What is the notice period?")
    assert (answer.confidence, answer.spans) == (0.75, (Span(2, 21, 33),))
    assert answer.hits[1].passage.text[21:33] == "three months"


def test_a_refusal_says_how_sure_and_points_at_nothing() -> None:
    answer = Asker(Shelf(HITS), Scribe(knows=Written(0.01, (Span(1, 0, 5),)))).ask("What does Beta cost?")
    assert (answer.abstained, answer.confidence, answer.spans) == (True, 0.01, ())


def test_nobody_is_sure_where_nothing_was_found() -> None:
    assert Asker(Shelf([]), Scribe("never", knows=Written(1.0))).ask("What does Beta cost?").confidence is None


# ------------------------------------------------------------------------------------------- follow-ups

HISTORY = [
    Exchange("What does Alpha cost?", "Alpha costs 20 euros [1]."),
    Exchange("How long is leave?", "28 days [1]."),
]


class Recalls(Scribe):
    """A writer that recalls the last exchange only, and has no room for a hit beside it when `crowded`."""

    def __init__(self, *pieces: str, crowded: bool = False) -> None:
        super().__init__(*pieces)
        self._crowded = crowded
        self.told: list[Sequence[Exchange]] = []

    def recall(self, question: str, history: Sequence[Exchange]) -> list[Exchange]:
        return list(history[-1:])

    def fit(self, question: str, hits: Sequence[Hit], history: Sequence[Exchange] = ()) -> list[Hit]:
        return [] if history and self._crowded else list(hits)

    def write(self, question: str, hits: Sequence[Hit], history: Sequence[Exchange] = ()) -> Writing:
        self.told.append(history)
        return (yield from super().write(question, hits))


class Echo:
    """A rewriter that puts the last question in front."""

    def rewrite(self, question: str, history: Sequence[Exchange]) -> str:
        return f"{history[-1].question} {question}"


def test_a_follow_up_is_searched_for_in_words_that_stand_alone() -> None:
    shelf, scribe = Shelf(HITS), Recalls("The notice period is 3 months [2].")
    answer = Asker(shelf, scribe, Echo()).ask(" And notice? ", 3, HISTORY)
    assert shelf.asked == [("How long is leave? And notice?", 3)]
    assert (answer.question, answer.understood) == ("And notice?", "How long is leave? And notice?")
    assert scribe.told == [[HISTORY[1]]]
    assert answer.forgotten == 1
    assert set(answer.timings) == {"understand", "retrieve", "first_token", "write", "check"}


def test_what_was_understood_can_be_shown_first_and_is_not_worked_out_twice() -> None:
    shelf = Shelf(HITS)
    asker = Asker(shelf, Recalls("28 days [1]."), Echo())
    understood = asker.understand("And notice?", HISTORY)
    run(asker.stream("And notice?", 3, HISTORY, understood="What is notice?"))
    assert understood == "How long is leave? And notice?"
    assert shelf.asked == [("What is notice?", 3)]


def test_a_passage_goes_before_all_history() -> None:
    scribe = Recalls("28 days [1].", crowded=True)
    answer = Asker(Shelf(HITS), scribe, Echo()).ask("And leave?", 3, HISTORY)
    assert (answer.offered, answer.forgotten, scribe.told) == (3, 2, [()])


def test_without_history_or_rewriter_the_question_is_asked_as_it_is() -> None:
    for asker, history in (
        (Asker(Shelf(HITS), Recalls("28 days [1].")), HISTORY),
        (Asker(Shelf(HITS), Scribe("x")), []),
    ):
        answer = asker.ask("How long is leave?", 3, history)
        assert answer.understood == answer.question == "How long is leave?"


def test_citations_set_right_are_told() -> None:
    answer = Asker(Shelf(HITS), Scribe("The notice period is three months [1].")).ask("What is the notice period?")
    assert answer.text == "The notice period is three months [2]."
    assert answer.repaired == (answer.text,)


# -------------------------------------------------------------------------------------------- question


@pytest.mark.fault(23)
@pytest.mark.parametrize("question", ["", "   ", "\x00\x01", "\n\t", "???", "...!", "\u200b", "\ud800", "—"])
def test_nothing_to_ask(question: str) -> None:
    with pytest.raises(UsageError, match=r"^Please type a question\.$"):
        clean_question(question)


@pytest.mark.fault(23)
def test_too_long_to_ask() -> None:
    with pytest.raises(UsageError, match=r"^Question is 100,000 characters; the limit is 4,000\.$"):
        clean_question("x" * 100_000)
    assert len(clean_question(" " * 10_000 + "x" * MAX_QUESTION)) == MAX_QUESTION


@pytest.mark.parametrize(
    ("question", "clean"),
    [
        ("What is\x00 it?", "What is it?"),
        ("What\r\nis\tit?", "What is it?"),
        ("caf\udce9?", "caf ?"),
        ("\x1b[31mRed?", "Red?"),
        ("Où est-ce ? 👩‍🚀", "Où est-ce ? 👩‍🚀"),
        ("🚀", "🚀"),
        ("C++ -x AND a:b (EU", "C++ -x AND a:b (EU"),
    ],
)
def test_cleaned(question: str, clean: str) -> None:
    assert clean_question(question) == clean


@pytest.mark.fault(23)
@given(st.text(alphabet=st.characters(), max_size=200))
def test_any_question_is_refused_or_can_be_stored_and_shown(question: str) -> None:
    try:
        clean = clean_question(question)
    except UsageError:
        return
    assert clean.encode("utf-8").decode("utf-8") == clean == clean_question(clean)
    assert not any(ord(c) < 32 or ord(c) == 127 for c in clean)


class Cramped(Scribe):
    """Has room for fewer hits than it thought, and says so when it ends."""

    def write(self, question: str, hits: Sequence[Hit]) -> Writing:
        yield "Leave is 28 days [1]. The notice period is three months [2]."
        return Written(used=1, notes=("Not enough GPU memory: answered with 1 of 3 passages.",))


def test_what_a_writer_left_out_is_not_offered_and_not_citable() -> None:
    answer = Asker(Shelf(HITS), Cramped()).ask("What is the notice period?")
    assert answer.offered == 1
    assert answer.notes == ("Not enough GPU memory: answered with 1 of 3 passages.",)
    assert answer.dropped_markers == (2,)
    assert [citation.number for citation in answer.citations] == [1]
