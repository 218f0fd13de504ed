"""Ask a question and see the evidence."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import conversations, details, empty, evidence, scope, shared, turns
from app.prose import prose
from app.views import Piece, literal, plain
from rag.answer import MAX_QUESTION, Asker

AT_ONCE = 0.5  # seconds that a page waits for a new answer, so that a quick one is not drawn twice
EVERY = 0.15  # seconds between two looks at one that is being written
SHOWN = 20  # turns that are drawn: a page stays quick however long a conversation gets
QUESTION = "question"  # the box that it is typed into


def show() -> None:
    shared.follow_address()
    conversation = conversations.current()
    conversations.sidebar()
    scope.show()
    if not empty.nothing_to_ask():
        _editing()
        if typed := st.chat_input("Ask your documents", key=QUESTION, max_chars=MAX_QUESTION):
            ask(typed)
            conversation.settle(AT_ONCE)
        conversation.settle()
        if not conversation.turns and not conversation.answering:
            empty.first_question()
    _said()
    if conversation.answering:
        _being_written()
    conversations.current()
    shared.show_address()
    if not evidence.show(conversation):
        details.show(conversation)


def ask(question: str) -> None:
    config, address, conversation = shared.settings(), shared.address(), conversations.current()
    shared.go(answer=0, source=0, document="", page=0)

    def loads(tell: Callable[[str], None]) -> Asker:
        return shared.asker(config, address.pattern, address.only, tell)

    conversation.ask(question, loads, config.passages, shared.keeper(), shared.listens())


def ask_again(place: int) -> None:
    """The question of a turn once more, in its place and that of what followed it."""
    conversation = conversations.current()
    conversation.replaces = place
    ask(conversation.turns[place].question)


def edit(place: int) -> None:
    """Puts the question of a turn into the box, to be asked otherwise."""
    conversation = conversations.current()
    conversation.replaces = place
    st.session_state[QUESTION] = conversation.turns[place].question


def _editing() -> None:
    conversation = conversations.current()
    if conversation.replaces is None:
        return

    def cancel() -> None:
        conversation.replaces = None
        st.session_state[QUESTION] = ""

    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        st.caption(":material/edit: You are editing a question. Its answer, and what followed, will be replaced.")
        st.button("Cancel", key="cancel", type="tertiary", on_click=cancel, shortcut="Escape")


def _said() -> None:
    said = conversations.current().turns
    hidden = 0 if st.session_state.get("all turns") else max(0, len(said) - SHOWN)
    if hidden:
        st.button(f"Show {hidden} earlier", key="all turns", type="tertiary")
    for place, turn in list(enumerate(said))[hidden:]:
        turns.show(turn, place, is_last=place == len(said) - 1, again=ask_again, edit=edit)


@st.fragment(run_every=EVERY)
def _being_written() -> None:
    """The answer so far. Ends by drawing the whole page, which shows how it ended."""
    conversation = conversations.current()
    if conversation.settle() or conversation.answering is None:
        st.rerun()
    progress = conversation.answering.progress
    turns.question(conversation.answering.question)
    with st.chat_message("assistant", avatar=turns.AVATAR):
        turns.understood(conversation.answering.question, progress.understood)
        if progress.text:
            prose([Piece("text", plain(progress.text))], key="being written", live=True)
        else:
            st.caption(f":shimmer[{literal(turns.waiting(progress))}]")
        if st.button("Stop", icon=":material/stop_circle:", key="stop", shortcut="Escape"):
            conversation.stop()
            st.rerun()
