"""The program that a child process runs to read archives: `python -m rag.sources.wiki.worker MEMORY PARENT_PID`.

A job is a stretch of an archive: "about" it, "list" the pages of a dump's block, or read the "pages" named of either
kind. Every page answers with its text, or with why it has none; one that cannot be read costs no other.
"""

from __future__ import annotations

import bz2
import io
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.sources.child import serve
from rag.sources.wiki.article import Text, is_ambiguous, is_redirect, read_article
from rag.sources.wiki.pages import Listed

if TYPE_CHECKING:
    from libzim.reader import Archive
    from mwxml import Page, Revision

LONGEST_BLOCK = 512 << 20  # bytes, unpacked
CLUSTERS = 16 << 20  # bytes of unpacked clusters that are kept: they are read in their order, so one would do
AMBIGUOUS, REDIRECT = "ambiguous", "redirect"  # why a page is no article


def work(job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    match job["do"]:
        case "about":
            yield _about(_zim(job["file"]))
        case "list":
            yield from map(_listed, _pages(job))
        case "read":
            yield from _from_dump(job) if "offset" in job else _from_zim(job)
    yield {"kind": "end"}


# ------------------------------------------------------------------------------------------------- dumps


def _pages(job: Mapping[str, Any]) -> Iterator[tuple[Page, Revision]]:
    """The pages of a block in the namespaces wanted, each with its newest revision. What is parsed begins and ends with
    a page, so that a doctype, and with it entities of the file's own, cannot be in it."""
    import mwxml

    with Path(job["file"]).open("rb") as file:
        file.seek(job["offset"])
        data = file.read(job["length"])
    if job["packed"]:
        unpacker = bz2.BZ2Decompressor()
        data = unpacker.decompress(data, LONGEST_BLOCK)
        if not unpacker.eof:
            raise EOFError("the block is cut off, or larger than any block is")
    first, last = data.find(b"<page>"), data.rfind(b"</page>")
    if first < 0 or last < 0:
        return  # what stands before the first page, or after the last
    for page in mwxml.Dump.from_page_xml(io.StringIO(data[first : last + 7].decode("utf-8", "replace"))).pages:
        *_, newest = page
        if page.namespace in job["namespaces"]:
            yield page, newest


def _listed(found: tuple[Page, Revision]) -> dict[str, Any]:
    from rag.sources.wiki import wikitext

    page, revision = found
    text = revision.text or ""
    listed = Listed(
        name=str(page.id),
        title=page.title,
        namespace=page.namespace,
        revision=revision.id,
        timestamp=revision.timestamp.long_format(),
        size=len(text),
        redirect=page.redirect is not None,
        ambiguous=wikitext.is_ambiguous(text),
    )
    return {"kind": "page", **asdict(listed)}


def _from_dump(job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    from rag.sources.wiki.wikitext import read_wikitext

    wanted = set(job["pages"])
    for page, revision in _pages(job):
        if str(page.id) in wanted:
            try:
                answer = _answer(read_wikitext(revision.text or ""))
            except Exception as error:  # the isolation border: one page's fault, whatever a library makes of it
                answer = {"why": f"Broken: it cannot be read ({type(error).__name__})"}
            yield {"kind": "text", "name": str(page.id), **answer}


# -------------------------------------------------------------------------------------------------- ZIM


def _zim(path: str) -> Archive:
    """Opened for each job: one that is kept keeps more and more of what it has read (70 MiB for 1,500 articles), and
    opening costs next to nothing."""
    from libzim.reader import Archive, set_cluster_cache_max_size

    set_cluster_cache_max_size(CLUSTERS)  # libzim's own bound is half a gigabyte, for each child
    return Archive(Path(path))


def _about(archive: Archive) -> dict[str, Any]:
    known = set(archive.metadata_keys)

    def named(name: str) -> str:
        return archive.get_metadata(name).decode("utf-8", "replace").strip() if name in known else ""

    told = {name.lower(): named(name) for name in ("Name", "Language", "Date", "Source", "License")}
    return {"kind": "about", **told}


def _from_zim(job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    archive = _zim(job["file"])
    for name in job["pages"]:
        try:
            answer = _article(bytes(archive.get_entry_by_path(name).get_item().content))
        except Exception as error:  # the isolation border, as above
            answer = {"why": f"Broken: it cannot be read ({type(error).__name__})"}
        yield {"kind": "text", "name": name, **answer}


def _article(content: bytes) -> dict[str, Any]:
    html = content.decode("utf-8", "replace")
    if is_redirect(html):
        return {"why": REDIRECT}
    return {"why": AMBIGUOUS} if is_ambiguous(html) else _answer(read_article(html))


def _answer(read: Text) -> dict[str, Any]:
    return {"text": read.text, "marks": [[mark.offset, mark.label] for mark in read.marks]}


if __name__ == "__main__":
    serve(work)
