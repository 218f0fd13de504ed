"""Who is logged in and for how long, and who has to wait before they may try again."""

from __future__ import annotations

from app.people import by_password
from app.server import sessions
from app.server.sessions import LIFETIME, OF_A_NAME, OF_AN_ADDRESS, WINDOW, Attempts, Sessions

ANNA, BERT = by_password("anna"), by_password("bert")


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_opens_its_session_until_it_ends() -> None:
    clock = Time()
    held = Sessions({"anna": "1", "bert": "2"}.get, clock)  # type: ignore[arg-type]
    token, other = held.begin(ANNA), held.begin(BERT)
    assert held.person(held.of(token)) == ANNA
    assert held.person(held.of(other)) == BERT
    assert token not in str(vars(held))  # what is kept opens nothing
    assert held.of("") == held.of(token + "x") == held.of(held.of(token)) == ""
    held.end(held.of(token))
    assert held.of(token) == ""
    clock.now += LIFETIME - 1
    assert held.person(held.of(other)) == BERT
    clock.now += 1
    assert held.of(other) == ""


def test_who_is_removed_or_has_another_password_is_logged_out() -> None:
    proofs = {"anna": "1", "bert": "2"}
    held = Sessions(lambda name: proofs.get(name, ""))
    token, other = held.begin(ANNA), held.begin(BERT)
    handle = held.of(token)
    proofs["anna"] = "3"
    del proofs["bert"]
    assert held.person(handle) is None
    assert held.of(other) == ""
    proofs["anna"] = "1"
    assert held.of(token) == ""  # once ended, it stays so


def test_sessions_are_bounded(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(sessions, "MOST", 3)
    held = Sessions(lambda name: "1")
    tokens = [held.begin(ANNA) for _ in range(5)]
    assert [bool(held.of(token)) for token in tokens] == [False, False, True, True, True]


def test_a_name_that_failed_too_often_waits_wherever_it_is_tried_from() -> None:
    clock = Time()
    attempts = Attempts(clock)
    for n in range(OF_A_NAME):
        assert attempts.begin("anna", f"10.0.0.{n}") == 0
        clock.now += 1
    assert attempts.begin(" ANNA", "10.9.9.9") == WINDOW - OF_A_NAME
    assert attempts.begin("bert", "10.9.9.9") == 0
    clock.now += WINDOW - OF_A_NAME
    assert attempts.begin("anna", "10.9.9.9") == 0  # the first one does not count any more
    assert attempts.begin("anna", "10.9.9.9") > 0


def test_an_address_that_failed_too_often_waits_whatever_it_tries() -> None:
    clock = Time()
    attempts = Attempts(clock)
    assert all(attempts.begin(f"name {n}", "10.0.0.1") == 0 for n in range(OF_AN_ADDRESS))
    assert attempts.begin("another", "10.0.0.1") == WINDOW
    assert attempts.begin("another", "10.0.0.2") == 0
    assert all(attempts.begin(f"name {n}", f"2001:db8::{n:x}") == 0 for n in range(OF_AN_ADDRESS))  # one network
    assert attempts.begin("yet another", "2001:db8::ffff") == WINDOW
    assert attempts.begin("yet another", "2001:db8:0:1::1") == 0


def test_to_succeed_forgives_the_name_and_not_the_address() -> None:
    attempts = Attempts(Time())
    for _ in range(OF_A_NAME - 1):
        attempts.begin("anna", "10.0.0.1")
    assert attempts.begin("anna", "10.0.0.1") == 0
    attempts.succeeded("anna", "10.0.0.1")
    assert attempts.begin("anna", "10.0.0.1") == 0
    tried = OF_A_NAME  # 9 failures and the last attempt: the one that succeeded does not count
    assert all(attempts.begin(f"name {n}", "10.0.0.1") == 0 for n in range(OF_AN_ADDRESS - tried))
    assert attempts.begin("another", "10.0.0.1") > 0


def test_what_has_failed_is_kept_within_bounds(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(sessions, "MOST", 10)
    attempts = Attempts(Time())
    for n in range(100):
        attempts.begin(f"name {n}", f"10.0.0.{n}")
    assert len(attempts._times) == 10
