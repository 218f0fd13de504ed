"""What can be set, and what a change costs before it is made."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial

import streamlit as st

from app import costs, following, login, people, scope, shared, work
from app.cells import table
from app.costs import Cost, Here
from app.people import LOCAL
from app.tables import model_rows
from app.views import counted, literal
from rag import compose
from rag.config import EXTRACTIVE, LATE, MOST, NONE, READER, REMOTE, Config
from rag.errors import RagError, UsageError
from rag.generation.models import MODELS, find
from rag.generation.options import Precision

_CHANGED = ("model", "precision", "passages", "rerank", "ocr")  # what can be set here
_OTHER = "another one …"
_WRITERS = {EXTRACTIVE: "extractive: quotes word for word, needs no model"}
_RERANKERS = {
    READER: "the reader that comes along",
    LATE: "word by word (late interaction)",
    NONE: "not at all: as they were found",
}
_ICONS = {
    "Memory": ":material/memory:",
    "Download": ":material/download:",
    "Licence": ":material/gavel:",
    "Privacy": ":material/public:",
    "Time": ":material/timer:",
    "Not possible": ":material/block:",
}


def show() -> None:
    shared.follow_address()
    st.header("Settings", anchor=False)
    now = shared.settings()
    following.show(now, work.MODELS, following.said)
    following.show(now, work.lane(now), following.said)
    then = _wanted(now)
    if then != now:
        _before(now, then)
    else:
        st.caption(":material/info: Change something above, and what that costs is told here before anything happens.")
    _embedding(now)
    _loaded()
    _for_good(now)
    shared.show_address()


# ---------------------------------------------------------------------------------------- what is wanted


def _wanted(now: Config) -> Config:
    """The settings as the widgets stand. Nothing of it holds yet."""
    model, precision = _model(now)
    st.subheader("Finding passages", anchor=False)
    scope.narrow()
    st.caption("What is asked holds at once, and costs nothing.")
    passages = int(
        st.number_input(
            "Passages to read for an answer", 1, MOST, now.passages, key="set passages", help="Usual are 8."
        )
    )
    known = list(dict.fromkeys([*_RERANKERS, now.rerank]))
    rerank = st.radio(
        "How the best passages are put into order",
        known,
        known.index(now.rerank),
        format_func=lambda name: _RERANKERS.get(name, name),
        key="set rerank",
    )
    ocr = _indexing(now)
    return replace(now, model=model, precision=precision, passages=passages, rerank=rerank, ocr=ocr)


def _model(now: Config) -> tuple[str, str]:
    st.subheader("Writing answers", anchor=False)
    names = list(dict.fromkeys([EXTRACTIVE, now.model, *MODELS])) + ([_OTHER] if _may_name_any() else [])
    name = st.selectbox(
        "Model",
        names,
        names.index(now.model),
        format_func=lambda name: _WRITERS.get(name, name),
        key="set model",
    )
    if name == _OTHER:
        typed = st.text_input(
            "Folder, .gguf file, or name on the Hugging Face hub",
            key="set other",
            placeholder="owner/model",
            help=f"{REMOTE}NAME takes one on the server at RAG_API_BASE.",
        )
        name = typed.strip() or now.model
    models = st.expander("All models, and what they need", icon=":material/table:", on_change="rerun", key="models")
    if models.open:
        with models:
            table(model_rows(shared.models()), hide_index=True)
        models.caption("Memory in GB for the weights and a conversation of 4,096 tokens.")
    if name == EXTRACTIVE or name.startswith(REMOTE):
        return name, now.precision
    precisions = [precision.value for precision in Precision]
    precision = st.selectbox(
        "Precision",
        precisions,
        precisions.index(now.precision),
        key="set precision",
        help="auto takes the most exact one that free memory has room for.",
    )
    return name, precision


def _may_name_any() -> bool:
    """Folders, downloads and servers are for whoever runs this machine."""
    return login.person() == LOCAL


def _indexing(now: Config) -> str:
    st.subheader("Indexing", anchor=False)
    read = st.toggle("Read pages without text by OCR", now.ocr == "auto", key="set ocr")
    return "auto" if read else "off"


# ------------------------------------------------------------------------------------------- what it costs


def _before(now: Config, then: Config) -> None:
    found = costs.costs(now, then, _here(now, then))
    with st.container(border=True):
        st.markdown("**What this changes**")
        _told(found)
        lacks_download = any(cost.kind == "Download" and cost.forbids for cost in found)
        others = any(cost.forbids and cost.kind != "Download" for cost in found)
        with st.container(horizontal=True):
            if lacks_download and not others:
                _offer_download(now, then)
            else:
                changed = {name: getattr(then, name) for name in _CHANGED}
                st.button("Apply", type="primary", disabled=others, on_click=shared.set_settings, kwargs=changed)
            st.button("Leave it as it is", on_click=_forget)


def _told(found: Sequence[Cost]) -> None:
    for cost in found:
        icon = _ICONS.get(cost.kind, ":material/info:")
        colour = ":orange" if cost.forbids else ":gray"
        st.markdown(f"{icon} {colour}-badge[{cost.kind}] {literal(cost.text)}")


def _offer_download(now: Config, then: Config) -> None:
    if not _may_name_any():
        st.caption(f"Whoever runs this server can fetch it: rag models fetch {literal(then.model)}")
    elif st.button("Download it", type="primary", icon=":material/download:"):
        following.start(now, work.fetch(now, then.model))


def _forget() -> None:
    for key in [key for key in st.session_state if str(key).startswith("set ")]:
        del st.session_state[key]


def _here(now: Config, then: Config) -> Here:
    """What there is on this machine, as it is now."""
    from rag.encoder.embed import resolved
    from rag.generation.cache import cache, present
    from rag.generation.precision import machine

    try:
        is_present = then.model == EXTRACTIVE or then.model.startswith(REMOTE) or bool(present(find(then.model)))
    except UsageError:
        is_present = True  # that there is no such model is told by itself
    folder = next(path for path in (cache(), *cache().parents) if path.is_dir())
    here = Here(
        machine(resolved(now.device)), is_present, shutil.disk_usage(folder).free, models=tuple(compose.loaded_models())
    )
    try:
        with closing(compose.collection(now)) as collection:
            info = collection.info() if collection.exists() else None
    except RagError:
        return here
    if info is None:
        return here
    return replace(
        here,
        collection=now.collection,
        embedder=info["model"],
        passages=info["passages"],
        documents=info["documents"],
    )


# ---------------------------------------------------------------------------------------------- afterwards


def _embedding(now: Config) -> None:
    """Another embedding model for the collection: a job of its own, which nobody waits for."""
    here = _here(now, now)
    if not here.embedder or not people.may_change(shared.environment(), login.person(), now.collection):
        return
    st.subheader("Embedding", anchor=False)
    st.text(f"{now.collection} was embedded by {here.embedder}: {counted(here.passages, 'passage')}.")
    if not _may_name_any():
        return
    model = st.text_input("Embed it anew by", key="set embedder", placeholder="a folder, or owner/model").strip()
    if not model:
        return
    found = costs.of_embedding_anew(model, here)
    with st.container(border=True):
        _told(found)
        busy = following.is_busy(now) or any(cost.forbids for cost in found)
        if st.button("Embed anew", type="primary", disabled=busy):
            following.start(now, work.reembed(now, model))


def _loaded() -> None:
    if not (names := compose.loaded_models()):
        return
    st.subheader("In memory", anchor=False)
    for name in names:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(name)
            if _may_name_any():
                free = partial(shared.release, name)
                st.button("Free it", key=f"free {name}", on_click=free, help="Answers that it is writing end.")


def _for_good(now: Config) -> None:
    """How to have the same settings the next time."""
    usual = shared.environment()
    changed = {name: getattr(now, name) for name in _CHANGED if getattr(now, name) != getattr(usual, name)}
    if not _may_name_any():
        return
    said = [f"RAG_{name.upper()}={shlex.quote(str(value))}" for name, value in changed.items()]
    if said:
        st.subheader("For good", anchor=False)
        st.caption("These settings hold in this tab. To begin with them every time, start the page with:")
        st.code(" ".join([*said, "python -m app"]), language=None, wrap_lines=True)
