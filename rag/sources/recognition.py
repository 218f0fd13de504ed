"""A PDF's page → its picture → its text, by an OCR engine, inside a child process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from rag.sources.clean import normalize
from rag.sources.parts import Part, RefusedError
from rag.types import Status

if TYPE_CHECKING:
    import numpy as np
    import pypdfium2 as pdfium
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]  # (height, width), grey
    Box = tuple[float, float, float, float]  # left, top, right, bottom

DPI = 200
MAX_PIXELS = 20_000_000
CONFIDENT = 0.8  # a box's score
ACCEPTED = 0.5  # what scores less is noise

WHITE = 200  # of 255
MARGIN = 40  # pixels

_TSV, _WORD = 12, "5"  # columns of tesseract's table; the level of its rows that are words

_turn = 0  # quarters by which the last page had to be turned: scans tend to lie all the same way
_document: tuple[str, pdfium.PdfDocument] | None = None  # the last one, since its pages come one after the other


def read(data: bytes | None, job: Mapping[str, Any]) -> Part:
    """The page's Part. `data` may be None if the job before was for the same file."""
    page = _opened(data, str(job["version"]))[int(job["page"]) - 1]
    picture = _picture(page)
    page.close()
    text = _by_tesseract(picture, job) if job["program"] else _by_rapidocr(picture)
    return Part(normalize(text).strip(), page=int(job["page"]))


def words(page: pdfium.PdfPage, job: Mapping[str, Any], size: tuple[int, int]) -> list[tuple[str, Box]]:
    """The words that tesseract reads in the page, and where they would stand in a picture of it of that `size`."""
    picture = _picture(page)
    across, down = size[0] / picture.shape[1], size[1] / picture.shape[0]
    found = []
    for line in _by_tesseract(picture, job, "tsv").splitlines():
        cells = line.split("\t")
        if len(cells) == _TSV and cells[0] == _WORD and cells[-1].strip():
            left, top, width, height = map(int, cells[6:10])
            box = (left * across, top * down, (left + width) * across, (top + height) * down)
            found.append((cells[-1].strip(), box))
    return found


def holds(version: str) -> bool:
    """Whether the file of that version is open already."""
    return _document is not None and _document[0] == version


def _opened(data: bytes | None, version: str) -> pdfium.PdfDocument:
    global _document
    if data is not None:
        import pypdfium2

        _document = None  # the old one goes before the new one comes
        try:
            _document = (version, pypdfium2.PdfDocument(data))
        except pypdfium2.PdfiumError:
            raise RefusedError(Status.DAMAGED, "No engine can draw it", "Open it and save it again.") from None
    assert _document is not None, "data is None only if the document is open"
    return _document[1]


def _picture(page: pdfium.PdfPage) -> Picture:
    width, height = page.get_size()
    scale = min(DPI / 72, (MAX_PIXELS / max(width * height, 1)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True)
    picture: Picture = bitmap.to_numpy().reshape(bitmap.height, bitmap.width).copy()
    bitmap.close()
    return picture


def _by_tesseract(picture: Picture, job: Mapping[str, Any], *output: str) -> str:
    """Raises subprocess.CalledProcessError if tesseract cannot read the picture."""
    height, width = picture.shape
    mode = "1" if job["finds_orientation"] else "3"  # page segmentation, with and without finding which way is up
    options = ["-l", str(job["languages"]), "--psm", mode, "--dpi", str(DPI)]
    process = subprocess.run(  # noqa: S603 - the program that the parent found on PATH
        [str(job["program"]), "-", "-", *options, *output],
        input=b"P5 %d %d 255\n" % (width, height) + picture.tobytes(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        preexec_fn=_die_with_parent,  # safe: this process has one thread
        check=True,
    )
    return process.stdout.decode("utf-8", "replace").replace("\f", "")


def _die_with_parent() -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


# ------------------------------------------------------------------------------------------------ rapidocr


@dataclass(frozen=True, slots=True)
class _Box:
    text: str
    score: float
    left: float
    top: float
    width: float
    height: float


def _by_rapidocr(picture: Picture) -> str:
    """The text in the orientation that reads best. Turns are tried only where the picture does not read well as it
    stands, the turn that the page before needed first: each try takes seconds."""
    import numpy as np

    global _turn
    best, best_turn = _boxes(np.rot90(picture, _turn)), _turn
    if not best:
        picture = _inked(picture)
        best = _boxes(np.rot90(picture, _turn))
    for turn in (0, 1, 3, 2):
        if not best or _reads_well(best):
            break
        boxes = _boxes(np.rot90(picture, turn)) if turn != _turn else best
        if _yield(boxes) > _yield(best):
            best, best_turn = boxes, turn
    _turn = best_turn
    return "\n".join(_lines([box for box in best if box.score >= ACCEPTED]))


def _inked(picture: Picture) -> Picture:
    """The part that is not white, with a margin: on a large white page the detector overlooks a single line."""
    import numpy as np

    ink = picture < WHITE
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not rows.size:
        return picture[:MARGIN, :MARGIN]
    top, left = max(rows[0] - MARGIN, 0), max(columns[0] - MARGIN, 0)
    return picture[top : rows[-1] + MARGIN, left : columns[-1] + MARGIN]


@cache
def _engine() -> Any:
    from rapidocr import RapidOCR

    # Its classifier would turn single lines of an upside-down page and leave them in reverse order.
    return RapidOCR(params={"Global.log_level": "critical", "Global.use_cls": False})


def _boxes(picture: Picture) -> list[_Box]:
    import numpy as np

    result = _engine()(np.ascontiguousarray(picture))
    if result.boxes is None or result.txts is None:
        return []
    boxes = []
    for corners, text, score in zip(result.boxes, result.txts, result.scores, strict=True):
        left, top = corners.min(axis=0)
        right, bottom = corners.max(axis=0)
        boxes.append(_Box(text, float(score), float(left), float(top), float(right - left), float(bottom - top)))
    return boxes


def _reads_well(boxes: list[_Box]) -> bool:
    """Most lines are sure, and lie rather than stand."""
    sure = sum(box.score >= CONFIDENT for box in boxes)
    standing = sum(box.height > 1.5 * box.width for box in boxes)
    return 2 * sure >= len(boxes) and 2 * standing < len(boxes)


def _yield(boxes: list[_Box]) -> float:
    lying = [box for box in boxes if box.height <= 1.5 * box.width]
    return sum(box.score * len(box.text) for box in lying if box.score >= ACCEPTED)


def _lines(boxes: list[_Box]) -> list[str]:
    """Boxes at the same height are one line, from left to right: a table's row stays together."""
    lines: list[list[_Box]] = []
    for box in sorted(boxes, key=lambda box: box.top + box.height / 2):
        middle = box.top + box.height / 2
        last = lines[-1][0] if lines else None
        if last is not None and abs(middle - last.top - last.height / 2) < 0.5 * min(box.height, last.height):
            lines[-1].append(box)
        else:
            lines.append([box])
    return [" ".join(box.text for box in sorted(line, key=lambda box: box.left)) for line in lines]
