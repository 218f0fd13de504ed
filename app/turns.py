"""A question and its answer, as the page shows them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import streamlit as st

from app import conversations, shared
from app.answering import Ended, Progress
from app.chat import Turn
from app.prose import copy_button, prose
from app.views import BADGES, Piece, answer_pieces, copied, line, literal, named, opening, plain
from rag.answer import clean_question
from rag.errors import RagError, UsageError
from rag.history.store import LONGEST_NOTE, Thumb, Verdict
from rag.notes import notes
from rag.types import Answer, Passage

AVATAR = ":material/menu_book:"
NEAREST = 3  # passages that are shown where nothing answers
_THUMBS = (Thumb.DOWN, Thumb.UP)  # as st.feedback counts them


def show(turn: Turn, place: int, is_last: bool, again: Callable[[int], None], edit: Callable[[int], None]) -> None:
    """`place` is the turn's in its conversation. `again` and `edit` are called with it."""
    question(turn.question)
    with st.chat_message("assistant", avatar=AVATAR):
        if turn.answer:
            _answer(turn.answer, turn)
        elif turn.ended is Ended.STOPPED:
            if turn.text:
                prose([Piece("text", plain(turn.text))], key=f"text {place}")
            st.caption("Stopped." if turn.text else "Stopped before anything was written.")
        else:
            st.warning(literal(turn.text), icon=":material/error:")
        if turn.kept.failed:
            st.caption(f":material/warning: This answer could not be kept in the history. {literal(turn.kept.failed)}")
        with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
            if turn.answer:
                copy_button(copied(turn.answer), key=f"copy {place}")
            if is_last:
                _do("Ask again", ":material/refresh:", f"again {place}", partial(again, place))
            _do("Edit", ":material/edit:", f"edit {place}", partial(edit, place))
            if turn.answer:
                how = partial(_details, turn.number)
                _do("How it was answered", ":material/manage_search:", f"details {place}", how)
                if turn.kept.number:
                    _judge(turn)


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
        return progress.told
    return "Looking through the documents" if progress.understood else "Getting ready"


def _do(label: str, icon: str, key: str, do: Callable[[], None]) -> None:
    st.button(label, icon=icon, key=key, type="tertiary", on_click=do)


def _details(number: int) -> None:
    st.session_state["details"] = number


def _open(number: int, source: int) -> None:
    shared.go(answer=number, source=source, document="", page=0)


# ------------------------------------------------------------------------------------------------- answers


def _answer(answer: Answer, turn: Turn) -> None:
    understood(turn.question, answer.understood)
    opened = partial(_open, turn.number)
    if answer.abstained:
        _abstained(answer, turn, opened)
        return
    prose(answer_pieces(answer), key=f"text {turn.number}", opened=opened)
    with st.container(gap="xxsmall"):
        for citation in answer.citations:
            doubt = "" if citation.supported else " · :orange[does not bear out what cites it]"
            _source(turn, citation.number, citation.passage, opened, doubt)
    for note in notes(answer):
        st.caption(literal(note))


def _abstained(answer: Answer, turn: Turn, opened: Callable[[int], None]) -> None:
    """An answer like any other: that the documents do not say is worth knowing."""
    if not answer.offered:
        st.write(literal(answer.text))
        return
    st.write("The documents do not say.")
    read = "The best passage was" if answer.offered == 1 else f"The {answer.offered} best passages were"
    st.caption(f"{read} read, and nothing in them answers the question. Nearest to it:")
    with st.container(gap="xsmall"):
        for rank, hit in enumerate(answer.hits[:NEAREST], start=1):
            _source(turn, rank, hit.passage, opened, "")
            prose([Piece("text", opening(hit.passage.text))], key=f"near {turn.number} {rank}", quoted=True)


def _source(turn: Turn, number: int, passage: Passage, opened: Callable[[int], None], doubt: str) -> None:
    label = f"**{number}** {literal(named(passage))} · {BADGES[passage.origin]}{doubt}"
    key = f"source {turn.number} {number}"
    st.button(label, key=key, type="tertiary", on_click=opened, args=(number,), help="Show it where it stands")


# ------------------------------------------------------------------------------------------------ verdicts


def _judge(turn: Turn) -> None:
    key = f"thumbs {turn.kept.conversation} {turn.number}"
    was = _THUMBS.index(turn.verdict.thumb) if turn.verdict else None
    st.feedback("thumbs", key=key, default=was, on_change=_thumbed, args=(turn, key))
    if turn.verdict:
        with st.popover("Note", icon=":material/sticky_note_2:", type="tertiary"), st.form(f"note {key}", border=False):
            note = st.text_area("What is good or wrong about it?", turn.verdict.note, max_chars=LONGEST_NOTE, height=80)
            expected = st.text_area(
                "The answer that you expected", turn.verdict.expected, max_chars=LONGEST_NOTE, height=80
            )
            if st.form_submit_button("Keep"):
                _keep(turn, Verdict(turn.verdict.thumb, note, expected))
                st.rerun()


def _thumbed(turn: Turn, key: str) -> None:
    chosen: int | None = st.session_state[key]
    before = turn.verdict
    if chosen is None:
        _keep(turn, None)
    else:
        _keep(turn, Verdict(_THUMBS[chosen], before.note if before else "", before.expected if before else ""))


def _keep(turn: Turn, verdict: Verdict | None) -> None:
    try:
        conversations.current().judge(shared.keeper(), turn, verdict)
    except RagError as error:
        st.toast(literal(line(str(error))), icon=":material/error:")
