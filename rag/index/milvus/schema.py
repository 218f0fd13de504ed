"""The four Milvus collections that hold a collection, and what a server has to offer for them.

    …_passages    what is searched: a vector and BM25's words, with the text and its place
    …_documents   each document's header, which says whether it is `live`, and its text in parts below a field's limit
    …_files       one row a file: what makes a document visible
    …_settings    small things, and how the others are made, and by which embedder

All keys are hashes, so that whatever is written twice is there once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rag.errors import DamagedError
from rag.index.milvus.server import BOUNDED, LONG, STRONG, Server, among
from rag.types import Fingerprint

FORMAT = 1
LAYOUT = "layout"  # the setting that says it
TEXT = 65_535  # bytes that a field takes
KINDS = ("passages", "documents", "files", "settings")  # settings last: with them the collection is there
BM25 = {"bm25_k1": 1.2, "bm25_b": 0.75}  # as tantivy counts
_PREFIX = "beluga_"


REMEDY = (
    "Your documents are untouched. Restore the store from a backup (milvus-backup), or remove the collection "
    "(rag remove) and index again."
)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a collection was made. `half` are vectors of 16 bits instead of 32, `words` a server that counts BM25."""

    fingerprint: Fingerprint
    half: bool
    words: bool
    format: int = FORMAT


def table(name: str, kind: str) -> str:
    """Milvus's name for a part of a collection: letters, digits and underscores."""
    spelt = re.sub("[^A-Za-z0-9]", lambda found: "".join(f"_{byte:02x}" for byte in found[0].encode()), name)
    return f"{_PREFIX}{spelt}_{kind}"


def name_of(settings: str) -> str | None:
    """The collection whose settings are called so; None for what is none of ours."""
    if not (settings.startswith(_PREFIX) and settings.endswith("_settings")):
        return None
    spelt = settings.removeprefix(_PREFIX).removesuffix("_settings")
    try:
        return re.sub("(?:_[0-9a-f]{2})+", lambda found: bytes.fromhex(found[0].replace("_", "")).decode(), spelt)
    except ValueError:
        return None


def offered(version: str) -> tuple[bool, bool]:
    """(vectors of 16 bits, BM25) of a server of this version; the newest where that is not to be read."""
    if version.startswith("milvus_lite"):
        return False, True
    found = re.search(r"(\d+)\.(\d+)", version)
    number = (int(found[1]), int(found[2])) if found else (99, 0)
    return number >= (2, 4), number >= (2, 5)


def create(server: Server, fingerprint: Fingerprint) -> Layout:
    """Makes what is not there yet. What an interrupted beginning left, which nobody can have seen, is replaced."""
    half, words = offered(server.version())
    layout = Layout(fingerprint, half, words)
    for kind in KINDS:
        name = table(server.address.name, kind)
        if server.has(name):
            _require_empty(server, name, kind)
            server.call("drop_collection", name)
        server.call("create_collection", name, schema=_schema(kind, layout), consistency_level="Bounded")
        _index(server, name, kind, layout.half, layout.words)
    row = {"id": LAYOUT, "value": json.dumps(asdict(layout)), "vector": [0.0, 0.0]}
    server.upsert(table(server.address.name, "settings"), [row])
    return layout


def _require_empty(server: Server, name: str, kind: str) -> None:
    load_one(server, name, kind)
    if server.query(name, 'id != ""', ["id"], STRONG, most=1):
        raise DamagedError(f"{server.address} has lost its settings. {REMEDY}")


def layout_of(server: Server) -> Layout | None:
    """How a collection was made, and None where there is none. Sees that all its parts can be asked: a server that was
    stopped while it loaded them has forgotten that."""
    name = table(server.address.name, "settings")
    if not server.has(name):
        return None
    load_one(server, name, "settings")
    for consistency in (BOUNDED, STRONG):
        if found := server.query(name, among("id", [LAYOUT]), ["value"], consistency, most=1):
            break
    else:
        return None  # its beginning was interrupted
    layout = _read(server, str(found[0]["value"]))
    for kind in KINDS:
        load_one(server, table(server.address.name, kind), kind, layout.half, layout.words)
    return layout


def _read(server: Server, stored: str) -> Layout:
    try:
        values = json.loads(stored)
        values["fingerprint"] = Fingerprint(**values["fingerprint"])
        layout = Layout(**values)
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedError(f"{server.address} is not as it was made ({error}). {REMEDY}") from error
    if layout.format != FORMAT:
        raise DamagedError(
            f"{server.address} has format {layout.format}, this program reads {FORMAT}. Nothing was changed; use the "
            "version of beluga-rag that made it, or index under another name."
        )
    return layout


def load_one(server: Server, name: str, kind: str, half: bool = False, words: bool = False) -> None:
    if str(server.call("get_load_state", name).get("state")) != "Loaded":
        _index(server, name, kind, half, words)


def drop(server: Server) -> None:
    """Settings first: without them nobody sees the rest."""
    for kind in reversed(KINDS):
        if server.has(name := table(server.address.name, kind)):
            server.call("drop_collection", name, timeout=LONG)


def _index(server: Server, name: str, kind: str, half: bool, words: bool) -> None:
    from pymilvus import MilvusClient

    chosen = MilvusClient.prepare_index_params()
    chosen.add_index("vector", index_type="AUTOINDEX" if kind == "passages" else "FLAT", metric_type="IP")
    if kind == "passages" and words:
        chosen.add_index("sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="BM25", params=BM25)
    if half:  # what is older, or smaller, compares a column as fast without
        for field in _SOUGHT[kind]:
            chosen.add_index(field, index_type="INVERTED")
    server.call("create_index", name, chosen, sync=False)  # of nothing; whoever waits would sleep half a second
    server.call("load_collection", name, timeout=LONG)


_SOUGHT = {
    "passages": ("document", "digest"),
    "documents": ("document", "live"),
    "files": ("key", "content", "document", "called"),
    "settings": (),
}


def _schema(kind: str, layout: Layout) -> Any:
    from pymilvus import DataType, MilvusClient

    made = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    for name, sort, *length in _FIELDS[kind]:
        how: dict[str, Any] = {"max_length": length[0]} if length else {}
        made.add_field(name, DataType[sort], is_primary=name == "id", **how)
    if kind == "passages":
        sort = DataType.FLOAT16_VECTOR if layout.half else DataType.FLOAT_VECTOR
        made.add_field("vector", sort, dim=layout.fingerprint.dimension)
        if layout.words:
            _add_words(made)
    else:
        made.add_field("vector", DataType.FLOAT_VECTOR, dim=2)  # Milvus wants one in every collection
    return made


def _add_words(schema: Any) -> None:
    """BM25 over words that were stemmed here, as those of a question are: the same ones on every server, and as they
    are in the embedded default."""
    from pymilvus import DataType, Function, FunctionType

    plainly = {"tokenizer": "standard"}
    schema.add_field("words", DataType.VARCHAR, max_length=TEXT, enable_analyzer=True, analyzer_params=plainly)
    schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
    schema.add_function(
        Function(
            name="bm25", function_type=FunctionType.BM25, input_field_names=["words"], output_field_names=["sparse"]
        )
    )


_Field = tuple[Any, ...]
_FIELDS: dict[str, Sequence[_Field]] = {
    "passages": (
        ("id", "VARCHAR", 64),
        ("document", "INT64"),
        ("origin", "INT64"),
        ("digest", "VARCHAR", 32),  # of what was embedded: equal digests share one embedding
        ("start", "INT64"),
        ("end", "INT64"),
        ("page", "INT64"),  # 0 where there are no pages
        ("place", "VARCHAR", TEXT),
        ("heading", "VARCHAR", TEXT),
        ("text", "VARCHAR", TEXT),
    ),
    "documents": (
        ("id", "VARCHAR", 64),
        ("document", "INT64"),
        ("part", "INT64"),  # 0 is the header
        ("parts", "INT64"),
        ("live", "BOOL"),
        ("version", "VARCHAR", TEXT),
        ("title", "VARCHAR", TEXT),
        ("article", "VARCHAR", TEXT),
        ("body", "VARCHAR", TEXT),
    ),
    "files": (
        ("id", "VARCHAR", 64),
        ("key", "VARCHAR", TEXT),  # hexadecimal: it need not be UTF-8, and is sought by how it begins
        ("content", "VARCHAR", 32),  # the version's hash
        ("called", "VARCHAR", 32),  # the name's hash
        ("document", "INT64"),  # -1 where nothing could be read
        ("name", "VARCHAR", TEXT),
        ("uri", "VARCHAR", TEXT),
        ("version", "VARCHAR", TEXT),
        ("size", "INT64"),
        ("reader", "VARCHAR", TEXT),
        ("status", "VARCHAR", 32),
        ("outcome", "VARCHAR", TEXT),
        ("title", "VARCHAR", TEXT),
        ("article", "VARCHAR", TEXT),
    ),
    "settings": (("id", "VARCHAR", 64), ("value", "VARCHAR", TEXT)),
}
