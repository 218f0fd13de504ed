"""What can be asked, and how it came there."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import streamlit as st

from app import adding, care, documents, following, shared, wording, work
from app.views import literal
from rag import compose
from rag.config import Config
from rag.errors import RagError
from rag.index.collection import Collection
from rag.index.seams import Store
from rag.jobs.job import Job


def show() -> None:
    shared.follow_address()
    _choose()
    config = shared.settings()
    is_mine = shared.may_change(config)
    with closing(compose.collection(config)) as collection:
        if is_mine:
            _what_goes_on(config)
        try:
            _what_there_is(config, collection, is_mine)
        except RagError as error:
            st.error(literal(str(error)))
            if is_mine:
                care.rescue(config, collection)
    if is_mine:
        care.past(config, lambda job: report(config, job))
    shared.show_address()


def _what_goes_on(config: Config) -> None:
    with st.container():  # what comes and goes in it moves nothing below to another place
        following.show(config, work.lane(config), lambda job: report(config, job))
        adding.tell_uploads(config)


def _what_there_is(config: Config, collection: Store, is_mine: bool) -> None:
    info = collection.info() if collection.exists() else {}
    if is_mine:
        adding.show(config, info)
    else:
        st.caption("This collection is shared with you. You can ask it; whoever runs this server keeps it.")
    if info:
        documents.show(config, collection, info, is_mine)
    if info and is_mine:
        care.show(config, collection, info)


def _choose() -> None:
    """A row that says which collection is shown, and changes it or makes one."""
    there = shared.collections(shared.environment())
    chosen = shared.address().collection
    names = sorted({*there, chosen})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Collection",
            names,
            index=names.index(chosen),
            format_func=lambda name: name if name in there else f"{name} (empty)",
            width=280,
        )
        if name != chosen:
            shared.go(collection=name)
        if not shared.own().store:  # whose address names the one that there is
            with st.popover("New collection", icon=":material/add:"):
                _make(there)
        if shared.may_change(shared.settings()):
            adding.bring_in_step(shared.settings())


def _make(there: list[str]) -> None:
    with st.form("make", border=False, clear_on_submit=True):
        name = st.text_input("Name", max_chars=64, placeholder="contracts-2026").strip()
        if not st.form_submit_button("Make it") or not name:
            return
    try:
        Collection(shared.own().indexes, name)
    except RagError as error:
        st.error(literal(str(error)))
        return
    if name in there:
        st.error("There is one of that name already.")
        return
    shared.go(collection=name)
    st.rerun()


def report(config: Config, job: Job) -> None:
    """What came of a job: the changes it made, and every file that there is something to say of."""
    following.said(job)
    result = job.result()
    if not result:
        return
    if job.work.kind == work.VERIFY:
        care.verified(config, result)
    elif job.work.kind == work.REPAIR:
        for done in result["done"] or ["There was nothing to repair."]:
            st.text(done)
    elif "files" in result:
        _synced(config, job, result)


def _synced(config: Config, job: Job, result: Mapping[str, Any]) -> None:
    if rows := wording.awkward(result["files"]):
        st.dataframe(rows, hide_index=True, height="auto")
    for note in (*result["notes"], *(f"Could not be looked into: {name}" for name in result["unread"])):
        st.text(note)
    if result["withheld"] and job.work.kind == work.SYNC:
        adding.offer_pruning(config, job, result["withheld"])
