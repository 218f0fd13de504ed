"""Looking after a collection: is it whole, how much room does it take, what was done with it; away with it."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import streamlit as st

from app import following, shared, uploads, wording, work
from app.views import line, literal
from rag.config import Config
from rag.errors import RagError
from rag.index.collection import LEDGER
from rag.index.seams import Store
from rag.jobs.job import Job, State
from rag.terminal import counted


def show(config: Config, collection: Store, info: Mapping[str, Any]) -> None:
    with st.expander("Look after it", icon=":material/handyman:", key=f"care for {config.collection}"):
        if info["writer"]:
            st.caption(literal(f"A process is writing: {info['writer']}."))
        busy = following.is_busy(config)
        with st.container(horizontal=True):
            if st.button("Verify", icon=":material/fact_check:", disabled=busy, help="Is all that is stored whole?"):
                following.start(config, work.verify(config))
            _repair(config, busy)
            _remove(config, collection, info["files"], busy)
        _room(config, collection, info)


def rescue(config: Config, collection: Store) -> None:
    """What can be done where a collection cannot be read."""
    busy = following.is_busy(config)
    with st.container(horizontal=True):
        _repair(config, busy)
        _remove(config, collection, 0, busy)


def verified(config: Config, result: Mapping[str, Any]) -> None:
    if result["whole"]:
        st.success("It is whole: everything stored is what was written.")
        return
    for problem in result["problems"]:
        st.text(line(problem), width="stretch")
    if not config.store and st.button("Repair it", type="primary", disabled=following.is_busy(config)):
        following.start(config, work.repair(config))


def _repair(config: Config, busy: bool) -> None:
    if config.store:  # which has nothing that it could be rebuilt from
        return
    about = "Rebuilds the indexes from the ledger; needs neither the documents nor a model."
    if st.button("Repair", icon=":material/build:", disabled=busy, help=about):
        following.start(config, work.repair(config))


# --------------------------------------------------------------------------------------------------- room


def _room(config: Config, collection: Store, info: Mapping[str, Any]) -> None:
    st.caption(
        literal(
            f"{counted(info['documents'], 'document')} in {counted(info['passages'], 'passage')}, embedded by "
            f"{info['model']}. "
            + (f"Room on disk: {wording.size(info['bytes'])}." if info["bytes"] else info["folder"])
        )
    )
    uploaded = uploads.folder(config.indexes, config.collection)
    parts = {**taken(collection.home), "Uploaded files": sum(taken(uploaded).values())}
    st.dataframe(
        {"What": list(parts), "Size": list(parts.values())},
        hide_index=True,
        width=420,
        column_config={"Size": st.column_config.NumberColumn(format="bytes")},
    )


def taken(home: Path) -> dict[str, int]:
    """Bytes below a folder, by what they are for. A writer may take files away meanwhile."""
    sizes: Counter[str] = Counter()
    for folder, _, names in os.walk(home):
        for name in names:
            with suppress(OSError):
                sizes[_purpose(name, Path(folder).name)] += os.stat(os.path.join(folder, name)).st_size
    return {what: size for what, size in sizes.items() if size}


def _purpose(name: str, folder: str) -> str:
    if name.startswith(LEDGER):
        return "Ledger: texts, passages, vectors"
    if folder == "words":
        return "Index of words"
    return "Index of vectors" if name.startswith("vectors") else "Other"


# ----------------------------------------------------------------------------------------------- what was


def past(config: Config, report: following.Report) -> None:
    """What was done with the collection, and what came of it."""
    jobs = [job for job in work.desk(config).jobs() if job.work.collection == config.collection]
    jobs = [job for job in jobs if job.work.kind != work.EVALUATE and job.state is not State.RUNNING]
    if not jobs:
        return
    with st.expander("What was done", icon=":material/history:", key=f"past of {config.collection}"):
        event = st.dataframe(
            _rows(jobs),
            hide_index=True,
            key=f"jobs {config.collection}",
            on_select="rerun",
            selection_mode="single-row",
        )
        chosen: Sequence[int] = event["selection"]["rows"]
        if chosen and chosen[0] < len(jobs):
            report(jobs[chosen[0]])


def _rows(jobs: Sequence[Job]) -> dict[str, list[str]]:
    return {
        "When": [time.strftime("%Y-%m-%d %H:%M", time.localtime(job.started)) for job in jobs],
        "What": [wording.doing(job) for job in jobs],
        "How it ended": [wording.ending(job) for job in jobs],
        "Took": [wording.lasting(job.seconds) for job in jobs],
    }


def _remove(config: Config, collection: Store, files: int, busy: bool) -> None:
    with st.popover("Remove collection", icon=":material/delete:"):
        into = uploads.folder(config.indexes, config.collection)
        kept = len(uploads.names(into))
        held = counted(files, "document") if files else "all that it holds"
        st.write(f"The collection goes, with {held}. Files in your own folders stay.")
        also = kept > 0 and st.checkbox(f"Delete the {counted(kept, 'uploaded file')} as well", value=True)
        name = st.text_input("Its name, to be sure", placeholder=config.collection)
        if not st.button("Remove it", type="primary", key="remove collection", disabled=busy):
            return
        if name.strip() != config.collection:
            st.error("Nothing was removed: that is not its name.")
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
