"""Looking after a collection: is it whole, how much room does it take, away with it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

import streamlit as st

from app import adding, following, shared, uploads, wording, work
from app.views import literal
from rag.config import Config
from rag.errors import RagError
from rag.index.collection import Collection
from rag.terminal import counted


def show(config: Config, collection: Collection, info: Mapping[str, Any]) -> None:
    with st.expander("Look after it", icon=":material/handyman:"):
        st.caption(
            literal(
                f"{counted(info['documents'], 'document')}, {counted(info['passages'], 'passage')}, "
                f"{wording.size(info['bytes'])} on disk; embedded by {info['model']}."
            )
        )
        if info["writer"]:
            st.caption(literal(f"A process is writing: {info['writer']}."))
        busy = following.is_busy(config)
        with st.container(horizontal=True):
            if st.button("Verify", icon=":material/fact_check:", disabled=busy):
                adding.start(config, work.verify(config))
            if st.button("Repair", icon=":material/build:", disabled=busy):
                adding.start(config, work.repair(config))
            _remove(config, collection, info, busy)


def rescue(config: Config) -> None:
    """What can be done where a collection cannot be read."""
    if st.button("Repair", icon=":material/build:", disabled=following.is_busy(config)):
        adding.start(config, work.repair(config))


def verified(config: Config, result: Mapping[str, Any]) -> None:
    if result["whole"]:
        st.success("It is whole: everything stored is what was written.")
        return
    for problem in result["problems"]:
        st.text(problem)
    if st.button("Repair it", type="primary", disabled=following.is_busy(config)):
        adding.start(config, work.repair(config))


def _remove(config: Config, collection: Collection, info: Mapping[str, Any], busy: bool) -> None:
    with st.popover("Remove collection", icon=":material/delete:"):
        into = uploads.folder(config.indexes, config.collection)
        kept = len(uploads.names(into))
        st.write(f"The collection with its {counted(info['files'], 'document')} goes; files in your folders stay.")
        also = kept > 0 and st.checkbox(f"Delete the {counted(kept, 'uploaded file')} as well", value=True)
        name = st.text_input("Its name, to be sure", placeholder=config.collection)
        if not st.button("Remove it", type="primary", disabled=busy or name.strip() != config.collection):
            return
        try:
            collection.remove()
        except RagError as error:
            st.error(literal(str(error)))
            return
        if also:
            shutil.rmtree(into, ignore_errors=True)
        shared.go(collection=next(iter(shared.collections(config)), config.collection))
        st.rerun()
