"""Globs over relative paths, with `**` for any number of folders. Pure. (pathlib has this from Python 3.13.)"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from rag.errors import UsageError

_TOKENS = re.compile(r"(\*\*/|/\*\*$|\*\*|\*|\?|\[!?[^\]]+\])")
_MEANINGS = {"**/": "(?:[^/]+/)*", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def compile_globs(globs: Sequence[str]) -> Callable[[str], bool]:
    """A test whether a relative POSIX path matches one of `globs`.

    A glob without a slash is matched against the last name of the path, one with a slash against the whole. Raises
    UsageError for what is no glob.
    """
    try:
        pattern = re.compile("|".join(f"(?:{_translate(glob)})" for glob in globs), re.IGNORECASE | re.DOTALL)
    except re.error:
        raise UsageError(f"Not a glob: {', '.join(globs)}. Nothing was read. Use *, ?, [a-z] and **.") from None
    return lambda path: pattern.fullmatch(path) is not None


def _translate(glob: str) -> str:
    glob = glob.removeprefix("./").rstrip("/")
    anywhere = "" if "/" in glob else "(?:[^/]+/)*"
    return anywhere + "".join(_meaning(token) for token in _TOKENS.split(glob.removeprefix("/")))


def _meaning(token: str) -> str:
    if token.startswith("[") and token.endswith("]") and len(token) > 2:
        inner = token[1:-1].replace("\\", r"\\")
        return f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
    return _MEANINGS.get(token) or re.escape(token)
