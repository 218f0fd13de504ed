"""A question and its answer, as the page shows them."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import shared
from app.answering import Ended, Progress
from app.conversation import Turn
from app.prose import prose
from app.views import BADGES, Piece, answer_pieces, literal, named, plain
from rag.answer import clean_question
from rag.errors import UsageError
from rag.notes import notes
from rag.types import Answer

AVATAR = ":material/menu_book:"


def show(turn: Turn, number: int, is_last: bool, again: Callable[[str], None]) -> None:
    question(turn.question)
    with st.chat_message("assistant", avatar=AVATAR):
        if turn.answer:
            _answer(turn, turn.answer, number)
        elif turn.ended is Ended.STOPPED:
            if turn.text:
                prose([Piece("text", plain(turn.text))], key=f"stopped {number}")
            st.caption("Stopped.")
        else:
            st.warning(literal(turn.text), icon=":material/error:")


def question(text: str) -> None:
    with st.chat_message("user", avatar=":material/person:"):
        st.text(plain(text), width="stretch")


def understood(asked: str, searched: str) -> None:
    """How a follow-up was understood, where that is not just what was asked."""
    try:
        is_follow_up = bool(searched) and searched != clean_question(asked)
    except UsageError:
        return
    if is_follow_up:
        st.caption(f":material/subdirectory_arrow_right: Understood as: {literal(searched)}")


def waiting(progress: Progress) -> str:
    if progress.told:
        return literal(progress.told)
    return "Looking through the documents" if progress.understood else "Getting ready"


def _answer(turn: Turn, answer: Answer, number: int) -> None:
    understood(turn.question, answer.understood)
    opened = _opener(number)
    prose(answer_pieces(answer), key=f"answer {number}", opened=opened)
    for note in notes(answer):
        st.caption(literal(note))
    if answer.abstained and answer.hits:
        st.caption("Nearest passages")
    with st.container(horizontal=True, gap="xsmall"):
        for citation in answer.citations:
            label = f"{citation.number} · {literal(named(citation.passage))} · {BADGES[citation.passage.origin]}"
            key = f"source {number} {citation.number}"
            st.button(label, key=key, type="tertiary", on_click=opened, args=(citation.number,))


def _opener(number: int) -> Callable[[int], None]:
    def opened(source: int) -> None:
        shared.go(answer=number, source=source)

    return opened
