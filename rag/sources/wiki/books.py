"""The kinds of archive: what they are about, their pages in blocks, and what a child must be told to read each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from rag.errors import UsageError
from rag.sources.divided import Share
from rag.sources.isolate import Child, ChildError, Limits
from rag.sources.pool import run
from rag.sources.wiki.api import LICENCE
from rag.sources.wiki.articles import version_of
from rag.sources.wiki.dump import Dump, NoDumpError
from rag.sources.wiki.pages import About, Listed
from rag.sources.wiki.zim import Directory
from rag.types import Article

SMALLEST_SHARE = 16 << 20  # bytes of a dump that are worth a listing of their own
WORKER = ("-m", "rag.sources.wiki.worker")
LIMITS = Limits(seconds=120.0, memory=4 << 30)  # of a block; libzim maps stretches of the file into memory


class Book(Protocol):
    """A kind of archive: what it is about, and its pages in blocks, each with what a child must be told to read it."""

    about: About
    prefix: str

    def shares(self, wanted: int) -> Sequence[Share]:
        """Stretches that can be listed by themselves. Raises UsageError where others could not read what is listed."""
        ...

    def listed(self, share: Share | None = None) -> Iterator[tuple[Mapping[str, Any], Sequence[Listed]]]: ...

    def version(self, page: Listed) -> str: ...

    def article(self, page: Listed) -> Article: ...


class ZimBook:
    """Raises NoZimError, ChildError and OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._directory = Directory(path)
        child = Child(LIMITS, WORKER)
        try:
            told = next(iter(child.ask({"do": "about", "file": str(path)})))
        finally:
            child.close()
        self._licence = str(told["license"]) if "sa" in str(told["license"]).lower() else LICENCE
        self.about = _about_zim(path, told)
        self.prefix = f"zim:{self.about.site}:"

    def shares(self, wanted: int) -> Sequence[Share]:
        """One: the directory is in the order of names, articles lie in that of clusters, so that whoever lists any
        stretch of them has to pass through all of it."""
        return [(0, 1)]

    def listed(self, share: Share | None = None) -> Iterator[tuple[Mapping[str, Any], Sequence[Listed]]]:
        for pages in self._directory.listed():
            yield {"file": str(self._path)}, pages

    def version(self, page: Listed) -> str:
        return f"zim:{self._directory.uuid}/{page.name}"

    def article(self, page: Listed) -> Article:
        base = self.about.base
        link = f"{base}/wiki/{quote(page.name.removeprefix('A/'), safe='/:(),')}" if base else self._path.as_uri()
        return Article(self.about.language, 0, 0, self.about.date, link, self._licence)


def _about_zim(path: Path, told: Mapping[str, Any]) -> About:
    """A ZIM of a Wikipedia is called "wikipedia_en_all_maxi"."""
    name = str(told["name"]) or path.stem
    kind, _, rest = name.partition("_")
    language = rest.partition("_")[0] if kind == "wikipedia" and rest else str(told["language"])[:2] or "en"
    base = f"https://{language}.wikipedia.org" if kind == "wikipedia" else str(told["source"]).rstrip("/")
    return About(name, language, base if base.startswith("https://") else "", str(told["date"]))


class DumpBook:
    """Raises NoDumpError and OSError."""

    def __init__(self, path: Path, namespaces: tuple[int, ...], workers: int) -> None:
        self._dump = Dump(path)
        self._namespaces = namespaces
        self._workers = workers
        self.about = self._dump.about
        self.prefix = f"dump:{self.about.site}:"

    def shares(self, wanted: int) -> Sequence[Share]:
        path = self._dump.path
        if not self._dump.divisible:
            raise UsageError(
                f"{path} is a single bz2 stream, which can only be unpacked from its beginning, by one process. "
                "Nothing was changed; unpack it (bunzip2 -k), take the dump whose name ends in -multistream.xml.bz2, "
                "or leave --ray out."
            )
        size = path.stat().st_size
        step = max(SMALLEST_SHARE, -(-size // max(1, wanted)))
        return [(start, min(size, start + step)) for start in range(0, size, step)]

    def listed(self, share: Share | None = None) -> Iterator[tuple[Mapping[str, Any], Sequence[Listed]]]:
        """Blocks listed by children, some ahead of what is read."""
        stretch = self._dump.blocks(*share) if share else self._dump.blocks()
        blocks = ({**block, "do": "list", "namespaces": self._namespaces} for block in stretch)
        yield from run(blocks, _list, self._workers, LIMITS, WORKER)

    def version(self, page: Listed) -> str:
        return version_of(self.about.base.partition("://")[2] or self.about.site, page.revision)

    def article(self, page: Listed) -> Article:
        title = quote(page.title.replace(" ", "_"), safe="/:(),")
        link = f"{self.about.base}/w/index.php?title={title}&oldid={page.revision}"
        return Article(self.about.language, int(page.name), page.revision, page.timestamp, link, LICENCE)


def _list(child: Child, job: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Listed]]:
    """A block that breaks its reader is damage, and told as such."""
    try:
        told = [message for message in child.ask(job) if message["kind"] == "page"]
    except ChildError as error:
        raise NoDumpError(f"at byte {job['offset']:,} ({error})") from error
    return job, [Listed(**{name: value for name, value in page.items() if name != "kind"}) for page in told]
