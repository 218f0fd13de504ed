"""Where a claim stands: its page with the passage marked, or its section; and documents opened at a page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial

import streamlit as st

from app import shared
from app.chat import Chat
from app.printed import printed
from app.prose import prose
from app.views import BADGES, Piece, around, article_line, claims, line, literal, named, passage_pieces, safe_link
from rag import compose
from rag.errors import RagError
from rag.index.opened import Opened
from rag.types import Answer, Article, Cited, Passage, Picture

PICTURES = 32  # pages that are kept drawn


def show(chat: Chat) -> bool:
    """Opens what the address names: the evidence of an answer, or a document. False where it names none that there
    is."""
    address = shared.address()
    answer = chat.answered(address.answer)
    if answer and 0 < address.source <= len(answer.hits):
        _drawer("Evidence", partial(_evidence, answer, address.source))
    elif address.document:
        _drawer("Document", partial(_document, address.document, max(address.page, 1)))
    else:
        return False
    return True


def _drawer(title: str, show: Callable[[], None]) -> None:
    st.dialog(title, width="medium", position="right", on_dismiss=_closed)(show)()


def _closed() -> None:
    shared.go(answer=0, source=0, document="", page=0)


# ----------------------------------------------------------------------------------------------- evidence


def _evidence(answer: Answer, first: int) -> None:
    number = _chosen(answer, first)
    passage = answer.hits[number - 1].passage
    st.markdown(f"**{literal(named(passage))}** · {BADGES[passage.origin]}")
    said = claims(answer, number)
    for claim in said:
        with st.container(gap="xxsmall"):
            st.caption("The answer says")
            st.text(line(claim), width="stretch")
    span = next(((span.start, span.end) for span in answer.spans if span.number == number), None)
    try:
        with closing(compose.collection(shared.settings())) as collection:
            pages = collection.cited(passage, span)
            opened = collection.opened(passage.document, passage.uri)
    except RagError as error:
        st.warning(literal(str(error)))
        pages, opened = [], None
    if pages:
        _pages(pages, passage)
    _text(answer, number, opened, is_alone=not pages)
    if passage.article:
        _attributed(passage.article)


def _chosen(answer: Answer, first: int) -> int:
    """The number of the source that is looked at: the one that was opened, until another is chosen here."""
    numbers = sorted({first, *(citation.number for citation in answer.citations)})
    if len(numbers) < 2:
        return first
    key = f"source of {id(answer)} {first}"
    chosen = st.segmented_control("Source", numbers, default=first, required=True, key=key)
    return chosen or first


def _pages(pages: list[Cited], passage: Passage) -> None:
    """The pages that a passage stands on, one at a time."""
    cited = pages[0]
    if len(pages) > 1:
        numbers = [cited.page for cited in pages]
        chosen = st.segmented_control("The passage runs over pages", numbers, default=numbers[0], required=True)
        cited = pages[numbers.index(chosen or numbers[0])]
    page = drawn(cited)
    if page.png:
        seen = f"Page {cited.page} of {line(passage.document)}"
        printed(
            page, seen if page.problem else f"{seen}, the passage marked", key=f"printed {cited.page} {cited.start}"
        )
    if page.problem:
        st.caption(f":material/info: {literal(page.problem)}")


@st.cache_data(show_spinner="Drawing the page", max_entries=PICTURES)
def drawn(cited: Cited) -> Picture:
    return shared.drawer().draw(cited)


def _text(answer: Answer, number: int, opened: Opened | None, is_alone: bool) -> None:
    """The passage as text, with what is quoted marked, and what stands around it."""
    passage = answer.hits[number - 1].passage
    spans = [span for span in answer.spans if span.number == number]
    pieces = passage_pieces(passage, claims(answer, number), spans)
    with st.expander("The passage as text", expanded=is_alone, icon=":material/notes:"):
        if passage.heading:
            st.caption(literal(passage.heading))
        before, after = around(opened.text, passage) if opened else ("", "")
        prose([Piece("around", before), *pieces, Piece("around", after)], key=f"passage {number}", quoted=True)
        if opened is None:
            st.caption(
                "The document is no longer in this collection, or has changed since: this is what was read then."
            )


def _attributed(article: Article) -> None:
    """What an article's licence asks for: where it is from, for good, and by whom."""
    st.caption(literal(article_line(article)))
    if link := safe_link(article.link):
        st.link_button("Read it on Wikipedia", link, icon=":material/open_in_new:", type="tertiary")


# ---------------------------------------------------------------------------------------------- documents


def _document(name: str, first: int) -> None:
    try:
        with closing(compose.collection(shared.settings())) as collection:
            opened = collection.opened(name)
    except RagError as error:
        st.warning(literal(str(error)))
        return
    if opened is None:
        st.write("There is no such document in this collection, or nothing could be read of it.")
        return
    st.markdown(f"**{literal(opened.name)}**")
    if opened.pages:
        number = min(first, opened.pages)
        if opened.pages > 1:
            number = int(st.number_input(f"Page, of {opened.pages}", 1, opened.pages, number, key=f"page of {name}"))
        shared.go(page=number)
        shared.show_address()
        page = drawn(opened.page(number))
        if page.png:
            printed(page, f"Page {number} of {line(opened.name)}", key="printed")
        if page.problem:
            st.caption(f":material/info: {literal(page.problem)}")
    with st.expander("As text", expanded=not opened.pages, icon=":material/notes:"):
        prose([Piece("text", opened.text[:LONGEST])], key=f"text of {name}", quoted=True)
        if len(opened.text) > LONGEST:
            st.caption(f"The first {LONGEST:,} of {len(opened.text):,} characters.")
    if opened.article:
        _attributed(opened.article)


LONGEST = 100_000  # characters of a document that are shown as text
