"""A child process that lets each PDF engine try a file by itself, to compare what the reader made of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rag.sources import child

ENGINES = (str(Path(__file__)),)  # the program, for a Child to run
PAGES = 50


def by_pdfium(data: bytes) -> str:
    import pypdfium2

    document = pypdfium2.PdfDocument(data)
    return "\n".join(document[n].get_textpage().get_text_range() for n in range(min(len(document), PAGES)))


def by_pypdf(data: bytes) -> str:
    import pypdf

    reader = pypdf.PdfReader(io.BytesIO(data))
    return "\n".join(page.extract_text() for page, _ in zip(reader.pages, range(PAGES), strict=False))


def work(job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    engines: list[Callable[[bytes], str]] = [by_pdfium, by_pypdf]
    for engine in engines:
        try:
            yield {"kind": "part", "text": " ".join(engine(Path(job["path"]).read_bytes()).split())}
        except Exception:
            continue
    yield {"kind": "end"}


if __name__ == "__main__":
    child.serve(work)
