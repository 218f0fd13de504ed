"""Where a claim stands: the passage, on its page."""

from __future__ import annotations

import streamlit as st

from app import shared
from app.conversation import Conversation
from app.prose import prose
from app.views import BADGES, claims, line, literal, named, passage_pieces
from rag.types import Answer


def show(conversation: Conversation) -> None:
    """Opens what the address names, if it names any evidence that there is."""
    address = shared.address()
    if not 0 < address.answer <= len(conversation.turns):
        return
    answer = conversation.turns[address.answer - 1].answer
    if answer and 0 < address.source <= len(answer.hits):
        _drawer(answer, address.source)


def _closed() -> None:
    shared.go(answer=0, source=0)


@st.dialog("Evidence", width="large", position="right", on_dismiss=_closed)
def _drawer(answer: Answer, number: int) -> None:
    passage = answer.hits[number - 1].passage
    st.markdown(f"**{literal(named(passage))}** · {BADGES[passage.origin]}")
    quotes = claims(answer, number)
    for claim in quotes:
        st.caption("The answer says")
        st.text(line(claim), width="stretch")
    st.caption("The passage says")
    spans = [span for span in answer.spans if span.number == number]
    prose(passage_pieces(passage, quotes, spans), key=f"passage {number}", quoted=True)
    if article := passage.article:
        st.markdown(f"[{literal(article.link)}]({article.link})")
        st.caption(literal(article.attribution))
