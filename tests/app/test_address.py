"""What a link says, and what it cannot."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.address import LARGEST, LONGEST, Address, read, written
from rag.types import Origin

LINES = st.text(st.characters(codec="utf-8").filter(str.isprintable), max_size=60)
ADDRESSES = st.builds(
    Address,
    collection=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True),
    pattern=LINES,
    only=st.sampled_from([None, *Origin]),
    conversation=st.from_regex(r"([0-9a-f]{32})?", fullmatch=True),
    answer=st.integers(0, LARGEST),
    source=st.integers(0, LARGEST),
    document=LINES,
    page=st.integers(0, LARGEST),
)


@given(ADDRESSES)
def test_a_link_shows_the_view_that_it_was_made_of(address: Address) -> None:
    assert read(written(address)) == address


def test_what_is_empty_is_left_out_and_names_are_those_of_people() -> None:
    assert written(Address("sample")) == {"collection": "sample"}
    full = Address("sample", "*.pdf", Origin.WIKIPEDIA, "0123456789abcdef", 2, 1, "a/b.pdf", 7)
    assert written(full) == {
        "collection": "sample",
        "documents": "*.pdf",
        "only": "wikipedia",
        "chat": "0123456789abcdef",
        "answer": "2",
        "source": "1",
        "document": "a/b.pdf",
        "page": "7",
    }


@given(
    st.dictionaries(st.sampled_from([*written(Address("a", "b", Origin.PRIVATE, "c" * 8, 1, 1, "d", 1))]), st.text())
)
def test_anything_else_is_read_as_if_it_were_not_there(query: dict[str, str]) -> None:
    address = read(query)
    assert read(written(address)) == address


def test_no_part_of_a_link_is_taken_on_trust() -> None:
    for bad in ("../x", "a/b", ".people", "", "a" * 65, "a\n", "a b"):
        assert read({"collection": bad}).collection == ""
    for bad in ("x", "../..", "0123", "0" * 65, "01234567\n", "ABCDEF012345"):
        assert read({"chat": bad}).conversation == ""
    for bad in ("-1", "1e3", "٣", "99999999", "1.0", " 1", ""):
        assert read({"page": bad, "answer": bad}) == Address()
    assert read({"documents": "a\u202eb", "document": "a\x00b"}) == Address()
    assert read({"documents": "x" * (LONGEST + 1)}) == Address()
    assert read({"only": "everything", "model": "evil/model"}) == Address()
