"""Who looks at a page: pages as they run, without a browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app import login
from app.login import Allowed, ByPassword, ByProvider
from app.people import LOCAL, Person, by_password
from app.server.sessions import LIFETIME, Sessions
from rag.errors import UsageError


def page() -> None:
    """What every page begins with."""
    import streamlit as st

    from app import login

    found = login.person()
    login.show_person(found)
    st.text(f"secret of {found.id}")


@pytest.fixture
def shown() -> Iterator[Callable[[dict[str, Any] | None], AppTest]]:
    def run(claims: dict[str, Any] | None = None) -> AppTest:
        test = AppTest.from_function(page, default_timeout=30)
        test.user = claims or {}
        return test.run()

    yield run
    login.settle(None)


def texts(test: AppTest) -> list[str]:
    assert not test.exception
    return [element.value for element in test.text]


Shown = Callable[..., AppTest]


def test_where_nobody_logs_in_there_is_one_person(shown: Shown) -> None:
    assert texts(shown()) == [f"secret of {LOCAL.id}"]
    assert texts(shown({"session": "x", "is_logged_in": True, "email": "a@b.c"})) == [f"secret of {LOCAL.id}"]


def test_a_page_is_shown_to_the_person_of_its_session(shown: Shown) -> None:
    sessions = Sessions(lambda name: "1")
    login.settle(ByPassword(sessions))
    anna, bert = (sessions.of(sessions.begin(by_password(name))) for name in ("anna", "bert"))
    assert texts(shown({"session": anna})) == ["anna", "secret of password:anna"]
    assert texts(shown({"session": bert})) == ["bert", "secret of password:bert"]
    for claims in ({}, {"session": None}, {"session": "0" * 64}, {"session": ""}, {"session": ["x"]}):
        test = shown(claims)
        assert texts(test) == []
        assert test.subheader[0].value == "You are logged out"


def test_logging_out_closes_every_page_of_the_session(shown: Shown) -> None:
    sessions = Sessions(lambda name: "1")
    login.settle(ByPassword(sessions))
    handle = sessions.of(sessions.begin(by_password("anna")))
    one, other = shown({"session": handle}), shown({"session": handle})
    one.button[0].click().run()
    assert texts(one) == []
    assert texts(other.run()) == []


CLAIMS = {
    "is_logged_in": True,
    "iss": "https://id.example",
    "sub": "42",
    "email": "Anna@Example.org",
    "email_verified": True,
}


def claims(**changed: Any) -> dict[str, Any]:
    return {**CLAIMS, "iat": time.time(), **changed}


def test_a_provider_says_who_it_is(shown: Shown) -> None:
    login.settle(ByProvider(Allowed.parse("anna@example.org, @company.example"), ["default"]))
    expected = ["anna@example.org", "secret of provider:https://id.example 42"]
    assert texts(shown(claims())) == expected
    assert texts(shown(claims(email="x@company.example", sub="7")))[1] == "secret of provider:https://id.example 7"


@pytest.mark.parametrize(
    "changed",
    [
        {"is_logged_in": False},
        {"is_logged_in": "yes"},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": None},
        {"email": "bert@example.org"},
        {"email": "anna@example.org.evil.example"},
        {"email": "company.example"},
        {"email": "x@evil.company.example"},
        {"email": ""},
        {"email": None},
        {"sub": None},
        {"iss": None},
        {"iat": None},
        {"iat": "now"},
        {"iat": time.time() - LIFETIME - 1},
    ],
)
def test_and_whoever_is_not_allowed_sees_nothing(shown: Shown, changed: dict[str, Any]) -> None:
    login.settle(ByProvider(Allowed.parse("anna@example.org @company.example"), ["default"]))
    test = shown(claims(**changed))
    assert texts(test) == []
    assert [button.label for button in test.button] in (["Log in"], ["Log out"])


def test_everybody_whom_the_provider_knows_may_be_allowed(shown: Shown) -> None:
    login.settle(ByProvider(Allowed.parse("*"), ["google", "okta"]))
    test = shown(claims(email_verified=False))
    assert texts(test) == ["Logged in", "secret of provider:https://id.example 42"]  # no name that is not verified
    assert [button.label for button in shown().button] == ["Log in with google", "Log in with okta"]


@pytest.mark.parametrize("text", ["", " , ", "anna", "@", "a b", "@*", "anna@exa mple.org anna", "**"])
def test_who_may_come_in_has_to_be_said(text: str) -> None:
    with pytest.raises(UsageError):
        Allowed.parse(text)


def test_people_are_different_whoever_says_who_they_are() -> None:
    ids = {LOCAL.id, by_password("local").id, by_password("42").id}
    first = ByProvider(Allowed.parse("*"), []).person(claims(sub="42", iss="a"))
    second = ByProvider(Allowed.parse("*"), []).person(claims(sub="42", iss="b"))
    assert isinstance(first, Person)
    assert isinstance(second, Person)
    assert len(ids | {first.id, second.id}) == 5
