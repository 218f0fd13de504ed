"""What is loaded once in a process, whoever asks, and what belongs to one tab alone.

Models, readers and indexes are shared by all tabs and threads; each is loaded when it is first needed, by one thread
while the others wait. Everything in `st.session_state` belongs to one tab.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.address import Address, read, written
from rag import compose
from rag.config import Config
from rag.index.collection import Collection
from rag.types import Origin

if TYPE_CHECKING:
    from rag.answer import Asker

LEDGER = "ledger.sqlite"
FILTERS = 16  # combinations of settings and filters that are held ready


# ------------------------------------------------------------------------------------------ of the process


@st.cache_resource(show_spinner=False)
def environment() -> Config:
    """As the environment says when the process begins."""
    return Config.from_environment()


def asker(config: Config, pattern: str, only: Origin | None, tell: Callable[[str], None]) -> Asker:
    """What answers questions over a collection, or over what a filter leaves of it. `tell` hears what loading does."""
    settled = replace(config, passages=Config().passages)  # these are told with each question
    return _asker(settled, pattern, only, tell)


@st.cache_resource(show_spinner=False)
def _collection(indexes: Path, name: str) -> Collection:
    """The one that is searched; its threads take turns. Whoever only looks makes one of their own."""
    return Collection(indexes, name)


@st.cache_resource(show_spinner=False, max_entries=FILTERS)
def _asker(config: Config, pattern: str, only: Origin | None, _tell: Callable[[str], None]) -> Asker:
    among = _collection(config.indexes, config.collection)
    return compose.asker(config, among, pattern or None, only, _tell)


def collections(config: Config) -> list[str]:
    """The names of all that can be asked, sorted."""
    return sorted(path.parent.name for path in config.indexes.glob(f"*/{LEDGER}"))


# ---------------------------------------------------------------------------------------------- of the tab


def settings() -> Config:
    """The environment's, with what this tab has set, over the collection that it looks at."""
    return replace(environment(), **st.session_state.get("settings", {}), collection=address().collection)


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


def listens() -> Callable[[], bool]:
    """What tells any thread whether this tab is still open."""
    from streamlit.runtime import Runtime

    context = get_script_run_ctx()
    if context is None or not Runtime.exists():
        return lambda: True
    session = context.session_id
    return lambda: Runtime.instance().is_active_session(session)
