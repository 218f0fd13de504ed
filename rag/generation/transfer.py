"""One file of the hub, downloaded so that an end of the connection or of the process loses nothing that arrived.

The hub's own client throws a part of a file away when it is interrupted (it keeps whole files only), which for a shard
of ten gigabytes is most of the work. Here the part stays beside the place where the file is to be, and goes on by a
range request.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from rag.errors import ModelError

CHUNK = 1 << 17  # bytes
TIMEOUT = 20.0  # seconds without a byte
TRIES = 3  # in a row without a byte gained


def download(url: str, target: Path, size: int, gained: Callable[[int], None]) -> None:
    """`target` appears when it has `size` bytes; `gained` is told of each piece, the part found here first.

    Raises ModelError when another process is downloading the same file, and whatever the network library raises when
    nothing arrives in three tries.
    """
    if target.is_file() and target.stat().st_size == size:
        gained(size)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.beluga.part")
    with part.open("ab") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ModelError("Another process is downloading this model. Wait for it, then try again.") from error
        gained(stream.tell())
        failures = 0
        while stream.tell() < size:
            before = stream.tell()
            try:
                _append(url, stream, gained)
            except Exception:  # the network library has its own family of errors, and changes it
                failures = 0 if stream.tell() > before else failures + 1
                if failures == TRIES:
                    raise
        if stream.tell() > size:  # cannot be what was published; a digest would say so, too, after reading it all
            stream.truncate(0)
            raise ModelError("More arrived than was announced. Nothing of it was kept; try again.")
        part.replace(target)


def _append(url: str, stream: BinaryIO, gained: Callable[[int], None]) -> None:
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

    start = stream.tell()
    headers = build_hf_headers() | {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    request: dict[str, Any] = {"headers": headers, "follow_redirects": True, "timeout": TIMEOUT}
    with get_session().stream("GET", url, **request) as answer:
        hf_raise_for_status(answer)
        skip = start if answer.status_code == 200 else 0  # a server that knows no ranges begins at the beginning
        for chunk in answer.iter_bytes(CHUNK):
            fresh = chunk[skip:]
            skip -= min(skip, len(chunk))
            stream.write(fresh)
            stream.flush()
            if fresh:
                gained(len(fresh))
