"""Who looks at the page. Every page asks `person()` first; where somebody has to log in, nothing comes after it until
they have.

Which login there is, is settled before the server starts (`app.server.start`); nothing from a browser has a say in it.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import streamlit as st
from streamlit import config

from app.people import EVERYBODY, LOCAL, Person, called
from app.server.sessions import LIFETIME, Sessions
from rag.errors import UsageError

Claims = Mapping[str, Any]  # what Streamlit knows of whom a page is shown to (`st.user`)
HANDLE = "session"  # the claim that the server itself adds, where people log in with a password


class Login(Protocol):
    """`person` is None for one who has not logged in, or whose login has ended; `show` then says what to do."""

    def person(self, claims: Claims) -> Person | None: ...

    def show(self, claims: Claims) -> None: ...

    def leave(self, claims: Claims) -> None: ...


_login: Login | None = None


def settle(login: Login | None) -> None:
    """Says how people log in, once, before anybody can; None: nobody does."""
    global _login
    _login = login


def person() -> Person:
    """Whoever looks at this page. Ends the run where they have to log in first."""
    if _login is None:
        _require_loopback()
        return LOCAL
    claims = st.user.to_dict()
    found = _login.person(claims)
    if found is None:
        _login.show(claims)
        st.stop()
    return found


def show_person(found: Person) -> None:
    """Who is logged in, and the way out; nothing where nobody logs in."""
    if _login is None:
        return
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        st.text(found.name or "Logged in", width="content")
        if st.button("Log out", type="tertiary", icon=":material/logout:"):
            _login.leave(st.user.to_dict())
            st.rerun()


def _require_loopback() -> None:
    """Streamlit's own command would serve these pages to everybody who can reach this machine. (AppTest runs them
    without a server.)"""
    if not _is_loopback(config.get_option("server.address") or "") and not config.get_option("global.appTest"):
        st.error("These pages would be open to other machines. Start them with `python -m app`.")
        st.stop()


def _is_loopback(address: str) -> bool:
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


# ------------------------------------------------------------------------------------------- with a password


class ByPassword:
    """The server lets nobody in who has not logged in, and says which session a page is of."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def person(self, claims: Claims) -> Person | None:
        return self._sessions.person(str(claims.get(HANDLE) or ""))

    def show(self, claims: Claims) -> None:
        st.subheader("You are logged out")
        st.markdown("Reload this page to log in again.")

    def leave(self, claims: Claims) -> None:
        self._sessions.end(str(claims.get(HANDLE) or ""))


# ------------------------------------------------------------------------------ through a provider (OpenID Connect)


@dataclass(frozen=True, slots=True)
class Allowed:
    """Who may come in, of all whom the provider knows: e-mail addresses, "@domain", or everybody."""

    entries: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> Allowed:
        """Of a list parted by commas or blanks. Raises UsageError for an empty one, and for what is neither."""
        entries = frozenset(text.casefold().replace(",", " ").split())
        if not entries:
            raise UsageError(
                "Say who may come in, of all whom the login's provider knows: --allow (or RAG_APP_ALLOW) takes e-mail "
                "addresses and @domains, or * for everybody."
            )
        for entry in entries - {EVERYBODY}:
            if "@" not in entry or not called(entry.removeprefix("@")):
                raise UsageError(f"--allow takes e-mail addresses, @domains or *; {entry!r} is none of them.")
        return cls(entries)

    def admits(self, email: str) -> bool:
        return EVERYBODY in self.entries or (bool(email) and bool({email, email[email.rfind("@") :]} & self.entries))


class ByProvider:
    """Streamlit keeps what the provider said in a signed cookie. An e-mail address counts where the provider has
    verified it: anybody can write anything into an account of their own."""

    def __init__(self, allowed: Allowed, providers: Sequence[str]) -> None:
        self._allowed = allowed
        self._providers = providers

    def person(self, claims: Claims) -> Person | None:
        if not self._is_fresh(claims):
            return None
        email = str(claims.get("email") or "").strip().casefold() if claims.get("email_verified") is True else ""
        if not self._allowed.admits(email):
            return None
        return Person(f"provider:{claims['iss']} {claims['sub']}", email)

    @staticmethod
    def _is_fresh(claims: Claims) -> bool:
        issued = claims.get("iat")
        whole = claims.get("is_logged_in") is True and all(isinstance(claims.get(key), str) for key in ("iss", "sub"))
        return whole and isinstance(issued, int | float) and time.time() - issued < LIFETIME

    def show(self, claims: Claims) -> None:
        st.subheader("Beluga RAG")
        if claims.get("is_logged_in") is True and self._is_fresh(claims):
            st.error("This account may not come in here. Ask whoever runs this server, or log in with another one.")
            st.button("Log out", on_click=st.logout)
            return
        st.write("Log in to ask your documents.")
        for provider in self._providers:
            name = "Log in" if provider == "default" else f"Log in with {provider}"
            st.button(name, type="primary", key=f"login {provider}", on_click=st.login, args=(provider,))

    def leave(self, claims: Claims) -> None:
        st.logout()
