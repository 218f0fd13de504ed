"""pypdf, which reads a few PDF files that PDFium will not. Inside a child process."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rag.sources.formats import HEAD
from rag.sources.parts import RefusedError, needs_password
from rag.types import Status

if TYPE_CHECKING:
    import pypdf


class Fallback:
    """Opened when first needed."""

    def __init__(self, data: bytes) -> None:
        self._data = data
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
        except RefusedError:
            raise
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


def _damaged(data: bytes, error: Exception) -> RefusedError:
    remedy = "Fetch it again from where it came."
    if b"%PDF-" not in data[:HEAD]:
        start = ascii(data[:16].decode("latin-1").lstrip())
        return RefusedError(Status.DAMAGED, f"Not a PDF (starts with {start})", remedy)
    return RefusedError(Status.DAMAGED, f"Broken: no engine can open it ({type(error).__name__})", remedy)
