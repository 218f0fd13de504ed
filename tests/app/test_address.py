"""What a link says, and what it cannot."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.address import LARGEST, LONGEST, Address, read, written
from rag.types import Origin

LINES = st.text(st.characters(exclude_categories=("C", "Z")), max_size=60)
ADDRESSES = st.builds(
    Address,
    collection=st.text("abz09", min_size=1, max_size=20),
    pattern=LINES,
    only=st.sampled_from([None, *Origin]),
    conversation=st.sampled_from(["", "0123456789abcdef" * 2, "f" * 8]),
    answer=st.integers(0, LARGEST),
    source=st.integers(0, LARGEST),
    document=LINES,
    page=st.integers(0, LARGEST),
)


QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # however busy the machine is


@QUIET
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
