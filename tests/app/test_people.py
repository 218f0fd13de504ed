"""Whose collections are whose."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import people
from app.people import LOCAL, Person, by_password
from rag.config import Config
from rag.errors import UsageError
from rag.index.collection import LEDGER, Collection

ANNA, BERT = by_password("anna"), by_password("bert")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(indexes=tmp_path / "indexes")


def made(config: Config, name: str) -> None:
    """As much of a collection as says that it is there."""
    (config.indexes / name).mkdir(parents=True)
    (config.indexes / name / LEDGER).touch()


def test_the_only_person_has_all_collections(config: Config) -> None:
    assert people.collections(config, LOCAL) == {}
    made(config, "papers")
    made(config, "letters")
    assert list(people.collections(config, LOCAL)) == ["letters", "papers"]
    assert people.at(config, LOCAL, "papers").indexes == config.indexes
    assert people.may_change(config, LOCAL, "papers")


def test_who_logs_in_sees_their_own_and_what_is_shared_with_them(config: Config) -> None:
    for name in ("handbook", "board", "open"):
        made(config, name)
    made(people.own(config, ANNA), "diary")
    made(people.own(config, BERT), "diary")
    made(people.own(config, BERT), "secret")
    people.share(config, "handbook", ["anna", "Bert"])
    people.share(config, "board", ["bert"])
    people.share(config, "open", ["*"])
    assert list(people.collections(config, ANNA)) == ["diary", "handbook", "open"]
    assert list(people.collections(config, BERT)) == ["board", "diary", "handbook", "open", "secret"]
    assert list(people.collections(config, Person("provider:x y"))) == ["open"]  # one whose e-mail is not verified
    assert people.at(config, ANNA, "diary").indexes != people.at(config, BERT, "diary").indexes
    for name in ("diary", "open", "nothing"):  # settings that were narrowed before are understood again
        again = people.at(config, ANNA, name)
        assert people.collections(again, ANNA) == people.collections(config, ANNA)
        assert people.at(again, ANNA, "handbook") == people.at(config, ANNA, "handbook")
    assert people.may_change(config, ANNA, "diary")
    assert people.may_change(config, ANNA, "new")
    assert not people.may_change(config, ANNA, "handbook")


def test_what_is_anothers_is_as_if_it_were_not_there(config: Config) -> None:
    made(config, "board")
    made(people.own(config, BERT), "secret")
    messages = set()
    for name in ("board", "secret", "nothing"):
        asked = people.at(config, ANNA, name)
        assert asked.collection == name
        with pytest.raises(UsageError) as refused:
            Collection(asked.indexes, name).info()
        messages.add(str(refused.value).replace(name, "…"))
        assert people.may_change(config, ANNA, name)  # she may make one of that name, of her own
    assert len(messages) == 1


def test_ones_own_goes_before_a_common_one_of_the_same_name(config: Config) -> None:
    made(config, "papers")
    people.share(config, "papers", ["*"])
    assert people.at(config, ANNA, "papers").indexes == config.indexes
    made(people.own(config, ANNA), "papers")
    assert people.at(config, ANNA, "papers").indexes == people.own(config, ANNA).indexes
    assert people.may_change(config, ANNA, "papers")


def test_sharing_is_added_to_and_taken_back(config: Config) -> None:
    made(config, "papers")
    assert people.share(config, "papers", ["anna"]) == ["anna"]
    assert people.share(config, "papers", ["bert", "anna"]) == ["anna", "bert"]
    assert people.unshare(config, "papers", ["anna"]) == ["bert"]
    assert people.unshare(config, "papers", []) == []
    assert people.collections(config, BERT) == {}
    with pytest.raises(UsageError, match="There are: papers"):
        people.share(config, "paper", ["anna"])
    with pytest.raises(UsageError, match="is no name for a person"):
        people.share(config, "papers", ["a b"])


def test_readers_that_cannot_be_read_are_nobody(config: Config) -> None:
    made(config, "papers")
    (config.indexes / "papers" / people.READERS).write_bytes(b"\xff*\xfe")
    assert people.collections(config, ANNA) == {}


def test_no_id_leads_out_of_the_folder_of_homes(config: Config) -> None:
    ids = ["password:anna", "provider:../../x", "provider:/etc/passwd", "provider:\0", "", "x" * 10_000]
    homes = {people.own(config, Person(id_)).indexes for id_ in ids}
    assert len(homes) == len(ids)
    assert {home.parent for home in homes} == {config.indexes / ".people" / "homes"}
