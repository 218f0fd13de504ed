"""Ask a question and see the evidence."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import conversations, details, empty, evidence, scope, shared, turns
from app.chat import Chat
from app.prose import prose
from app.views import Piece, literal, plain
from rag.answer import MAX_QUESTION, Asker

AT_ONCE = 0.5  # seconds that a page waits for a new answer, so that a quick one is not drawn twice
EVERY = 0.15  # seconds between two looks at one that is being written
SHOWN = 10  # turns that are drawn: a page stays quick however long a conversation gets
QUESTION = "question"  # the box that it is typed into
_ASKED = "asked"  # whether a question was asked since the page was drawn


def show() -> None:
    shared.follow_address()
    chat = conversations.current()
    chat.settle(AT_ONCE if st.session_state.pop(_ASKED, False) else 0.0)
    chat = conversations.current()
    conversations.sidebar()
    scope.show()
    if not empty.nothing_to_ask():
        _editing(chat)
        st.chat_input("Ask your documents", key=QUESTION, max_chars=MAX_QUESTION, on_submit=_typed)
        if not chat.turns and not chat.answering:
            empty.first_question()
    _said(chat)
    if chat.answering:
        _being_written()
    shared.show_address()
    if not evidence.show(chat):
        details.show(chat)


def _typed() -> None:
    if question := st.session_state[QUESTION]:
        ask(question)


def ask(question: str) -> None:
    config, address, chat = shared.settings(), shared.address(), conversations.current()
    shared.go(answer=0, source=0, document="", page=0)

    def loads(tell: Callable[[str], None]) -> Asker:
        return shared.asker(config, address.pattern, address.only, tell)

    chat.ask(question, loads, config.passages, shared.keeper(), shared.listens())
    st.session_state[_ASKED] = True


def ask_again(place: int) -> None:
    """The question of a turn once more, in its place and that of what followed it."""
    chat = conversations.current()
    chat.replaces = place
    ask(chat.turns[place].question)


def edit(place: int) -> None:
    """Puts the question of a turn into the box, to be asked otherwise."""
    chat = conversations.current()
    chat.replaces = place
    st.session_state[QUESTION] = chat.turns[place].question


def _editing(chat: Chat) -> None:
    if chat.replaces is None:
        return

    def cancel() -> None:
        chat.replaces = None
        st.session_state[QUESTION] = ""

    with st.bottom, st.container(horizontal=True, vertical_alignment="center"):
        st.caption(":material/edit: You are editing a question. Its answer, and what followed, will be replaced.")
        st.button("Cancel", key="cancel", type="tertiary", on_click=cancel, shortcut="Escape")


def _said(chat: Chat) -> None:
    said = chat.turns
    hidden = 0 if st.session_state.get("all turns") else max(0, len(said) - SHOWN)
    if hidden:
        st.button(f"Show {hidden} earlier", key="all turns", type="tertiary")
    for place, turn in list(enumerate(said))[hidden:]:
        turns.show(turn, place, is_last=place == len(said) - 1, again=ask_again, edit=edit)


@st.fragment(run_every=EVERY)
def _being_written() -> None:
    """The answer so far. Ends by drawing the whole page, which shows how it ended."""
    chat = conversations.current()
    if chat.settle() or chat.answering is None:
        st.rerun()
    progress = chat.answering.progress
    turns.question(chat.answering.question)
    with st.chat_message("assistant", avatar=turns.AVATAR):
        turns.understood(chat.answering.question, progress.understood)
        if progress.text:
            prose([Piece("text", plain(progress.text))], key="being written", live=True)
        else:
            st.caption(f":shimmer[{literal(turns.waiting(progress))}]")
        if st.button("Stop", icon=":material/stop_circle:", key="stop", shortcut="Escape"):
            chat.stop()
            st.rerun()
