"""Pages of PDFs as pictures with what is cited marked in them, drawn in a child process."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rag.sources import formats
from rag.sources.isolate import Child, ChildError, Limits
from rag.sources.ocr import Engine
from rag.types import Cited, Picture, Rectangle

WIDTH = 1200  # pixels
WIDEST = 4000
LIMITS = Limits(seconds=20.0, memory=1 << 30, answer=64 << 20)
_PNG = b"\x89PNG\r\n\x1a\n"


class Drawer:
    """Draws one page at a time, whoever asks; any thread may. Its child is started when first needed and kept.

    `ocr` reads pages once more that it has read before, to see where the words stand. Tesseract alone can tell."""

    def __init__(self, ocr: Engine | None = None, limits: Limits = LIMITS) -> None:
        self._ocr = ocr or Engine("")
        self._child = Child(limits)
        self._thread = ThreadPoolExecutor(1, "drawer")  # a child belongs to the thread that started it

    def draw(self, cited: Cited, width: int = WIDTH) -> Picture:
        """The page that is cited, `width` pixels wide. Never raises for what is wrong with the file: `problem` says
        it."""
        return self._thread.submit(self._draw, cited, max(1, min(width, WIDEST))).result()

    def close(self) -> None:
        self._child.interrupt()
        self._thread.submit(self._child.close)
        self._thread.shutdown()

    def _draw(self, cited: Cited, width: int) -> Picture:
        job = {
            "path": os.fsdecode(cited.key),
            "version": cited.version,
            "format": formats.DRAWING,
            "page": cited.page,
            "text": cited.text,
            "start": cited.start,
            "end": cited.end,
            "span": cited.span,
            "width": width,
            "program": self._ocr.program,
            "languages": self._ocr.languages,
            "finds_orientation": self._ocr.finds_orientation,
        }
        try:
            *drawn, end = self._child.ask(job)
            if drawn:
                return _picture(drawn[0])
            outcome = end["outcome"]
            return Picture(b"", 0, 0, problem=f"{outcome['reason']}. {outcome['remedy']}")
        except (ChildError, ValueError, KeyError, TypeError, binascii.Error):
            what = "The page cannot be drawn: it needs more time or memory than a page may use, or breaks its reader"
            return Picture(b"", 0, 0, problem=f"{what}. Open the file in a viewer, if you trust it.")


def _picture(message: dict[str, Any]) -> Picture:
    """Raises ValueError, KeyError or TypeError for what is none: a child may have been taken over."""
    png = base64.b64decode(message["png"], validate=True)
    if not png.startswith(_PNG):
        raise ValueError("no PNG")
    lines, span = _rectangles(message["lines"]), _rectangles(message["span"])
    return Picture(png, int(message["width"]), int(message["height"]), lines, span, str(message["problem"]))


def _rectangles(found: Sequence[Sequence[int]]) -> tuple[Rectangle, ...]:
    return tuple(Rectangle(*map(int, corners)) for corners in found)
