"""An Answer whole to bytes and back: every field, so that it can be shown years later as it was shown at first. Pure.

`rag.shapes` is for programs, rounds, and leaves out what they do not need. Here the fields of the dataclasses are the
format: one that is added later takes its default in answers stored before, one that is gone is passed over.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from rag.types import Answer

_LEVEL = 6  # of compression: most of an answer is passages, which its citations repeat


def packed(answer: Answer) -> bytes:
    return zlib.compress(json.dumps(asdict(answer)).encode(), _LEVEL)


def unpacked(stored: bytes) -> Answer:
    """Raises ValueError, TypeError, KeyError or zlib.error for what is no answer."""
    answer: Answer = _made(Answer, json.loads(zlib.decompress(stored)))
    return answer


def _made(kind: Any, value: Any) -> Any:
    """The value that `asdict` took apart, by its declared type."""
    if is_dataclass(kind) and isinstance(kind, type):
        types = _types(kind)
        return kind(**{name: _made(types[name], part) for name, part in dict(value).items() if name in types})
    if get_origin(kind) in (Union, UnionType):
        (inner,) = (part for part in get_args(kind) if part is not type(None))
        return None if value is None else _made(inner, value)
    if get_origin(kind) is tuple:
        return tuple(_made(get_args(kind)[0], part) for part in value)
    if get_origin(kind) is Mapping:
        return dict(value)
    if not isinstance(value, (int, float) if kind is float else kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


@cache
def _types(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
