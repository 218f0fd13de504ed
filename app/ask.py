"""Ask a question and see the evidence."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import empty, evidence, scope, shared, turns
from app.conversation import Conversation
from app.prose import prose
from app.views import Piece, plain
from rag.answer import MAX_QUESTION, Asker

AT_ONCE = 0.4  # seconds that a page waits for an answer, so that a quick one is not drawn twice
EVERY = 0.15  # seconds between two looks at one that is being written


def show() -> None:
    shared.follow_address()
    if empty.nothing_to_ask():
        return
    conversation = current()
    scope.show()
    typed = st.chat_input("Ask your documents", key="question", max_chars=MAX_QUESTION)
    if typed:
        ask(typed)
    if not conversation.turns and not conversation.answering:
        empty.first_question(ask)
    conversation.settle(AT_ONCE)
    for number, turn in enumerate(conversation.turns, start=1):
        turns.show(turn, number, is_last=number == len(conversation.turns), again=ask)
    if conversation.answering:
        _being_written()
    shared.show_address()
    evidence.show(conversation)


def current() -> Conversation:
    """This tab's conversation."""
    return st.session_state.setdefault("conversation", Conversation())  # type: ignore[no-any-return]


def ask(question: str) -> None:
    config, address, conversation = shared.settings(), shared.address(), current()
    pattern, only = address.pattern, address.only
    shared.go(answer=0, source=0)

    def loads(tell: Callable[[str], None]) -> Asker:
        return shared.asker(config, pattern, only, tell)

    conversation.ask(question, loads, config.passages, shared.listens())


@st.fragment(run_every=EVERY)
def _being_written() -> None:
    """The answer so far. Ends by drawing the whole page, which shows how it ended."""
    conversation = current()
    if conversation.answering is None or conversation.settle():
        st.rerun()
    progress = conversation.answering.progress
    turns.question(conversation.answering.question)
    with st.chat_message("assistant", avatar=turns.AVATAR):
        turns.understood(conversation.answering.question, progress.understood)
        if progress.text:
            prose([Piece("text", plain(progress.text))], key="being written", live=True)
        else:
            st.caption(f":shimmer[{turns.waiting(progress)}]")
        if st.button("Stop", icon=":material/stop_circle:", key="stop", shortcut="Escape"):
            conversation.stop()
            st.rerun()
