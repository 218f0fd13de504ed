"""How documents come into a collection: uploads, folders, Wikipedia's articles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import following, roots, uploads, work
from app.uploads import Kept, Stored
from app.views import line, literal
from rag import compose
from rag.config import Config
from rag.errors import RagError
from rag.jobs.job import Job
from rag.terminal import counted

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

BOTH, REPLACE = "keep both", "replace it"
MEGABYTE = 1 << 20  # as Streamlit counts them


def show(config: Config, info: Mapping[str, Any]) -> None:
    is_empty = not info.get("files")
    if is_empty:
        st.subheader("No documents yet", anchor=False)
        st.write("Drop PDFs or other files here, name a folder, or add Wikipedia's articles; then ask.")
    with st.expander("Add documents", expanded=is_empty, icon=":material/add:", key=f"add to {config.collection}"):
        upload, folder, wikipedia = st.tabs(["Upload", "Folder", "Wikipedia"])
        with upload:
            _upload(config)
        with folder:
            _folder(config, [Path(root) for root in info.get("roots", ())])
        with wikipedia:
            _wikipedia(config, info.get("articles", 0))


# ------------------------------------------------------------------------------------------------ uploads


def _upload(config: Config) -> None:
    turn = st.session_state.setdefault("upload turn", 0)
    given = st.file_uploader(
        "PDF, Word, PowerPoint, Excel, HTML, Markdown, text, CSV and e-mail",
        accept_multiple_files=True,
        key=f"upload {config.collection} {turn}",
    )
    again = st.radio("A file whose name is there already, with other content:", [BOTH, REPLACE], horizontal=True)
    if given:
        st.session_state["upload told"] = _take(config, given, again == REPLACE)
        st.session_state["upload turn"] += 1  # an empty uploader: the browser's copies are let go
        st.rerun()


def tell_uploads(config: Config) -> None:
    """What came of the files that were handed over last, and what waits to be indexed."""
    if told := st.session_state.get("upload told"):
        with st.container(border=True, gap="xsmall"):
            for text in told:
                st.text(line(text), width="stretch")
            if st.button("Dismiss", type="tertiary", key="uploads seen"):
                del st.session_state["upload told"]
                st.rerun()
    into = uploads.folder(config.indexes, config.collection)
    if uploads.waits(into) and not following.is_busy(config):
        if st.session_state.get("upload waits") == config.collection:  # whoever handed them over is still here
            index_uploads(config)
        st.info("Uploaded files wait to be indexed.", icon=":material/hourglass_empty:")
        if st.button("Index them"):
            index_uploads(config)


def index_uploads(config: Config) -> None:
    into = uploads.folder(config.indexes, config.collection)
    st.session_state.pop("upload waits", None)
    uploads.settle(into)
    following.start(config, work.sync(config, [into], about="uploads"))


def _take(config: Config, given: Sequence[UploadedFile], replace: bool) -> list[str]:
    """Keeps what can be read, to be indexed next. What is to be told of the others."""
    into, told = uploads.folder(config.indexes, config.collection), []
    if len(given) > uploads.MOST_FILES:
        told.append(f"Of {len(given)} files the first {uploads.MOST_FILES} were taken; no more are at once.")
    most = st.get_option("server.maxUploadSize") * MEGABYTE
    for file in given[: uploads.MOST_FILES]:
        data = file.getvalue()
        if reason := uploads.refusal(uploads.safe_name(file.name), data, most):
            told.append(f"{file.name} was not taken. {reason}")
            continue
        try:
            uploads.wait(into)
            told += _differently(file.name, uploads.store(into, file.name, data, replace))
        except RagError as error:
            return [*told, str(error)]
        st.session_state["upload waits"] = config.collection
    return told


def _differently(given: str, stored: Stored) -> list[str]:
    """What has to be said of a file that was kept."""
    match stored.kept:
        case Kept.SAME:
            return [f"{given} is there already, with the same content."]
        case Kept.BESIDE:
            return [f"{given}: another file of that name is there; kept beside it as {stored.name}."]
        case Kept.REPLACED:
            return [f"{given} took the place of the one that was there."]
    return [f"{given} is kept as {stored.name}."] if stored.name != given else []


# ---------------------------------------------------------------------------------------- folders, articles


def bring_in_step(config: Config) -> None:
    """All that was ever indexed from this machine, at once."""
    collection = compose.collection(config)
    try:
        found = collection.roots() if collection.exists() else []
    except RagError:  # which the page will say
        found = []
    finally:
        collection.close()
    about = "Adds what is new in the folders, replaces what changed, drops what is gone"
    if found and st.button("Bring in step", icon=":material/sync:", disabled=following.is_busy(config), help=about):
        uploads.settle(uploads.folder(config.indexes, config.collection))
        following.start(config, work.sync(config, found))


def _folder(config: Config, indexed: Sequence[Path]) -> None:
    """The folders that are indexed, and others that lie where folders may be named from here."""
    busy = following.is_busy(config)
    own = uploads.folder(config.indexes, config.collection)
    for path in indexed:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.text("Uploads" if path == own else line(str(path)))
            if st.button("Only this", key=f"sync {path}", icon=":material/sync:", disabled=busy):
                following.start(config, work.sync(config, [path], about="uploads" if path == own else ""))
    allowed = roots.configured()
    if not allowed:
        st.caption(
            "Other folders of this machine can be named here once RAG_ROOTS says below which, for example "
            "`RAG_ROOTS=~/Documents make app`. Or index one in a terminal: "
            f"`rag index FOLDER --collection {config.collection}`."
        )
        return
    with st.form("folder", border=False):
        given = st.text_input(
            "Folder or file", placeholder=str(allowed[0]), help=literal(f"Below {' or '.join(map(str, allowed))}")
        )
        if not st.form_submit_button("Index it", disabled=busy) or not given.strip():
            return
    try:
        path = roots.allowed(given.strip(), allowed)
    except RagError as error:
        st.error(literal(str(error)))
    else:
        following.start(config, work.sync(config, [path]))


def _wikipedia(config: Config, held: int) -> None:
    busy = following.is_busy(config)
    if held and st.button(f"Bring {counted(held, 'article')} up to date", icon=":material/sync:", disabled=busy):
        following.start(config, work.refresh(config))
    with st.form("articles", border=False, clear_on_submit=True):
        titles = st.text_area("Titles, one a line", placeholder="Alan Turing\nEnigma machine", height=100)
        language = st.text_input("Language", "en", max_chars=12, width=120)
        st.caption("Titles go to Wikipedia, over https. Nothing else does.")
        if not st.form_submit_button("Add articles", disabled=busy):
            return
    wanted = list(dict.fromkeys(title.strip() for title in titles.splitlines() if title.strip()))
    if wanted:
        following.start(config, work.articles(config, wanted, language))


def offer_pruning(config: Config, job: Job, count: int) -> None:
    st.warning(
        f"{counted(count, 'file')} went missing, more than a fifth, so nothing was removed. Is a drive not mounted? "
        "If they are meant to be gone, remove them from the collection."
    )
    if st.button(f"Remove {counted(count, 'missing file')}", disabled=following.is_busy(config)):
        named = job.work.arguments[job.work.arguments.index("--") + 1 :]
        following.start(config, work.sync(config, [Path(path) for path in named], prune=True))
