"""The conversations of whoever asks: the one that is open, and those kept on disk, to be found, named and exported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import streamlit as st

from app import shared
from app.chat import Chat
from app.views import literal
from rag.errors import RagError
from rag.history import export
from rag.history.store import PAGE, Conversation, Turn

_CURRENT, _NAMED = "conversation", "conversation is named"
Kind = Literal["secondary", "tertiary"]  # of a button


def current() -> Chat:
    """This tab's conversation: the one that the address names, or else one about the collection that is looked at. The
    address follows a conversation that has only now got its name."""
    address = shared.address()
    held: Chat | None = st.session_state.get(_CURRENT)
    if held is None or address.conversation != st.session_state[_NAMED] or address.collection != held.collection:
        _leave()
        held = _opened(address.conversation) if address.conversation else None
        held = held or Chat(address.collection)
        st.session_state[_CURRENT] = held
    st.session_state[_NAMED] = held.id
    shared.go(conversation=held.id, collection=held.collection)
    return held


def new() -> None:
    _leave()
    shared.go(conversation="", answer=0, source=0, document="", page=0)


def _leave() -> None:
    """What is being answered in it is not wanted any more."""
    if held := st.session_state.pop(_CURRENT, None):
        held.stop()


def sidebar() -> None:
    with st.sidebar:
        st.button("New conversation", icon=":material/edit_square:", key="new", width="stretch", on_click=new)
        _list()


def _opened(id_: str) -> Chat | None:
    try:
        return shared.keeper().found(id_)
    except RagError as error:
        st.toast(literal(str(error)), icon=":material/error:")
        return None


def _list() -> None:
    keeper, chosen = shared.keeper(), shared.address().conversation
    wanted = st.text_input(
        "Search conversations",
        key="search",
        placeholder="Search",
        icon=":material/search:",
        label_visibility="collapsed",
    )
    shown = st.session_state.get("listed", PAGE)
    try:
        found = keeper.history.conversations(keeper.owner, wanted, limit=shown + 1)
    except RagError as error:
        st.warning(literal(str(error)))
        return
    if not found:
        st.caption("Nothing found." if wanted else "Your conversations will be listed here. They stay on this machine.")
    with st.container(gap=None):
        for one in found[:shown]:
            kind: Kind = "secondary" if one.id == chosen else "tertiary"
            opens = partial(_open, one.id)
            st.button(literal(one.title), key=f"open {one.id}", type=kind, wrap=False, on_click=opens)
    if len(found) > shown:
        st.button("More", key="more", type="tertiary", on_click=lambda: st.session_state.update(listed=shown + PAGE))


def _open(id_: str) -> None:
    shared.go(conversation=id_, answer=0, source=0, document="", page=0)


def menu() -> None:
    """What can be done with the conversation that is open."""
    id_ = current().id
    if not id_:
        return
    opened = st.popover("Conversation", icon=":material/more_horiz:", type="tertiary", on_change="rerun", key="menu")
    if not opened.open:
        return  # nothing is read for a menu that nobody looks at
    with opened:
        try:
            _rename(id_)
            _exports(id_)
            _export_judged()
        except RagError as error:
            st.warning(literal(str(error)))
        if st.button("Delete conversation", key="delete", type="tertiary", icon=":material/delete:"):
            st.session_state["deleting"] = id_
        if st.session_state.get("deleting") == id_:
            st.button("Yes, delete it for good", key="delete now", type="primary", on_click=_delete, args=(id_,))


def _rename(id_: str) -> None:
    keeper = shared.keeper()

    def renamed() -> None:
        _try(lambda: keeper.history.rename(keeper.owner, id_, st.session_state[f"title {id_}"]))

    title = keeper.history.conversation(keeper.owner, id_).title
    st.text_input("Title", title, key=f"title {id_}", on_change=renamed)


def _export_judged() -> None:
    keeper = shared.keeper()
    if judged := len(keeper.history.judged(keeper.owner)):
        st.download_button(
            f"Export {judged} judged as a question set",
            lambda: export.questions(keeper.history.judged(keeper.owner)),
            "judged.jsonl",
            "application/jsonl",
            on_click="ignore",
            type="tertiary",
            icon=":material/checklist:",
        )


def _try(do: Callable[[], object]) -> None:
    try:
        do()
    except RagError as error:
        st.toast(literal(str(error)), icon=":material/error:")


def _exports(id_: str) -> None:
    _export(id_, "Markdown", ":material/description:", "md", export.markdown)
    _export(id_, "JSON", ":material/data_object:", "json", export.as_json)


def _export(
    id_: str, name: str, icon: str, suffix: str, written: Callable[[Conversation, Sequence[Turn]], str]
) -> None:
    """Written when it is asked for, not whenever the page is drawn."""
    keeper = shared.keeper()

    def data() -> str:
        return written(keeper.history.conversation(keeper.owner, id_), keeper.history.turns(keeper.owner, id_))

    file, key = f"conversation-{id_[:8]}.{suffix}", f"export {suffix}"
    st.download_button(
        f"Export as {name}", data, file, "text/plain", key=key, on_click="ignore", type="tertiary", icon=icon
    )


def _delete(id_: str) -> None:
    keeper = shared.keeper()
    _try(lambda: keeper.history.remove(keeper.owner, id_))
    new()
