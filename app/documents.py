"""The documents of a collection: found, looked at, opened, removed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import streamlit as st

from app import following, opening, uploads, work
from app.views import BADGES, literal
from rag import compose
from rag.config import Config
from rag.errors import RagError
from rag.index.seams import Store
from rag.types import Held, Origin, Status

MOST = 10_000  # rows that are shown at once
ROWS = 12  # that are seen without scrolling

Columns = dict[str, list[Any]]
Where = tuple[Path, str, str]  # indexes, name and store of a collection


def show(config: Config, collection: Store, info: Mapping[str, Any], is_mine: bool) -> None:
    st.subheader("Documents", anchor=False)
    part, statuses = _filters(info)
    where = (config.indexes, config.collection, config.store)
    wanted = (where, collection.state, part, tuple(statuses))
    held = _held(*wanted)
    if not held:
        st.caption("No document is called so." if part or statuses else "No documents yet.")
        return
    key = f"documents {config.collection}"
    chosen = st.session_state.get(key, {}).get("selection", {}).get("rows", [])
    table, beside = st.columns([3, 2]) if chosen else (st.container(), None)
    with table:
        picked = _table(_rows(*wanted), key)
        if len(held) >= MOST:
            st.caption(f"The first {MOST:,} of {info['files']:,} are shown: search for the others.")
    if beside and picked is not None and picked < len(held):
        with beside:
            _one(config, held[picked], is_mine)
    else:
        st.caption("Choose a row to open the document, see what happened to it, or remove it.")


def _filters(info: Mapping[str, Any]) -> tuple[str, list[str]]:
    counts = info["statuses"]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        part = st.text_input("Find", placeholder="part of a name", icon=":material/search:", width=280).strip()
        if len(counts) < 2:
            return part, []
        chosen = st.pills(
            "Status",
            [status.value for status in Status if status in counts],
            selection_mode="multi",
            format_func=lambda status: f"{status} {counts[status]:,}",
        )
    return part, list(chosen)


@st.cache_resource(show_spinner=False, max_entries=32)  # nobody changes it: it is shared as it is
def _held(where: Where, state: object, part: str, statuses: tuple[str, ...]) -> list[Held]:
    indexes, name, store = where
    collection = compose.collection(Config(indexes=indexes, collection=name, store=store))
    try:
        return [one for one in collection.held(part, MOST) if not statuses or one.outcome.status in statuses]
    finally:
        collection.close()


@st.cache_resource(show_spinner=False, max_entries=32)
def _rows(where: Where, state: object, part: str, statuses: tuple[str, ...]) -> Columns:
    held = _held(where, state, part, statuses)
    columns: Columns = {
        "Name": [one.name for one in held],
        "Status": [one.outcome.status.value for one in held],
        "Pages": [one.outcome.pages for one in held],
        "Size": [one.size for one in held],
        "Date": [_date(one) for one in held],
        "Kind": [BADGES[one.origin] for one in held],
    }
    if any(one.outcome.reason for one in held):
        columns["Reason"] = [one.outcome.reason for one in held]
    return columns


def _table(rows: Columns, key: str) -> int | None:
    """The number of the row that was chosen."""
    event = st.dataframe(
        rows,
        hide_index=True,
        key=key,
        on_select="rerun",
        selection_mode="single-row",
        placeholder="",
        height=35 * min(len(rows["Name"]), ROWS) + 38,
        column_config={
            "Name": st.column_config.TextColumn(width="medium"),
            "Pages": st.column_config.NumberColumn(width="small"),
            "Size": st.column_config.NumberColumn(format="bytes", width="small"),
            "Date": st.column_config.DateColumn(format="YYYY-MM-DD", width="small"),
        },
    )
    chosen: list[int] = event["selection"]["rows"]
    return chosen[0] if chosen else None


def _date(one: Held) -> datetime | None:
    """When a file was last changed, or an article's revision made; None of a file that is not there."""
    if one.revised:
        return datetime.fromisoformat(one.revised)
    try:
        return datetime.fromtimestamp(os.stat(one.key).st_mtime)
    except (OSError, ValueError):
        return None


def _one(config: Config, one: Held, is_mine: bool) -> None:
    outcome = one.outcome
    with st.container(border=True):
        st.markdown(f"**{literal(one.name)}** · {outcome.status.value}")
        for text in (outcome.reason, outcome.remedy):
            if text:
                st.text(text)
        if outcome.pages_without_text:
            st.caption("Pages without text: " + literal(", ".join(map(str, outcome.pages_without_text))))
        if is_mine or one.origin is Origin.WIKIPEDIA:  # where it lies is nobody else's business
            st.caption(literal(one.uri if one.origin is Origin.WIKIPEDIA else os.fsdecode(one.key)))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if outcome.status in (Status.INDEXED, Status.PARTLY):
                _open(one)
            if is_mine:
                _remove(config, one)


def _open(one: Held) -> None:
    page = 0
    if one.outcome.pages:
        page = st.number_input("Page", 1, one.outcome.pages, width=120)
    if st.button("Open", icon=":material/article:"):
        opening.document(one.name, page)
    if st.button("Ask about it", icon=":material/chat:"):
        opening.ask_about(one.name)


def _remove(config: Config, one: Held) -> None:
    into = uploads.folder(config.indexes, config.collection)
    path = Path(os.fsdecode(one.key))
    if one.key.startswith(b"wiki:"):
        said = "Answers do not use the article any more. It can be added again."
    elif path.parent == into:
        said = "The uploaded file is deleted, and answers do not use it any more."
    else:
        st.caption(
            "It lies in a folder of yours, where nothing is ever deleted. To leave it out, move it away and bring the "
            "collection in step."
        )
        return
    with st.popover("Remove", icon=":material/delete:"):
        st.write(said)
        if not st.button("Remove it", type="primary", key="remove document", disabled=following.is_busy(config)):
            return
        if path.parent != into:
            following.start(config, work.remove_article(config, one.name))
        elif _deleted(into, path.name):
            following.start(config, work.remove_file(config, path))


def _deleted(into: Path, name: str) -> bool:
    try:
        uploads.remove(into, name)
    except RagError as error:
        st.error(literal(str(error)))
        return False
    return True
