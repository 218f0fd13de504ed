"""HTTP to one wiki, as wikis ask for it (https://www.mediawiki.org/wiki/API:Etiquette): one request at a time and not
too fast, under a name that tells who asks, giving way when the servers are behind, patient when they are busy.

Only the one host is ever asked; a redirect that leads elsewhere is refused.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlencode, urljoin, urlsplit

from rag import __version__
from rag.errors import NetworkError, UsageError

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

RETRIES = 3
BACKOFF = 1.0  # seconds before the first retry, doubled for each further one
LONGEST_WAIT = 60.0  # seconds of Retry-After that are waited for
INTERVAL = 0.1  # seconds from request to request
MAX_LAG = 5  # seconds that the wiki's replicas may lag behind; then we wait
TIMEOUTS = (10.0, 60.0)  # seconds to a connection, and between two pieces of an answer
DEADLINE = 300.0  # seconds for a whole answer
LONGEST_ANSWER = 64 << 20  # bytes, unpacked
LONGEST_URL = 4000  # characters; longer requests are POSTed

_LANGUAGE = re.compile(r"[a-z]{2,12}(?:-[a-z]{2,12}){0,2}")
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_BUSY_CODES = ("maxlag", "ratelimited", "readonly", "internal_api_error")
_SAFE = "What is indexed is safe, and other sources are fine"


class ApiError(Exception):
    """The wiki understood, and said no: `code` is its word for it, such as "nosuchrevid"."""

    def __init__(self, code: str, info: str) -> None:
        super().__init__(f"{code}: {info}")
        self.code = code


class _BusyError(Exception):
    """Worth another try, after `wait` seconds if the wiki names them."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def api_of(language: str = "en", api: str = "") -> str:
    """The address of a wiki's API: the one given, or that of the Wikipedia of a language. Raises UsageError."""
    if not api:
        if not _LANGUAGE.fullmatch(language):
            raise UsageError(f"--lang is {language!r}; it takes a Wikipedia's code, such as en, de or zh-yue.")
        return f"https://{language}.wikipedia.org/w/api.php"
    parts = parsed(api)
    if parts is None or not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise UsageError(f"--api is {api!r}; it takes an address such as https://en.wikipedia.org/w/api.php.")
    if is_wikipedia(api) and parts.scheme != "https":
        raise UsageError(f"--api is {api!r}; Wikipedia is asked over https alone.")
    return api


def parsed(url: str) -> SplitResult | None:
    """An address of the Web; None for anything else, such as a file, and for what only looks like one."""
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in {"http", "https"} and (parts.port or 0) >= 0  # asking for a bad port raises
    except ValueError:
        return None
    return parts if is_web else None


def is_wikipedia(api: str) -> bool:
    return (urlsplit(api).hostname or "").endswith(".wikipedia.org")


class Wire:
    """A connection to the API at `api`. `contact` (an address or a page) goes into the user agent; `pause` waits."""

    def __init__(self, api: str, contact: str = "", pause: Callable[[float], None] = time.sleep) -> None:
        import requests

        if not (contact.isascii() and contact.isprintable()):
            raise UsageError(f"RAG_CONTACT is {contact!r}; it takes an e-mail address or a page, in plain characters.")
        self.api = api
        self._pause = pause
        self._asked = 0.0
        self._session = requests.Session()
        self._session.auth = _no_password  # or requests would look into ~/.netrc
        who = contact or "no contact given"
        library = requests.utils.default_user_agent()
        self._session.headers["User-Agent"] = f"beluga-rag/{__version__} ({who}) {library}"

    def get(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """What the API answers. Raises ApiError when it says no, NetworkError when it cannot be asked."""
        asked = {**parameters, "format": "json", "maxlag": str(MAX_LAG)}
        for attempt in range(RETRIES + 1):
            try:
                return self._once(asked)
            except _BusyError as busy:
                if attempt == RETRIES:
                    raise self._unanswered(f"{busy}; retried {RETRIES} times") from busy
                if busy.wait is not None and busy.wait > LONGEST_WAIT:
                    raise self._unanswered(f"{busy}; it asks to wait {busy.wait:.0f} s") from busy
                self._pause(BACKOFF * 2**attempt if busy.wait is None else busy.wait)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        answer = _decoded(self._body(parameters))
        error = answer.get("error")
        if isinstance(error, dict):
            code = str(error.get("code"))
            if code.startswith(_BUSY_CODES):
                lag = error.get("lag")
                raise _BusyError(code, float(lag) if code == "maxlag" and isinstance(lag, int | float) else None)
            raise ApiError(code, str(error.get("info")))
        return answer

    def _body(self, parameters: Mapping[str, str]) -> bytes:
        from requests.exceptions import RequestException, SSLError

        self._wait_for_turn()
        try:
            response = self._sent(self.api, parameters)
            for _ in range(RETRIES):
                if not response.is_redirect:
                    break
                response = self._sent(self._followed(response), parameters)
            return self._read(response)
        except SSLError as error:
            raise self._refused(f"its certificate is not good ({error})") from error
        except RequestException as error:
            raise _BusyError(_short(error)) from error
        except ValueError as error:  # requests looks at where a redirect leads, though it is not to follow any
            raise self._refused(
                f"it redirects to what is no address, and only {urlsplit(self.api).netloc} is asked"
            ) from error

    def _sent(self, url: str, parameters: Mapping[str, str]) -> Response:
        how: dict[str, Any] = {"allow_redirects": False, "stream": True, "timeout": TIMEOUTS}
        if len(urlencode(parameters)) > LONGEST_URL:
            return self._session.post(url, data=parameters, **how)
        return self._session.get(url, params=parameters, **how)

    def _followed(self, response: Response) -> str:
        """Where a redirect leads, if that is a better address of the same server. Names are compared as they are
        written: another spelling of an address, a name that leads to this machine, another port: all are elsewhere."""
        response.close()
        ours, location = urlsplit(self.api), response.headers["Location"]
        target = str(urljoin(self.api, location))
        theirs = parsed(target)
        if (
            theirs is None
            or theirs.netloc.lower() != ours.netloc.lower()
            or (ours.scheme, theirs.scheme) == ("https", "http")
        ):
            raise self._refused(f"it redirects to {location[:80]!r}, and only {ours.netloc} is asked")
        return target.partition("?")[0]

    def _read(self, response: Response) -> bytes:
        """The body of a success, read to its end within bounds."""
        with response:
            if response.status_code in _BUSY:
                raise _BusyError(str(response.status_code), _seconds(response.headers.get("Retry-After")))
            if response.status_code != 200:
                advice = "; set RAG_CONTACT, so that it can tell who asks" if response.status_code == 403 else ""
                raise self._refused(f"it answers {response.status_code}{advice}")
            body = bytearray()
            began = time.monotonic()
            for piece in response.iter_content(1 << 16):
                body += piece
                if len(body) > LONGEST_ANSWER:
                    raise self._refused(f"it sends more than {LONGEST_ANSWER >> 20} MB at once")
                if time.monotonic() - began > DEADLINE:
                    raise _BusyError(f"no end after {DEADLINE:.0f} s")
        return bytes(body)

    def _wait_for_turn(self) -> None:
        early = self._asked + INTERVAL - time.monotonic()
        if early > 0:
            time.sleep(early)
        self._asked = time.monotonic()

    def _unanswered(self, why: str) -> NetworkError:
        return NetworkError(f"{urlsplit(self.api).netloc} did not answer ({why}). {_SAFE}; run the same command later.")

    def _refused(self, why: str) -> NetworkError:
        return NetworkError(f"{urlsplit(self.api).netloc} cannot be read: {why}. {_SAFE}; nothing partial is stored.")


def _no_password(request: PreparedRequest) -> PreparedRequest:
    return request


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise _BusyError("its answer is no JSON") from None
    if not isinstance(answer, dict):
        raise _BusyError("its answer is no JSON object")
    return answer


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After, which is a number of seconds or a date (RFC 9110)."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _short(error: Exception) -> str:
    name = type(error).__name__
    return {
        "ConnectTimeout": "no connection in time",
        "ReadTimeout": "it fell silent",
        "ChunkedEncodingError": "the connection was cut",
        "ConnectionError": "no connection",
    }.get(name, name)
