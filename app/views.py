"""What the pages show, as pure functions: no Streamlit, nothing read, nothing kept."""

from __future__ import annotations

import re

# Everything that Markdown, Streamlit's directives (:red[…], :material/…:), HTML or LaTeX could take for its own.
_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:^=&\"'@/])")


def literal(text: str) -> str:
    """Foreign text as Markdown that shows it as it stands: what comes from documents, file names, questions, models."""
    return _SPECIAL.sub(r"\\\1", text)
