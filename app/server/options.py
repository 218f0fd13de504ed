"""Streamlit's options as this application needs them, whatever else would set them.

Streamlit takes options from ~/.streamlit/config.toml, from a .streamlit folder where it is started, and from variables;
what it is started with goes before them. So each option that one of those sets is started with its default again, and
those that matter here with the value that they have to have.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

THEIRS = {"server.cookieSecret", "secrets.files"}  # what people may set: it is about their login, and never unsafe

_LIGHT = {
    "primaryColor": "#0b6a83",
    "backgroundColor": "#fbfbfa",
    "secondaryBackgroundColor": "#f0f2f2",
    "textColor": "#1f2933",
    "linkColor": "#0b6a83",
    "borderColor": "#d5dade",
}
_DARK = {
    "primaryColor": "#1a7a94",
    "backgroundColor": "#14181c",
    "secondaryBackgroundColor": "#1d2329",
    "textColor": "#e4e7ea",
    "linkColor": "#6cc3da",
    "borderColor": "#39424b",
}


@dataclass(frozen=True, slots=True)
class Serving:
    """`session` says under which header the server names a page's session, empty where nobody logs in by password."""

    address: str
    port: int
    upload_limit: int  # megabytes
    session: str = ""


def required(serving: Serving) -> dict[str, object]:
    return {
        "server.address": serving.address,
        "server.port": serving.port,
        "browser.serverAddress": serving.address,
        "browser.serverPort": serving.port,
        "server.headless": True,
        "server.enableCORS": True,
        "server.enableXsrfProtection": True,
        "server.maxUploadSize": serving.upload_limit,
        "server.fileWatcherType": "none",
        "server.trustedUserHeaders": {serving.session: "session"} if serving.session else {},
        "server.websocketPingInterval": 20,
        "global.developmentMode": False,
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.toolbarMode": "minimal",
        "client.allowedOrigins": [],
        "runner.magicEnabled": False,
        "runner.postScriptGC": False,  # models are loaded: a whole collection after each run would hold up all threads
        "logger.level": "error",
        "logger.messageFormat": "%(asctime)s %(message)s",
        "logger.hideWelcomeMessage": True,
        "theme.baseRadius": "0.5rem",
        "theme.paddingTop": "1.5rem",
        **{f"theme.light.{name}": value for name, value in _LIGHT.items()},
        **{f"theme.dark.{name}": value for name, value in _DARK.items()},
    }


def enforce(serving: Serving) -> list[str]:
    """Makes the options hold for this process, and says which ones somebody had set otherwise, to no avail."""
    from streamlit import config, logger
    from streamlit.web import bootstrap

    wanted = required(serving)
    found = config.get_config_options(force_reparse=True)
    strays = {name: option for name, option in found.items() if not option.is_default and name not in THEIRS}
    defaults = {name: option.default_val for name, option in strays.items() if name not in wanted}
    logger.set_log_level("error")  # or the second reading warns of what it changes
    bootstrap.load_config_options({**defaults, **wanted})
    held = config.get_config_options()
    for name in (name for name, default in defaults.items() if default is None):
        held[name].set_value(None)  # which the call before passes over
    return sorted(name for name, option in strays.items() if option.value != held[name].value)


def policy() -> str:
    """A Content-Security-Policy under which the pages work, and can reach this server alone: no image, font, frame,
    script or request of theirs leads anywhere else. Scripts are those of Streamlit's files, and those in its page."""
    import streamlit

    page = Path(streamlit.__file__).parent / "static" / "index.html"
    inline = re.findall(r"<script>(.*?)</script>", page.read_text(encoding="utf-8"), re.DOTALL)
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in inline)
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src 'self' blob: {hashes}".rstrip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "media-src 'self' data: blob:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        ]
    )
