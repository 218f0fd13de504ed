"""Is an embedder the one that made a collection's vectors?"""

from __future__ import annotations

from dataclasses import replace

from rag.errors import FingerprintError
from rag.types import Fingerprint


def require_same(stored: Fingerprint, given: Fingerprint, collection: str) -> None:
    """Raises FingerprintError where they differ, which says how to go on."""
    if stored == given:
        return
    over = f"`rag reembed --collection {collection}"
    if only_recut(stored, given):
        raise FingerprintError(
            f"Collection {collection!r} was cut into passages by another version of this program ({stored.chunker}, "
            f"now {given.chunker}). Nothing was changed; {over}` brings it over, from the text that it holds."
        )
    raise FingerprintError(
        f"Collection {collection!r} was embedded by {stored.model}@{stored.revision} ({stored.dimension} dimensions); "
        f"{given.model}@{given.revision} ({given.dimension}) cannot search it. Nothing was changed; choose that model "
        f"(RAG_EMBEDDER), bring the collection over ({over} --model …`), or index into a new --collection."
    )


def only_recut(stored: Fingerprint, given: Fingerprint) -> bool:
    """Whether equal texts have equal vectors under both: the passages alone are other ones."""
    return replace(stored, chunker=given.chunker) == given
