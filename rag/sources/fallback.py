"""pypdf, which reads a few PDF files that PDFium will not. Inside a child process."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rag.sources.formats import HEAD
from rag.sources.parts import RefusedError, needs_password
from rag.types import Status

if TYPE_CHECKING:
    import pypdf

STRANGE = 0.3  # of a drawing's bytes that are no ASCII, at most: strings and inline pictures are drawn
NOTHING = 16  # bytes that an empty drawing takes, packed
_WRITTEN = bytes([*range(0x20, 0x7F), *b"\t\n\f\r"])
PROTECTED = "Protected in a way that only the program it was made for opens"
REMEDY = "Fetch it again from where it came."


class Fallback:
    """Opened when first needed. `pages` is how many the other engine finds: where pypdf finds others, nobody can tell
    which page of the one is which of the other, and none is read."""

    def __init__(self, data: bytes, pages: int | None = None) -> None:
        self._data = data
        self._pages = pages
        self._reader: pypdf.PdfReader | None = None
        self._failed = False

    def open(self) -> int:
        """The number of pages. Raises RefusedError if pypdf can do nothing with the file either."""
        import pypdf

        if self._reader is not None:
            return len(self._reader.pages)
        try:
            reader = pypdf.PdfReader(io.BytesIO(self._data))
            if reader.is_encrypted and not reader.decrypt(""):
                raise needs_password()
            count = len(reader.pages)
            if not count or count != (self._pages or count):
                raise RefusedError(Status.DAMAGED, "Broken: its pages cannot be found", REMEDY)
        except RefusedError:
            raise
        except NotImplementedError:  # a certificate, or another maker's scheme
            raise RefusedError(Status.PASSWORD, PROTECTED, "Save it without protection and index again.") from None
        except Exception as error:  # pypdf raises ten kinds on broken files: all of them mean "broken"
            raise _damaged(self._data, error) from None
        self._reader = reader
        return count

    @property
    def is_open(self) -> bool:
        return self._reader is not None

    def title(self) -> str:
        try:
            metadata = self._reader.metadata if self._reader else None
            return str(metadata.title or "") if metadata else ""
        except Exception:  # as above
            return ""

    def text(self, number: int) -> str | None:
        """The text of a page (1-based), None if pypdf fails on it."""
        try:
            if self._reader is None and not self._failed:
                self._failed = True
                self.open()
            return self._reader.pages[number - 1].extract_text() if self._reader else None
        except RefusedError:
            return None
        except Exception:  # as above
            return None

    def lost(self, number: int) -> bool:
        """Whether the page (1-based) only looks blank: it names contents that are not there, cannot be unpacked, or are
        no drawing. False where pypdf cannot tell."""
        try:
            page = self._reader.pages[number - 1] if self._reader else {}
            if "/Contents" not in page:
                return False
            contents = page["/Contents"]
            return any(map(_is_lost, contents if isinstance(contents, list) else [contents]))
        except Exception:  # as above
            return False


def _is_lost(contents: Any) -> bool:
    stream = contents and contents.get_object()
    if not hasattr(stream, "get_data"):
        return True
    drawing: bytes = stream.get_data()
    strange = len(drawing.translate(None, _WRITTEN))
    return strange > STRANGE * len(drawing) if drawing else len(stream._data.strip()) > NOTHING


def _damaged(data: bytes, error: Exception) -> RefusedError:
    if b"%PDF-" not in data[:HEAD]:
        start = ascii(data[:16].decode("latin-1").lstrip())
        return RefusedError(Status.DAMAGED, f"Not a PDF (starts with {start})", REMEDY)
    return RefusedError(Status.DAMAGED, f"Broken: no engine can open it ({type(error).__name__})", REMEDY)
