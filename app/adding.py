"""How documents come into a collection: uploads, folders, Wikipedia's articles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import following, roots, uploads, work
from app.uploads import Kept
from app.views import literal
from rag.config import Config
from rag.errors import RagError
from rag.jobs.job import Job
from rag.terminal import counted

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

BOTH, REPLACE = "keep both", "replace it"


def show(config: Config, info: Mapping[str, Any]) -> None:
    is_empty = not info.get("files")
    if is_empty:
        st.subheader("No documents yet", anchor=False)
        st.write("Drop PDFs or other files here, name a folder, or add Wikipedia's articles; then ask.")
    with st.expander("Add documents", expanded=is_empty, icon=":material/add:"):
        upload, folder, wikipedia = st.tabs(["Upload", "Folder", "Wikipedia"])
        with upload:
            _upload(config)
        with folder:
            _folder(config, [Path(root) for root in info.get("roots", ())])
        with wikipedia:
            _wikipedia(config, info.get("articles", 0))


def _upload(config: Config) -> None:
    turn = st.session_state.setdefault("upload turn", 0)
    given = st.file_uploader(
        "PDF, Word, PowerPoint, Excel, HTML, Markdown, text, CSV and e-mail",
        accept_multiple_files=True,
        key=f"upload {config.collection} {turn}",
    )
    again = st.radio("A file whose name is there already, with other content:", [BOTH, REPLACE], horizontal=True)
    for told in st.session_state.pop("upload told", ()):
        st.text(told)
    if given:
        st.session_state["upload told"] = _take(config, given, again == REPLACE)
        st.session_state["upload turn"] += 1  # an empty uploader: the browser's copies are let go
        st.rerun()


def _take(config: Config, given: Sequence[UploadedFile], replace: bool) -> list[str]:
    """Keeps what can be read, and begins to index it. What is to be told of the others."""
    into, told, kept = uploads.folder(config.indexes, config.collection), [], 0
    if len(given) > uploads.MOST_FILES:
        told.append(
            f"{len(given)} files are more than the {uploads.MOST_FILES} that are taken at once: the first were."
        )
    most = st.get_option("server.maxUploadSize") * 1_000_000
    try:
        for file in given[: uploads.MOST_FILES]:
            data = file.getvalue()
            if reason := uploads.refusal(uploads.safe_name(file.name), data[:1024], len(data), most):
                told.append(f"{file.name}: {reason}")
                continue
            stored = uploads.store(into, file.name, data, replace)
            kept += stored.kept is not Kept.SAME
            told += _differently(file.name, stored)
        if kept:
            following.begin(config, work.sync(config, [into]))
    except RagError as error:
        told.append(str(error))
    return told


def _differently(given: str, stored: uploads.Stored) -> list[str]:
    """What has to be said of a file that was kept."""
    if stored.kept is Kept.SAME:
        return [f"{given}: is there already, with the same content."]
    if stored.kept is Kept.BESIDE:
        return [f"{given}: another file of that name is there; kept beside it as {stored.name}."]
    if stored.kept is Kept.REPLACED:
        return [f"{given}: took the place of the one that was there."]
    return [f"{given}: kept as {stored.name}."] if stored.name != given else []


def _folder(config: Config, indexed: Sequence[Path]) -> None:
    """The folders that are indexed, and others that lie where folders may be named from here."""
    busy = following.is_busy(config)
    for path in indexed:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text("Uploads" if path == uploads.folder(config.indexes, config.collection) else str(path))
            if st.button("Bring in step", key=f"sync {path}", icon=":material/sync:", disabled=busy):
                start(config, work.sync(config, [path]))
    allowed = roots.configured()
    if not allowed:
        st.caption(
            "Other folders of this machine can be named here once RAG_ROOTS says which: for example "
            "`RAG_ROOTS=~/Documents make app`. Or index one in a terminal: "
            f"`rag index FOLDER --collection {config.collection}`."
        )
        return
    with st.form("folder", border=False):
        st.caption(literal(f"A folder or file below {' or '.join(map(str, allowed))}"))
        given = st.text_input("Path", placeholder=str(allowed[0]))
        if not st.form_submit_button("Index it", disabled=busy) or not given.strip():
            return
    try:
        start(config, work.sync(config, [roots.allowed(given.strip(), allowed)]))
    except RagError as error:
        st.error(literal(str(error)))


def _wikipedia(config: Config, held: int) -> None:
    if held and st.button(f"Bring {counted(held, 'article')} up to date", disabled=following.is_busy(config)):
        start(config, work.refresh(config))
    with st.form("articles", border=False, clear_on_submit=True):
        titles = st.text_area("Titles, one a line", placeholder="Alan Turing\nEnigma machine", height=100)
        language = st.text_input("Language", "en", max_chars=12, width=120)
        if not st.form_submit_button("Add articles"):
            return
    wanted = list(dict.fromkeys(title.strip() for title in titles.splitlines() if title.strip()))
    if wanted:
        start(config, work.articles(config, wanted, language))


def start(config: Config, what: work.Work) -> None:
    try:
        following.begin(config, what)
    except RagError as error:
        st.error(literal(str(error)))
    else:
        st.rerun()


def offer_pruning(config: Config, job: Job, count: int) -> None:
    st.warning(
        f"{counted(count, 'file')} went missing, more than a fifth, so nothing was removed. Is a drive not mounted? "
        "If they are meant to be gone, remove them from the collection."
    )
    if st.button(f"Remove {counted(count, 'missing file')}", disabled=following.is_busy(config)):
        named = job.work.arguments[job.work.arguments.index("--") + 1 :]
        start(config, work.sync(config, [Path(path) for path in named], prune=True))
