"""What is loaded once in a process, whoever asks, and what belongs to one tab alone.

Models, readers and indexes are shared by all tabs and threads; each is loaded when it is first needed, by one thread
while the others wait. Everything in `st.session_state` belongs to one tab.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app import login, people
from app.address import Address, read, written
from app.chat import Keeper
from rag import compose
from rag.answer import DEFAULT_HITS
from rag.config import EXTRACTIVE, REMOTE, Config
from rag.errors import RagError
from rag.types import Origin

if TYPE_CHECKING:
    from streamlit.navigation.page import Page

    from rag.answer import Asker
    from rag.index.seams import Store
    from rag.sources.pictures import Drawer

FILTERS = 16  # combinations of settings and filters that are held ready


# ------------------------------------------------------------------------------------------ of the process


@st.cache_resource(show_spinner=False)
def environment() -> Config:
    """As the environment says when the process begins."""
    return Config.from_environment()


def asker(config: Config, pattern: str, only: Origin | None, tell: Callable[[str], None]) -> Asker:
    """What answers questions over a collection, or over what a filter leaves of it. `tell` hears what loading does."""
    settled = replace(config, passages=DEFAULT_HITS)  # as many as each question asks for
    return _asker(settled, pattern, only, tell)


@st.cache_resource(show_spinner=False)
def _collection(indexes: Path, name: str, store: str) -> Store:
    """The one that is searched; its threads take turns. Whoever only looks makes one of their own."""
    return compose.collection(Config(indexes=indexes, collection=name, store=store))


@st.cache_resource(show_spinner=False, max_entries=FILTERS)
def _asker(config: Config, pattern: str, only: Origin | None, _tell: Callable[[str], None]) -> Asker:
    among = _collection(config.indexes, config.collection, config.store)
    return compose.asker(config, among, pattern or None, only, _tell)


@st.cache_resource(show_spinner=False)
def drawer() -> Drawer:
    """What draws pages; its child process is started with the first one."""
    return compose.drawer()


def missing_model(model: str) -> str:
    """Why a chat model cannot answer before something is done; empty when it can."""
    from rag.generation.cache import present
    from rag.generation.models import find

    if model == EXTRACTIVE or model.startswith(REMOTE):
        return ""
    try:
        found = find(model)
    except RagError as error:
        return str(error)
    if present(found):
        return ""
    return f"{model} has to be downloaded before it can answer. Settings say what that takes, and do it."


def models() -> list[dict[str, Any]]:
    """The table of chat models: what each needs, its licence, and whether it is here."""
    from rag.generation.models import MODELS
    from rag.shapes import model_shape

    return [model_shape(model) for model in MODELS.values()]


def release(model: str) -> None:
    """Lets go of a chat model. What asks it is made anew with the next question."""
    compose.release_model(model)
    _asker.clear()


# ---------------------------------------------------------------------------------------------- of the tab


def collections(config: Config) -> list[str]:
    """The names of all that whoever looks may ask, sorted."""
    return list(people.collections(config, login.person()))


def settings() -> Config:
    """The environment's, with what this tab has set, over the collection that it looks at."""
    config = replace(environment(), **st.session_state.get("settings", {}))
    return people.at(config, login.person(), address().collection)


def own() -> Config:
    """The environment's settings over the collections that are whoever's who looks: theirs to change, and to measure
    with."""
    return people.own(environment(), login.person())


def may_change(config: Config) -> bool:
    """Whether the collection that these settings ask belongs to whoever looks: what is shared can be read alone."""
    return config.indexes == own().indexes


def set_settings(**changed: object) -> None:
    st.session_state["settings"] = {**st.session_state.get("settings", {}), **changed}


def follow_address() -> None:
    """Takes up what the address bar says, if somebody has changed it: the first thing that a page does."""
    given = st.query_params.to_dict()
    known = st.session_state.get("address")
    if known is None or (given and given != st.session_state.get("address bar")):
        there = collections(environment())
        usual = known.collection if known else environment().collection
        named = read(given)
        first = usual if usual in there or not there else there[0]
        st.session_state["address"] = replace(named, collection=named.collection or first)


def address() -> Address:
    """The view that this tab is at."""
    if "address" not in st.session_state:
        follow_address()
    return st.session_state["address"]  # type: ignore[no-any-return]


def go(**changed: object) -> None:
    """Changes the view."""
    st.session_state["address"] = replace(address(), **changed)  # type: ignore[arg-type]


def show_address() -> None:
    """Brings the address bar in step with the view: the last thing that a page does before it opens a dialog."""
    wanted = written(address())
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)
    st.session_state["address bar"] = wanted


def keeper() -> Keeper:
    """What keeps and finds the conversations of whoever this tab belongs to."""
    return Keeper(compose.history(environment()), login.person().id)


def page(name: str) -> Page:
    """A page of the navigation, by its name in the address."""
    return st.session_state["pages"][name]  # type: ignore[no-any-return]


def listens() -> Callable[[], bool]:
    """What tells any thread whether this tab is still open."""
    from streamlit.runtime import Runtime

    context = get_script_run_ctx()
    if context is None or not Runtime.exists():
        return lambda: True
    runtime, session = Runtime.instance(), context.session_id
    return lambda: runtime.is_active_session(session)
