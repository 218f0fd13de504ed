"""A document's title: what it calls itself if that means something, else its file's name. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rag.sources.clean import normalize

MAX_LENGTH = 160

# What programs put there when nobody did.
_MEANINGLESS = re.compile(
    r"untitled|unbenannt|sans titre|no ?title|title|document\d*|presentation\d*|powerpoint presentation|"
    r"slide ?\d+|(book|workbook|sheet|mappe|report|output|file|scan|print|page)[ _-]?\d*|new document|none|null|"
    r"microsoft (word|excel|powerpoint) - .*|.*\.(docx?|xlsx?|pptx?|pdf|html?|tex|dvi|indd|qxd|rtf|odt|txt|md|csv|eml)|"
    r"[\W\d_]*|(https?|file|about):.*|[0-9a-f-]{16,}|\S*[/\\]\S*[/\\]\S*",
    re.I,
)
_PROSE = re.compile(r".*[^\W\d_]{3}[.!?]\s.*[.!?]")  # sentences are no title, and may be an order to whoever reads them
_WORD = re.compile(r"\w+")
_SEPARATORS = re.compile(r"[_\s]+|(?<=[^\W\d_]{2})(?=\d{4}(?!\d))")


def choose(metadata: str, headings: Sequence[str], stem: str) -> str:
    """The first of the metadata's title and the first heading that means something, else the file's stem as words;
    with the stem in brackets where it says what the title does not, so that a file is always found by its name."""
    name = humanise(stem)
    for candidate in (metadata, *headings[:1]):
        title = " ".join(normalize(candidate).split())
        if 3 <= len(title) <= MAX_LENGTH and not _MEANINGLESS.fullmatch(title) and not _PROSE.fullmatch(title):
            missing = _words(name) - _words(title)
            return f"{title} ({name})" if missing else title
    return name


def humanise(stem: str) -> str:
    """ "PEPSICO_2022_10K" → "PEPSICO 2022 10K"."""
    return " ".join(_SEPARATORS.sub(" ", stem).split()) or stem


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
